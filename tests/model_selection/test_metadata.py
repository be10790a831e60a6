"""Forces and other metadata reach the estimator, the folds and the scorers."""

import numpy as np
import pytest
import sklearn
from ase.build import molecule
from joblib import parallel_config
from model_selection.toys import FoldsRidge, ForcesRidge, PairCounts
from scipy.stats import uniform
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version
from sklearn.utils.metadata_routing import MetadataRequest

from skdesc import TwoStagePSOSearchCV


@pytest.fixture(scope="module")
def data():
    rng = np.random.RandomState(0)
    frames = [molecule(name) for name in ("H2O", "CH4", "NH3", "C2H6") * 5]
    for atoms in frames:
        atoms.rattle(0.1, rng=rng)
    y = np.array([atoms.get_all_distances().sum() for atoms in frames])
    return frames, y, [atoms.positions for atoms in frames]


def _search(*before, objective="cv", **options):
    pipeline = Pipeline([("pairs", PairCounts()), *before, ("ridge", ForcesRidge())])
    pipeline.set_params(ridge__need_forces=True)
    settings = {"n_particles": 2, "n_iterations": 2, "cv": 4, "random_state": 0, **options}
    return TwoStagePSOSearchCV(
        pipeline,
        {"pairs__cutoff": uniform(1, 2)},
        {"ridge__alpha": [1e-3, 1e-2]},
        stage_one_objective=objective,
        error_score="raise",
        **settings,
    )


class _NoScaling(StandardScaler):
    """Keeps the number of atoms, which the toy regressor looks at, and needs a fit."""

    def __init__(self):
        super().__init__(with_mean=False, with_std=False)


@pytest.mark.parametrize("objective", ["cv", "alignment", "loo"])
@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("before", [[], [("keep", _NoScaling())]], ids=["cached", "fitted"])
def test_forces_are_split_with_the_folds(data, routing, objective, before):
    X, y, forces = data
    with sklearn.config_context(enable_metadata_routing=routing):
        name = "forces" if routing else "ridge__forces"
        search = _search(*before, objective=objective).fit(X, y, **{name: forces})
        assert search.best_score_ > 0.5
        assert search.predict(X).shape == (20,)


@pytest.mark.parametrize("routing", [False, True])
def test_without_forces_the_toy_complains(data, routing):
    with (
        sklearn.config_context(enable_metadata_routing=routing),
        pytest.raises(TypeError, match="no forces have arrived"),
    ):
        _search().fit(data[0], data[1])


def test_names_of_steps_are_checked(data):
    X, y, forces = data
    for name in ("wrong__forces", "forces"):
        with pytest.raises(ValueError, match=f"fit got .'{name}'.*such as 'ridge__forces'"):
            _search().fit(X, y, **{name: forces})
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(TypeError, match="virials"),
    ):
        _search().fit(X, y, forces=forces, virials=forces)


def test_nested_with_forces(data):
    X, y, forces = data
    scores = cross_validate(_search(), X, y, cv=2, params={"ridge__forces": forces})
    assert np.isfinite(scores["test_score"]).all()
    with sklearn.config_context(enable_metadata_routing=True):
        routed = cross_validate(_search(), X, y, cv=2, params={"forces": forces})
        np.testing.assert_array_equal(scores["test_score"], routed["test_score"])
        outer = GridSearchCV(_search(), {"topology": ["star", "ring"]}, cv=2)
        assert outer.fit(X, y, forces=forces).best_score_ > 0.5


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_know_of_routing(data, backend):
    X, y, forces = data
    with sklearn.config_context(enable_metadata_routing=True), parallel_config(backend):
        several = _search(n_jobs=2).fit(X, y, forces=forces)
        alone = _search().fit(X, y, forces=forces)
    assert several.best_score_ == alone.best_score_


class _ForcesScorer:
    """Sees only as many forces as there are samples in its fold."""

    def get_metadata_routing(self):
        request = MetadataRequest(owner=self)
        request.score.add_request(param="forces", alias=True)
        return request

    def __call__(self, estimator, X, y, forces=None):
        assert [len(block) for block in forces] == X[:, 0].astype(int).tolist()
        return -mean_absolute_error(y, estimator.predict(X))


def test_scorers_get_their_share(data):
    X, y, forces = data
    groups = np.arange(20) % 4
    with sklearn.config_context(enable_metadata_routing=True):
        search = _search(cv=GroupKFold(4), scoring=_ForcesScorer())
        search.fit(X, y, forces=forces, groups=groups)
        assert search.n_splits_ == 4
        several = _search(scoring={"mine": _ForcesScorer(), "r2": "r2"}, refit="mine")
        assert several.fit(X, y, forces=forces).best_score_ < 0


@pytest.mark.parametrize("strategy", ["two-stage", "joint"])
def test_sample_weight_is_routed(strategy):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(40, 3))
    y, weight = X[:, 0] + rng.normal(size=40), rng.randint(0, 3, size=40)

    def search(requested):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        ridge = Ridge().set_fit_request(sample_weight=requested)
        scorer = get_scorer("r2").set_score_request(sample_weight=requested)
        return TwoStagePSOSearchCV(
            Pipeline([("scale", scaler), ("ridge", ridge)]),
            {"scale__with_std": [True, False]},
            {"ridge__alpha": [0.1, 1.0, 10.0]},
            scoring=scorer, strategy=strategy, n_particles=3, n_iterations=2, cv=3, random_state=0,
        )

    with sklearn.config_context(enable_metadata_routing=True):
        fitted = search(True).fit(X, y, sample_weight=weight)
        params = [{k: [v] for k, v in p.items()} for p in fitted.cv_results_["params"]]
        expected = GridSearchCV(fitted.estimator, params, scoring=fitted.scoring, cv=3)
        expected.fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(
            fitted.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
        )
        np.testing.assert_array_equal(
            fitted.best_estimator_[-1].coef_, expected.best_estimator_[-1].coef_
        )
        with pytest.raises((UnsetMetadataPassedError, TypeError), match="sample_weight"):
            search(None).fit(X, y, sample_weight=weight)


class _NeverFitted(Ridge):
    def fit(self, X, y, sample_weight=None):
        raise AssertionError("something was computed")


@pytest.mark.parametrize("several", [False, True])
def test_what_is_not_requested_is_said_at_once(several):
    """It would be left out of all folds, and be refused by the refit only."""
    if several and parse_version(sklearn.__version__) < parse_version("1.7"):
        pytest.skip("scikit-learn 1.6 itself takes it for several scorers")
    X = np.random.RandomState(0).normal(size=(20, 3))
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        ridge = _NeverFitted().set_fit_request(sample_weight=True if several else None)
        scorer = get_scorer("r2").set_score_request(sample_weight=False)
        scoring = {"a": scorer, "b": "r2"} if several else scorer
        search = TwoStagePSOSearchCV(
            Pipeline([("scale", scaler), ("ridge", ridge)]),
            {"scale__with_std": [True, False]}, {"ridge__alpha": [0.1, 1.0]},
            scoring=scoring, refit=False, cv=3, error_score="raise",
        )
        owner = "make_scorer" if several else "_NeverFitted.fit"
        with pytest.raises(UnsetMetadataPassedError, match=owner):
            search.fit(X, X[:, 0], sample_weight=np.ones(20))


@pytest.mark.parametrize("scoring", [None, "r2", ["r2", "neg_mean_squared_error"]])
@pytest.mark.filterwarnings("ignore:The scoring")
def test_weights_reach_the_scorer_as_they_do_in_scikit_learn(scoring):
    """Without routing, the installed version decides: scikit-learn 1.9 does, 1.6 does not."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(40, 3))
    y, weight = X[:, 0] + rng.normal(size=40), rng.randint(1, 9, size=40)
    options = {"scoring": scoring, "cv": 3, "refit": "r2" if isinstance(scoring, list) else True}
    expected = GridSearchCV(Ridge(), {"alpha": [0.1, 10.0]}, **options)
    expected.fit(X, y, sample_weight=weight)
    search = TwoStagePSOSearchCV(
        Ridge(), {}, {"alpha": [0.1, 10.0]}, n_particles=5, n_iterations=3, random_state=0,
        **options,
    ).fit(X, y, sample_weight=weight)
    for params, scores in zip(
        search.cv_results_["params"], _scores(search.cv_results_), strict=True
    ):
        index = expected.cv_results_["params"].index(params)
        np.testing.assert_array_equal(scores, _scores(expected.cv_results_)[index])


def _scores(results):
    return np.column_stack([v for k, v in sorted(results.items()) if k.startswith("mean_test")])


def test_requests_under_another_name():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(40, 3))
    y, weight = X[:, 0] + rng.normal(size=40), rng.randint(1, 9, size=40)
    with sklearn.config_context(enable_metadata_routing=True):
        ridge = Ridge().set_fit_request(sample_weight="w")
        options = {"scoring": get_scorer("r2").set_score_request(sample_weight="v"), "cv": 3}
        search = TwoStagePSOSearchCV(ridge, {}, {"alpha": [0.1, 10.0]}, **options)
        search.fit(X, y, w=weight, v=weight[::-1])
        expected = GridSearchCV(ridge, {"alpha": [0.1, 10.0]}, **options)
        expected.fit(X, y, w=weight, v=weight[::-1])
    assert sorted(search.cv_results_["mean_test_score"]) == sorted(
        expected.cv_results_["mean_test_score"]
    )


class _Unroutable(_ForcesScorer):
    """Knows what the samples say, and that something is missing."""

    def read_metadata(self, estimator, X, y, given):
        if "forces" not in given and not hasattr(X[0], "positions"):
            raise ValueError("no forces anywhere")
        return {} if "forces" in given else {"forces": [atoms.positions for atoms in X]}


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("objective", ["cv", "one_pass"])
def test_scorers_get_forces_with_and_without_routing(data, routing, several, given, objective):
    X, y, forces = data
    scoring = {"f": _Unroutable(), "r2": "r2"} if several else _Unroutable()
    pipeline = Pipeline([("pairs", PairCounts()), ("ridge", FoldsRidge())])
    with sklearn.config_context(enable_metadata_routing=routing):
        metadata = {"forces" if routing else "ridge__forces": forces} if given else {}
        search = TwoStagePSOSearchCV(
            pipeline, {"pairs__cutoff": uniform(1, 2)}, {"ridge__alpha": [1e-3, 1e-2]}, cv=4,
            scoring=scoring, refit="f" if several else True, n_particles=2, n_iterations=1,
            stage_one_objective=objective, error_score="raise", random_state=0,
        ).fit(X, y, **metadata)
    assert search.best_score_ < 0


def test_what_a_scorer_misses_is_said_at_once():
    X = np.random.RandomState(0).normal(size=(20, 3))
    search = TwoStagePSOSearchCV(_NeverFitted(), {}, {"alpha": [1.0, 2.0]}, scoring=_Unroutable())
    with pytest.raises(ValueError, match="no forces anywhere"):
        search.fit(X, X[:, 0])


def test_callbacks_are_refused():
    search = _search()
    if not hasattr(search, "set_callbacks"):
        pytest.skip("scikit-learn before 1.9 has no callbacks")
    assert search.set_callbacks() is search
    with pytest.raises(NotImplementedError, match="got 1 callbacks, but calls none; set verbose=1"):
        search.set_callbacks(object())
