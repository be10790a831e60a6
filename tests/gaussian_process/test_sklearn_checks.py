"""scikit-learn's own checks of estimators, all of them."""

from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skdesc import GAPRegressor


@parametrize_with_checks([GAPRegressor()])
def test_estimator_checks(estimator, check):
    check(estimator)


def test_no_check_is_left_out():
    # scikit-learn leaves out most checks of estimators that do not take 2-D arrays
    assert len(list(estimator_checks_generator(GAPRegressor()))) >= 50
