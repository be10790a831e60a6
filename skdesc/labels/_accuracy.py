"""Warnings about fits spoiled by rounding errors or huge forces."""

from __future__ import annotations

import numpy as np

from ..exceptions import SuspiciousTargetsWarning, UntrustworthyFitWarning
from ..utils.user_warnings import warn_user

# rounding errors above this part of the noise are worth a warning
_VISIBLE = 0.1
# in eV/angstrom: no converged calculation gives more
_HUGE_FORCE = 1e3


def warn_of_rounding(posterior):
    """Warn if rounding errors of predicted energies are not far below the noise.

    Parameters
    ----------
    posterior : Posterior
        The fit.
    """
    # covariances of unit vectors are at most 1, so that this bounds the terms of an energy
    error = np.finfo(np.float64).eps * np.abs(posterior.weights).sum()
    noise = posterior.noise["energy"]
    if error > _VISIBLE * noise:
        warn_user(
            f"rounding errors of energies may reach {error:.1e} eV per atom, with a noise of "
            f"{noise:.1e} eV: the weights are large and of both signs (condition number "
            f"{posterior.condition_number():.1e}); raise noise or jitter, or lower n_sparse",
            UntrustworthyFitWarning,
        )


def warn_of_forces(forces, offsets):
    """Warn about forces so large that they dominate the fit.

    Parameters
    ----------
    forces : ndarray of shape (n_atoms_of_all, 3) or None
        What is to be learnt.
    offsets : ndarray of shape (n_structures + 1,)
        Structure `s` owns the atoms ``offsets[s]`` to ``offsets[s + 1]``.
    """
    if forces is None:
        return
    of_atoms = np.append(np.fmax.reduce(np.abs(forces), axis=1, initial=0.0), 0.0)
    largest = np.maximum.reduceat(of_atoms, offsets[:-1]) * (np.diff(offsets) > 0)
    if (largest > _HUGE_FORCE).any():
        index = int(largest.argmax())
        warn_user(
            f"forces[{index}] has {largest[index]:.2g} eV/angstrom: the fit and "
            "energy_scale='auto' follow such forces at the expense of all others; leave out what "
            "has not converged (None or NaN), give it noise of its own by sigmas, or learn what a "
            "baseline leaves",
            SuspiciousTargetsWarning,
        )
