"""Energies of environments: collapsed points give what single points give."""

import numpy as np
import pytest

from skdesc.gaussian_process._rows import _WeightedPoints
from skdesc.least_squares import PowerCovariance


@pytest.mark.parametrize("zeta", [1.0, 2.0, 2.5, 3.0, 4.0])
@pytest.mark.parametrize("n_points", [3, 30])
def test_all_exponents(zeta, n_points):
    rng = np.random.default_rng(0)
    points, values = rng.random((n_points, 7)), rng.random((11, 7))
    weights = rng.normal(size=n_points)
    covariance = PowerCovariance(zeta)
    group = _WeightedPoints(6, points, weights, covariance, 0.0)
    assert (group.collapsed is not None) == (zeta == 1 or (zeta == 2 and n_points == 30))

    energies, slopes = group.evaluate(values, True)
    value, slope = covariance.value_and_slope(values @ points.T)
    np.testing.assert_allclose(energies, value @ weights, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(slopes, (slope * weights) @ points, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(group.evaluate(values, False)[0], energies)  # to the bit


def points_of_low_rank(n_points=60, n_features=40, seed=0):
    """Unit vectors whose singular values fall off by ten every two features."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n_points, n_features)) * 10.0 ** (-np.arange(n_features) / 2)
    points = points @ np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("scale", [0.1, 100.0])
def test_approximate_energies_keep_within_the_tolerance(tolerance, scale):
    points, covariance = points_of_low_rank(), PowerCovariance(4.0)
    weights = scale * np.random.default_rng(1).normal(size=len(points))
    exact = _WeightedPoints(6, points, weights, covariance, 0.0)
    group = _WeightedPoints(6, points, weights, covariance, tolerance)
    assert group.basis.shape[1] < 18
    difference = group.evaluate(points, False)[0] - exact.evaluate(points, False)[0]
    assert 1e-4 * tolerance < np.abs(difference).max() <= 1.1 * tolerance


def test_single_precision_only_where_it_suffices():
    points, covariance = points_of_low_rank(), PowerCovariance(4.0)
    weights = np.random.default_rng(1).normal(size=len(points))
    assert _WeightedPoints(6, points, weights, covariance, 1e-3).points.dtype == np.float32
    assert _WeightedPoints(6, points, 1e4 * weights, covariance, 1e-3).points.dtype == np.float64
    assert _WeightedPoints(6, points, weights, covariance, 0.0).points.dtype == np.float64


def test_approximate_slopes_are_derivatives_of_approximate_energies():
    points, covariance = points_of_low_rank(), PowerCovariance(4.0)
    weights = 1e4 * np.random.default_rng(1).normal(size=len(points))
    group = _WeightedPoints(6, points, weights, covariance, 1e-4)
    assert group.basis is not None
    values = points_of_low_rank(5, seed=2)
    direction = np.random.default_rng(3).normal(size=values.shape)
    slopes = (group.evaluate(values, True)[1] * direction).sum(axis=1)
    errors = []
    for h in (1e-3, 5e-4):
        low, high = (group.evaluate(values + sign * h * direction, False)[0] for sign in (-1, 1))
        errors.append(np.abs((high - low) / (2 * h) - slopes).max())
    assert errors[0] < 1e-3 * np.abs(slopes).max()
    assert 3.5 < errors[0] / errors[1] < 4.5  # of second order
