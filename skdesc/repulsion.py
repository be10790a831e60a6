"""Repulsion at distances shorter than those in the data, as ASE calculators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import atomic_numbers, covalent_radii
from ase.stress import full_3x3_to_voigt_6_stress

from .neighbors import N_SHORTEST, ShortestDistances, find_pairs, pair_numbers
from .structures import Structures, check_structures

__all__ = ["RepulsionCalculator", "ZBLCalculator"]

# e^2 / (4 pi epsilon_0), in eV angstrom
_COULOMB = 14.399645
# Ziegler, Biersack, Littmark: screening length in angstrom, times the powers of the charges
_SCREENING_LENGTH, _SCREENING_POWER = 0.46850, 0.23
_SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))

# onset of pairs that data do not show: part of the sum of covalent radii, and in angstrom
_ONSET_OF_UNSEEN, _LEAST_ONSET_OF_UNSEEN = 0.75, 0.8
# the wall, in eV; its height at a distance in angstrom where atoms are for certain too near
_WALL, _HEIGHT, _TOO_NEAR = 150.0, 40.0, 0.5
# part of the onset below which the repulsion of nuclei is whole
_WHOLE = 0.5

# between which parts of the shortest distance the onset lies: models are good a little beyond
# their data
_ONSET_RANGE = (0.85, 0.94)


class _PairCalculator(Calculator):
    """Base class of sums over pairs that are nearer than an onset, which few are, if any.

    Subclasses have `_onsets`, of pairs of atomic numbers that broadcast, and `_pair_energies`.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress", "stresses"]

    def evaluate(self, structures: Structures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Energies and derivatives of many structures at once.

        Parameters
        ----------
        structures : Structures
            The structures.

        Returns
        -------
        energies : ndarray of shape (n_structures,)
            In eV.
        gradient : ndarray of shape (n_atoms, 3)
            Derivatives by the positions, in eV/angstrom.
        strain_gradient : ndarray of shape (n_structures, 3, 3)
            Derivatives by the strain, in eV.
        """
        local, gradient, strain = self.evaluate_atoms(structures)
        # no structure is empty
        starts = structures.offsets[:-1]
        return np.add.reduceat(local, starts), gradient, np.add.reduceat(strain, starts)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute properties of a structure.

        Parameters
        ----------
        atoms : ase.Atoms, default=None
            The structure; that of the last call by default.
        properties : sequence of str, default=("energy",)
            What is wanted; all is computed.
        system_changes : list of str
            What has changed since the last call.
        """
        super().calculate(atoms, properties, system_changes)
        structures = check_structures([self.atoms], name="atoms")
        local, gradient, strain = self.evaluate_atoms(structures)
        energy = float(local.sum())
        self.results.update(energy=energy, free_energy=energy, energies=local, forces=-gradient)
        if self.atoms.cell.rank == 3:
            volume = self.atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(strain.sum(axis=0) / volume)
            self.results["stresses"] = full_3x3_to_voigt_6_stress(strain / volume)

    def reach(self, numbers: np.ndarray) -> float:
        """Return the largest onset of all pairs of the elements.

        Parameters
        ----------
        numbers : ndarray of shape (n_atoms,)
            Atomic numbers.

        Returns
        -------
        float
            Distance at which and beyond which no two atoms interact, in angstrom.
        """
        elements = np.flatnonzero(np.bincount(numbers))
        return float(self._onsets(elements[:, np.newaxis], elements).max())

    def evaluate_atoms(
        self, structures: Structures
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Energies of atoms and derivatives of many structures at once.

        Parameters
        ----------
        structures : Structures
            The structures.

        Returns
        -------
        energies : ndarray of shape (n_atoms,)
            Half of the energy of each pair belongs to either atom, in eV.
        gradient : ndarray of shape (n_atoms, 3)
            Derivatives of the sum by the positions, in eV/angstrom.
        strain_gradient : ndarray of shape (n_atoms, 3, 3)
            Derivatives of the energies by the strain, in eV.
        """
        numbers, n_atoms = structures.numbers, len(structures.numbers)
        every = np.arange(n_atoms)
        pairs = find_pairs(
            structures, self.reach(numbers), every, np.zeros(n_atoms, dtype=np.intp)
        )
        center = np.repeat(every, np.diff(pairs.offsets))
        onset = self._onsets(numbers[center], numbers[pairs.neighbor])
        near = np.flatnonzero(pairs.distance < onset)
        gradient, strain = np.zeros((n_atoms, 3)), np.zeros((n_atoms, 3, 3))
        if not len(near):
            return np.zeros(n_atoms), gradient, strain
        center, r, displacement = center[near], pairs.distance[near], pairs.displacement[near]
        value, slope = self._pair_energies(
            r, numbers[center], numbers[pairs.neighbor[near]], onset[near]
        )
        # every pair appears twice
        local = 0.5 * np.bincount(center, value, n_atoms)
        along = (slope / r)[:, np.newaxis] * displacement
        for i in range(3):
            gradient[:, i] = -np.bincount(center, along[:, i], n_atoms)
            for j in range(3):
                products = along[:, i] * displacement[:, j]
                strain[:, i, j] = 0.5 * np.bincount(center, products, n_atoms)
        return local, gradient, strain


class ZBLCalculator(_PairCalculator):
    """Screened repulsion of nuclei after Ziegler, Biersack and Littmark.

    It is switched off smoothly (with two continuous derivatives) between half and the whole
    of a range that is the sum of both covalent radii, so that it acts on atoms nearer than
    any bond and leaves bonds to the model.

    Parameters
    ----------
    scale : float, default=1.0
        Factor of the covalent radii.
    **kwargs : dict
        Passed on to :class:`ase.calculators.calculator.Calculator`.

    See Also
    --------
    skdesc.repulsion.RepulsionCalculator : Repulsion below the shortest distances in data.

    References
    ----------
    J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Matter,
    Pergamon (1985).

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skdesc.calculator import ZBLCalculator
    >>> atoms = molecule("H2")
    >>> atoms.set_distance(0, 1, 0.3)
    >>> atoms.calc = ZBLCalculator()
    >>> round(atoms.get_potential_energy(), 1)
    16.5
    """

    def __init__(self, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(scale, Real) or not 0 < scale < np.inf:
            raise ValueError(f"scale is {scale!r}, but must be a positive number")
        self.scale = float(scale)

    def _onsets(self, z_a, z_b):
        return self.scale * covalent_radii[z_a] + self.scale * covalent_radii[z_b]

    def _pair_energies(self, r, z_a, z_b, onset):
        return _product(_screened_repulsion(r, z_a, z_b), _switch(r, 0.5 * onset, onset))


class RepulsionCalculator(_PairCalculator):
    r"""Repulsion of pairs of atoms below an onset, such as the shortest distance in data.

    With the onset :math:`r_0` of a pair of elements, the energy of a pair at :math:`r < r_0` is

    .. math::
        V(r) = s(r) V_\mathrm{ZBL}(r) + w\, (r_0 / r - 1)^3

    and zero beyond. The first term is the screened repulsion of the nuclei (see
    :class:`ZBLCalculator`), which s switches on between :math:`r_0` and :math:`0.5\, r_0`. The
    second is a wall that also holds light atoms apart: w is 150 eV, or as much as makes the wall 40
    eV high at 0.5 angstrom. The energy has two continuous derivatives.

    Parameters
    ----------
    onsets : dict of str to float
        Onset of each pair of elements, in angstrom, by names such as "H-O". Other pairs have 0.75
        of the sum of their covalent radii, but not less than 0.8 angstrom.
    **kwargs : dict
        Passed on to :class:`ase.calculators.calculator.Calculator`.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skdesc.repulsion import RepulsionCalculator
    >>> atoms = molecule("H2O")
    >>> atoms.calc = RepulsionCalculator({"H-O": 0.9, "H-H": 1.3})
    >>> atoms.get_potential_energy()
    0.0
    >>> atoms.set_distance(0, 1, 0.6)
    >>> round(atoms.get_potential_energy(), 1)
    35.3
    """

    def __init__(self, onsets: Mapping[str, float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.onsets = _check_onsets(onsets)
        covalent = covalent_radii[:, np.newaxis] + covalent_radii
        self._table = np.maximum(_ONSET_OF_UNSEEN * covalent, _LEAST_ONSET_OF_UNSEEN)
        for pair, onset in self.onsets.items():
            a, b = pair_numbers(pair)
            self._table[a, b] = self._table[b, a] = onset

    def _onsets(self, z_a, z_b):
        return self._table[z_a, z_b]

    def _pair_energies(self, r, z_a, z_b, onset):
        nuclei = _product(_screened_repulsion(r, z_a, z_b), _switch(r, _WHOLE * onset, onset))
        wall = _wall(r, onset)
        return nuclei[0] + wall[0], nuclei[1] + wall[1]


def find_onsets(distances: ShortestDistances) -> dict[str, float]:
    """Find distances below which there are no data.

    Parameters
    ----------
    distances : ShortestDistances
        Those of the data.

    Returns
    -------
    dict of str to float
        By pair, in angstrom. The shortest distance, less what the next ones suggest that the
        distribution goes on, between 0.85 and 0.94 of it. A pair of which there are few is
        taken for one that has not been seen where that gives less.
    """
    result = {}
    for pair, values in sorted(distances.found.items()):
        shortest, last = values[0], values[-1]
        low, high = (part * shortest for part in _ONSET_RANGE)
        onset = np.clip(2.0 * shortest - last, low, high)
        if len(values) < N_SHORTEST:
            onset = min(high, onset_of_unseen(*pair_numbers(pair)))
        result[pair] = float(onset)
    return result


def onset_of_unseen(z_a, z_b):
    """Onset of a pair that occurs in no structure, in angstrom."""
    return max(_ONSET_OF_UNSEEN * (covalent_radii[z_a] + covalent_radii[z_b]),
               _LEAST_ONSET_OF_UNSEEN)


def _check_onsets(onsets):
    """Onsets by the names of pairs, elements in alphabetical order."""
    if not isinstance(onsets, Mapping):
        raise TypeError(f"onsets is of type {type(onsets).__name__}, but must be a dict of "
                        "distances by pairs of elements, such as {'H-O': 0.9}")
    checked = {}
    for pair, onset in onsets.items():
        symbols = pair.split("-") if isinstance(pair, str) else []
        if len(symbols) != 2 or any(symbol not in atomic_numbers for symbol in symbols):
            raise ValueError(f"onsets has {pair!r}, but must have pairs of elements, such as 'H-O'")
        good = isinstance(onset, Real) and not isinstance(onset, bool) and 0 < onset < 100
        if not good:
            raise ValueError(f"onsets has {onset!r} for {pair}, but must have distances above 0 "
                             "and below 100 angstrom")
        checked["-".join(sorted(symbols))] = float(onset)
    return checked


def _screened_repulsion(r, z_a, z_b):
    """Energy of pairs of nuclei and its derivative by the distance."""
    length = _SCREENING_LENGTH / (
        z_a.astype(np.float64) ** _SCREENING_POWER + z_b.astype(np.float64) ** _SCREENING_POWER
    )
    screening, screening_slope = np.zeros_like(r), np.zeros_like(r)
    for weight, rate in _SCREENING:
        term = weight * np.exp(-rate * r / length)
        screening += term
        screening_slope -= rate / length * term
    charge = _COULOMB * z_a * z_b
    return charge * screening / r, charge * (screening_slope - screening / r) / r


def _switch(r, start, stop):
    """1 below a start, then the fifth-order step down to 0; and its derivative."""
    t = np.clip((r - start) / (stop - start), 0.0, 1.0)
    value = 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t**2)
    return value, -30.0 * t**2 * (1.0 - t) ** 2 / (stop - start)


def _wall(r, onset):
    """Energy below an onset and its derivative by the distance."""
    x = onset / r - 1.0
    reduced = np.maximum(onset / _TOO_NEAR - 1.0, 0.1)
    height = np.maximum(_WALL, _HEIGHT / reduced**3)
    return height * x**3, -3.0 * height * x**2 * onset / r**2


def _product(first, second):
    """Value and slope of a product."""
    return first[0] * second[0], first[1] * second[0] + first[0] * second[1]
