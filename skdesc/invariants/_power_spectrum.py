"""The SOAP power spectrum: sizes, names and positions of its features."""

from __future__ import annotations

from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from ase.data import chemical_symbols

from ._power_spectrum_cy import PowerSpectrumInvariant

COMPRESSIONS = (None, "mu1nu1", "mu2", "crossover")
ALL = "all"
"""Stands for the sum over all species."""


class PowerSpectrum:
    """Layout of the packed power spectrum.

    Features are ordered by pair of groups, then l, then (n, n'); a pair of equal groups holds
    n <= n' only. Groups are species, or the sum of all of them.

    Parameters
    ----------
    species : sequence of int
        Atomic numbers, ascending.
    n_max, l_max : int
        Number of radial functions, and largest angular momentum (included).
    compression : {None, "mu1nu1", "mu2", "crossover"}, default=None
        Which pairs there are: all of species; each species with the sum; the sum with itself;
        each species with itself.
    """

    def __init__(self, species, n_max, l_max, compression=None):
        self.species = [int(number) for number in species]
        self.n_max = n_max
        self.l_max = l_max
        self.compression = compression
        self.pairs = {
            None: list(combinations_with_replacement(self.species, 2)),
            "mu1nu1": [(number, ALL) for number in self.species],
            "mu2": [(ALL, ALL)],
            "crossover": [(number, number) for number in self.species],
        }[compression]

    @property
    def symmetric(self):
        """Whether the features are the upper half of a symmetric matrix."""
        return self.compression != "mu1nu1"

    @cached_property
    def n_features(self):
        """Length of a spectrum."""
        return sum(self._size(pair) for pair in self.pairs)

    def _size(self, pair):
        n = self.n_max
        return (self.l_max + 1) * (n * (n + 1) // 2 if pair[0] == pair[1] else n * n)

    def _group(self, element):
        return len(self.species) if element == ALL else self.species.index(element)

    def invariant(self, expansion, normalize):
        """Return the compiled invariant for an expansion."""
        pairs = [(self._group(a), self._group(b)) for a, b in self.pairs]
        return PowerSpectrumInvariant(expansion, pairs, self.symmetric, normalize)

    def slices(self):
        """Map each pair of groups to the slice of its features."""
        stops = np.cumsum([self._size(pair) for pair in self.pairs])
        return {
            pair: slice(int(stop) - self._size(pair), int(stop))
            for pair, stop in zip(self.pairs, stops, strict=True)
        }

    def names(self):
        """Names such as ``soap_C1_H3_l2``: both channels (species, n) and l."""
        names = []
        n = self.n_max
        for pair in self.pairs:
            a, b = (one if one == ALL else chemical_symbols[one] for one in pair)
            names += [
                f"soap_{a}{i + 1}_{b}{j + 1}_l{degree}"
                for degree in range(self.l_max + 1)
                for i in range(n)
                for j in range(i if a == b else 0, n)
            ]
        return np.array(names, dtype=object)

    def unpack(self, packed):
        """Symmetric matrices of the channels from packed features.

        Parameters
        ----------
        packed : ndarray of shape (n_rows, n_features)
            Coefficients of linear functions of the packed spectrum.

        Returns
        -------
        ndarray of shape (l_max + 1, n_channels, n_channels, n_rows)
            Q such that ``packed @ p`` equals the sum over l and m of
            c_lm^T Q_l c_lm, channels (group, n), the sum of all species being the last group if
            there is one, with coefficients scaled as the compiled invariant scales them.
        """
        n, n_l = self.n_max, self.l_max + 1
        n_channels = (len(self.species) + (self.pairs[0][1] == ALL)) * n
        full = np.zeros((n_l, n_channels, n_channels, len(packed)))
        upper = np.triu_indices(n)
        for (first, second), part in self.slices().items():
            block = packed[:, part].T.reshape(n_l, -1, len(packed)) * 0.5
            a, b = self._group(first) * n, self._group(second) * n
            if first == second:
                full[:, a + upper[0], a + upper[1]] = block
                full[:, a + upper[1], a + upper[0]] = block
                full[:, a + np.arange(n), a + np.arange(n)] *= np.sqrt(2)
            else:
                block = block.reshape(n_l, n, n, -1)
                full[:, a : a + n, b : b + n] = block
                full[:, b : b + n, a : a + n] = block.transpose(0, 2, 1, 3)
        return full
