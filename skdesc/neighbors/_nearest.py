"""Distances of nearest neighbors: the length scale of a set of structures."""

from __future__ import annotations

import numpy as np

from ..utils.indexing import runs
from ._pairs import bound_neighbors, find_pairs

FARTHEST_NEIGHBOR = 8.0
"""Atoms without another within this distance, in angstrom, are isolated."""

# radii of successive searches
_RADII = (3.0, FARTHEST_NEIGHBOR)
# number of candidate neighbors in a batch of structures
_BATCH = 200_000


def pairs_of_batches(structures, radius):
    """Pairs of a few structures at a time, so that memory is bounded.

    Parameters
    ----------
    structures : Structures
        The structures.
    radius : float
        Of the search, in angstrom.

    Yields
    ------
    part : Structures
        Some of the structures.
    pairs : Pairs
        All pairs among their atoms.
    """
    counts = bound_neighbors(structures, radius)[1] * structures.n_atoms
    for part in runs(np.concatenate([[0], np.cumsum(counts)]), _BATCH):
        some = structures[part]
        n_atoms = len(some.numbers)
        yield some, find_pairs(some, radius, np.arange(n_atoms), np.zeros(n_atoms, dtype=np.intp))


def nearest_distances(structures, considered=None):
    """Distance of every atom to its nearest neighbor, periodic images included.

    Parameters
    ----------
    structures : Structures
        The structures.
    considered : ndarray of shape (n_atoms,), dtype bool, default=None
        Which atoms are there; the others are nobody's neighbors. By default all are.

    Returns
    -------
    ndarray of shape (n_atoms,)
        In angstrom; infinite where the nearest neighbor is farther than 8 angstrom away, and
        for atoms that are not considered.
    """
    if considered is None:
        considered = np.ones(len(structures.numbers), dtype=bool)
    distances = np.full(len(structures.numbers), np.inf)
    open_structures = np.arange(len(structures))
    for radius in _RADII:
        subset = structures[open_structures]
        atoms = np.flatnonzero(np.isin(structures.structure_index, open_structures))
        counts = bound_neighbors(subset, radius)[1] * subset.n_atoms
        for part in runs(np.concatenate([[0], np.cumsum(counts)]), _BATCH):
            rows = atoms[subset.offsets[part.start] : subset.offsets[part.stop]]
            distances[rows] = _nearest(subset[part], considered[rows], radius)
        unsettled = considered & np.isinf(distances)
        open_structures = np.unique(structures.structure_index[unsettled])
        if len(open_structures) == 0:
            break
    return distances


def _nearest(structures, considered, radius):
    """Nearest distances within a radius."""
    centers = np.flatnonzero(considered)
    species = np.where(considered, 0, -1).astype(np.intp)
    pairs = find_pairs(structures, radius, centers, species)
    nearest = np.full(len(considered), np.inf)
    occupied = np.flatnonzero(np.diff(pairs.offsets))
    if len(occupied):
        nearest[centers[occupied]] = np.minimum.reduceat(pairs.distance, pairs.offsets[occupied])
    return nearest
