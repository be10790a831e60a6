"""One row per structure from the rows of its centers, and derivatives of that."""

from __future__ import annotations

import numpy as np

from ..invariants import describe_means, pull_back, pull_back_means


def pool(mode, descriptor, structures, centers, offsets, out):
    """Compute pooled features.

    Parameters
    ----------
    mode : {"mean", "sum", "inner"}
        Mean or sum of features, or features of the mean of coefficients.
    descriptor : DensityDescriptor
        Tables and kernels.
    structures : Structures
        The structures.
    centers, offsets : ndarray
        The centers, and which of them each structure owns.
    out : ndarray of shape (n_structures, n_features)
        Gets the features. Holds zeros, and keeps them for structures without centers.
    """
    if mode == "inner":
        for part, values in describe_means(descriptor, structures, centers, offsets):
            out[part] = values
        return
    counts = np.diff(offsets)
    index = np.repeat(np.arange(len(structures)), counts)
    weights = _weights(mode, counts)
    # sums of a structure that many batches share are formed in double precision
    pending, total = -1, None
    for rows, part in descriptor.describe(structures, centers, offsets):
        starts = np.flatnonzero(np.diff(index[rows], prepend=-1))
        owners, sums = index[rows][starts], np.add.reduceat(part, starts, axis=0)
        if owners[0] == pending:
            sums[0] += total
        pending, total = owners[-1], sums[-1]
        out[owners] = sums * weights[owners, None]


def pull_back_pooled(mode, descriptor, structures, centers, offsets, g):
    """Contract derivatives of pooled features with a cotangent.

    Parameters
    ----------
    mode, descriptor, structures, centers, offsets
        As for :func:`pool`.
    g : ndarray of shape (n_structures, n_features)
        dE/d(features) of a scalar E.

    Returns
    -------
    gradient : ndarray of shape (n_atoms, 3)
        dE/dr.
    strain_gradient : ndarray of shape (n_structures, 3, 3)
        dE/d(strain).
    """
    if mode == "inner":
        return pull_back_means(descriptor, structures, centers, offsets, g)
    counts = np.diff(offsets)
    index = np.repeat(np.arange(len(structures)), counts)
    cotangents = _Spread(g, index, _weights(mode, counts))
    return pull_back(descriptor, structures, centers, offsets, cotangents)


def _weights(mode, counts):
    return np.ones(len(counts)) if mode == "sum" else 1.0 / np.maximum(counts, 1)


class _Spread:
    """Cotangents of the centers of each structure, made batch by batch."""

    def __init__(self, g, index, weights):
        self.g, self.index, self.weights = g, index, weights

    def __getitem__(self, rows):
        owners = self.index[rows]
        return self.g[owners] * self.weights[owners, None]
