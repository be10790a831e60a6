"""Batches of structures through neighbor list, expansion and invariant, in bounded memory."""

from __future__ import annotations

import numpy as np

from ..neighbors import find_pairs
from ..utils.indexing import runs
from . import _environments_cy, _scatter_cy

BATCH_ATOMS = 512
"""Atoms whose neighbors are held at a time; their pairs stay in the processor's cache."""

BATCH_CENTERS = 512
"""Centers that are described in one call, at most, between which a user can interrupt."""

BATCH_BYTES = 64e6
"""Bytes of features that are computed in one call, where that is not less than one center."""


def centers_per_batch(n_features):
    """Centers that are described in one call."""
    return min(max(int(BATCH_BYTES / (8 * n_features)), 8), BATCH_CENTERS)


def neighborhoods(engine, structures, centers, center_offsets):
    """Cut the centers of some structures into batches and find their neighbors.

    Parameters
    ----------
    engine : object
        Has ``cutoff``, ``invariant``, ``n_threads`` and ``species_index(numbers)``.
    structures : Structures
        All structures.
    centers : ndarray of shape (n_centers,)
        Atoms to describe, ascending.
    center_offsets : ndarray of shape (n_structures + 1,)
        Structure `s` owns the centers ``center_offsets[s]`` to ``center_offsets[s + 1]``.

    Yields
    ------
    part : slice
        Structures of the batch.
    rows : slice
        Centers of the batch.
    batch : Structures
        These structures.
    species : ndarray of shape (n_atoms_of_batch,)
        Their species indices.
    own : ndarray of shape (n_rows,)
        The centers, as atoms of the batch.
    pairs : Pairs
        Their neighbors.
    """
    n_threads = engine.n_threads
    step = centers_per_batch(engine.invariant.n_features)
    for part in runs(structures.offsets, BATCH_ATOMS):
        first, last = int(center_offsets[part.start]), int(center_offsets[part.stop])
        if first == last:
            continue
        batch, own = structures, centers
        if part.stop - part.start < len(structures):
            batch, own = structures[part], centers[first:last] - structures.offsets[part.start]
        species = engine.species_index(batch.numbers)
        pairs = find_pairs(batch, engine.cutoff, own, species, n_threads)
        for k in range(0, len(own), step):
            chunk = slice(k, min(k + step, len(own)))
            rows = slice(first + chunk.start, first + chunk.stop)
            yield part, rows, batch, species, own[chunk], pairs.take(chunk)


def describe(engine, structures, centers, center_offsets, out=None, cleared=False):
    """Compute the features of some centers.

    Parameters
    ----------
    engine : object
        Has ``cutoff``, ``expansion``, ``invariant``, ``n_threads`` and
        ``species_index(numbers)``.
    structures, centers, center_offsets : object
        As for :func:`neighborhoods`.
    out : ndarray of float64 of shape (n_centers, n_features), default=None
        Gets the features of all centers. By default, one buffer serves all batches.
    cleared : bool, default=False
        Whether `out` holds zeros, so that features of absent species need not be written.

    Yields
    ------
    rows : slice
        Centers of this batch.
    values : ndarray of shape (n_rows, n_features)
        Their features; without `out`, overwritten by the next batch.
    """
    buffer = np.empty((0, engine.invariant.n_features))
    for _, rows, _, species, own, pairs in neighborhoods(
        engine, structures, centers, center_offsets
    ):
        if out is not None:
            values = out[rows]
        else:
            if len(buffer) < len(own):
                buffer = np.empty((len(own), engine.invariant.n_features))
            values = buffer[: len(own)]
        _environments_cy.Neighborhoods(
            engine.expansion, engine.invariant, pairs, species, own, engine.n_threads, False
        ).features(values, cleared)
        yield rows, values


def pull_back(engine, structures, centers, center_offsets, cotangents):
    """Contract derivatives of the features with a cotangent.

    Parameters
    ----------
    engine, structures, centers, center_offsets
        As for :func:`describe`.
    cotangents : ndarray of shape (n_centers, n_features)
        dE/d(features) of a scalar E.

    Returns
    -------
    gradient : ndarray of shape (n_atoms, 3)
        dE/dr.
    strain_gradient : ndarray of shape (n_structures, 3, 3)
        dE/d(strain).
    """
    gradient = np.zeros((len(structures.positions), 3))
    strain_gradient = np.zeros((len(structures), 3, 3))
    for part, rows, batch, species, own, pairs in neighborhoods(
        engine, structures, centers, center_offsets
    ):
        pair_gradients = np.empty_like(pairs.displacement)
        _environments_cy.Neighborhoods(
            engine.expansion, engine.invariant, pairs, species, own, engine.n_threads, True
        ).pair_gradients(
            np.ascontiguousarray(cotangents[rows], dtype=np.float64), pair_gradients
        )
        atoms = slice(structures.offsets[part.start], structures.offsets[part.stop])
        _scatter_cy.scatter(
            pairs.offsets, pairs.neighbor, pairs.displacement, own,
            batch.structure_index[own], pair_gradients, gradient[atoms], strain_gradient[part],
        )  # fmt: skip
    return gradient, strain_gradient
