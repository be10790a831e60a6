"""A fit that arrives as plain data is refused where no fit could have given it."""

import copy

import numpy as np
import pytest
from helpers.stored_models import makers

from skdesc.gaussian_process._checks import verify_factors, verify_solution
from skdesc.gaussian_process._serialization import pack, unpack


@pytest.fixture(scope="module", params=["gap_partial", "gap_joined"])
def state(request):
    gap = makers()[request.param]()[-1]
    return pack(gap._model, gap._training)


def entries(state, path=()):
    """Paths of all arrays and numbers of a state."""
    items = state.items() if isinstance(state, dict) else enumerate(state)
    for key, value in items:
        if isinstance(value, (dict, list)):
            yield from entries(value, (*path, key))
        elif value is not None and not isinstance(value, str):
            yield (*path, key)


def changed(state, path, change):
    state = copy.deepcopy(state)
    inner = state
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = change(inner[path[-1]])
    return state


def drop(state, path):
    state = copy.deepcopy(state)
    inner = state
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return state


SHAPES = {
    "shorter": lambda a: a[:-1] if np.ndim(a) else "x",
    "longer": lambda a: np.concatenate([a, a[:1]]) if np.ndim(a) else [a],
    "more axes": lambda a: np.array([a]),
    "other type": lambda a: np.asarray(a, dtype=complex),
    "text": lambda a: np.full(np.shape(a), "a"),
    "nothing": lambda a: None,
    "dict": lambda a: {},
}


def test_every_entry_is_checked(state):
    """No entry may have another shape or type, or be missing, without a ValueError."""
    paths = list(entries(state))
    assert len(paths) > 30
    # old files have no distances
    free = {("log_marginal_likelihood",), ("seen", "e0"), ("seen", "distances")}
    for path in paths:
        for kind, change in SHAPES.items():
            if kind in ("shorter", "longer") and "waiting" in path:
                continue  # as many as there are
            if path[-2:] == ("seen", "e0") or path[:2] == ("seen", "e0"):
                continue  # a parameter, checked as such
            with pytest.raises(ValueError, match="of the fit is"):
                unpack(changed(state, path, change))
        if path[:2] == ("seen", "e0") or path in free or path[0] in ("sigmas", "n_rows"):
            continue
        try:
            unpack(drop(state, path))
        except ValueError:
            continue
        pytest.fail(f"nothing was said of {path}, which is missing")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(state, value):
    for path in entries(state):
        array = np.asarray(changed(state, path, lambda a: a) and _at(state, path))
        if array.dtype.kind != "f" or path[-1] in ("log_marginal_likelihood", "isolated"):
            continue
        if path[:2] == ("seen", "e0") or array.size == 0:
            continue

        def poison(a):
            a = np.array(a)
            a[(0,) * a.ndim] = value
            return a if a.ndim else float(a)

        with pytest.raises(ValueError, match="of the fit is"):
            unpack(changed(state, path, poison))


def _at(state, path):
    for key in path:
        state = state[key]
    return state


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("species",), lambda a: a[::-1].copy(), "ascending"),
        (("species",), lambda a: a - 10, "from 0 to 118"),
        (("species",), lambda a: a + 117, "from 0 to 118"),
        (("elements",), lambda a: np.repeat(a[:1], len(a)), "each once"),
        (("elements",), lambda a: a + 1, "among the elements"),
        (("block",), lambda a: a + 5, "from 0"),
        (("columns",), lambda a: [[0, 10**9]], "follow one another"),
        (("columns",), lambda a: [[1, a[-1][1]]], "follow one another"),
        (("zetas",), lambda a: [0.5] * len(a), "from 1"),
        (("zetas",), lambda a: [*a, 1.0], "numbers"),
        (("energy_scales",), lambda a: 0 * a, "above 0"),
        (("jitter",), lambda a: -1.0, "from 0"),
        (("jitter",), lambda a: True, "a number"),
        (("factors",), lambda a: [L.T for L in a], "lower triangles"),
        (("R",), lambda a: a.T, "upper triangles"),
        (("sigmas",), lambda a: a | {"charges": 1.0}, "a dict with some"),
        (("sigmas",), lambda a: dict.fromkeys(a, 0.0), "above 0"),
        (("n_rows",), lambda a: dict.fromkeys(a, -1), "an integer of at least 0"),
        (("n_rows",), lambda a: dict.fromkeys(a, 2**70), "an integer of at least 0"),
        (("seen", "composition", "n_columns"), lambda a: 10**7, "must be"),
        (("seen", "triangles"), lambda a: {}, "for"),
        (("seen", "isolated"), lambda a: np.full_like(a, -np.inf), "infinite where not known"),
    ],
)
def test_values(state, path, value, message):
    with pytest.raises(ValueError, match=message):
        unpack(changed(state, path, value))


def verify_both(model, training):
    verify_factors(model)
    verify_solution(model, training)


def test_what_is_derived_is_compared(state):
    """Factors, triangle and weights are those of the sparse points and of the data."""
    verify_both(*unpack(copy.deepcopy(state)))
    for change, verify in [
        (lambda s: s["factors"][0].__setitem__((0, 0), s["factors"][0][0, 0] * 1.01), "factors"),
        (lambda s: s["features"].__setitem__(0, s["features"][0] * 1.01), "factors"),
        (lambda s: s["R"].__setitem__((0, 1), s["R"][0, 1] + s["R"][0, 0]), "R"),
        (lambda s: s["weights"].__imul__(1.01), "weights"),
        (lambda s: s["e0"].__iadd__(0.5), "e0"),
        (lambda s: s["n_rows"].update(energy=77), "n_rows"),
    ]:
        other = copy.deepcopy(state)
        change(other)
        model, training = unpack(other)
        with pytest.raises(ValueError, match=f"^{verify} of the fit"):
            verify_both(model, training)
