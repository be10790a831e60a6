"""Read the noise of single structures from files for gap_fit."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np
from ase import Atoms

_KEYS = ("energy_sigma", "force_sigma", "virial_sigma")


def read_sigmas(frames: Sequence[Atoms], wanted: bool | str) -> np.ndarray | None:
    """Read the noise of structures.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        The structures.
    wanted : {"auto", True, False}
        Whether to read it; with True at least one structure must have some.

    Returns
    -------
    ndarray of shape (n_structures, 3) or None
        Noise of the energy per atom, of forces and of the virial per atom, where noise grows
        with the square root of the number of atoms; NaN where a structure has none. None if no
        structure has any.
    """
    if not (isinstance(wanted, (bool, np.bool_)) or (isinstance(wanted, str) and wanted == "auto")):
        raise ValueError(f"sigmas is {wanted!r}, but must be 'auto', True or False")
    if wanted is False:
        return None
    table = np.array([
        [_read_one(atoms, key, f"frames[{index}]") for key in _KEYS]
        for index, atoms in enumerate(frames)
    ])
    if np.isnan(table).all():
        if wanted is True:
            raise ValueError(f"sigmas were asked for, but no structure has any of {_KEYS}; set "
                             "them in atoms.info, or pass sigmas='auto'")
        return None
    # gap_fit's noise is that of the total energy and of the whole virial
    n_atoms = np.array([len(atoms) for atoms in frames])
    table[:, [0, 2]] /= np.sqrt(n_atoms)[:, np.newaxis]
    return table


def _read_one(atoms: Atoms, key: str, where: str) -> float:
    value = atoms.info.get(key)
    if value is None:
        return np.nan
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    is_number = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    if not is_number or not (np.isnan(value) or 0 < value < np.inf):
        raise ValueError(f"{where} has {key}={value!r}, but noise must be a positive number; mend "
                         "or remove it, or pass sigmas=False")
    return float(value)
