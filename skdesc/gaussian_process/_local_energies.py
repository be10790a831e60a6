"""Energies of environments from covariances with sparse points, and their derivatives."""

from __future__ import annotations

import numpy as np

from ._covariance import dot_power

BATCH_ROWS = 256
"""Environments whose covariances are computed at a time, so that these stay in the cache."""


class LocalEnergies:
    """Energies of environments as functions of their features, without those of single atoms.

    Parameters
    ----------
    points : SparsePoints
        The sparse points.
    weights : ndarray of shape (n_points,)
        Their weights, for energy scales of 1.
    zetas : sequence of float
        Exponent of each block of features.
    """

    def __init__(self, points, weights, zetas):
        self._groups = [[] for _ in zetas]
        for group in points.groups():
            self._groups[group.block].append(
                (group.species, points.of(group), weights[group.points], zetas[group.block])
            )

    def add(self, block, values, species, energies, slopes=None):
        """Add what one block of features contributes.

        Parameters
        ----------
        block : int
            Index of the block.
        values : ndarray of shape (n_centers, n_columns)
            Features of this block.
        species : ndarray of shape (n_centers,)
            Atomic numbers of the centers.
        energies : ndarray of shape (n_centers,)
            Energies of the centers, in eV; added to.
        slopes : ndarray of shape (n_centers, n_columns), default=None
            Gets derivatives by the features, in eV. Rows of species without sparse points stay
            as they are.
        """
        for number, points, weights, zeta in self._groups[block]:
            rows = np.flatnonzero(species == number)
            for start in range(0, len(rows), BATCH_ROWS):
                stop = min(start + BATCH_ROWS, len(rows))
                # whole rows are read and written much faster than rows picked one by one
                every = len(rows) == len(species)
                some = slice(start, stop) if every else rows[start:stop]
                dot = np.asarray(values[some], dtype=np.float64) @ points.T
                if slopes is None:
                    value = dot_power(dot, zeta)
                else:
                    value, slope = dot_power(dot, zeta, derivative=True)
                    slope *= weights
                    if every:
                        np.matmul(slope, points, out=slopes[some])
                    else:
                        slopes[some] = slope @ points
                energies[some] += value @ weights
