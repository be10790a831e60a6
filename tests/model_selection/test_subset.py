"""First stages on growing parts of many samples, and the price of a search."""

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.datasets import make_regression
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline

from skdesc import TwoStagePSOSearchCV
from skdesc.model_selection._subset import (
    choose_fractions,
    choose_samples,
    price_of_candidate,
    restrict_folds,
    restrict_metadata,
)


def test_parts_have_enough_samples():
    assert choose_fractions(449) == [1]
    assert choose_fractions(450) == [1 / 3, 1]
    assert choose_fractions(1349) == [1 / 3, 1]
    assert choose_fractions(1350) == [1 / 9, 1 / 3, 1]
    assert choose_fractions(10**6) == [1 / 9, 1 / 3, 1]


def test_smaller_parts_are_inside_larger_ones_and_folds_stay_folds():
    splits = list(KFold(4, shuffle=True, random_state=0).split(np.arange(203)))
    small, large = (choose_samples(splits, 203, f, 5) for f in (1 / 9, 1 / 3))
    assert set(small) < set(large)
    assert len(large) == pytest.approx(203 / 3, abs=4)
    for (train, test), (whole_train, whole_test) in zip(
        restrict_folds(splits, large, 203), splits, strict=True
    ):
        assert set(large[train]) == set(whole_train) & set(large)
        assert set(large[test]) == set(whole_test) & set(large)
    assert not np.array_equal(small, choose_samples(splits, 203, 1 / 9, 6))


def test_metadata_of_the_part():
    given = {"weights": np.arange(6), "names": list("abcdef"), "table": {"a": 1}, "flag": "abcdef"}
    part = restrict_metadata(given, np.array([1, 4]), 6)
    assert part["weights"].tolist() == [1, 4]
    assert part["names"] == ["b", "e"]
    assert part["table"] is given["table"]
    assert part["flag"] == "abcdef"


def test_prices():
    splits = list(KFold(5).split(np.arange(50)))
    assert price_of_candidate("one_pass", 1, splits) == 1.3
    assert price_of_candidate("cv", 1, splits) == pytest.approx(4.0)
    assert price_of_candidate("cv", 1 / 3, splits) == pytest.approx(4.0 / 9)
    # noise takes no pass of its own
    assert price_of_candidate("one_pass", 1, splits, takes_pass=False) == 0.2


@pytest.fixture(scope="module")
def many():
    return make_regression(1400, 6, n_informative=4, noise=3.0, random_state=0)


def _search(**options):
    return TwoStagePSOSearchCV(
        make_pipeline(PCA(), Ridge()),
        {"pca__n_components": [1, 2, 3, 4, 5, 6], "pca__whiten": [False, True]},
        {"ridge__alpha": loguniform(1e-4, 1e3)},
        **{"cv": 3, "random_state": 0, "refit": False, **options},
    )


def test_many_samples_are_searched_part_by_part(many):
    search = _search().fit(*many)
    stages = [(stage["stage"], stage["fraction"]) for stage in search.stage_results_]
    assert stages == [(1, 1 / 9), (1, 1 / 3), (1, 1.0), (2, 1.0)]
    # candidates on parts have no place among those that are compared in the end
    assert set(search.cv_results_["param_pca__n_components"]) <= {1, 2, 3, 4, 5, 6}
    n_models = sum(stage["n_models_trained"] for stage in search.stage_results_[2:])
    assert 3 * len(search.cv_results_["params"]) == n_models
    # the present parameters are among them
    present = {"pca__n_components": None, "pca__whiten": False, "ridge__alpha": 1.0}
    assert any(p["ridge__alpha"] == present["ridge__alpha"] for p in search.cv_results_["params"])
    assert search.best_params_["pca__n_components"] == 6


def test_the_price_is_kept(many):
    whole = _search().fit(*many)
    assert whole.price_ <= 15 * 2 / 1.3  # three folds by "cv" cost two fits, one pass 1.3
    short = _search(max_fits=6).fit(*many)
    assert short.price_ <= 6
    assert short.stage_results_[-1]["stopped_by"] == "max_fits"
    # whatever the limit, there is a result
    assert len(_search(max_fits=0).fit(*many).cv_results_["params"]) == 1


def test_the_price_is_said_before_it_is_paid(many, capsys):
    _search(verbose=1, max_fits=3).fit(*many)
    assert "at most" in capsys.readouterr().err


def test_few_samples_are_searched_as_a_whole(many):
    search = _search().fit(many[0][:100], many[1][:100])
    assert {stage["fraction"] for stage in search.stage_results_} == {1.0}
    explicit = _search(n_particles=4, n_iterations=2).fit(*many)
    assert {stage["fraction"] for stage in explicit.stage_results_} == {1.0}


def test_workers_change_nothing(many):
    alone, together = (_search(n_jobs=n_jobs).fit(*many) for n_jobs in (None, 2))
    assert alone.best_params_ == together.best_params_
    np.testing.assert_array_equal(
        alone.cv_results_["mean_test_score"], together.cv_results_["mean_test_score"]
    )
