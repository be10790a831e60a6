"""What is found is compared with what was there, and is nowhere worse unsaid."""

import numpy as np
import pytest
from model_selection.toys import FoldsRidge, FoldsRidgeSession, PairCounts, shaken_molecules
from scipy.stats import loguniform, uniform
from sklearn.metrics import make_scorer, mean_absolute_error, mean_squared_error
from sklearn.pipeline import Pipeline

from skdesc import TwoStagePSOSearchCV
from skdesc.model_selection import TradeOffWarning

SPACES = {"pairs__cutoff": uniform(0.5, 3)}, {"ridge__alpha": loguniform(1e-6, 1e2)}


class _StubbornSession(FoldsRidgeSession):
    def tune(self, params, bounds, metrics):
        return {"alpha": 1e-4}


class _Reporting(FoldsRidge):
    """Reports two kinds of errors that want opposite things of `alpha`, or the same."""

    opposed = True

    def search_scorer(self):
        return make_scorer(mean_squared_error, greater_is_better=False)

    def report_errors(self, X, y, **metadata):
        error = mean_absolute_error(y, self.predict(X))
        return {"size": error, "stiffness": 1.0 / self.alpha if self.opposed else error}

    def fold_session(self, Z, y, splits):
        return _StubbornSession(self, Z, y, splits, None)


class _Agreeing(_Reporting):
    opposed = False


@pytest.fixture(scope="module")
def data():
    return shaken_molecules()


def _search(last, **options):
    pipeline = Pipeline([("pairs", PairCounts()), ("ridge", last)])
    settings = {"n_particles": 4, "n_iterations": 3, "cv": 3, "random_state": 0, **options}
    return TwoStagePSOSearchCV(pipeline, *SPACES, **settings)


@pytest.mark.parametrize("objective", ["auto", "cv"])
def test_the_table_has_errors_of_both(data, objective):
    search = _search(_Agreeing(10.0), stage_one_objective=objective).fit(*data)
    assert set(search.comparison_) == {"size", "stiffness", "score"}
    size = search.comparison_["size"]
    assert size["found"] < size["present"]
    score = search.comparison_["score"]
    assert score["found"] == search.best_score_ > score["present"]
    present = [p for p in search.cv_results_["params"] if p["ridge__alpha"] == 10.0]
    assert present[0]["pairs__cutoff"] == 2.0


@pytest.mark.parametrize("objective", ["auto", "cv"])
def test_the_metric_of_the_step_keeps_every_kind(data, objective):
    # any smaller alpha suits the metric, and makes the second kind of error larger
    search = _search(_Reporting(10.0), stage_one_objective=objective).fit(*data)
    for pair in search.comparison_.values():
        if pair is not search.comparison_["score"]:
            assert pair["found"] <= 1.02 * pair["present"]
    scores = search.cv_results_["mean_test_score"]
    assert search.best_score_ < np.nanmax(scores)
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]
    assert search.best_estimator_[-1].alpha == search.best_params_["ridge__alpha"]


def test_other_metrics_have_their_way_and_it_is_said(data):
    search = _search(_Reporting(10.0), scoring="neg_mean_squared_error")
    with pytest.warns(TradeOffWarning, match=r"larger errors than the present.*stiffness 0.1 to"):
        search.fit(*data)
    assert search.best_score_ == np.nanmax(search.cv_results_["mean_test_score"])


def test_without_reports_there_is_the_metric(data):
    search = _search(FoldsRidge(10.0), stage_one_objective="cv").fit(*data)
    assert set(search.comparison_) == {"score"}
    assert search.comparison_["score"]["found"] == search.best_score_
