import itertools
import os
import pickle
import sys
import threading

import joblib
import numpy as np
import pandas as pd
import pytest
from model_selection.toys import ForcesRidge, PairCounts, Picky, most_threads, shaken_molecules
from scipy.stats import loguniform, randint, uniform
from sklearn.base import clone
from sklearn.datasets import (
    make_classification,
    make_multilabel_classification,
    make_regression,
)
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_info

from skdesc import Structures, TwoStagePSOSearchCV, as_column

SPACES = (
    {"pca__n_components": randint(1, 7), "pca__whiten": [False, True]},
    {"ridge__alpha": loguniform(1e-4, 10)},
)


@pytest.fixture(scope="module")
def data():
    return make_regression(60, 6, n_informative=4, noise=3.0, random_state=0)


@pytest.fixture(scope="module")
def frames():
    return shaken_molecules()


def _pca_search(**options):
    settings = {"n_particles": 4, "n_iterations": 3, "cv": 3, "random_state": 0, **options}
    spaces = settings.pop("spaces", SPACES)
    return TwoStagePSOSearchCV(make_pipeline(PCA(), Ridge()), *spaces, **settings)


def _pair_search(*spaces, **options):
    settings = {"n_particles": 3, "n_iterations": 3, "cv": 3, "random_state": 0, **options}
    spaces = spaces or (
        {"pairs__cutoff": uniform(0.5, 3), "pairs__width": [0.2, 0.5]},
        {"ridge__alpha": loguniform(1e-6, 1e-1)},
    )
    pipeline = Pipeline([("pairs", PairCounts()), ("ridge", ForcesRidge())])
    return TwoStagePSOSearchCV(pipeline, *spaces, **settings)


def _same(first, second):
    assert first.best_params_ == second.best_params_
    assert first.cv_results_["params"] == second.cv_results_["params"]
    for key, values in first.cv_results_.items():
        if "time" not in key:
            np.testing.assert_array_equal(values, second.cv_results_[key])
    assert first.n_models_trained_ == second.n_models_trained_
    assert first.n_feature_evaluations_ == second.n_feature_evaluations_


def test_scores_are_those_of_grid_search(data):
    search = _pca_search(return_train_score=True).fit(*data)
    results = search.cv_results_
    grid = [{name: [value] for name, value in params.items()} for params in results["params"]]
    expected = GridSearchCV(search.estimator, grid, cv=3, return_train_score=True).fit(*data)
    for key, values in expected.cv_results_.items():
        if key.startswith("param_"):
            assert isinstance(results[key], np.ma.MaskedArray)
            assert results[key].dtype == values.dtype
        if "time" not in key:
            np.testing.assert_array_equal(results[key], values)
    assert set(results) - set(expected.cv_results_) == {
        "stage", "cycle", "iteration", "particle", "feature_time",
    }
    assert search.best_score_ == expected.best_score_
    assert search.best_index_ == expected.best_index_
    assert search.best_params_ == expected.best_params_
    assert search.n_splits_ == 3
    assert search.n_features_in_ == 6
    assert not search.multimetric_
    np.testing.assert_array_equal(search.predict(data[0]), expected.predict(data[0]))
    assert search.score(*data) == expected.score(*data)
    # no candidate twice, and the first is the estimator as it was given
    assert len({str(params) for params in results["params"]}) == len(results["params"])
    assert results["stage"].tolist() == sorted(results["stage"])
    assert results["params"][0]["ridge__alpha"] == 1.0


def test_stage_results_and_history(data):
    search = _pca_search(n_cycles=2).fit(*data)
    assert [(s["stage"], s["cycle"]) for s in search.stage_results_] == [
        (1, 0), (2, 0), (1, 1), (2, 1),
    ]
    best = [stage["best_score"] for stage in search.stage_results_]
    assert best == sorted(best)
    assert best[-1] == search.best_score_
    assert len(search.history_) == 4 * 3
    assert set(search.stage_results_[1]["best_params"]) == {"ridge__alpha"}
    for entry in search.history_:
        assert entry["positions"].shape == (4, 2 if entry["stage"] == 1 else 1)
        assert entry["scores"].shape == (4,)
        assert len(entry["params"]) == 4
    models = [entry["n_models_trained"] for entry in search.history_]
    assert models == sorted(models)
    assert search.n_models_trained_ == 3 * len(search.cv_results_["params"]) + 1
    # PCA is fitted: on each training fold, and applied to each test fold
    assert search.n_feature_evaluations_ == 2 * 3 * len(search.cv_results_["params"]) + 1


def test_stateless_features_are_computed_once(frames):
    X, y = frames
    PairCounts.calls.clear()
    search = _pair_search().fit(X, y)
    candidates = np.bincount(search.cv_results_["stage"])
    # each candidate of stage one, once for stage two, once for the refit
    assert search.n_feature_evaluations_ == candidates[1] + 2
    assert search.n_models_trained_ == 3 * candidates.sum() + 1
    assert len(PairCounts.calls) == search.n_feature_evaluations_
    assert set(PairCounts.calls[:-1]) == {(len(X), "Structures")}
    assert PairCounts.calls[-1] == (len(X), "list")
    assert (search.cv_results_["feature_time"][search.cv_results_["stage"] == 1] > 0).all()
    plain = _pair_search(cache_features=False).fit(X, y)
    assert plain.best_params_ == search.best_params_
    np.testing.assert_allclose(
        plain.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )
    assert plain.n_feature_evaluations_ == 2 * 3 * candidates.sum() + 1


def test_steps_before_the_first_that_is_searched_are_frozen(frames):
    X, y = frames
    pipeline = Pipeline(
        [("pairs", PairCounts()), ("scale", StandardScaler()), ("ridge", ForcesRidge())]
    )
    PairCounts.calls.clear()
    search = TwoStagePSOSearchCV(
        pipeline,
        {"scale__with_mean": [True, False], "scale__with_std": [True, False]},
        {"ridge__alpha": loguniform(1e-6, 1e-1)},
        n_particles=3, n_iterations=2, cv=3, random_state=0, refit=False,
    ).fit(X, y)
    assert len(PairCounts.calls) == 2  # once per stage
    assert not hasattr(search, "best_estimator_")
    assert search.best_params_["ridge__alpha"] > 0


def test_structures_keep_their_per_atom_arrays(frames):
    X, y = frames
    for atoms in X:
        atoms.set_array("label", np.arange(len(atoms)))
    search = _pair_search({"pairs__cutoff": [1.0, 2.0]}, {})
    packed = []
    search.stage_one_objective = lambda estimator, Z, y, params: float(np.mean(Z))
    search.set_params(estimator__pairs=_Spy(packed)).fit(X, y)
    assert isinstance(packed[0], Structures)
    np.testing.assert_array_equal(packed[0][1].arrays["label"], np.arange(5))


class _Spy(PairCounts):
    def __init__(self, packed=None, cutoff=2.0, width=0.5):
        super().__init__(cutoff, width)
        self.packed = packed

    def fit(self, X, y=None):
        self.packed.append(X)
        return self

    def __sklearn_clone__(self):
        return _Spy(self.packed, self.cutoff, self.width)


def test_unions_and_pipelines_of_stateless_steps_are_stateless(frames):
    X, y = frames
    union = FeatureUnion([("near", PairCounts()), ("far", make_pipeline(PairCounts(3.0)))])
    pipeline = Pipeline([("union", union), ("ridge", ForcesRidge())])
    PairCounts.calls.clear()
    search = TwoStagePSOSearchCV(
        pipeline,
        {"union__near__cutoff": uniform(0.5, 2)},
        {"ridge__alpha": [1e-3, 1e-2, 1e-1]},
        n_particles=3, n_iterations=2, cv=3, random_state=0,
    ).fit(X, y)
    assert set(PairCounts.calls[:-2]) == {(len(X), "Structures")}
    assert len(PairCounts.calls) == 2 * search.n_feature_evaluations_


@pytest.mark.parametrize("topology", ["star", "ring"])
@pytest.mark.parametrize("swarm", ["pso", "ppso", {"inertia": 0.7, "bounds": "nearest"}])
def test_same_seed_same_result(data, topology, swarm):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (_pca_search(topology=topology, swarm=swarm).fit(*data) for _ in range(2))
    _same(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    other = _pca_search(topology=topology, swarm=swarm, random_state=1).fit(*data)
    assert other.cv_results_["params"] != first.cv_results_["params"]


def test_random_state_instance_and_unseeded_folds(data):
    cv = ShuffleSplit(3, random_state=np.random.RandomState(3))
    search = _pca_search(random_state=np.random.RandomState(3), cv=cv).fit(*data)
    # one set of folds for all: candidates repeated by hand reproduce their scores
    splits = list(ShuffleSplit(3, random_state=np.random.RandomState(3)).split(data[0]))
    again = _pca_search(random_state=np.random.RandomState(3), cv=splits).fit(*data)
    _same(search, again)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_change_nothing(frames, backend):
    X, y = frames
    alone = _pair_search().fit(X, y)
    with joblib.parallel_config(backend=backend):
        _same(alone, _pair_search(n_jobs=2).fit(X, y))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_share_the_cores(frames, backend):
    before = threadpool_info()
    search = _pair_search({"pairs__cutoff": uniform(1, 2)}, {}, n_jobs=2, refit=False)
    search.set_params(stage_one_objective=most_threads)
    with joblib.parallel_config(backend=backend):
        search.fit(*frames)
    seen = {entry["scores"].max() for entry in search.history_ if entry["stage"] == 1}
    assert seen == {max(1, joblib.cpu_count() // 2)}
    assert threadpool_info() == before


def test_two_searches_at_once_leave_each_other_and_the_limits_alone(data):
    def search(seed):
        with joblib.parallel_config(backend="threading"):
            found[seed] = _pca_search(n_jobs=2, n_iterations=6, random_state=seed).fit(*data)

    found, before = {}, threadpool_info()
    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert threadpool_info() == before
    for seed, together in found.items():
        _same(together, _pca_search(n_iterations=6, random_state=seed).fit(*data))


def test_dask_changes_nothing(frames):
    distributed = pytest.importorskip("dask.distributed")
    X, y = frames
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.Client(**options), joblib.parallel_config(backend="dask"):
        _same(_pair_search().fit(X, y), _pair_search(n_jobs=-1).fit(X, y))


@pytest.mark.filterwarnings("default")  # of its own
def test_ray_changes_nothing(frames):
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    register_ray()
    # workers find the toys where this process does
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": path})
    try:
        with joblib.parallel_config(backend="ray"):
            _same(_pair_search().fit(*frames), _pair_search(n_jobs=2).fit(*frames))
    finally:
        ray.shutdown()


def test_joint_search(data):
    joint = _pca_search(strategy="joint").fit(*data)
    assert set(joint.cv_results_["stage"]) == {1}
    assert len(joint.stage_results_) == 1
    merged = _pca_search(spaces=({**SPACES[0], **SPACES[1]}, {})).fit(*data)
    _same(joint, merged)
    second_only = _pca_search(spaces=({}, SPACES[1])).fit(*data)
    assert set(second_only.cv_results_["stage"]) == {2}


@pytest.mark.parametrize("objective", ["alignment", "ridge", "loo"])
def test_stage_one_with_few_models(frames, objective):
    X, y = frames
    search = _pair_search(stage_one_objective=objective).fit(X, y)
    one, two = search.stage_results_
    assert one["objective"] == objective
    n_candidates = one["n_feature_evaluations"]
    assert one["n_models_trained"] == (n_candidates if objective == "loo" else 0)
    assert set(search.cv_results_["stage"]) == {2}
    assert two["n_models_trained"] == 3 * len(search.cv_results_["params"])
    assert two["n_feature_evaluations"] == 1
    best = max(score for entry in search.history_[:3] for score in entry["scores"])
    assert one["best_score"] == best


def test_later_cycles_start_nearer_to_the_best(frames):
    search = _pair_search(
        {"pairs__cutoff": uniform(0.5, 3), "pairs__width": uniform(0.1, 0.5)},
        {"ridge__alpha": loguniform(1e-6, 1e-1)},
        n_cycles=3, n_warm_up=1, n_particles=8, n_iterations=1,
    ).fit(*frames)
    ranges = {1: [], 2: []}
    for entry in search.history_:
        if entry["stage"]:
            ranges[entry["stage"]].append(np.ptp(entry["positions"], axis=0).max())
            first = entry["positions"][0]
            width = max(ranges[entry["stage"]][-1], 0.5)
            assert np.abs(entry["positions"] - first).max() <= width
    for limits, found in zip([(1, 0.5, 0.25), (0.5, 0.25, 0.125)], ranges.values(), strict=True):
        assert all(width <= limit for width, limit in zip(found, limits, strict=True))
        assert all(width > 0.6 * limit for width, limit in zip(found, limits, strict=True))


@pytest.mark.parametrize("objective", ["cv", "loo"])
def test_warm_up_of_the_regressor(frames, objective):
    search = _pair_search(stage_one_objective=objective, n_warm_up=2).fit(*frames)
    warm, one, _ = search.stage_results_
    assert [stage["stage"] for stage in search.stage_results_] == [0, 1, 2]
    assert warm["objective"] == one["objective"] == objective
    assert warm["n_iterations"] == 2
    assert warm["n_feature_evaluations"] == 1
    assert set(warm["best_params"]) == {"ridge__alpha"}
    assert warm["best_params"]["ridge__alpha"] != search.estimator["ridge"].alpha
    for entry in search.history_:
        if entry["stage"] == 1:  # features are judged by the regressor that was found
            used = {params["ridge__alpha"] for params in entry["params"]}
            assert used == {warm["best_params"]["ridge__alpha"]}
    assert 0 in search.cv_results_["stage"] or objective == "loo"


def test_warm_up_repairs_a_poor_start(data):
    def error(n_warm_up):
        search = TwoStagePSOSearchCV(
            make_pipeline(PCA(), Ridge(1e6)),  # so stiff that all features look alike
            {"pca__n_components": randint(1, 7)},
            {"ridge__alpha": loguniform(1e-4, 1e6)},
            n_warm_up=n_warm_up, n_particles=4, n_iterations=3, cv=3, random_state=0,
        )
        search.fit(*data)
        first = next(entry for entry in search.history_ if entry["stage"] == 1)
        return search, np.ptp(first["scores"])

    (cold, cold_range), (warm, warm_range) = error(0), error(3)
    assert warm_range > 10 * cold_range
    assert warm.best_score_ >= cold.best_score_


def test_no_warm_up_where_nothing_looks_at_the_regressor(frames):
    for changes in ({"stage_one_objective": "ridge"}, {"strategy": "joint"}):
        search = _pair_search(n_warm_up=2, n_iterations=1, **changes).fit(*frames)
        assert 0 not in [stage["stage"] for stage in search.stage_results_]


def test_single_stage_without_cross_validation_ends_with_one(frames):
    search = _pair_search({"pairs__cutoff": uniform(0.5, 3)}, {}, stage_one_objective="loo")
    search.fit(*frames)
    assert len(search.cv_results_["params"]) == 1
    assert search.best_params_ == search.stage_results_[0]["best_params"]


def test_callable_objective_may_use_up_its_parameters(data):
    search = _pca_search(stage_one_objective=lambda e, Z, y, params: params.popitem()[1])
    assert search.set_params(n_iterations=1).fit(*data).best_params_["pca__n_components"] < 7


def test_callable_objective_sees_all(frames):
    X, y = frames
    seen = []

    def objective(estimator, Z, y, params):
        seen.append((estimator.steps[0][0], Z.shape, len(y), sorted(params)))
        return -abs(params["pairs__cutoff"] - 1.5)

    search = _pair_search({"pairs__cutoff": [1.0, 1.5, 2.5]}, {"ridge__alpha": [1e-3, 1e-2]})
    search.set_params(stage_one_objective=objective).fit(X, y)
    assert search.best_params_["pairs__cutoff"] == 1.5
    assert set(map(str, seen)) == {str(("ridge", (24, 4), 24, ["pairs__cutoff", "ridge__alpha"]))}


def test_init_may_hold_tuples():
    search = TwoStagePSOSearchCV(
        make_pipeline(TfidfVectorizer(), LogisticRegression()),
        {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)]},
        {"logisticregression__C": loguniform(1e-2, 1e2)},
        init=[{"tfidfvectorizer__ngram_range": tuple([1, 2])}],
        n_particles=2, n_iterations=1, cv=2, random_state=0,
    ).fit(["good fine", "bad poor", "nice good", "poor bad"] * 3, [0, 1] * 6)
    params = search.cv_results_["params"]
    assert [one["tfidfvectorizer__ngram_range"] for one in params[:2]] == [(1, 1), (1, 2)]


def test_as_many_init_as_particles(data):
    init = [{"ridge__alpha": 10.0**-exponent} for exponent in range(4)] * 2
    search = _pca_search(strategy="joint", n_particles=None, n_iterations=1, init=init).fit(*data)
    assert len(search.history_[0]["params"]) == 12
    with pytest.raises(ValueError, match=r"init has 8 candidates.* more than n_particles=5"):
        search.set_params(strategy="two-stage").fit(*data)


def test_init_comes_first_exactly(data):
    init = [{"pca__n_components": 5, "ridge__alpha": 0.123456789}, {"ridge__alpha": 2.0}]
    search = _pca_search(init=init).fit(*data)
    params = search.cv_results_["params"]
    first_of_two = int(np.argmax(search.cv_results_["stage"] == 2))
    assert params[1]["pca__n_components"] == 5
    assert {params[first_of_two]["ridge__alpha"], params[first_of_two + 1]["ridge__alpha"]} == {
        0.123456789,
        2.0,
    }


def test_multimetric(data):
    scoring = {"r2": "r2", "mae": "neg_mean_absolute_error"}
    search = _pca_search(scoring=scoring, refit="mae", return_train_score=True).fit(*data)
    assert search.multimetric_
    assert set(search.scorer_) == {"r2", "mae"}
    results = search.cv_results_
    assert results["rank_test_mae"][search.best_index_] == 1
    assert {"split2_test_r2", "mean_train_mae", "std_test_r2"} <= set(results)
    assert search.score(*data) == -mean_absolute_error(data[1], search.predict(data[0]))
    # the swarm may look at one metric, refit at another
    other = _pca_search(scoring=scoring, refit="mae", objective="r2").fit(*data)
    assert other.best_index_ == other.cv_results_["rank_test_mae"].argmin()
    unfit = _pca_search(scoring=scoring, refit=False, objective="r2").fit(*data)
    assert not hasattr(unfit, "best_params_")
    chosen = _pca_search(scoring=scoring, refit=lambda results: 2, objective="r2").fit(*data)
    assert chosen.best_index_ == 2
    assert not hasattr(chosen, "best_score_")
    # no name says which metric to search by: all count, as trade-offs
    for refit in (False, lambda results: 2):
        both = _pca_search(scoring=scoring, refit=refit).fit(*data)
        assert both.history_[0]["scores"].shape == (4, 2)
        assert set(both.pareto_front_[0]["scores"]) == {"r2", "mae"}
    # scikit-learn asks of a single metric only that refit be true
    assert _pca_search(refit="any").fit(*data).best_score_ == _pca_search().fit(*data).best_score_


def test_callable_scoring(data):
    def scoring(estimator, X, y):
        error = mean_absolute_error(y, estimator.predict(X))
        return {"mae": -error, "half": -error / 2}

    search = _pca_search(scoring=scoring, refit="half").fit(*data)
    assert search.multimetric_
    assert search.best_score_ == search.cv_results_["mean_test_mae"].max() / 2
    single = _pca_search(scoring=make_scorer(mean_absolute_error, greater_is_better=False))
    assert single.fit(*data).best_score_ == search.best_score_ * 2
    with pytest.raises(ValueError, match="objective is 'score', but scoring gave"):
        _pca_search(scoring=scoring, refit=False).fit(*data)


def test_several_objectives(data):
    scoring = {"r2": "r2", "few": _few_components}
    search = _pca_search(scoring=scoring, objective=["r2", "few"], n_iterations=6).fit(*data)
    front = search.pareto_front_
    assert len(front) > 1
    values = np.array([[point["scores"]["r2"], point["scores"]["few"]] for point in front])
    order = np.argsort(values[:, 0])
    assert (np.diff(values[order, 1]) < 0).all()
    assert search.best_index_ in [point["index"] for point in front]
    assert search.best_params_ in [point["params"] for point in front]
    assert search.best_score_ == search.cv_results_["mean_test_r2"][search.best_index_]
    assert search.score(*data) == pytest.approx(search.best_estimator_.score(*data))
    timed = _pca_search(objective=["score", "score_time"]).fit(*data)
    assert timed.pareto_front_[0]["scores"]["score_time"] < 0


def test_score_of_objectives_without_a_metric_of_their_own(data):
    def scoring(estimator, X, y):
        return {"mae": -mean_absolute_error(y, estimator.predict(X)), "zero": 0.0}

    search = _pca_search(scoring=scoring, objective=["mae", "zero"], n_iterations=1).fit(*data)
    assert search.score(*data) == scoring(search.best_estimator_, *data)["mae"]
    times = ["fit_time", "score_time"]
    search = _pca_search(scoring=["r2", "neg_max_error"], objective=times, n_iterations=1)
    assert search.fit(*data).score(*data) == search.best_estimator_.score(*data)


def _few_components(estimator, X, y):
    return -float(estimator[0].n_components_)


def test_one_objective_has_a_front_of_one(data):
    search = _pca_search().fit(*data)
    (point,) = search.pareto_front_
    assert point["params"] == search.best_params_
    assert point["scores"] == {"score": search.best_score_}


def test_any_pipeline():
    documents = ["good fine nice", "bad awful poor", "nice good", "poor bad"] * 6
    labels = ["yes", "no"] * 12
    search = TwoStagePSOSearchCV(
        make_pipeline(TfidfVectorizer(), LogisticRegression()),
        {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)], "tfidfvectorizer__sublinear_tf": [True]},
        {"logisticregression__C": loguniform(1e-2, 1e2)},
        n_particles=3, n_iterations=2, cv=2, random_state=0,
    ).fit(documents, labels)
    assert search.classes_.tolist() == ["no", "yes"]
    assert search.predict_proba(documents).shape == (24, 2)
    assert search.best_score_ == 1.0


def test_steps_may_be_searched_themselves(data):
    pipeline = Pipeline([("scale", StandardScaler()), ("ridge", Ridge())])
    search = TwoStagePSOSearchCV(
        pipeline,
        {"scale": [StandardScaler(), "passthrough", PCA(2)]},
        {"ridge__alpha": [0.1, 1.0]},
        n_particles=3, n_iterations=3, cv=3, random_state=0,
    ).fit(*data)
    assert {type(params["scale"]) for params in search.cv_results_["params"]} == {
        StandardScaler, str, PCA,
    }


def test_a_step_that_passes_all_through_may_be_searched(data):
    pipeline = Pipeline([("reduce", "passthrough"), ("ridge", Ridge())])
    search = TwoStagePSOSearchCV(
        pipeline, {"reduce": ["passthrough", PCA(2)]}, {"ridge__alpha": [0.1, 1.0]},
        n_particles=5, n_iterations=3, cv=3, random_state=0,
    ).fit(*data)
    tried = {str(params["reduce"]) for params in search.cv_results_["params"]}
    assert tried == {"passthrough", "PCA(n_components=2)"}


def test_integers_are_not_taken_for_equal_fractions(data):
    search = TwoStagePSOSearchCV(
        # by default max_features=1.0, all of them
        make_pipeline(PCA(), RandomForestRegressor(2, random_state=0)),
        {"pca__whiten": [False, True]},
        {"randomforestregressor__max_features": [1, 2]},
        n_particles=4, n_iterations=2, cv=3, random_state=0,
    ).fit(*data)
    results = search.cv_results_
    values = [params["randomforestregressor__max_features"] for params in results["params"]]
    assert {*map(repr, values)} == {"1", "2"}


def test_alignment_of_classes():
    X, y = make_classification(60, random_state=0)
    search = TwoStagePSOSearchCV(
        make_pipeline(FunctionTransformer(np.tanh), PCA(), LogisticRegression()),
        {"pca__n_components": randint(1, 10)},
        {"logisticregression__C": loguniform(1e-2, 1e2)},
        stage_one_objective="alignment", n_particles=3, n_iterations=2, cv=2, random_state=0,
    ).fit(X, np.array(["a", "b"])[y])
    assert 0 < search.stage_results_[0]["best_score"] < 1


def test_nested_cloned_pickled_and_shown(data):
    search = _pca_search()
    scores = cross_val_score(search, *data, cv=2, n_jobs=2)
    assert scores.min() > 0.5
    outer = GridSearchCV(search, {"topology": ["star", "ring"]}, cv=2).fit(*data)
    assert outer.best_estimator_.best_params_["pca__n_components"] > 1
    fitted = pickle.loads(pickle.dumps(search.fit(*data)))
    np.testing.assert_array_equal(fitted.predict(data[0]), search.predict(data[0]))
    assert clone(search).get_params()["n_particles"] == 4
    assert "TwoStagePSOSearchCV" in search._repr_html_()
    assert "Ridge" in repr(search)


def test_groups(data):
    from sklearn.model_selection import GroupKFold

    groups = np.arange(60) % 5
    search = _pca_search(cv=GroupKFold(5)).fit(*data, groups=groups)
    assert search.n_splits_ == 5
    with pytest.raises(ValueError, match="groups"):
        _pca_search(cv=GroupKFold(5)).fit(*data)


def test_stages_of_different_size(data):
    search = _pca_search(n_particles=(5, 2), n_iterations=(2, 3)).fit(*data)
    assert [len(entry["params"]) for entry in search.history_] == [5, 5, 2, 2, 2]


def test_early_stopping_and_time_limit(data):
    patient = _pca_search(n_iterations=12).fit(*data)
    hasty = _pca_search(
        n_iterations=12, early_stopping=2, spaces=({"pca__whiten": [True, False]}, SPACES[1])
    ).fit(*data)
    assert hasty.stage_results_[0]["stopped_by"] == "early_stopping"
    assert hasty.stage_results_[0]["n_iterations"] == 3
    assert patient.stage_results_[0]["n_iterations"] == 12
    short = _pca_search(max_time=0).fit(*data)
    assert [stage["stopped_by"] for stage in short.stage_results_] == ["max_time"] * 2
    # nothing but the first candidate, which is the estimator as it was given
    assert len(short.history_) == len(short.cv_results_["params"]) == 1
    assert short.stage_results_[1]["n_models_trained"] == 0


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_no_candidate_begins_after_the_time_is_up(data, monkeypatch, capsys, n_jobs):
    """The clock of this test runs a second with every look at it."""
    clock = itertools.count()
    monkeypatch.setattr("skdesc.model_selection._stages.time.time", lambda: float(next(clock)))
    with joblib.parallel_config(backend="threading"):
        search = _pca_search(max_time=25, n_cycles=3, verbose=1, n_jobs=n_jobs).fit(*data)
    assert search.stage_results_[-1]["stopped_by"] == "max_time"
    assert len(search.stage_results_) == 6
    unbegun = [stage for stage in search.stage_results_ if stage["n_models_trained"] == 0]
    assert unbegun
    assert "stopped by max_time" in capsys.readouterr().err


def test_present_values_outside_the_spaces_are_no_candidates(data):
    search = _pca_search(spaces=({"pca__n_components": [2, 3]}, {"ridge__alpha": [100.0]}))
    search.fit(*data)
    assert {p["ridge__alpha"] for p in search.cv_results_["params"]} == {100.0}
    spaces = {"pca__n_components": [5, 2]}, {"ridge__alpha": loguniform(1e-4, 1e-2)}
    search = _pca_search(spaces=spaces).fit(*data)
    for params in search.cv_results_["params"]:
        assert 1e-4 <= params["ridge__alpha"] <= 1e-2 * (1 + 1e-6)
    # the present 1.0 has moved to the edge
    assert search.history_[0]["params"][0]["ridge__alpha"] == pytest.approx(1e-2, rel=1e-6)
    assert {p["pca__n_components"] for p in search.cv_results_["params"]} <= {2, 5}


@pytest.mark.parametrize("objective", ["alignment", "ridge", "auto"])
def test_labels_of_several_kinds_at_once(objective):
    X, y = make_multilabel_classification(40, 6, n_classes=3, random_state=0)
    search = TwoStagePSOSearchCV(
        make_pipeline(PCA(), KNeighborsClassifier()), {"pca__n_components": [1, 2, 4]},
        {"kneighborsclassifier__n_neighbors": [1, 3]}, stage_one_objective=objective, cv=3,
        n_particles=3, n_iterations=2, random_state=0,
    ).fit(X, y)
    assert search.predict(X).shape == y.shape
    assert np.isfinite([entry["scores"] for entry in search.history_]).all()


@pytest.mark.parametrize("objective", ["alignment", "ridge", "cv"])
def test_samplers_of_imbalanced_learn(objective):
    imblearn = pytest.importorskip("imblearn")
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.pipeline import Pipeline as SamplingPipeline

    X, y = make_classification(60, 6, weights=[0.8], random_state=0)
    search = TwoStagePSOSearchCV(
        SamplingPipeline([
            ("scale", StandardScaler()), ("sample", RandomOverSampler(random_state=0)),
            ("pca", PCA()), ("classifier", LogisticRegression()),
        ]),
        {"pca__n_components": [1, 2, 4]}, {"classifier__C": [0.1, 1.0]}, cv=3, random_state=0,
        stage_one_objective=objective, n_particles=3, n_iterations=2, error_score="raise",
    )
    assert search.fit(X, y).best_score_ > 0.5
    assert imblearn.__version__
    with pytest.raises(ValueError, match="'loo', but the step 'sample' chooses other samples"):
        clone(search).set_params(stage_one_objective="loo").fit(X, y)


def _add(X, x2):
    return X + x2


def test_parameters_that_are_arrays_are_compared_as_a_whole(data):
    array = np.array(["star", "ring"])
    for name in ("topology", "strategy", "stage_one_objective", "stage_two_objective",
                 "error_score", "swarm"):
        with pytest.raises((ValueError, TypeError), match=name):
            _pca_search(**{name: array}).fit(*data)
    frozen = FunctionTransformer(_add, kw_args={"x2": np.ones(6)})
    search = TwoStagePSOSearchCV(
        make_pipeline(frozen, Ridge()),
        {"functiontransformer__kw_args": [{"x2": np.ones(6)}, {"x2": np.zeros(6)}]},
        {"ridge__alpha": [0.1, 1.0]}, cv=3, random_state=0, n_particles=2, n_iterations=2,
    )
    assert search.fit(*data).best_score_ > 0


def test_interrupt_keeps_the_best(data):
    calls = []

    def scoring(estimator, X, y):
        calls.append(None)
        if len(calls) > 30:
            raise KeyboardInterrupt
        return -mean_absolute_error(y, estimator.predict(X))

    search = _pca_search(n_iterations=20, scoring=scoring).fit(*data)
    assert search.stage_results_[-1]["stopped_by"] == "interrupt"
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert hasattr(search, "best_estimator_")


def test_interrupt_before_anything_is_known(data):
    def scoring(estimator, X, y):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _pca_search(scoring=scoring).fit(*data)


def test_interrupt_before_any_cross_validation_still_scores_the_best(frames):
    calls = []

    def objective(estimator, Z, y, params):
        calls.append(params["pairs__cutoff"])
        if len(calls) == 5:
            raise KeyboardInterrupt
        return -params["pairs__cutoff"]

    search = _pair_search().set_params(stage_one_objective=objective).fit(*frames)
    assert search.best_params_["pairs__cutoff"] == min(calls[:4])
    assert len(search.cv_results_["params"]) == 1


def test_predict_passes_arguments_on(frames):
    X, y = frames
    search = _pair_search().fit(X, y)
    values, norm = search.predict(X, return_norm=True)
    np.testing.assert_array_equal(values, search.predict(X))
    assert norm > 0
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        _pair_search(refit=False).fit(X, y).predict(X, return_norm=True)


def test_progress_is_shown(data, capsys):
    _pca_search(verbose=1).fit(*data)
    shown = capsys.readouterr().err
    assert "24/24" in shown
    assert "best=" in shown
    _pca_search().fit(*data)
    assert capsys.readouterr().err == ""


def test_failing_candidates_lose(data):
    X, y = data
    search = TwoStagePSOSearchCV(
        make_pipeline(PCA(), Picky(refuse_below=-10.0)),
        {"pca__n_components": [2, 5]},
        {"picky__level": uniform(-60, 100)},
        n_particles=6, n_iterations=4, cv=KFold(3), random_state=0,
    )
    with (
        pytest.warns(UserWarning, match="non-finite"),
        pytest.warns(FitFailedWarning, match="11 of 25 candidates failed, the first with"),
    ):
        search.fit(X, y)
    failed = np.isnan(search.cv_results_["mean_test_score"])
    assert 0 < failed.sum() < len(failed)
    assert search.best_params_["picky__level"] >= -10
    with pytest.warns(FitFailedWarning, match="candidates failed"):
        numeric = clone(search).set_params(error_score=-1e6).fit(X, y)
    assert numeric.cv_results_["mean_test_score"].min() == -1e6
    with pytest.raises(RuntimeError, match="is refused"):
        clone(search).set_params(error_score="raise").fit(X, y)


def test_an_iteration_that_fails_entirely_is_survived(data):
    search = TwoStagePSOSearchCV(
        make_pipeline(PCA(), Picky(level=-40.0, refuse_below=-5.0)),
        {},
        {"picky__level": uniform(-60, 100)},
        n_particles=1, n_iterations=30, cv=3, random_state=4, error_score=-1e3,
    )
    with pytest.warns(FitFailedWarning, match="is refused"):
        search.fit(*data)
    search.set_params(error_score=np.nan)
    with (
        pytest.warns(UserWarning, match="non-finite"),
        pytest.warns(FitFailedWarning, match="is refused"),
    ):
        search.fit(*data)
    assert np.isnan(search.history_[0]["scores"]).all()
    assert search.best_params_["picky__level"] >= -5


@pytest.mark.parametrize("kind", ["list", "tuple", "array", "column", "series", "frame"])
def test_every_container_of_atoms_is_packed(frames, kind):
    X, y = frames
    column = as_column(X)
    given = {
        "list": X,
        "tuple": tuple(X),
        "array": column[:, 0],
        "column": column,
        "series": pd.Series(list(column[:, 0])),
        "frame": pd.DataFrame({"atoms": list(column[:, 0])}),
    }[kind]
    PairCounts.calls.clear()
    search = _pair_search(refit=False).fit(given, y)
    assert {name for _, name in PairCounts.calls} == {"Structures"}
    assert search.best_params_ == _pair_search().fit(X, y).best_params_


def test_a_single_atoms_is_refused(frames):
    with pytest.raises(TypeError, match="X is a single Atoms of 3 atoms"):
        _pair_search().fit(frames[0][0], [1.0, 2.0, 3.0])


def test_other_samples_of_stateless_steps_are_left_alone():
    class Tagged(FunctionTransformer):
        _stateless_given_parameters = True

    X = np.random.RandomState(0).normal(size=(30, 3))
    search = TwoStagePSOSearchCV(
        make_pipeline(Tagged(), Ridge()), {}, {"ridge__alpha": [0.1, 1.0]}, n_iterations=1, cv=3
    )
    assert search.fit(X, X[:, 0]).best_score_ > 0.9
