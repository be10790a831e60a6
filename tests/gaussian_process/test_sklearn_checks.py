"""scikit-learn's own checks of estimators, all of them."""

from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skdesc import GAPRegressor


@parametrize_with_checks([GAPRegressor()])
def test_estimator_checks(estimator, check):
    check(estimator)


def test_that_they_run():
    results = check_estimator(GAPRegressor(), on_fail=None, on_skip=None)
    status = [result["status"] for result in results]
    assert status.count("passed") >= 50
    assert not {"failed", "xfail"} & set(status)
