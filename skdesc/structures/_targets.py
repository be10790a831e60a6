"""Energies, forces and virials out of Atoms, wherever their reader has put them."""

from __future__ import annotations

import numpy as np

from ._structures import Structures
from ._validation import _as_list, _check_content


def extract_targets(
    frames,
    *,
    forces="auto",
    virials="auto",
    energy_key="energy",
    forces_key="forces",
    stress_key="stress",
    virial_key="virial",
):
    """Read training targets from structures.

    Results of an attached calculator come first, then ``atoms.info`` and ``atoms.arrays``.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        Structures with reference data. `Structures` hold none and are refused.
    forces : {"auto", True, False}, default="auto"
        Whether to read forces. With "auto" they are read if any structure has them.
    virials : {"auto", True, False}, default="auto"
        Whether to read virials. With "auto" they are read if any structure has them.
    energy_key, forces_key, stress_key, virial_key : str
        Names under which the data are stored. The stress follows ASE: eV/angstrom^3, Voigt
        order xx yy zz yz xz xy or a 3 x 3 matrix. A virial, in eV, is preferred to a stress.

    Returns
    -------
    y : ndarray of shape (n_structures,)
        Total energies, in eV.
    targets : dict
        May hold ``"forces"``, a list of arrays (n_atoms, 3) in eV/angstrom, and
        ``"virials"``, an array (n_structures, 3, 3) in eV, virial = -volume * stress. Under
        "auto", what a structure lacks is None or NaN. Pass it on as ``fit(X, y, **targets)``.

    Raises
    ------
    ValueError
        If an energy is missing, or forces or virials are asked for and missing.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from skdesc import extract_targets
    >>> atoms = bulk("Cu")
    >>> atoms.calc = EMT()
    >>> energy = atoms.get_potential_energy()
    >>> y, targets = extract_targets([atoms], forces=False, virials=False)
    >>> bool(y[0] == energy)
    True
    """
    if isinstance(frames, Structures):
        raise TypeError("Structures hold no energies or forces; pass the list of Atoms they "
                        "were made from")
    frames = _as_list(frames, "frames")
    _check_content(Structures.from_atoms(frames), "frames")
    y = np.array([_energy(atoms, index, energy_key) for index, atoms in enumerate(frames)])
    targets = {}
    found = [_forces(atoms, index, forces_key) for index, atoms in enumerate(frames)]
    _collect(targets, "forces", found, forces, forces_key)
    found = [
        _virial(atoms, index, stress_key, virial_key) for index, atoms in enumerate(frames)
    ]
    _collect(targets, "virials", found, virials, f"{virial_key} or {stress_key}")
    if "virials" in targets:
        missing = np.full((3, 3), np.nan)
        targets["virials"] = np.array(
            [missing if value is None else value for value in targets["virials"]]
        )
    return y, targets


def _collect(targets, kind, found, wanted, key):
    lacking = [index for index, value in enumerate(found) if value is None]
    if wanted not in ("auto", True, False):
        raise ValueError(f"{kind} must be 'auto', True or False, got {wanted!r}")
    if wanted is True and lacking:
        raise ValueError(
            f"{kind} were asked for, but frames[{lacking[0]}] has none under {key!r} "
            f"({len(lacking)} of {len(found)} structures lack them); name the key, or pass "
            f"{kind}='auto' to leave them out"
        )
    if wanted is not False and len(lacking) < len(found):
        targets[kind] = found


def _lookup(atoms, key, store):
    """Value of a result, from a calculator that need not compute, or from the Atoms."""
    results = getattr(atoms.calc, "results", {})
    if key in results:
        # a result of other positions is none: SinglePointCalculator knows, so ask it
        if atoms.calc.calculation_required(atoms, [key]):
            return None
        return results[key]
    return store.get(key)


def _energy(atoms, index, key):
    value = _lookup(atoms, key, atoms.info)
    if value is None:
        known = sorted({*getattr(atoms.calc, "results", {}), *atoms.info})
        raise ValueError(
            f"frames[{index}] has no energy under {key!r} (it has {known}); attach a "
            "calculator's results, or name the key with energy_key="
        )
    value = np.asarray(value, dtype=np.float64)
    if value.size != 1 or not np.isfinite(value).all():
        raise ValueError(f"frames[{index}] has the energy {value}, but one finite number in eV "
                         "is needed")
    return float(value.reshape(()))


def _forces(atoms, index, key):
    value = _lookup(atoms, key, atoms.arrays)
    if value is None:
        return None
    value = np.asarray(value, dtype=np.float64)
    if value.shape != (len(atoms), 3):
        raise ValueError(f"frames[{index}] has forces of shape {value.shape}, but "
                         f"{(len(atoms), 3)} is needed")
    return value


def _virial(atoms, index, stress_key, virial_key):
    value = _lookup(atoms, virial_key, atoms.info)
    if value is not None:
        return _matrix(value, f"frames[{index}]", virial_key)
    value = _lookup(atoms, stress_key, atoms.info)
    if value is None:
        return None
    if not atoms.cell.rank == 3:
        raise ValueError(f"frames[{index}] has a stress but no three-dimensional cell; "
                         "give the virial instead")
    return -atoms.get_volume() * _matrix(value, f"frames[{index}]", stress_key)


def _matrix(value, where, key):
    value = np.asarray(value, dtype=np.float64)
    if value.shape == (6,):
        xx, yy, zz, yz, xz, xy = value
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    if value.size == 9:
        return value.reshape(3, 3)
    raise ValueError(f"{where} has a {key} of shape {value.shape}; 6 Voigt components or a "
                     "3 x 3 matrix are needed")
