"""scikit-learn's own checks of estimators, all of them."""


from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skdesc import GAPRegressor


@parametrize_with_checks([GAPRegressor()])
def test_estimator_checks(estimator, check):
    check(estimator)


def test_the_checks_are_not_vacuous():
    checks = list(estimator_checks_generator(GAPRegressor()))
    assert len(checks) >= 50
