"""Powers of dot products."""

import numpy as np
import pytest

from skdesc.least_squares._covariance import PowerCovariance, power


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 7, 1.5, 2.7])
def test_power_is_the_power(exponent):
    x = np.linspace(0.0, 1.2, 50)
    np.testing.assert_allclose(power(x, exponent), x**exponent, rtol=1e-14)


def test_power_leaves_its_argument_alone():
    x = np.array([0.5, 2.0])
    for exponent in (0, 1, 2, 2.5):
        power(x, exponent)[:] = -1.0
    np.testing.assert_array_equal(x, [0.5, 2.0])


def test_negative_dot_products():
    x = np.array([-0.5, 0.5])
    np.testing.assert_array_equal(power(x, 3), [-0.125, 0.125])
    np.testing.assert_array_equal(power(x, 2.5)[0], 0.0)


@pytest.mark.parametrize("zeta", [1, 2, 4, 1.5, 2.5])
def test_slope(zeta):
    x, h = np.linspace(0.1, 1.0, 20), 1e-6
    covariance = PowerCovariance(zeta)
    value, slope = covariance.value_and_slope(x)
    np.testing.assert_array_equal(value, covariance.value(x))
    numeric = (covariance.value(x + h) - covariance.value(x - h)) / (2 * h)
    np.testing.assert_allclose(slope, numeric, rtol=1e-8)
    np.testing.assert_allclose(covariance.slope(x), slope, rtol=1e-14)
    numeric = (covariance.slope(x + h) - covariance.slope(x - h)) / (2 * h)
    np.testing.assert_allclose(covariance.curvature(x), numeric, rtol=1e-7, atol=1e-9)


def test_diagonal_and_matrix():
    X = np.random.RandomState(0).rand(5, 3)
    covariance = PowerCovariance(3.0)
    np.testing.assert_allclose(covariance.diagonal(X), np.diag(covariance.matrix(X, X)))
    assert not covariance.is_linear
    assert PowerCovariance(1).is_linear


def test_integer_exponents_are_positive_definite():
    X = np.random.RandomState(0).normal(size=(12, 20))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    for zeta in (1, 2, 3, 4):
        assert np.linalg.eigvalsh(PowerCovariance(zeta).matrix(X, X)).min() > 0
