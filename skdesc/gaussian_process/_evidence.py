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
    gradient : ndarray of shape (1 + n_kinds,)
        By the logarithm of the energy scale, then of the noise of each kind.
    """
    n, scale = posterior.prior.n_points, posterior.energy_scale
    # Misfit and penalty are stationary in the weights, so that only the explicit dependence
    # on scale and noise counts; traces are squared norms of triangles times inv(R).
    L = posterior.prior.triangle(scale)[:n, :n]
    trace = np.square(_times_inverse(L, posterior.R)).sum()
    gradient = [np.square(L @ posterior.weights).sum() + trace - n]
    for kind, T in triangles.items():
        T = T / posterior.sigmas[kind]
        residual = T[:, :n] @ posterior.weights - T[:, n]
        trace = np.square(_times_inverse(T[:, :n], posterior.R)).sum()
        gradient.append(np.square(residual).sum() + trace - posterior.n_rows[kind])
    return posterior.log_marginal_likelihood, np.array(gradient)


def maximize_evidence(prior, data, triangles, energy_scale, sigmas):
    """Refine energy scale and noise by gradient ascent in the space of their logarithms.

    Parameters
    ----------
    prior : Prior
        Covariances among sparse points.
    data : Data
        Numbers of rows and their relative noise.
    triangles : dict of str to ndarray
        From :meth:`Data.reduced`.
    energy_scale : float
        Start; the result is within a factor of 100.
    sigmas : dict of str to float
        Start; the results are within a factor of 100.

    Returns
    -------
    energy_scale : float
        In eV.
    sigmas : dict of str to float
        Noise of each kind.
    """
    kinds = list(triangles)

    def unpack(x):
        values = [float(value) for value in np.exp(x)]
        return values[0], {**sigmas, **dict(zip(kinds, values[1:], strict=True))}

    def objective(x):
        posterior = Posterior(prior, data, triangles, *unpack(x))
        value, gradient = evidence_and_gradient(posterior, triangles)
        return -value, -gradient

    start = np.log([energy_scale, *(sigmas[kind] for kind in kinds)])
    reach = np.log(_REACH)
    bounds = [(value - reach, value + reach) for value in start]
    result = minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B",
                      options={"maxiter": 50, "ftol": 1e-9})
    return unpack(result.x)


def _times_inverse(A, R):
    """``A inv(R)`` for an upper triangle R."""
    return solve_triangular(R, A.T, trans="T", check_finite=False).T
