"""Energies of single atoms, the part of an energy that only depends on the composition."""

from __future__ import annotations

import numbers
from collections.abc import Mapping

import numpy as np

from ..utils.validation import is_choice
from ._environments import atomic_number
from ._streaming_qr import Triangle


class AtomEnergies:
    """Collects what determines the energies of single atoms, and determines them.

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
        """Take note of structures.

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

    def merge(self, other):
        """Take in all that another pass has seen.

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
