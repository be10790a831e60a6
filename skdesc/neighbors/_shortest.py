"""Shortest distances of pairs of elements."""

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii

from ._nearest import pairs_of_batches

N_SHORTEST = 10
"""How many distances of a pair are kept."""

# within what distance pairs are looked for: multiple of the largest sum of covalent radii, angstrom
_RADIUS, _LEAST_RADIUS = 1.3, 3.5


class ShortestDistances:
    """A few of the shortest distances of each pair of elements in structures.

    Parameters
    ----------
    found : dict of str to ndarray, default=None
        A few of the shortest distances by pair, ascending, in angstrom.
    """

    def __init__(self, found=None):
        self.found = dict(found or {})

    def add(self, structures):
        """Look at the pairs of structures.

        Parameters
        ----------
        structures : Structures
            The structures.
        """
        longest = 2.0 * covalent_radii[structures.numbers].max()
        radius = max(_LEAST_RADIUS, _RADIUS * longest)
        size = len(chemical_symbols)
        for part, pairs in pairs_of_batches(structures, radius):
            center = np.repeat(np.arange(len(part.numbers)), np.diff(pairs.offsets))
            once = center <= pairs.neighbor
            first, second = part.numbers[center[once]], part.numbers[pairs.neighbor[once]]
            code = np.minimum(first, second) * size + np.maximum(first, second)
            distance = pairs.distance[once]
            order = np.lexsort((distance, code))
            codes, starts, counts = np.unique(code[order], return_index=True, return_counts=True)
            stops = starts + counts
            for number, start, stop in zip(codes, starts, stops, strict=True):
                shortest = distance[order[start : min(stop, start + N_SHORTEST)]]
                self._insert(pair_name(*divmod(int(number), size)), shortest)

    def merge(self, other):
        """Add what others have seen, which stay as they are."""
        for pair, distances in other.found.items():
            self._insert(pair, distances)

    def copy(self):
        """Return distances that can see more, while these stay as they are."""
        return ShortestDistances(self.found)  # arrays are replaced, and not changed

    def table(self, elements):
        """Table of the distances.

        Parameters
        ----------
        elements : ndarray of shape (n_elements,)
            Atomic numbers.

        Returns
        -------
        ndarray of shape (n_elements * (n_elements + 1) / 2, 10)
            A row for each pair, in the order of the upper triangle; zeros where there are none.
        """
        rows = np.zeros((len(elements) * (len(elements) + 1) // 2, N_SHORTEST))
        for row, pair in zip(rows, _pairs_of(elements), strict=True):
            distances = self.found.get(pair, ())
            row[: len(distances)] = distances
        return rows

    @classmethod
    def from_table(cls, elements, table):
        """Distances of a table; see :meth:`table`."""
        pairs = zip(_pairs_of(elements), table, strict=True)
        return cls({pair: row[row > 0] for pair, row in pairs if row[0] > 0})

    def _insert(self, pair, distances):
        known = self.found.get(pair, ())
        self.found[pair] = np.sort(np.concatenate([known, distances]))[:N_SHORTEST]


def is_table(table, n_elements):
    """Whether an object is what :meth:`ShortestDistances.table` gives.

    Parameters
    ----------
    table : object
        From a file.
    n_elements : int
        Number of elements.

    Returns
    -------
    bool
        Whether rows are ascending distances, then zeros.
    """
    table = np.asarray(table)
    if table.dtype != np.float64 or table.shape != (n_elements * (n_elements + 1) // 2, N_SHORTEST):
        return False
    steps = np.diff(table, axis=1)
    good = (table >= 0) & (table < 100)
    return bool(good.all() and ((steps >= 0) | (table[:, 1:] == 0)).all())


def pair_name(z_a, z_b):
    """Name of a pair of atomic numbers."""
    return "-".join(sorted((chemical_symbols[z_a], chemical_symbols[z_b])))


def _pairs_of(elements):
    """Names of all pairs of elements, in the order of the upper triangle."""
    return [pair_name(a, b) for i, a in enumerate(elements) for b in elements[i:]]


def pair_numbers(pair):
    """Atomic numbers of the name of a pair."""
    first, second = pair.split("-")
    return atomic_numbers[first], atomic_numbers[second]
