"""Errors of energies, each predicted by the model that was not given this energy."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from ._posterior import Posterior, factorize


def leave_one_out(model, environments, targets, training, sigma_energy):
    """Leave-one-out residuals of energies, in closed form.

    Parameters
    ----------
    model : Model
        The fit.
    environments : Environments
        The structures.
    targets : Targets
        Their energies, and noise of these before any refinement.
    training : Training
        What the model has seen: nothing but these structures.
    sigma_energy : float
        Default of the noise of energies before any refinement.

    Returns
    -------
    ndarray of shape (n_structures,)
        Energy minus prediction, in eV; NaN where the energy is not known.
    """
    # the noise that was refined, times what is given for each structure
    sigmas = targets.sigmas[:, 0] * np.sqrt(environments.n_atoms)
    sigmas *= model.posterior.sigmas["energy"] / sigma_energy
    residual = targets.energies - environments.composition(model.elements) @ model.e0
    batches = model.energy_rows_in_batches(environments, training.batch_bytes)
    if len(residual) <= len(model.points):
        rows = np.concatenate([rows for _, _, rows in batches])
        known = np.isfinite(residual)
        residual[known] = _of_few(
            model.posterior, training, rows[known], residual[known], sigmas[known]
        )
        return residual
    for part, _, rows in batches:
        leverage = np.square(model.posterior.half(rows)).sum(axis=1) / sigmas[part] ** 2
        residual[part] -= rows @ model.posterior.weights
        # rounding errors may make the leverage of a noiseless energy 1 or more
        residual[part] /= np.maximum(1.0 - leverage, np.finfo(np.float64).eps)
    return residual


def _of_few(posterior, training, rows, energies, sigmas):
    """Leave-one-out residuals by the covariances between energies.

    With no more energies than sparse points, the model may go right through the energies.
    Residual and 1 - leverage then are rounding errors, and so would be their ratio; here,
    neither is needed.
    """
    triangles = training.data.reduced(training.atom_energies.solve())
    del triangles["energy"]
    without = Posterior(
        posterior.prior, training.data, triangles, posterior.energy_scales, posterior.sigmas
    )
    half = without.half(rows)
    L, _ = factorize(half @ half.T + np.diag(sigmas**2))
    # of the inverse of the covariances, C = L L^T, the diagonal and the product with energies
    inverse = solve_triangular(L, np.eye(len(L)), lower=True)
    solution = inverse.T @ (inverse @ (energies - rows @ without.weights))
    return solution / np.square(inverse).sum(axis=0)
