"""Warnings about labels that are missing or contradict each other, and about their fits."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from ..exceptions import SuspiciousTargetsWarning, UntrustworthyFitWarning
from ..least_squares import Posterior, factorize
from ..utils.user_warnings import warn_user

N_NAMED = 5
# rounding errors above this part of the noise are worth a warning
_VISIBLE = 0.1
# in eV/angstrom: no converged calculation gives more
_HUGE_FORCE = 1e3
# virials are compared with what energies and forces imply if this is as many standard deviations
# from zero, and are suspicious if they are as correlated as this but differ by more than the factor
_CERTAIN = 2.0
_CORRELATED = 0.4
_FACTOR = 5.0


def warn_of_missing_energies(y: np.ndarray) -> None:
    """Warn that energies are NaN and so are not learned.

    Parameters
    ----------
    y : ndarray of shape (n_structures,)
        Energies.
    """
    missing = np.flatnonzero(np.isnan(y))
    if len(missing) in (0, len(y)):  # a fit without any energy is refused elsewhere
        return
    first = ", ".join(map(str, missing[:N_NAMED])) + (", ..." if len(missing) > N_NAMED else "")
    warn_user(
        f"y is NaN for {len(missing)} of {len(y)} structures ({first}), whose energies are left "
        "out; if they should be known, look at their calculations and names of keys",
        SuspiciousTargetsWarning,
    )


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
    """Warn of forces so large that the fit follows them alone.

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


def warn_of_virials(posterior, observations, rows):
    """Warn if virials have another sign or unit than energies and forces imply.

    Energies alone do, too, if there are enough structures that differ by little but their
    strain: the posterior without virials says how well it knows them.

    Parameters
    ----------
    posterior : Posterior
        The fit to all.
    observations : Observations
        Numbers of rows.
    rows : dict of str to ndarray
        All targets.
    """
    if "virials" not in rows:
        return
    others = {quantity: A for quantity, A in rows.items() if quantity != "virials"}
    without = Posterior.solve(
        posterior.prior, observations, others, posterior.scales, posterior.noise
    )
    covariances, given = rows["virials"][:, :-1], rows["virials"][:, -1]
    # a crude model knows some combinations of virials much better than others: these count
    factor = without.covariance_factor(covariances)
    noise = posterior.noise["virials"] ** 2 * np.eye(len(factor))
    L, _ = factorize(factor @ factor.T + noise)
    if L is None:
        return
    both = np.column_stack([given, covariances @ without.weights])
    given, implied = solve_triangular(L, both, lower=True).T
    lengths = np.linalg.norm(given), np.linalg.norm(implied)
    n_known = min(len(given), posterior.n_rows["virials"])
    if lengths[0] == 0.0 or lengths[1] < _CERTAIN * np.sqrt(n_known):
        return  # nothing to compare, or too little to be sure of
    cosine = given @ implied / (lengths[0] * lengths[1])
    ratio = lengths[0] / lengths[1]
    wrong_unit = cosine > _CORRELATED and not 1.0 / _FACTOR < ratio < _FACTOR
    if wrong_unit or cosine < -_CORRELATED:
        warn_user(
            f"the virials are about {np.sign(cosine) * ratio:.2g} times those that energies and "
            f"forces imply (correlation {cosine:.2f}); virials are -dE/d(strain) in eV, that is "
            "-volume * stress with ASE's stress",
            SuspiciousTargetsWarning,
        )
