"""Several metrics and objectives in a search."""

import numpy as np
import pytest
from helpers.searches import pca_search
from sklearn.metrics import make_scorer, mean_absolute_error


def test_multimetric(data):
    scoring = {"r2": "r2", "mae": "neg_mean_absolute_error"}
    search = pca_search(scoring=scoring, refit="mae", return_train_score=True).fit(*data)
    assert search.multimetric_
    assert set(search.scorer_) == {"r2", "mae"}
    results = search.cv_results_
    assert results["rank_test_mae"][search.best_index_] == 1
    assert {"split2_test_r2", "mean_train_mae", "std_test_r2"} <= set(results)
    assert search.score(*data) == -mean_absolute_error(data[1], search.predict(data[0]))
    # the swarm may look at one metric, refit at another
    other = pca_search(scoring=scoring, refit="mae", objective="r2").fit(*data)
    assert other.best_index_ == other.cv_results_["rank_test_mae"].argmin()
    unfit = pca_search(scoring=scoring, refit=False, objective="r2").fit(*data)
    assert not hasattr(unfit, "best_params_")
    chosen = pca_search(scoring=scoring, refit=lambda results: 2, objective="r2").fit(*data)
    assert chosen.best_index_ == 2
    assert not hasattr(chosen, "best_score_")
    # no name says which metric to search by: all count, as trade-offs
    for refit in (False, lambda results: 2):
        both = pca_search(scoring=scoring, refit=refit).fit(*data)
        assert both.history_[0]["scores"].shape == (4, 2)
        assert set(both.pareto_front_[0]["scores"]) == {"r2", "mae"}
    # scikit-learn asks of a single metric only that refit be true
    assert pca_search(refit="any").fit(*data).best_score_ == pca_search().fit(*data).best_score_


def test_callable_scoring(data):
    def scoring(estimator, X, y):
        error = mean_absolute_error(y, estimator.predict(X))
        return {"mae": -error, "half": -error / 2}

    search = pca_search(scoring=scoring, refit="half").fit(*data)
    assert search.multimetric_
    assert search.best_score_ == search.cv_results_["mean_test_mae"].max() / 2
    single = pca_search(scoring=make_scorer(mean_absolute_error, greater_is_better=False))
    assert single.fit(*data).best_score_ == search.best_score_ * 2
    with pytest.raises(ValueError, match="objective is 'score', but scoring gave"):
        pca_search(scoring=scoring, refit=False).fit(*data)


def test_several_objectives(data):
    scoring = {"r2": "r2", "few": _few_components}
    search = pca_search(scoring=scoring, objective=["r2", "few"], n_iterations=6).fit(*data)
    front = search.pareto_front_
    assert len(front) > 1
    values = np.array([[point["scores"]["r2"], point["scores"]["few"]] for point in front])
    order = np.argsort(values[:, 0])
    assert (np.diff(values[order, 1]) < 0).all()
    assert search.best_index_ in [point["index"] for point in front]
    assert search.best_params_ in [point["params"] for point in front]
    assert search.best_score_ == search.cv_results_["mean_test_r2"][search.best_index_]
    assert search.score(*data) == pytest.approx(search.best_estimator_.score(*data))
    timed = pca_search(objective=["score", "score_time"]).fit(*data)
    assert timed.pareto_front_[0]["scores"]["score_time"] < 0


def test_score_of_objectives_without_a_metric_of_their_own(data):
    def scoring(estimator, X, y):
        return {"mae": -mean_absolute_error(y, estimator.predict(X)), "zero": 0.0}

    search = pca_search(scoring=scoring, objective=["mae", "zero"], n_iterations=1).fit(*data)
    assert search.score(*data) == scoring(search.best_estimator_, *data)["mae"]
    times = ["fit_time", "score_time"]
    search = pca_search(scoring=["r2", "neg_max_error"], objective=times, n_iterations=1)
    assert search.fit(*data).score(*data) == search.best_estimator_.score(*data)


def _few_components(estimator, X, y):
    return -float(estimator[0].n_components_)


def test_one_objective_has_a_front_of_one(data):
    search = pca_search().fit(*data)
    (point,) = search.pareto_front_
    assert point["params"] == search.best_params_
    assert point["scores"] == {"score": search.best_score_}
