"""The search: results, stages, what is computed once, workers, objectives."""

import os
import sys
import threading

import joblib
import numpy as np
import pytest
from helpers.searches import SPACES, assert_same, pair_search, pca_search
from model_selection.toys import ForcesRidge, PairCounts, most_threads
from scipy.stats import loguniform, randint, uniform
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

from skdesc import Structures, TwoStagePSOSearchCV


def test_scores_are_those_of_grid_search(data):
    search = pca_search(return_train_score=True).fit(*data)
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
    search = pca_search(n_cycles=2).fit(*data)
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
    search = pair_search().fit(X, y)
    candidates = np.bincount(search.cv_results_["stage"])
    # each candidate of stage one, once for stage two, once for the refit
    assert search.n_feature_evaluations_ == candidates[1] + 2
    assert search.n_models_trained_ == 3 * candidates.sum() + 1
    assert len(PairCounts.calls) == search.n_feature_evaluations_
    assert set(PairCounts.calls[:-1]) == {(len(X), "Structures")}
    assert PairCounts.calls[-1] == (len(X), "list")
    assert (search.cv_results_["feature_time"][search.cv_results_["stage"] == 1] > 0).all()
    plain = pair_search(cache_features=False).fit(X, y)
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
    search = pair_search({"pairs__cutoff": [1.0, 2.0]}, {})
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
    first, second = (pca_search(topology=topology, swarm=swarm).fit(*data) for _ in range(2))
    assert_same(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    other = pca_search(topology=topology, swarm=swarm, random_state=1).fit(*data)
    assert other.cv_results_["params"] != first.cv_results_["params"]


def test_random_state_instance_and_unseeded_folds(data):
    cv = ShuffleSplit(3, random_state=np.random.RandomState(3))
    search = pca_search(random_state=np.random.RandomState(3), cv=cv).fit(*data)
    # one set of folds for all: candidates repeated by hand reproduce their scores
    splits = list(ShuffleSplit(3, random_state=np.random.RandomState(3)).split(data[0]))
    again = pca_search(random_state=np.random.RandomState(3), cv=splits).fit(*data)
    assert_same(search, again)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_change_nothing(frames, backend):
    X, y = frames
    alone = pair_search().fit(X, y)
    with joblib.parallel_config(backend=backend):
        assert_same(alone, pair_search(n_jobs=2).fit(X, y))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_share_the_cores(frames, backend):
    before = threadpool_info()
    search = pair_search({"pairs__cutoff": uniform(1, 2)}, {}, n_jobs=2, refit=False)
    search.set_params(stage_one_objective=most_threads)
    with joblib.parallel_config(backend=backend):
        search.fit(*frames)
    seen = {entry["scores"].max() for entry in search.history_ if entry["stage"] == 1}
    assert seen == {max(1, joblib.cpu_count() // 2)}
    assert threadpool_info() == before


def test_two_searches_at_once_leave_each_other_and_the_limits_alone(data):
    def search(seed):
        with joblib.parallel_config(backend="threading"):
            found[seed] = pca_search(n_jobs=2, n_iterations=6, random_state=seed).fit(*data)

    found, before = {}, threadpool_info()
    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert threadpool_info() == before
    for seed, together in found.items():
        assert_same(together, pca_search(n_iterations=6, random_state=seed).fit(*data))


def test_dask_changes_nothing(frames):
    distributed = pytest.importorskip("dask.distributed")
    X, y = frames
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.Client(**options), joblib.parallel_config(backend="dask"):
        assert_same(pair_search().fit(X, y), pair_search(n_jobs=-1).fit(X, y))


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
            assert_same(pair_search().fit(*frames), pair_search(n_jobs=2).fit(*frames))
    finally:
        ray.shutdown()


def test_joint_search(data):
    joint = pca_search(strategy="joint").fit(*data)
    assert set(joint.cv_results_["stage"]) == {1}
    assert len(joint.stage_results_) == 1
    merged = pca_search(spaces=({**SPACES[0], **SPACES[1]}, {})).fit(*data)
    assert_same(joint, merged)
    second_only = pca_search(spaces=({}, SPACES[1])).fit(*data)
    assert set(second_only.cv_results_["stage"]) == {2}


@pytest.mark.parametrize("objective", ["alignment", "ridge", "loo"])
def test_stage_one_with_few_models(frames, objective):
    X, y = frames
    search = pair_search(stage_one_objective=objective).fit(X, y)
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
    search = pair_search(
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
    search = pair_search(stage_one_objective=objective, n_warm_up=2).fit(*frames)
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
        search = pair_search(n_warm_up=2, n_iterations=1, **changes).fit(*frames)
        assert 0 not in [stage["stage"] for stage in search.stage_results_]


def test_single_stage_without_cross_validation_ends_with_one(frames):
    search = pair_search({"pairs__cutoff": uniform(0.5, 3)}, {}, stage_one_objective="loo")
    search.fit(*frames)
    assert len(search.cv_results_["params"]) == 1
    assert search.best_params_ == search.stage_results_[0]["best_params"]


def test_callable_objective_may_use_up_its_parameters(data):
    search = pca_search(stage_one_objective=lambda e, Z, y, params: params.popitem()[1])
    assert search.set_params(n_iterations=1).fit(*data).best_params_["pca__n_components"] < 7


def test_callable_objective_sees_all(frames):
    X, y = frames
    seen = []

    def objective(estimator, Z, y, params):
        seen.append((estimator.steps[0][0], Z.shape, len(y), sorted(params)))
        return -abs(params["pairs__cutoff"] - 1.5)

    search = pair_search({"pairs__cutoff": [1.0, 1.5, 2.5]}, {"ridge__alpha": [1e-3, 1e-2]})
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
    search = pca_search(strategy="joint", n_particles=None, n_iterations=1, init=init).fit(*data)
    assert len(search.history_[0]["params"]) == 12
    with pytest.raises(ValueError, match=r"init has 8 candidates.* more than n_particles=5"):
        search.set_params(strategy="two-stage").fit(*data)


def test_init_comes_first_exactly(data):
    init = [{"pca__n_components": 5, "ridge__alpha": 0.123456789}, {"ridge__alpha": 2.0}]
    search = pca_search(init=init).fit(*data)
    params = search.cv_results_["params"]
    first_of_two = int(np.argmax(search.cv_results_["stage"] == 2))
    assert params[1]["pca__n_components"] == 5
    assert {params[first_of_two]["ridge__alpha"], params[first_of_two + 1]["ridge__alpha"]} == {
        0.123456789,
        2.0,
    }
