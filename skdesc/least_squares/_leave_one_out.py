"""Leave-one-out residuals in closed form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy.linalg import solve_triangular

from ._observations import Observations
from ._posterior import Posterior
from ._prior import factorize


def leave_one_out(
    posterior: Posterior,
    batches: Iterable[tuple[slice, np.ndarray]],
    residuals: np.ndarray,
    noise: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Leave-one-out residuals of targets, more of them than sparse points.

    Parameters
    ----------
    posterior : Posterior
        Fitted to all targets.
    batches : iterable of (slice, ndarray of shape (n_batch, n_points))
        Targets of a batch, and their covariances with the sparse points.
    residuals : ndarray of shape (n,)
        Targets minus their mean.
    noise : ndarray of shape (n,)
        Noise of each target.

    Returns
    -------
    residuals : ndarray of shape (n,)
        Target minus the prediction without it.
    expected : ndarray of shape (n,)
        Standard deviations of these, as the model expects them.
    """
    residuals, left = residuals.copy(), np.empty_like(noise)
    for part, rows in batches:
        factor = posterior.covariance_factor(rows)
        leverage = np.square(factor).sum(axis=1) / noise[part] ** 2
        residuals[part] -= rows @ posterior.weights
        # rounding errors may make the leverage of a noiseless target 1 or more
        left[part] = np.maximum(1.0 - leverage, np.finfo(np.float64).eps)
    return residuals / left, noise / np.sqrt(left)


def leave_one_out_by_covariance(
    posterior: Posterior,
    observations: Observations,
    others: Mapping[str, np.ndarray],
    rows: np.ndarray,
    residuals: np.ndarray,
    noise: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Leave-one-out residuals by the covariances between the targets.

    With no more targets than sparse points, the model may go right through the targets. Residual
    and 1 - leverage then are rounding errors, and so would be their ratio; here, neither is
    needed.

    Parameters
    ----------
    posterior : Posterior
        Fitted to all quantities.
    observations : Observations
        What it was fitted to.
    others : dict of str to ndarray
        Rows of all other quantities, from :meth:`Observations.subtract_mean`.
    rows : ndarray of shape (n, n_points)
        Covariances of the targets with the sparse points.
    residuals, noise : ndarray of shape (n,)
        Targets minus their mean, and their noise.

    Returns
    -------
    residuals : ndarray of shape (n,)
        Target minus the prediction without it.
    expected : ndarray of shape (n,)
        Standard deviations of these, as the model expects them.
    """
    without = Posterior.solve(
        posterior.prior, observations, others, posterior.scales, posterior.noise
    )
    factor = without.covariance_factor(rows)
    L, _ = factorize(factor @ factor.T + np.diag(noise**2))
    # of the inverse of the covariances, C = L L^T, the diagonal and the product with targets
    inverse = solve_triangular(L, np.eye(len(L)), lower=True)
    solution = inverse.T @ (inverse @ (residuals - rows @ without.weights))
    precision = np.square(inverse).sum(axis=0)
    return solution / precision, 1.0 / np.sqrt(precision)
