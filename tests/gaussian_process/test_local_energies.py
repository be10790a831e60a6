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
    group = _WeightedPoints(6, points, weights, covariance)
    assert (group.collapsed is not None) == (zeta == 1 or (zeta == 2 and n_points == 30))

    energies, slopes = group.evaluate(values, True)
    value, slope = covariance.value_and_slope(values @ points.T)
    np.testing.assert_allclose(energies, value @ weights, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(slopes, (slope * weights) @ points, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(group.evaluate(values, False)[0], energies)  # to the bit
