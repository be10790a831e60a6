"""One number for energies, forces and virials together."""

import warnings

import numpy as np
import pytest
import sklearn
from helpers.toy_data import make_frames, reference
from helpers.toy_descriptor import ToyTransformer
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, TwoStagePSOSearchCV
from skdesc.metrics import make_potential_scorer, potential_errors
from skdesc.metrics._relative_errors import combine, find_scales, relative_errors
from skdesc.structures import check_structures


class _Oracle:
    """Predicts what it is told to."""

    def __init__(self, y, forces, virials):
        self.y, self.forces, self.virials = y, forces, virials

    def predict(self, X, return_forces=False, return_virials=False):
        wanted = [(self.forces, return_forces), (self.virials, return_virials)]
        return (self.y, *(values for values, is_wanted in wanted if is_wanted))


@pytest.fixture(scope="module")
def data():
    frames = make_frames(16)
    y, more = reference(frames)
    return frames, y, more["forces"], more["virials"]


def _errors(data, factor=1.0, **changes):
    frames, y, forces, virials = data
    rng = np.random.RandomState(0)
    n_atoms = np.array([len(atoms) for atoms in frames])
    oracle = _Oracle(
        y + factor * 0.01 * n_atoms * rng.normal(size=len(y)),
        [f + factor * 0.02 * rng.normal(size=f.shape) for f in forces],
        virials + factor * 0.03 * rng.normal(size=virials.shape),
    )
    return potential_errors(oracle, frames, y, forces=forces, virials=virials, **changes)


def test_exact_predictions_have_no_error(data):
    assert _errors(data, 0.0) == {"energy": 0.0, "forces": 0.0, "virials": 0.0}
    assert combine(_errors(data, 0.0)) == pytest.approx(1e-12)


def test_errors_grow_with_the_noise_of_every_quantity(data):
    one, two = _errors(data, 1.0), _errors(data, 2.0)
    for quantity in ("energy", "forces", "virials"):
        assert two[quantity] == pytest.approx(2 * one[quantity], rel=0.2)
        assert two[quantity] > one[quantity]


def test_units_of_a_quantity_have_no_influence(data):
    frames, y, forces, virials = data
    scaled = _errors((frames, 27.2 * y, [27.2 * f for f in forces], 27.2 * virials), 27.2)
    assert scaled == pytest.approx(_errors(data), rel=1e-9)


def test_energies_of_single_atoms_have_no_influence(data):
    frames, y, forces, virials = data
    shift = np.array([-13.6 * (a.numbers == 1).sum() - 2041.0 * (a.numbers == 8).sum()
                      for a in frames])
    shifted = _errors((frames, y + shift, forces, virials))
    assert shifted == pytest.approx(_errors(data), rel=1e-6)


def test_a_few_exploded_structures_do_not_decide(data):
    frames, y, forces, virials = data
    wild_y, wild = y.copy(), [block.copy() for block in forces]
    wild_y[3] += 1e6
    wild[3] *= 1e6
    before = _errors(data)
    after = _errors((frames, wild_y, wild, virials))
    for quantity in before:
        assert after[quantity] == pytest.approx(before[quantity], rel=0.3)


def test_a_prediction_that_explodes_counts_three_times_the_spread_at_most():
    scales = find_scales(np.zeros(4), np.ones(4), np.ones((4, 1)))
    predicted = {"energy": np.array([1e9, 0.0, 0.0, 0.0])}
    errors = relative_errors(scales, np.ones(4), {"energy": np.zeros(4)}, predicted)
    assert errors["energy"] == pytest.approx(np.sqrt(9.0 / 4))


def test_groups_have_the_same_say():
    n_atoms, true = np.ones(10), {"energy": np.arange(10.0)}
    scales = find_scales(true["energy"], n_atoms, np.ones((10, 1)))
    predicted = true["energy"].copy()
    predicted[0] += 1.0
    groups = ["rare"] + ["common"] * 9
    alone = relative_errors(scales, n_atoms, true, {"energy": predicted})["energy"]
    grouped = relative_errors(scales, n_atoms, true, {"energy": predicted}, groups)["energy"]
    assert grouped**2 == pytest.approx(alone**2 * 10 / 2)


def test_what_is_not_known_is_left_out(data):
    frames, y, forces, virials = data
    some_y, some = y.copy(), [*forces]
    some_y[2], some[4], some[5] = np.nan, None, np.full(forces[5].shape, np.nan)
    errors = _errors((frames, y, forces, virials))
    oracle = _Oracle(y, forces, virials)
    assert potential_errors(oracle, frames, some_y, forces=some) == {"energy": 0.0, "forces": 0.0}
    assert set(errors) == {"energy", "forces", "virials"}
    nothing = potential_errors(oracle, frames, np.full(len(y), np.nan), forces=forces)
    assert set(nothing) == {"forces"}


def test_targets_without_spread_are_measured_by_the_unit():
    scales = find_scales(np.full(3, 5.0), np.ones(3), np.ones((3, 1)))
    assert scales.spreads["energy"] == 1.0


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("objective", ["one_pass", "cv"])
def test_the_default_of_searches_with_forces(data, routing, objective):
    frames, y, forces, _ = data
    pipeline = make_pipeline(ToyTransformer(), GAPRegressor(n_sparse=8))
    if objective == "one_pass":
        frames, pipeline = ToyTransformer().transform(frames), make_pipeline(
            "passthrough", pipeline[-1]
        )
    name = "forces" if routing else "gapregressor__forces"
    spaces = {}, {"gapregressor__zeta": [1, 2, 3]}
    options = {"n_particles": 3, "n_iterations": 1, "cv": 4, "random_state": 0}
    options["stage_one_objective"] = objective
    with sklearn.config_context(enable_metadata_routing=routing), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = TwoStagePSOSearchCV(pipeline, *spaces, **options).fit(frames, y, **{name: forces})
        assert set(search.comparison_) == {"energy", "forces", "score"}
        assert -3 < search.best_score_ < 0
        alone = TwoStagePSOSearchCV(pipeline, *spaces, **options).fit(frames, y)
    # with energies alone, scikit-learn's own
    assert alone.score(frames, y) == alone.best_estimator_.score(frames, y)
    assert set(alone.comparison_) == {"energy", "score"}


def test_structures_and_features_give_the_same(data):
    frames, y, forces, _ = data
    pipeline = make_pipeline(ToyTransformer(), GAPRegressor(n_sparse=8)).fit(frames, y)
    scorer, features = make_potential_scorer(), ToyTransformer().transform(frames)
    score = scorer(pipeline, frames, y, forces=forces)
    assert score == scorer(pipeline, check_structures(frames), y, forces=forces)
    assert score == scorer(pipeline[-1], features, y, forces=forces)
    assert repr(scorer) == "make_potential_scorer()"
    with pytest.raises(TypeError, match="ndarray, whose atoms are not known"):
        scorer(pipeline[-1], np.ones((3, 2)), np.ones(3))
