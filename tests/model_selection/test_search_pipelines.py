"""Searches over any pipeline, with limits of time and groups."""

import itertools
import pickle

import joblib
import numpy as np
import pytest
from helpers.searches import SPACES, pca_search
from scipy.stats import loguniform, randint
from sklearn.base import clone
from sklearn.datasets import (
    make_classification,
    make_multilabel_classification,
)
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdesc import TwoStagePSOSearchCV


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
    search = pca_search()
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
    search = pca_search(cv=GroupKFold(5)).fit(*data, groups=groups)
    assert search.n_splits_ == 5
    with pytest.raises(ValueError, match="groups"):
        pca_search(cv=GroupKFold(5)).fit(*data)


def test_stages_of_different_size(data):
    search = pca_search(n_particles=(5, 2), n_iterations=(2, 3)).fit(*data)
    assert [len(entry["params"]) for entry in search.history_] == [5, 5, 2, 2, 2]


def test_early_stopping_and_time_limit(data):
    patient = pca_search(n_iterations=12).fit(*data)
    hasty = pca_search(
        n_iterations=12, early_stopping=2, spaces=({"pca__whiten": [True, False]}, SPACES[1])
    ).fit(*data)
    assert hasty.stage_results_[0]["stopped_by"] == "early_stopping"
    assert hasty.stage_results_[0]["n_iterations"] == 3
    assert patient.stage_results_[0]["n_iterations"] == 12
    short = pca_search(max_time=0).fit(*data)
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
        search = pca_search(max_time=25, n_cycles=3, verbose=1, n_jobs=n_jobs).fit(*data)
    assert search.stage_results_[-1]["stopped_by"] == "max_time"
    assert len(search.stage_results_) == 6
    unbegun = [stage for stage in search.stage_results_ if stage["n_models_trained"] == 0]
    assert unbegun
    assert "stopped by max_time" in capsys.readouterr().err


def test_present_values_outside_the_spaces_are_no_candidates(data):
    search = pca_search(spaces=({"pca__n_components": [2, 3]}, {"ridge__alpha": [100.0]}))
    search.fit(*data)
    assert {p["ridge__alpha"] for p in search.cv_results_["params"]} == {100.0}
    spaces = {"pca__n_components": [5, 2]}, {"ridge__alpha": loguniform(1e-4, 1e-2)}
    search = pca_search(spaces=spaces).fit(*data)
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
            pca_search(**{name: array}).fit(*data)
    frozen = FunctionTransformer(_add, kw_args={"x2": np.ones(6)})
    search = TwoStagePSOSearchCV(
        make_pipeline(frozen, Ridge()),
        {"functiontransformer__kw_args": [{"x2": np.ones(6)}, {"x2": np.zeros(6)}]},
        {"ridge__alpha": [0.1, 1.0]}, cv=3, random_state=0, n_particles=2, n_iterations=2,
    )
    assert search.fit(*data).best_score_ > 0
