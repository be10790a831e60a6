"""Energy scale and noise that make the data most probable."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from ._posterior import Posterior

# Energy scale and noise may move by this factor either way. Without a bound, as many sparse
# points as energies could fit these without noise.
_REACH = 100.0


def evidence_and_gradient(posterior, triangles):
    """Log marginal likelihood and its derivatives by logarithms of scale and noise.

    Parameters
    ----------
    posterior : Posterior
        At the scale and noise in question.
    triangles : dict of str to ndarray
        Those it was made from.

    Returns
    -------
    value : float
        The logarithm of the evidence.
    gradient : ndarray of shape (n_blocks + n_kinds,)
        By the logarithms of the energy scales, then of the noise of each kind.
    """
    prior, n = posterior.prior, posterior.prior.n_points
    # Misfit and penalty are stationary in the weights, so that only the explicit dependence
    # on scale and noise counts; traces are squared norms of triangles times inv(R).
    L = prior.triangle(posterior.energy_scales)[:n, :n]
    trace = np.square(_times_inverse(L, posterior.R)).sum(axis=1)
    gradient = list(prior.by_block(np.square(L @ posterior.weights) + trace - 1.0))
    for kind, T in triangles.items():
        T = T / posterior.sigmas[kind]
        residual = T[:, :n] @ posterior.weights - T[:, n]
        trace = np.square(_times_inverse(T[:, :n], posterior.R)).sum()
        gradient.append(np.square(residual).sum() + trace - posterior.n_rows[kind])
    return posterior.log_marginal_likelihood, np.array(gradient)


def maximize_evidence(prior, data, triangles, energy_scales, sigmas):
    """Refine energy scales and noise by gradient ascent in the space of their logarithms.

    Parameters
    ----------
    prior : Prior
        Covariances among sparse points.
    data : Data
        Numbers of rows and their relative noise.
    triangles : dict of str to ndarray
        From :meth:`Data.reduced`.
    energy_scales : ndarray of shape (n_blocks,)
        Start; the results are within a factor of 100.
    sigmas : dict of str to float
        Start; the results are within a factor of 100.

    Returns
    -------
    energy_scales : ndarray of shape (n_blocks,)
        In eV.
    sigmas : dict of str to float
        Noise of each kind.
    """
    kinds, n_blocks = list(triangles), len(energy_scales)

    def unpack(x):
        values = np.exp(x)
        noise = (float(value) for value in values[n_blocks:])
        return values[:n_blocks], {**sigmas, **dict(zip(kinds, noise, strict=True))}

    def objective(x):
        posterior = Posterior(prior, data, triangles, *unpack(x))
        value, gradient = evidence_and_gradient(posterior, triangles)
        return -value, -gradient

    start = np.log([*energy_scales, *(sigmas[kind] for kind in kinds)])
    reach = np.log(_REACH)
    bounds = [(value - reach, value + reach) for value in start]
    result = minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B",
                      options={"maxiter": 50, "ftol": 1e-9})
    return unpack(result.x)


def _times_inverse(A, R):
    """``A inv(R)`` for an upper triangle R."""
    return solve_triangular(R, A.T, trans="T", check_finite=False).T
