r"""Calibration: variances that agree with errors of structures that are left out.

The variance of a prediction has two parts: what the observations leave open within the span of
the sparse points, and what lies outside that span. Either can be too large or too small by orders
of magnitude: the first depends on the noise, the second on how errors of many environments add up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from ._posterior import Posterior
from ._prior import factorize

# of 1 minus the leverage, which rounding errors would otherwise make negative without noise
_LEAST_EIGENVALUE = 1e-10
# weight of one part in starting points that favor another part
_LOW = 0.01


def leave_group_out(
    posterior: Posterior,
    rows: np.ndarray,
    residuals: np.ndarray,
    noise: np.ndarray,
    points: Sequence[int] = (),
) -> tuple[np.ndarray, np.ndarray]:
    r"""Errors for a group of targets of a fit without this group, in closed form.

    With :math:`H = \Sigma^{-1/2} K R^{-1}` of the rows K of the group, and residuals r, the errors
    over noise are :math:`e = (1 - H H^T)^{-1} \Sigma^{-1/2} r`. A fit without some of the
    sparse points has weights zero there, to which the others are conditioned: with the columns
    of :math:`R^{-T}` for these points as G and :math:`Y = (1 - H H^T)^{-1} H G`, errors grow by
    :math:`Y (G^T G + G^T H^T Y)^{-1} (w - G^T H^T e)`.

    Parameters
    ----------
    posterior : Posterior
        Fitted to all targets.
    rows : ndarray of shape (n, n_points)
        Covariances of the targets of the group with the sparse points.
    residuals : ndarray of shape (n,)
        Targets minus predictions of this fit.
    noise : ndarray of shape (n,)
        Noise of each target.
    points : sequence of int, default=()
        Sparse points that the fit is without, too.

    Returns
    -------
    errors : ndarray of shape (n,)
        Targets minus predictions of the fit without them.
    variances : ndarray of shape (n,)
        Variances of these predictions within the span of the sparse points.
    """
    factor = posterior.covariance_factor(rows / noise[:, np.newaxis])
    leverage = factor @ factor.T
    left = _factorize_complement(leverage)
    errors, variances = cho_solve(left, residuals / noise), np.diag(cho_solve(left, leverage))
    if len(points):
        unit = np.eye(len(posterior.R))[:, points]
        G = solve_triangular(posterior.R, unit, trans="T", check_finite=False)
        HG = factor @ G
        Y = cho_solve(left, HG)
        covariance, _ = factorize(G.T @ G + HG.T @ Y)
        if covariance is not None:
            whitened = solve_triangular(covariance, Y.T, lower=True)
            weights = posterior.weights[points] - HG.T @ errors
            errors = errors + whitened.T @ solve_triangular(covariance, weights, lower=True)
            variances = variances - np.square(whitened).sum(axis=0)
    return errors * noise, np.maximum(variances, 0.0) * noise**2


def _factorize_complement(leverage):
    """Factorize 1 - leverage, whose eigenvalues are not negative but for rounding errors."""
    shift = _LEAST_EIGENVALUE
    while True:
        try:
            return cho_factor((1.0 + shift) * np.eye(len(leverage)) - leverage)
        except np.linalg.LinAlgError:
            shift *= 100.0


def fit_variance_factors(
    errors: np.ndarray, parts: Sequence[np.ndarray], bounds: Sequence[tuple[float, float]]
) -> np.ndarray:
    """Factors of the parts of variances that make errors most probable.

    Errors over the roots of the calibrated variances then have a mean square of one, unless a
    bound is reached.

    Parameters
    ----------
    errors : ndarray of shape (n,)
        Errors.
    parts : sequence of ndarray of shape (n,)
        Parts of their variances, not negative.
    bounds : sequence of (float, float)
        Least and largest factor of each part, above 0.

    Returns
    -------
    ndarray of shape (n_parts,)
        One for each part, such that ``factors @ parts`` are variances.
    """
    parts, bounds = np.array(parts), np.array(bounds)
    # what is known for certain, such as the energy of an isolated atom, tells nothing
    uncertain = parts.any(axis=0)
    squares, parts = np.square(errors[uncertain]), parts[:, uncertain]
    if not squares.any():
        return np.clip(1.0, *bounds.T)
    scale, sizes = squares.mean(), parts.mean(axis=1)
    squares, parts = squares / scale, parts / scale

    def cost_and_slope(logarithms):
        factors = np.exp(logarithms)
        variances = factors @ parts
        slope = parts @ ((1.0 - squares / variances) / variances)
        return 0.5 * (np.log(variances) + squares / variances).sum(), 0.5 * factors * slope

    # each part alone, and all together
    alone = np.divide(scale, sizes, out=np.ones_like(sizes), where=sizes > 0)
    starts = alone * [np.ones(len(parts)), *(np.eye(len(parts)) * (1.0 - _LOW) + _LOW)]
    found = [
        minimize(cost_and_slope, np.log(np.clip(start, *bounds.T)), jac=True, bounds=np.log(bounds))
        for start in starts
    ]
    return np.exp(min(found, key=lambda result: result.fun).x)
