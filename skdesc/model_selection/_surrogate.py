"""Gaussian process of costs over the unit cube, and expected improvement of further points."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

# of more points only the latest and the best are used, so that each fit takes less than a second
_MAX_POINTS = 150
_MAX_STEPS = 30


class Surrogate:
    """Expected improvement according to a Gaussian process of the costs so far.

    Costs are mapped to a scale that is linear near the best and logarithmic far from it, so that a
    few absurd costs do not hide the differences between good ones.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features)
        Points with known costs.
    costs : list of ndarray
        Costs to be minimized, infinite for candidates that failed; one array for each subset of
        the samples, whose costs have a scale of their own; the last one is for all samples.
    """

    def __init__(self, points, costs):
        n_last = min(len(costs[-1]), _MAX_POINTS // 2)
        scaled = np.concatenate([_compressed(values) for values in costs])
        points, scaled = _most_telling(points, scaled)
        self._points, self._costs = points, scaled
        self._best = scaled[-n_last:].min()
        n_dims = points.shape[1]
        kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(
            np.full(n_dims, 0.5), (0.08, 8.0), nu=2.5
        ) + WhiteKernel(1e-3, (1e-6, 0.3))
        self._kernel = self._fit(kernel, _optimize).kernel_
        self._process = self._fit(self._kernel, None)

    def _fit(self, kernel, optimizer):
        process = GaussianProcessRegressor(kernel, optimizer=optimizer, normalize_y=True)
        with warnings.catch_warnings():
            # a length at its bound only means that a parameter has no influence
            warnings.simplefilter("ignore")
            return process.fit(self._points, self._costs)

    def expected_improvement(self, points):
        """Return the expected improvement of points over the best one, ndarray of shape (n,)."""
        mean, std = self._process.predict(points, return_std=True)
        std = np.maximum(std, 1e-9)
        gain = self._best - mean
        return gain * norm.cdf(gain / std) + std * norm.pdf(gain / std)

    def believe(self, point):
        """Assume the predicted mean as the cost of a point, to keep the next one away from it."""
        mean = self._process.predict(point[np.newaxis])
        self._points = np.vstack([self._points, point])
        self._costs = np.append(self._costs, mean)
        self._process = self._fit(self._kernel, None)


def _compressed(costs):
    finite = np.isfinite(costs)
    if not finite.any():
        return np.zeros(len(costs))
    known = costs[finite]
    best = known.min()
    scale = np.median(known) - best
    scaled = np.log1p((known - best) / scale) if scale > 0 else np.zeros(len(known))
    result = np.full(len(costs), scaled.max() + 0.5)
    result[finite] = scaled
    return result


def _most_telling(points, costs):
    if len(costs) <= _MAX_POINTS:
        return points, costs
    best = np.argsort(costs, kind="stable")[: _MAX_POINTS // 2]
    latest = np.arange(len(costs) - _MAX_POINTS // 2, len(costs))
    kept = np.union1d(best, latest)
    return points[kept], costs[kept]


def _optimize(objective, initial_theta, bounds):
    found = minimize(
        objective, initial_theta, method="L-BFGS-B", jac=True, bounds=bounds,
        options={"maxiter": _MAX_STEPS},
    )
    return found.x, found.fun
