"""Warnings about training data: labels that look wrong, energies of atoms, descriptors.

They are made after a fit, from what it has computed anyway::

    _contradictions     quantities that contradict each other
    _suspicious         placeholders, energies per atom, single mistakes, unfit descriptors
    _energies_of_atoms  where e0 came from, and what it leaves open
    _neighbors          structures in which no atom sees another
    _accuracy           rounding errors of weights, forces that the fit follows alone
    _fit                all that a fit says
"""

from ._accuracy import warn_of_forces, warn_of_rounding
from ._contradictions import warn_of_contradictions
from ._energies_of_atoms import e0_sources, undetermined_compositions, warn_of_compositions
from ._fit import warn_of_data, warn_of_more_data
from ._suspicious import warn_of_missing_energies

__all__ = [
    "e0_sources", "undetermined_compositions", "warn_of_compositions", "warn_of_contradictions",
    "warn_of_data", "warn_of_forces", "warn_of_missing_energies", "warn_of_more_data",
    "warn_of_rounding",
]
