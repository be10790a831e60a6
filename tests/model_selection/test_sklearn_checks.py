"""scikit-learn's own estimator checks, on the search as its developers run them on theirs."""

import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skdesc import TwoStagePSOSearchCV


def _search(estimator, transformer_space, regressor_space):
    return TwoStagePSOSearchCV(
        estimator,
        transformer_space,
        regressor_space,
        n_particles=2,
        n_iterations=2,
        cv=2,
        error_score="raise",
        random_state=0,
    )


SEARCHES = [
    _search(Ridge(), {}, {"alpha": [0.1, 1.0]}),
    _search(LogisticRegression(), {}, {"C": [0.1, 1.0]}),
    _search(
        Pipeline([("pca", PCA()), ("ridge", Ridge())]),
        {"pca__whiten": [False, True]},
        {"ridge__alpha": [0.1, 1.0]},
    ),
    _search(
        Pipeline([("pca", PCA()), ("classifier", LogisticRegression())]),
        {"pca__whiten": [False, True]},
        {"classifier__C": [0.1, 1.0]},
    ),
]

# the same that scikit-learn expects of GridSearchCV with a regressor
EXPECTED = {"check_supervised_y_2d": "no DataConversionWarning, as with GridSearchCV"}


def _is_regressor(search):
    return search.__sklearn_tags__().estimator_type == "regressor"


@parametrize_with_checks(
    SEARCHES, expected_failed_checks=lambda search: EXPECTED if _is_regressor(search) else {}
)
@pytest.mark.filterwarnings("ignore")
def test_sklearn_checks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("index", "least"), [(2, 49), (3, 53)])
def test_that_many_checks_run(index, least):
    results = check_estimator(SEARCHES[index], on_fail=None, on_skip=None)
    status = [result["status"] for result in results]
    assert status.count("passed") >= least
    assert status.count("passed") + status.count("failed") >= 50
    failed = {result["check_name"] for result in results if result["status"] == "failed"}
    assert failed <= set(EXPECTED)
