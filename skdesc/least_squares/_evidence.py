"""Scales and noise that make the observations most probable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from ._observations import Observations
from ._posterior import Posterior
from ._prior import Prior

# Scales and noise may move by this factor either way. Without a bound, as many sparse points as
# targets could fit these without noise.
_REACH = 100.0


def evidence_and_gradient(
    posterior: Posterior, rows: Mapping[str, np.ndarray]
) -> tuple[float, np.ndarray]:
    """Log marginal likelihood and its derivatives by logarithms of scales and noise.

    Parameters
    ----------
    posterior : Posterior
        At the scales and noise in question.
    rows : dict of str to ndarray
        Those it was solved from.

    Returns
    -------
    value : float
        The logarithm of the evidence.
    gradient : ndarray of shape (n_terms + n_quantities,)
        By the logarithms of the scales, then of the noise of each quantity.
    """
    prior, n = posterior.prior, posterior.prior.n_points
    # Misfit and penalty are stationary in the weights, so that only the explicit dependence
    # on scales and noise counts; traces are squared norms of triangles times inv(R).
    L = prior.triangle(posterior.scales)[:n, :n]
    trace = np.square(_times_inverse(L, posterior.R)).sum(axis=1)
    gradient = list(prior.sum_per_term(np.square(L @ posterior.weights) + trace - 1.0))
    for quantity, A in rows.items():
        A = A / posterior.noise[quantity]
        residual = A[:, :n] @ posterior.weights - A[:, n]
        trace = np.square(_times_inverse(A[:, :n], posterior.R)).sum()
        gradient.append(np.square(residual).sum() + trace - posterior.n_rows[quantity])
    return posterior.log_marginal_likelihood, np.array(gradient)


def maximize_evidence(
    prior: Prior,
    observations: Observations,
    rows: Mapping[str, np.ndarray],
    scales: Sequence[float],
    noise: Mapping[str, float],
) -> tuple[np.ndarray, dict[str, float]]:
    """Refine scales and noise by gradient ascent in the space of their logarithms.

    Parameters
    ----------
    prior : Prior
        Covariances among sparse points.
    observations : Observations
        Numbers of rows and their relative noise.
    rows : dict of str to ndarray
        From :meth:`Observations.subtract_mean`.
    scales : sequence of float
        Start; the results are within a factor of 100.
    noise : dict of str to float
        Start; the results are within a factor of 100.

    Returns
    -------
    scales : ndarray of shape (n_terms,)
        Refined scales.
    noise : dict of str to float
        Refined noise of each quantity.
    """
    quantities, n_terms = list(rows), len(scales)

    def unpack(x):
        values = np.exp(x)
        varied = (float(value) for value in values[n_terms:])
        return values[:n_terms], {**noise, **dict(zip(quantities, varied, strict=True))}

    def objective(x):
        posterior = Posterior.solve(prior, observations, rows, *unpack(x))
        value, gradient = evidence_and_gradient(posterior, rows)
        return -value, -gradient

    start = np.log([*scales, *(noise[quantity] for quantity in quantities)])
    reach = np.log(_REACH)
    bounds = [(value - reach, value + reach) for value in start]
    result = minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B",
                      options={"maxiter": 50, "ftol": 1e-9})
    return unpack(result.x)


def _times_inverse(A, R):
    """``A inv(R)`` for an upper triangle R."""
    return solve_triangular(R, A.T, trans="T", check_finite=False).T
