"""The SOAP power spectrum: sizes, names and positions of its features."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from ase.data import chemical_symbols

from ._power_spectrum_cy import PowerSpectrumKernel


class PowerSpectrum:
    """Layout of the packed power spectrum.

    Features are ordered by species pair (Z <= Z'), then l, then (n, n'); a pair of equal
    species holds n <= n' only.

    Parameters
    ----------
    species : sequence of int
        Atomic numbers, ascending.
    n_max, l_max : int
        Number of radial functions, and largest angular momentum (included).
    """

    def __init__(self, species, n_max, l_max):
        self.species = [int(number) for number in species]
        self.n_max = n_max
        self.l_max = l_max

    @property
    def n_features(self):
        """Length of a spectrum."""
        channels = len(self.species) * self.n_max
        return (self.l_max + 1) * channels * (channels + 1) // 2

    def kernel(self, expansion, normalize):
        """Return the compiled invariant for an expansion."""
        return PowerSpectrumKernel(expansion, normalize)

    def slices(self):
        """Map each pair of atomic numbers (Z <= Z') to the slice of its features."""
        result, start = {}, 0
        for pair in combinations_with_replacement(self.species, 2):
            n = self.n_max
            size = (self.l_max + 1) * (n * (n + 1) // 2 if pair[0] == pair[1] else n * n)
            result[pair] = slice(start, start + size)
            start += size
        return result

    def names(self):
        """Names such as ``soap_C1_H3_l2``: both channels (species, n) and l."""
        names = []
        n = self.n_max
        for first, second in self.slices():
            a, b = chemical_symbols[first], chemical_symbols[second]
            names += [
                f"soap_{a}{i + 1}_{b}{j + 1}_l{degree}"
                for degree in range(self.l_max + 1)
                for i in range(n)
                for j in range(i if first == second else 0, n)
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
            pi sqrt(8 / (2 l + 1)) c_lm^T Q_l c_lm, channels (species, n).
        """
        n, n_l = self.n_max, self.l_max + 1
        n_channels = len(self.species) * n
        full = np.zeros((n_l, n_channels, n_channels, len(packed)))
        place = {number: index * n for index, number in enumerate(self.species)}
        upper = np.triu_indices(n)
        for (first, second), part in self.slices().items():
            block = packed[:, part].T.reshape(n_l, -1, len(packed)) * np.sqrt(0.5)
            a, b = place[first], place[second]
            if first == second:
                full[:, a + upper[0], a + upper[1]] = block
                full[:, a + upper[1], a + upper[0]] = block
                full[:, a + np.arange(n), a + np.arange(n)] *= np.sqrt(2)
            else:
                block = block.reshape(n_l, n, n, -1)
                full[:, a : a + n, b : b + n] = block
                full[:, b : b + n, a : a + n] = block.transpose(0, 2, 1, 3)
        return full
