"""Energies of single atoms: their source, and compositions they do not determine."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.data import chemical_symbols

from ..exceptions import SuspiciousTargetsWarning
from ..structures._stored_results import join_first
from ..utils.user_warnings import warn_user

# in eV per atom: no matter is bound more strongly (tungsten 9, and 13 relative to atoms without
# spin polarization), and what is bound at all is bound by more than the second
_LARGEST_BINDING = 14.0
_LEAST_BINDING = -1.0
# in eV per atom: with more than this and no e0, errors of forces grow many times
_LARGEST_TOTAL = 250.0
# relative size of singular values, and of components of vectors, that count as zero
_RANK = 1e-10
_OPEN = 1e-6
# in eV per atom: constants below this are no trouble
_LEAST_UNKNOWN = 0.5


def e0_sources(atom_energies: Any) -> dict[str, str]:
    """Say where the energy of a single atom of each element came from.

    Parameters
    ----------
    atom_energies : AtomEnergies
        What a fit has seen.

    Returns
    -------
    dict of str to str
        By chemical symbol: "given", "zero" (for ``e0=None``), "isolated atom", "least squares",
        or "minimum norm" where the compositions do not determine it.
    """
    elements = atom_energies.elements
    if atom_energies.given is not None:
        word = "zero" if atom_energies.rule is None else "given"
        words = [word] * len(elements)
    else:
        is_open = np.abs(undetermined_compositions(atom_energies)).max(axis=0, initial=0.0) > _OPEN
        words = np.where(is_open, "minimum norm", "least squares")
        words = np.where(np.isfinite(atom_energies.isolated), "isolated atom", words).tolist()
    return {chemical_symbols[z]: str(word) for z, word in zip(elements, words, strict=True)}


def undetermined_compositions(atom_energies: Any) -> np.ndarray:
    """Directions of compositions along which no energy of an atom is determined.

    Parameters
    ----------
    atom_energies : AtomEnergies
        What a fit has seen.

    Returns
    -------
    ndarray of shape (n_directions, n_elements)
        Orthonormal; without rows if `e0` was given or the compositions determine it.
    """
    n_elements = len(atom_energies.elements)
    if atom_energies.given is not None:
        return np.empty((0, n_elements))
    N = atom_energies.triangle.R[:, :-1]
    _, singular, directions = np.linalg.svd(N)
    return directions[(singular > _RANK * singular.max()).sum() :]


def warn_of_e0(
    atom_energies: Any, energies: np.ndarray, composition: np.ndarray
) -> None:
    """Warn about energies of single atoms that do not fit the structures.

    Parameters
    ----------
    atom_energies : AtomEnergies
        What a fit has seen.
    energies : ndarray of shape (n_structures,)
        Total energies; NaN where not known.
    composition : ndarray of shape (n_structures, n_elements)
        Numbers of atoms.
    """
    if atom_energies.given is None and not np.isfinite(atom_energies.isolated).any():
        return  # a least-squares fit leaves no offset
    n_atoms = composition.sum(axis=1)
    several = np.isfinite(energies) & (n_atoms > 1)
    if not several.any():
        return
    binding = (composition @ atom_energies.solve() - energies)[several] / n_atoms[several]
    if atom_energies.rule is None:
        _warn_of_totals(binding)
        return
    # all but the most strongly bound may be compressed, hot or just far apart
    typical, best = np.median(binding), np.quantile(binding, 0.95)
    if typical > _LARGEST_BINDING:
        text = f"structures are bound by {typical:.3g} eV per atom, more than any matter is"
    elif best < _LEAST_BINDING:
        text = f"hardly any structure is bound: energies are {-best:.3g} eV per atom or more above"
    else:
        return
    source = "e0 was given" if atom_energies.rule != "auto" else "e0 is that of isolated atoms"
    warn_user(
        f"e0 does not fit the energies: relative to single atoms, {text} ({source}); energies of "
        "atoms must come from the same method, pseudopotentials and units as all others: give "
        "those, or leave out the isolated atoms and use e0='auto'",
        SuspiciousTargetsWarning,
    )


def _warn_of_totals(binding: np.ndarray) -> None:
    typical = float(np.median(binding))
    if abs(typical) > _LARGEST_TOTAL:
        warn_user(
            f"e0 is None, but energies are {-typical:.4g} eV per atom: the covariances would have "
            "to represent energies of whole atoms, at the expense of all differences; use "
            "e0='auto', or give energies of single atoms",
            SuspiciousTargetsWarning,
        )


def warn_of_compositions(
    regressor: Any, environments: Any
) -> None:
    """Warn about predictions for compositions that the training data do not determine.

    Parameters
    ----------
    regressor : GAPRegressor
        The fit.
    environments : Environments
        What is predicted.
    """
    directions = getattr(regressor, "e0_open_", ())  # weights of other programs have none
    if not len(directions):
        return
    elements = regressor.elements_
    composition = environments.composition(elements)
    # what minimum norm has put there is as good a guess as any of what may be missing
    is_open = np.abs(directions).max(axis=0) > _OPEN
    e0 = np.array(list(regressor.e0_.values()))
    away = np.linalg.norm(composition @ directions.T, axis=1)
    unknown = away / composition.sum(axis=1) * np.abs(e0[is_open]).max()
    index = np.flatnonzero(unknown > _LEAST_UNKNOWN)
    if not len(index):
        return
    symbols = ", ".join(chemical_symbols[z] for z in elements[is_open])
    warn_user(
        f"{len(index)} of {len(composition)} structures (X[{join_first(index)}]) have compositions "
        f"that are no combination of those in the training data, which leave e0 of {symbols} open: "
        "it was chosen by minimum norm, and so energies of these structures are off by an unknown "
        f"constant, of about {unknown.max():.2g} eV per atom (forces are not); add isolated atoms "
        "or other compositions to the training data, or give e0",
        SuspiciousTargetsWarning,
    )
