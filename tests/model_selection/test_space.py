import numpy as np
import pytest
from scipy.stats import loguniform, norm, randint, uniform

from skdesc.model_selection._space import SearchSpace


def test_every_dimension_is_decoded_and_encoded():
    values = ["gto", "polynomial", None, 3.0]
    space = SearchSpace(
        {
            "width": loguniform(1e-4, 1e-1),
            "n_max": randint(4, 11),
            "cutoff": uniform(3, 4),
            "basis": values,
            "shift": norm(2, 1),
            "fixed": ["only"],
            "three": randint(3, 4),
        }
    )
    assert space.names == sorted(space.names)
    assert space.free == ["basis", "cutoff", "n_max", "shift", "width"]
    rng = np.random.RandomState(0)
    drawn = {name: set() for name in space.names}
    for position in [np.zeros(5), np.ones(5), *rng.uniform(size=(300, 5))]:
        params = space.decode(position)
        for name, value in params.items():
            drawn[name].add(value)
        again = space.decode(space.encode(params))
        assert again["basis"] == params["basis"]
        assert again["n_max"] == params["n_max"]
        for name in ("width", "cutoff", "shift"):
            assert again[name] == pytest.approx(params[name], rel=1e-9)
    assert drawn["n_max"] == set(range(4, 11))
    assert all(type(value) is int for value in drawn["n_max"] | drawn["three"])
    assert drawn["basis"] == set(values)
    assert drawn["fixed"] == {"only"}
    assert min(drawn["width"]) >= 1e-4
    assert max(drawn["width"]) <= 1e-1
    assert np.isfinite(list(drawn["shift"])).all()
    # log-uniform: a third of the range is a third of the decades
    assert space.decode(np.full(5, 1 / 3))["width"] == pytest.approx(1e-3)


def test_values_outside_the_space_are_not_encoded():
    space = SearchSpace({"a": randint(1, 5), "b": uniform(0, 1), "c": ["x", "y"]})
    assert np.isnan(space.encode({"a": 9, "b": 2.0, "c": "z"})).all()
    assert np.isnan(space.encode({"a": 1.5, "b": True, "c": 0})).all()
    assert np.isnan(space.encode({})).all()
    assert np.isfinite(space.encode({"a": 4, "b": 1.0, "c": "y"})).all()
    assert space.restrict({"a": 4, "b": 7, "other": 1}) == {"a": 4}


def test_lists_may_hold_anything():
    first, second = object(), np.arange(3)
    space = SearchSpace({"a": [first, second, [1, 2]]})
    assert space.decode(space.encode({"a": second}))["a"] is second
    assert space.token("a", first) != space.token("a", second)
    assert SearchSpace({"a": np.array([1, 2])}).decode(np.zeros(1)) == {"a": 1}


def test_equal_values_have_equal_tokens():
    space = SearchSpace({"a": randint(1, 5), "b": ["x", "y"], "c": [1, 2]})
    assert space.token("a", 3) == space.token("a", np.int64(3)) != space.token("a", 3.0)
    assert space.token("c", 2) == space.token("c", np.int64(2))
    assert space.token("b", "x") != space.token("b", "y")


def test_kinds_of_numbers_are_told_apart():
    # max_features=1 of a forest is one feature, max_features=1.0 are all of them
    mixed = SearchSpace({"a": [True, 1, 1.0]})
    for value in (True, 1, 1.0):
        assert type(mixed.decode(mixed.encode({"a": value}))["a"]) is type(value)
    assert len({mixed.token("a", value) for value in (True, 1, 1.0)}) == 3
    for dimension in ([1, 2, 4], randint(1, 5)):
        space = SearchSpace({"a": dimension})
        assert space.token("a", 1.0) != space.token("a", 1)
        assert type(space.restrict({"a": 1.0})["a"]) is int
    floats = SearchSpace({"a": uniform(0, 2)})
    assert floats.token("a", 1) == floats.token("a", 1.0)


def test_equal_tuples_are_the_same_value():
    space = SearchSpace({"a": [(1, 1), (1, 2), [3]]})
    assert space.encode({"a": tuple([1, 2])}) == [0.5]
    assert space.token("a", tuple([1, 2])) == "#1"
    assert np.isnan(space.encode({"a": (3,)})).all()
    weights = SearchSpace({"a": ["balanced", {0: 1, 1: 3}]})
    assert weights.encode({"a": {1: 3, 0: 1}}) == [0.75]


def test_nearest_values_are_plain_numbers():
    space = SearchSpace({"a": [np.float32(0.1), np.int64(1)], "b": uniform(0, 1)})
    assert space.nearest({"a": 0.7, "b": 2.0}) == {"a": 1, "b": pytest.approx(1.0)}
    found = space.nearest({"a": 0.2, "b": np.float64(0.5)})
    assert {type(value) for value in found.values()} == {float}


class _NoQuantiles:
    def rvs(self, random_state=None):
        return 1.0


@pytest.mark.parametrize(
    ("space", "error", "match"),
    [
        ([("a", [1])], TypeError, "space is of type list, but a dict"),
        ({"a": []}, ValueError, r"space\['a'\] is empty"),
        ({"a": "gto"}, TypeError, r"for a single value pass \['gto'\]"),
        ({"a": 3}, TypeError, "a list of values or a scipy.stats distribution is needed"),
        ({"a": {1, 2}}, TypeError, "a list of values or a scipy.stats distribution is needed"),
        ({"a": _NoQuantiles()}, TypeError, "has no quantile function"),
        ({"a": loguniform}, TypeError, "a distribution without its parameters; give them"),
        ({"a": uniform(3, -1)}, ValueError, "quantiles are not finite"),
        ({"a": randint(5, 2)}, ValueError, "quantiles are not finite"),
    ],
)
def test_bad_spaces(space, error, match):
    with pytest.raises(error, match=match):
        SearchSpace(space)
