"""scikit-learn's own estimator checks, on the search as its developers run them on theirs."""

import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

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


@pytest.mark.parametrize(("index", "least"), [(2, 50), (3, 54)])
def test_no_check_is_left_out(index, least):
    # scikit-learn leaves out most checks of estimators that do not take 2-D arrays
    assert len(list(estimator_checks_generator(SEARCHES[index]))) >= least
