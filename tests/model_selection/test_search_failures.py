"""Interrupts, failing candidates, and samples of any kind."""

import numpy as np
import pandas as pd
import pytest
from helpers.searches import pair_search, pca_search
from model_selection.toys import PairCounts, Picky
from scipy.stats import uniform
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdesc import TwoStagePSOSearchCV, as_column


def test_interrupt_keeps_the_best(data):
    calls = []

    def scoring(estimator, X, y):
        calls.append(None)
        if len(calls) > 30:
            raise KeyboardInterrupt
        return -mean_absolute_error(y, estimator.predict(X))

    search = pca_search(n_iterations=20, scoring=scoring).fit(*data)
    assert search.stage_results_[-1]["stopped_by"] == "interrupt"
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert hasattr(search, "best_estimator_")


def test_interrupt_before_anything_is_known(data):
    def scoring(estimator, X, y):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pca_search(scoring=scoring).fit(*data)


def test_interrupt_before_any_cross_validation_still_scores_the_best(frames):
    calls = []

    def objective(estimator, Z, y, params):
        calls.append(params["pairs__cutoff"])
        if len(calls) == 5:
            raise KeyboardInterrupt
        return -params["pairs__cutoff"]

    search = pair_search().set_params(stage_one_objective=objective).fit(*frames)
    assert search.best_params_["pairs__cutoff"] == min(calls[:4])
    assert len(search.cv_results_["params"]) == 1


def test_predict_passes_arguments_on(frames):
    X, y = frames
    search = pair_search().fit(X, y)
    values, norm = search.predict(X, return_norm=True)
    np.testing.assert_array_equal(values, search.predict(X))
    assert norm > 0
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        pair_search(refit=False).fit(X, y).predict(X, return_norm=True)


def test_progress_is_shown(data, capsys):
    pca_search(verbose=1).fit(*data)
    shown = capsys.readouterr().err
    assert "24/24" in shown
    assert "best=" in shown
    pca_search().fit(*data)
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
    search = pair_search(refit=False).fit(given, y)
    assert {name for _, name in PairCounts.calls} == {"Structures"}
    assert search.best_params_ == pair_search().fit(X, y).best_params_


def test_a_single_atoms_is_refused(frames):
    with pytest.raises(TypeError, match="X is a single Atoms of 3 atoms"):
        pair_search().fit(frames[0][0], [1.0, 2.0, 3.0])


def test_other_samples_of_stateless_steps_are_left_alone():
    class Tagged(FunctionTransformer):
        _stateless_given_parameters = True

    X = np.random.RandomState(0).normal(size=(30, 3))
    search = TwoStagePSOSearchCV(
        make_pipeline(Tagged(), Ridge()), {}, {"ridge__alpha": [0.1, 1.0]}, n_iterations=1, cv=3
    )
    assert search.fit(X, X[:, 0]).best_score_ > 0.9
