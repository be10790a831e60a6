"""A calculator whose results are subtracted from the targets and added to predictions."""

from __future__ import annotations

import numpy as np
from ase.stress import voigt_6_to_full_3x3_stress


def check_baseline(baseline):
    """Refuse what is no calculator.

    Parameters
    ----------
    baseline : object
        Parameter of the regressor; None passes.
    """
    is_calculator = hasattr(baseline, "get_property") and not isinstance(baseline, type)
    if baseline is not None and not is_calculator:
        raise TypeError(f"baseline is of type {type(baseline).__name__}, but must be an ASE "
                        "calculator (an instance, not a class) or None")


def evaluate_baseline(baseline, structures, *, forces=False, virials=False):
    """Energies, forces and virials of structures by a calculator.

    Parameters
    ----------
    baseline : ase.calculators.calculator.Calculator
        A method ``evaluate(structures)`` that returns energies, gradients and derivatives by
        strain is used where there is one, as it need not go through the structures one by one.
    structures : Structures
        The structures.
    forces, virials : bool, default=False
        Whether to return these as well.

    Returns
    -------
    energies : ndarray of shape (n_structures,)
        In eV.
    forces : list of ndarray of shape (n_atoms, 3) or None
        In eV/angstrom.
    virials : ndarray of shape (n_structures, 3, 3) or None
        -dE/d(strain), in eV.
    """
    if hasattr(baseline, "evaluate"):
        energies, gradient, strain = baseline.evaluate(structures)
        split = np.split(-gradient, structures.offsets[1:-1])
        return energies, split if forces else None, -strain if virials else None
    results = [_evaluate_one(baseline, atoms, forces, virials) for atoms in structures]
    energies, blocks, tensors = zip(*results, strict=True)
    return (
        np.array(energies, dtype=np.float64),
        list(blocks) if forces else None,
        np.array(tensors) if virials else None,
    )


def without_baseline(baseline, structures, targets):
    """Targets from which a calculator's results are subtracted.

    Parameters
    ----------
    baseline : ase.calculators.calculator.Calculator
        The calculator.
    structures : Structures
        The structures.
    targets : Targets
        Their energies, forces and virials.

    Returns
    -------
    Targets
        What is left to learn.
    """
    return targets.without(*evaluate_baseline(
        baseline, structures, forces=targets.forces is not None,
        virials=targets.virials is not None,
    ))  # fmt: skip


def add_baseline(baseline, structures, energies, forces, virials):
    """Add a calculator's results to predictions.

    Parameters
    ----------
    baseline : ase.calculators.calculator.Calculator
        The calculator.
    structures : Structures
        The structures.
    energies : ndarray of shape (n_structures,)
        In eV.
    forces : list of ndarray of shape (n_atoms, 3) or None
        In eV/angstrom.
    virials : ndarray of shape (n_structures, 3, 3) or None
        In eV.

    Returns
    -------
    energies, forces, virials : as above
        The sums; None where None was given.
    """
    base = evaluate_baseline(
        baseline, structures, forces=forces is not None, virials=virials is not None
    )
    if forces is not None:
        forces = [block + other for block, other in zip(forces, base[1], strict=True)]
    return energies + base[0], forces, virials if virials is None else virials + base[2]


def local_baseline(baseline, structures):
    """Energies of atoms by a calculator that knows them.

    Parameters
    ----------
    baseline : ase.calculators.calculator.Calculator
        The calculator.
    structures : Structures
        The structures.

    Returns
    -------
    ndarray of shape (n_atoms,)
        In eV.
    """
    if "energies" not in baseline.implemented_properties:
        raise ValueError(f"energies of atoms are asked for, but the baseline, a "
                         f"{type(baseline).__name__}, has none")
    return np.concatenate([
        np.array(baseline.get_property("energies", atoms)) for atoms in structures
    ])


def _evaluate_one(baseline, atoms, forces, virials):
    energy = baseline.get_property("energy", atoms)
    open_boundaries = not atoms.pbc.any()
    block, virial = None, None
    if forces or (virials and open_boundaries):
        block = np.array(baseline.get_property("forces", atoms))
    if virials and open_boundaries:
        # what a calculator need not know: the stress of a molecule
        virial = block.T @ atoms.positions
    elif virials:
        stress = voigt_6_to_full_3x3_stress(baseline.get_property("stress", atoms))
        virial = -atoms.get_volume() * stress
    return energy, block, virial
