"""Errors of potentials: energies per atom, force components; as functions of arrays."""

from __future__ import annotations

import numpy as np

from ..utils.typing import PerStructure


def energy_rmse_per_atom(
    y_true: PerStructure, y_pred: PerStructure, n_atoms: PerStructure
) -> float:
    """Root mean square error of energies per atom.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_structures,)
        Total energies, in eV. Where the true one is NaN, it does not count.
    n_atoms : array-like of shape (n_structures,)
        Numbers of atoms, such as ``structures.n_atoms``.

    Returns
    -------
    float
        In eV per atom.

    Examples
    --------
    >>> from skdesc.metrics import energy_rmse_per_atom
    >>> round(energy_rmse_per_atom([-10.0, -20.0], [-10.2, -20.4], [2, 4]), 6)
    0.1
    """
    return _rms(energy_errors(y_true, y_pred, n_atoms))


def energy_mae_per_atom(
    y_true: PerStructure, y_pred: PerStructure, n_atoms: PerStructure
) -> float:
    """Mean absolute error of energies per atom.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_structures,)
        Total energies, in eV. Where the true one is NaN, it does not count.
    n_atoms : array-like of shape (n_structures,)
        Numbers of atoms, such as ``structures.n_atoms``.

    Returns
    -------
    float
        In eV per atom.
    """
    return _mean_absolute(energy_errors(y_true, y_pred, n_atoms))


def forces_rmse(forces_true: PerStructure, forces_pred: PerStructure) -> float:
    """Root mean square error of force components.

    Parameters
    ----------
    forces_true, forces_pred : sequence of array-like of shape (n_atoms, 3)
        Forces of each structure, in eV/angstrom. Where the true ones are None or NaN, they
        don't count.

    Returns
    -------
    float
        In eV/angstrom.

    Examples
    --------
    >>> from skdesc.metrics import forces_rmse
    >>> forces_rmse([[[0.0, 0.0, 0.0]], None], [[[0.5, 0.5, 0.5]], [[1.0, 0.0, 0.0]]])
    0.5
    """
    return _rms(force_errors(forces_true, forces_pred))


def forces_mae(forces_true: PerStructure, forces_pred: PerStructure) -> float:
    """Mean absolute error of force components.

    Parameters
    ----------
    forces_true, forces_pred : sequence of array-like of shape (n_atoms, 3)
        Forces of each structure, in eV/angstrom. Where the true ones are None or NaN, they
        don't count.

    Returns
    -------
    float
        In eV/angstrom.
    """
    return _mean_absolute(force_errors(forces_true, forces_pred))


def energy_errors(y_true, y_pred, n_atoms):
    y_true, y_pred, n_atoms = (
        np.asarray(values, dtype=np.float64) for values in (y_true, y_pred, n_atoms)
    )
    if not y_true.shape == y_pred.shape == n_atoms.shape or y_true.ndim != 1:
        raise ValueError(f"y_true, y_pred and n_atoms have the shapes {y_true.shape}, "
                         f"{y_pred.shape} and {n_atoms.shape}, but must have one entry per "
                         "structure")
    if not (n_atoms > 0).all():
        raise ValueError("n_atoms must be positive")
    known = ~np.isnan(y_true)
    if not known.any():
        raise ValueError("y_true has no energy to compare with; give at least one that is not NaN")
    return ((y_true - y_pred) / n_atoms)[known]


def force_errors(forces_true, forces_pred):
    if len(forces_true) != len(forces_pred):
        raise ValueError(f"there are forces of {len(forces_true)} structures to compare with "
                         f"those of {len(forces_pred)}; give them for the same structures")
    errors = []
    for index, (true, predicted) in enumerate(zip(forces_true, forces_pred, strict=True)):
        if true is None or (np.ndim(true) == 0 and np.isnan(true)):
            continue
        true = np.asarray(true, dtype=np.float64)
        predicted = np.asarray(predicted, dtype=np.float64)
        if true.shape != predicted.shape:
            raise ValueError(f"forces_true[{index}] has the shape {true.shape}, "
                             f"but forces_pred[{index}] {predicted.shape}")
        difference = (true - predicted).reshape(-1)
        errors.append(difference[~np.isnan(true.reshape(-1))])
    errors = np.concatenate(errors) if errors else np.empty(0)
    if errors.size == 0:
        raise ValueError("no structure has forces to compare with")
    return errors


def _rms(errors):
    return float(np.sqrt(np.mean(np.square(errors))))


def _mean_absolute(errors):
    return float(np.mean(np.abs(errors)))


METRICS = {"rmse": _rms, "mae": _mean_absolute}
