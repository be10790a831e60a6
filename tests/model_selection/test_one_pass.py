"""Cross-validation by one pass: what it saves, what it finds, and that it is the same."""

import numpy as np
import pytest
import sklearn
from model_selection.toys import (
    FoldsRidge,
    ForcesRidge,
    PairCounts,
    best_alpha,
    shaken_molecules,
)
from scipy.stats import loguniform, uniform
from sklearn.base import clone
from sklearn.model_selection import KFold, RepeatedKFold, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skdesc import GAPRegressor, SOAPTransformer, TwoStagePSOSearchCV, extract_targets
from skdesc.datasets import load_carbon_dimer
from skdesc.metrics import make_forces_scorer

SPACES = (
    {"pairs__cutoff": uniform(0.5, 3), "pairs__width": uniform(0.1, 0.5)},
    {"ridge__alpha": loguniform(1e-6, 1e-1)},
)


@pytest.fixture(scope="module")
def data():
    return shaken_molecules()


@pytest.fixture
def calls():
    FoldsRidge.calls.clear()
    return FoldsRidge.calls


def _search(spaces=SPACES, *, last=None, before=(), **options):
    settings = {"n_particles": 4, "n_iterations": 3, "cv": 3, "random_state": 0, **options}
    steps = [("pairs", PairCounts()), *before, ("ridge", last or FoldsRidge(0.5))]
    return TwoStagePSOSearchCV(Pipeline(steps), *spaces, **settings)


def test_one_model_each(data, calls):
    search = _search().fit(*data)
    one, two = search.stage_results_
    assert one["objective"] == two["objective"] == "one_pass"
    assert one["n_models_trained"] == one["n_feature_evaluations"] == calls.count("find") == 12
    # the first particle of the second stage is the best of the first
    assert two["n_models_trained"] == calls.count("fit") - 12 <= 11
    assert two["n_feature_evaluations"] == 1
    assert search.n_models_trained_ == calls.count("fit") + 1
    assert set(search.cv_results_["stage"]) == {1, 2}


def test_scores_are_those_of_cross_validation(data, calls):
    scoring = ["r2", "neg_max_error"]
    search = _search(return_train_score=True, scoring=scoring, refit="r2").fit(*data)
    for index, params in enumerate(search.cv_results_["params"]):
        pipeline = clone(search.estimator).set_params(**params)
        result = cross_validate(
            pipeline, *data, cv=3, scoring=scoring, return_train_score=True
        )
        for name in ("test_r2", "train_r2", "test_neg_max_error"):
            expected = [search.cv_results_[f"split{k}_{name}"][index] for k in range(3)]
            np.testing.assert_allclose(expected, result[name], rtol=1e-6)
    assert (search.cv_results_["mean_fit_time"] > 0).all()
    assert (search.cv_results_["mean_score_time"] > 0).all()


def test_the_second_stage_begins_where_the_step_itself_has_led(data, calls):
    search = _search().fit(*data)
    one = search.stage_results_[0]
    features = PairCounts(**{k[7:]: v for k, v in one["best_params"].items()}).transform(data[0])
    found = best_alpha(features, data[1])
    start = next(e for e in search.history_ if e["stage"] == 2)
    assert start["params"][0]["ridge__alpha"] == pytest.approx(np.clip(found, 1e-6, 1e-1), rel=1e-6)
    assert start["params"][0]["ridge__alpha"] != 0.5
    assert start["scores"][0] == one["best_score"]
    # the history has the parameters that its scores belong to
    params, means = (search.cv_results_[key] for key in ("params", "mean_test_score"))
    scores = dict(zip(map(repr, params), means, strict=True))
    for entry in search.history_:
        assert [scores[repr(p)] for p in entry["params"]] == entry["scores"].tolist()
    # values outside the space are moved to its edge
    edge = _search((SPACES[0], {"ridge__alpha": loguniform(1e-4, 1e-3)}), n_iterations=1)
    alphas = edge.fit(*data).cv_results_["param_ridge__alpha"].data.astype(float)
    assert (alphas >= 1e-4 * (1 - 1e-6)).all()
    assert (alphas <= 1e-3 * (1 + 1e-6)).all()


def test_nothing_is_found_that_is_not_searched(data, calls):
    search = _search((SPACES[0], {"ridge__need_forces": [False]}), n_iterations=1).fit(*data)
    assert "fit" in calls
    assert search.best_estimator_[-1].alpha == 0.5
    spaces = SPACES[0], {**SPACES[1], "ridge__need_forces": [False]}
    _search(spaces, n_iterations=1).fit(*data)
    assert "find" not in calls


@pytest.mark.parametrize(
    "changes",
    [
        {"stage_one_objective": "cv"},
        {"strategy": "joint"},
        {"last": ForcesRidge()},
        {"before": [("scale", StandardScaler())]},
        {"objective": ["score", "fit_time"]},
        {"spaces": (SPACES[0], {"ridge": [FoldsRidge(0.1), FoldsRidge(1.0)]})},
        {"cache_features": False},
    ],
)
def test_where_one_pass_is_not_possible_or_not_wanted(data, calls, changes):
    search = _search(**{"n_iterations": 1, **changes}).fit(*data)
    assert {stage["objective"] for stage in search.stage_results_} == {"cv"}
    assert not calls


def test_alignment_first_and_one_pass_second(data, calls):
    search = _search(stage_one_objective="alignment").fit(*data)
    assert [s["objective"] for s in search.stage_results_] == ["alignment", "one_pass"]
    assert set(calls) == {"fit"}


@pytest.mark.parametrize("repeats", [1, 2])
def test_folds_that_overlap_much_are_cross_validated(data, calls, repeats):
    frames, y = (values * 2 for values in (data[0], data[1].tolist()))
    cv = RepeatedKFold(n_splits=8, n_repeats=repeats, random_state=0)
    search = _search(cv=cv, n_iterations=1, n_particles=2).fit(frames, np.array(y))
    assert search.stage_results_[0]["n_models_trained"] == (2 if repeats == 1 else 2 * 16)
    assert bool(calls) == (repeats == 1)


@pytest.mark.parametrize("routing", [False, True])
def test_forces_arrive(data, calls, routing):
    frames, y = data
    forces = [np.zeros((len(atoms), 3)) for atoms in frames]
    name = "forces" if routing else "ridge__forces"
    with sklearn.config_context(enable_metadata_routing=routing):
        search = _search(last=FoldsRidge(need_forces=True), error_score="raise")
        search.fit(frames, y, **{name: forces})
    assert "find" in calls
    assert np.isfinite(search.best_score_)


def test_several_objectives(data, calls):
    scoring = ["r2", "neg_mean_absolute_error"]
    search = _search(scoring=scoring, objective=scoring, n_particles=5).fit(*data)
    scores = np.array([list(entry["scores"].values()) for entry in search.pareto_front_])
    assert scores.shape[1] == 2
    assert calls


def test_the_step_is_told_what_counts(data, calls):
    spaces = SPACES[0], {"ridge__alpha": [0.1, "auto", 0.001, 0.01]}
    scoring = {"a": "r2", "b": "neg_max_error", "c": "neg_mean_absolute_error"}
    _search(spaces, scoring=scoring, refit="b", n_iterations=1).fit(*data)
    scorers, bounds = FoldsRidge.asked
    assert [scorer._score_func.__name__ for scorer in scorers] == ["max_error"]
    assert bounds == {"alpha": (0.001, 0.1)}
    _search(n_iterations=1).fit(*data)
    scorers, bounds = FoldsRidge.asked
    assert len(scorers) == 1
    assert bounds["alpha"] == pytest.approx((1e-6, 1e-1), rel=1e-6)


@pytest.mark.parametrize("objective", ["one_pass", "cv", "ridge"])
def test_what_is_bound_to_features_is_searched_with_them(data, objective):
    spaces = SPACES[0], {**SPACES[1], "ridge__need_forces": [0, False]}
    search = _search(spaces, stage_one_objective=objective).fit(*data)
    one, two = search.stage_results_
    bound = {"ridge__need_forces"} if objective != "ridge" else set()
    assert set(one["best_params"]) == {*spaces[0], *bound}
    assert set(two["best_params"]) == set(spaces[1])
    first = [entry["positions"].shape[1] for entry in search.history_ if entry["stage"] == 1]
    assert set(first) == {len(spaces[0]) + len(bound)}


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_failures_lose(data, calls):
    spaces = {**SPACES[0], "pairs__width": [0.3, "broken"]}, SPACES[1]
    with pytest.warns(sklearn.exceptions.FitFailedWarning, match="width is broken"):
        search = _search(spaces).fit(*data)
    assert search.best_params_["pairs__width"] == 0.3


def test_what_is_not_possible_is_refused(data):
    search = _search(last=ForcesRidge(), stage_one_objective="one_pass")
    with pytest.raises(ValueError, match="'one_pass', but that needs a pipeline"):
        search.fit(*data)
    single = {"spaces": (SPACES[0], {}), "last": ForcesRidge()}
    for changes in ({"cache_features": False}, single):
        search = _search(stage_one_objective="one_pass", **changes)
        with pytest.raises(ValueError, match="'one_pass', but that needs a pipeline"):
            search.fit(*data)
    search = _search(stage_two_objective="alignment")
    with pytest.raises(ValueError, match="stage_two_objective is 'alignment'"):
        search.fit(*data)


@pytest.mark.parametrize("spaces", [({}, SPACES[1]), (SPACES[0], {})])
def test_one_pass_of_a_single_stage(data, calls, spaces):
    search = _search(spaces).fit(*data)
    (stage,) = search.stage_results_
    assert stage["objective"] == "one_pass"
    assert stage["n_models_trained"] == len(search.cv_results_["params"]) == calls.count("fit")
    by_folds = _search(spaces, stage_one_objective="cv").fit(*data)
    assert by_folds.stage_results_[0]["objective"] == "cv"
    assert by_folds.best_params_ == search.best_params_
    assert by_folds.best_score_ == pytest.approx(search.best_score_, rel=1e-9)


@pytest.mark.parametrize("objective", ["auto", "cv", "one_pass"])
def test_the_second_objective_is_deprecated(data, objective):
    with pytest.warns(FutureWarning, match="stage_two_objective is deprecated") as caught:
        search = _search(stage_two_objective=objective, n_iterations=1).fit(*data)
    assert caught[0].filename == __file__
    assert search.stage_results_[1]["objective"] == ("cv" if objective == "cv" else "one_pass")
    single = {"stage_two_objective": objective, "n_iterations": 1}
    with pytest.warns(FutureWarning, match="both stages"):
        search = _search(({}, SPACES[1]), **single).fit(*data)
    assert search.stage_results_[0]["objective"] == ("cv" if objective == "cv" else "one_pass")


def test_scorers_may_see_the_original_samples(data, calls):
    kinds = set()

    def scoring(estimator, X, y):
        kinds.add(type(X).__name__)
        return estimator.score(X, y)

    _search(n_iterations=1, scoring=scoring, cache_features=False).fit(*data)
    assert kinds == {"Structures"}


def test_numbers_of_any_kind_are_found_and_kept(data, tmp_path):
    spaces = SPACES[0], {"ridge__alpha": [np.float32(1e-3), np.int64(1)]}
    search = _search(spaces, n_iterations=1, checkpoint=tmp_path / "search.json").fit(*data)
    assert search.best_params_["ridge__alpha"] in spaces[1]["ridge__alpha"]


def test_potentials_by_default():
    """The whole chain: noise is found with every descriptor, few models, forces as asked for."""
    dimer = load_carbon_dimer()
    frames = [dimer.frames[index] for index in dimer.train]
    y, more = extract_targets(frames, forces=True, virials=False)
    inner = np.arange(2, len(frames) - 1)  # nothing is to be extrapolated
    ends = [0, 1, len(frames) - 1]
    splits = KFold(3, shuffle=True, random_state=0).split(inner)
    folds = [([*ends, *inner[train]], inner[test]) for train, test in splits]
    pipeline = Pipeline([
        ("soap", SOAPTransformer(species=["C"], n_max=4, l_max=1)),
        ("gap", GAPRegressor(e0=dimer.isolated_energies, n_sparse=10, random_state=0)),
    ])
    with sklearn.config_context(enable_metadata_routing=True):
        search = TwoStagePSOSearchCV(
            pipeline, {"soap__atom_sigma": uniform(0.2, 0.5), "soap__cutoff": uniform(2.5, 2.0)},
            {"gap__sigma_energy": loguniform(1e-4, 1e-1), "gap__sigma_forces": loguniform(1e-3, 1)},
            n_particles=3, n_iterations=2, cv=folds, random_state=0, scoring=make_forces_scorer(),
        ).fit(frames, y, forces=more["forces"])
    one, two = search.stage_results_
    assert one["objective"] == two["objective"] == "one_pass"
    # both stages, the estimator as it was given, and the best one
    assert search.n_models_trained_ <= 6 + 5 + 1 + 1
    assert search.cv_results_["param_gap__sigma_energy"][1] != 0.001
    pipeline = clone(pipeline).set_params(**search.best_params_)
    with sklearn.config_context(enable_metadata_routing=True):
        own = cross_val_score(
            pipeline, frames, y, cv=folds, scoring=make_forces_scorer(), params=more
        )
    assert search.best_score_ == pytest.approx(np.mean(own), rel=1e-4)


def test_default_sizes(data, calls):
    search = _search(n_particles=None, n_iterations=None).fit(*data)
    sizes = [(e["stage"], len(e["scores"])) for e in search.history_]
    assert sizes[:5] == [(1, 16)] + [(1, 5)] * 4
    # steps along the axis of the regressor, as long as they pay
    assert {stage for stage, _ in sizes[5:]} == {2}
    assert all(size <= 3 for _, size in sizes[5:])
    assert search.n_models_trained_ <= 16 + 5 * 4 + 20 + 1
    joint = _search(n_particles=None, n_iterations=None, strategy="joint").fit(*data)
    assert [len(entry["scores"]) for entry in joint.history_] == [12] * 15
    assert search.n_models_trained_ < joint.n_models_trained_ / 5
