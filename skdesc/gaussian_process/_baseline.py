"""The baseline, subtracted from targets and added to predictions: atomic energies, a calculator."""

from __future__ import annotations

import numbers
from collections.abc import Mapping

import numpy as np
from ase.stress import voigt_6_to_full_3x3_stress

from ..least_squares import Triangle
from ..neighbors import ShortestDistances
from ..repulsion import RepulsionCalculator, find_onsets
from ..utils.validation import is_choice
from ._inputs import atomic_number


def check_baseline(baseline):
    """Refuse anything but a calculator.

    Parameters
    ----------
    baseline : object
        Parameter of the regressor; "auto" and None pass.
    """
    if is_choice(baseline, "auto"):
        return
    is_calculator = hasattr(baseline, "get_property") and not isinstance(baseline, type)
    if baseline is not None and not is_calculator:
        raise TypeError(f"baseline is of type {type(baseline).__name__}, but must be an ASE "
                        "calculator (an instance, not a class), 'auto' or None")


def fitted_baseline(baseline, seen):
    """Calculator that is to be added to predictions.

    Parameters
    ----------
    baseline : object
        Parameter of the regressor.
    seen : list of Accumulator
        The data in parts.

    Returns
    -------
    ase.calculators.calculator.Calculator or None
        For "auto", a repulsion that ends where the data begin, if there are forces or virials.
    """
    if not is_choice(baseline, "auto"):
        return baseline
    learned = {quantity for part in seen for quantity in part.observations.triangles}
    if any(part.distances is None for part in seen) or not {"forces", "virials"} & learned:
        return None
    distances = ShortestDistances()
    for part in seen:
        distances.merge(part.distances)
    return RepulsionCalculator(find_onsets(distances))


def is_fitted_baseline(baseline, used, accumulator):
    """Whether a fit with a parameter adds a calculator to its predictions.

    Parameters
    ----------
    baseline : object
        Parameter of the regressor.
    used : object
        What is added.
    accumulator : Accumulator or None
        Of the data, where they are known.

    Returns
    -------
    bool
        The answer; without data, any repulsion may be that of "auto".
    """
    if not is_choice(baseline, "auto"):
        return baseline is used
    if accumulator is None:
        return used is None or isinstance(used, RepulsionCalculator)
    expected = fitted_baseline(baseline, [accumulator])
    if used is None or expected is None:
        return used is expected
    return isinstance(used, RepulsionCalculator) and used.onsets == expected.onsets


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


def subtract_baseline(baseline, environments, targets):
    """Targets from which a calculator's results are subtracted.

    Parameters
    ----------
    baseline : "auto", ase.calculators.calculator.Calculator or None
        Parameter of the regressor. The repulsion that "auto" stands for vanishes at all distances
        in the data, so that there is nothing to subtract.
    environments : Environments
        Those of the structures.
    targets : Targets
        Their energies, forces and virials.

    Returns
    -------
    Targets
        What is left to learn.
    """
    if is_choice(baseline, "auto", None):
        return targets
    energies, forces, virials = evaluate_baseline(
        baseline, environments.structures, forces=targets.forces is not None,
        virials=targets.virials is not None,
    )
    return targets.subtract(energies, None if forces is None else np.concatenate(forces), virials)


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
        # a calculator need not know the stress of a molecule
        virial = block.T @ atoms.positions
    elif virials:
        stress = voigt_6_to_full_3x3_stress(baseline.get_property("stress", atoms))
        virial = -atoms.get_volume() * stress
    return energy, block, virial


class AtomEnergies:
    """Energies of single atoms, by least squares over accumulated compositions.

    Parameters
    ----------
    elements : ndarray of shape (n_elements,)
        Atomic numbers, ascending.
    rule : {"auto"}, dict or None
        "auto" takes the energy of isolated atoms where there are some, the lowest if there are
        several, and a least-squares fit to energies per atom for all other elements, of
        minimum norm where the compositions leave it open. None stands for zeros.
    """

    def __init__(self, elements, rule):
        self.elements, self.rule = elements, rule
        self.given = None
        if rule is None:
            self.given = np.zeros(len(elements))
        elif isinstance(rule, Mapping):
            for key, value in rule.items():
                if not isinstance(value, numbers.Real):
                    raise TypeError(f"e0 has {value!r} for {key!r}, but must have energies in eV")
            table = {atomic_number(key, "e0"): float(value) for key, value in rule.items()}
            missing = [int(z) for z in elements if z not in table]
            if missing:
                raise ValueError(f"e0 has no energy for the atomic numbers {missing}; add them, or "
                                 "use e0='auto'")
            self.given = np.array([table[z] for z in elements])
            if not np.isfinite(self.given).all():
                raise ValueError(f"e0 is {rule!r}, but all energies must be finite")
        elif not is_choice(rule, "auto"):
            raise ValueError(f"e0 is {rule!r}, but must be 'auto', None or a dict of energies")
        self.isolated = np.full(len(elements), np.inf)
        self.triangle = Triangle(len(elements) + 1)

    def add(self, energies, composition, isolated):
        """Add energies and compositions.

        Parameters
        ----------
        energies : ndarray of shape (n_structures,)
            Total energies; NaN where not known.
        composition : ndarray of shape (n_structures, n_elements)
            Numbers of atoms.
        isolated : ndarray of bool of shape (n_structures,)
            Which structures are isolated atoms.
        """
        known = np.isfinite(energies)
        energies, composition, isolated = energies[known], composition[known], isolated[known]
        which = composition[isolated].argmax(axis=1)
        np.minimum.at(self.isolated, which, energies[isolated])
        # the noise of an energy grows with the square root of the number of atoms
        scale = 1.0 / np.sqrt(composition.sum(axis=1))
        self.triangle.fold(composition, energies[:, np.newaxis], scale)

    def copy(self):
        """Return a copy that can grow without changing this one."""
        other = AtomEnergies(self.elements, self.rule)
        other.isolated, other.triangle = self.isolated.copy(), self.triangle.copy()
        return other

    def merge(self, other):
        """Add the data of another pass.

        Parameters
        ----------
        other : AtomEnergies
            For the same elements; it stays as it is.
        """
        np.minimum(self.isolated, other.isolated, out=self.isolated)
        self.triangle.merge(other.triangle)

    def solve(self):
        """Energies of single atoms.

        Returns
        -------
        ndarray of shape (n_elements,)
            In eV.
        """
        if self.given is not None:
            return self.given
        known = np.isfinite(self.isolated)
        e0 = np.where(known, self.isolated, 0.0)
        if not known.all():
            N, y = self.triangle.R[:, :-1], self.triangle.R[:, -1]
            e0[~known] = np.linalg.lstsq(N[:, ~known], y - N @ e0, rcond=1e-10)[0]
        return e0
