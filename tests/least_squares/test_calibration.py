"""Closed forms against fits without the group, and factors against those of made-up errors."""

import numpy as np
import pytest

from skdesc.least_squares import (
    Observations,
    Posterior,
    Prior,
    fit_variance_factors,
    leave_group_out,
)

WIDE = (1e-12, 1e12)


def fit(prior, rows, y, noise):
    """Posterior of rows with one quantity whose noise differs."""
    observations = Observations(rows.shape[1])
    observations.add("energy", rows, np.ones((len(y), 1)), y, noise)
    triangles = observations.subtract_mean(np.zeros(1))
    return Posterior.solve(prior, observations, triangles, [0.7], {"energy": 1.0})


@pytest.mark.parametrize("level", [1e-1, 1e-4])
def test_errors_and_variances_are_those_of_a_fit_without_the_group(level):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(6, 9))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    X = rng.normal(size=(30, 9))
    rows = (X @ points.T) ** 2
    prior = Prior.factorize([("points", slice(0, 6), (points @ points.T) ** 2)], [slice(0, 6)])
    y, noise = rng.normal(size=30), level * rng.uniform(0.5, 2.0, 30)
    posterior = fit(prior, rows, y, noise)
    group, others = slice(4, 9), np.r_[0:4, 9:30]
    errors, variances = leave_group_out(
        posterior, rows[group], (y - rows @ posterior.weights)[group], noise[group]
    )
    without = fit(prior, rows[others], y[others], noise[others])
    np.testing.assert_allclose(errors, y[group] - rows[group] @ without.weights, rtol=1e-6)
    expected = np.square(without.covariance_factor(rows[group])).sum(axis=1)
    np.testing.assert_allclose(variances, expected, rtol=1e-5)


@pytest.mark.parametrize("points", [[2], [0, 3, 5]])
def test_points_can_be_left_out_too(points):
    rng = np.random.default_rng(3)
    Q = rng.normal(size=(8, 9))
    Q /= np.linalg.norm(Q, axis=1, keepdims=True)
    X = rng.normal(size=(30, 9))
    y, noise = rng.normal(size=30), rng.uniform(0.05, 0.2, 30)
    kept, group, others = np.setdiff1d(np.arange(8), points), slice(4, 9), np.r_[0:4, 9:30]
    # the points are of two groups, which have no covariance with each other
    K = (Q @ Q.T) ** 2
    K[:4, 4:] = K[4:, :4] = 0.0
    rows = (X @ Q.T) ** 2
    groups = [("a", slice(0, 4), K[:4, :4]), ("b", slice(4, 8), K[4:, 4:])]
    full = fit(Prior.factorize(groups, [slice(0, 8)]), rows, y, noise)
    found = leave_group_out(
        full, rows[group], (y - rows @ full.weights)[group], noise[group], points
    )
    n_first = int((kept < 4).sum())
    K = K[np.ix_(kept, kept)]
    parts = slice(0, n_first), slice(n_first, len(kept))
    prior = Prior.factorize([("", part, K[part, part]) for part in parts], [slice(0, len(kept))])
    without = fit(prior, rows[np.ix_(others, kept)], y[others], noise[others])
    rows_left = rows[group][:, kept]
    np.testing.assert_allclose(found[0], y[group] - rows_left @ without.weights, rtol=1e-6)
    inside = np.square(without.covariance_factor(rows_left)).sum(axis=1)
    np.testing.assert_allclose(found[1], inside, rtol=1e-5)
    variance = np.full((1, 5), 50.0)
    np.testing.assert_allclose(
        full.variance_outside(rows[group], variance, points),
        without.variance_outside(rows_left, variance), rtol=1e-8,
    )


def test_factors_that_made_the_errors():
    rng = np.random.default_rng(1)
    parts = rng.gamma(0.3, size=(3, 20000)) * [[1.0], [1e4], [1e-4]]
    parts[2] = 1e-3
    true = np.array([30.0, 1e-3, 50.0])
    errors = rng.normal(size=parts.shape[1]) * np.sqrt(true @ parts)
    found = fit_variance_factors(errors, parts, [WIDE] * 3)
    np.testing.assert_allclose(found, true, rtol=0.1)
    assert np.mean(errors**2 / (found @ parts)) == pytest.approx(1.0, abs=1e-3)


def test_bounds_and_what_is_certain():
    errors = np.array([0.0, 0.1, -0.2, 0.3])
    parts = np.array([[0.0, 1.0, 1.0, 1.0], [0.0, 1e-3, 1e-3, 1e-3]])
    found = fit_variance_factors(errors, parts, [WIDE, (2.0, 100.0)])
    assert found[1] >= 2.0
    assert found @ parts[:, 1] == pytest.approx(np.mean(errors[1:] ** 2), rel=1e-3)
    bounded = fit_variance_factors(errors, parts, [(5.0, 6.0), (2.0, 3.0)])
    np.testing.assert_allclose(bounded, [5.0, 2.0])


@pytest.mark.parametrize("errors", [np.zeros(4), np.ones(4)])
def test_nothing_to_learn_from(errors):
    found = fit_variance_factors(errors, np.zeros((2, 4)), [WIDE, (2.0, 3.0)])
    np.testing.assert_array_equal(found, [1.0, 2.0])


def test_targets_without_noise_are_no_division_by_zero():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(20, 4))
    prior = Prior.factorize([("points", slice(0, 4), np.eye(4))], [slice(0, 4)])
    noise = np.full(20, 1e-12)
    posterior = fit(prior, rows, rows[:, 0], noise)
    residuals = rows[:, 0] - rows @ posterior.weights
    errors, variances = leave_group_out(posterior, rows[:6], residuals[:6], noise[:6])
    assert np.isfinite(errors).all()
    assert np.isfinite(variances).all()
