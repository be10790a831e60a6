"""Batches of structures through neighbor list, expansion and invariant, in bounded memory."""

from __future__ import annotations

import numpy as np

from ..neighbors import find_pairs
from . import _environments_cy

BATCH_ATOMS = 512
"""Atoms whose neighbors are held at a time; their pairs stay in the processor's cache."""


def _batches(structures, centers, center_offsets):
    """Runs of structures of about BATCH_ATOMS atoms, with their centers."""
    start = 0
    while start < len(structures):
        limit = structures.offsets[start] + BATCH_ATOMS
        stop = int(np.searchsorted(structures.offsets, limit, side="right")) - 1
        stop = max(start + 1, stop)
        rows = slice(center_offsets[start], center_offsets[stop])
        yield slice(start, stop), rows, centers[rows] - structures.offsets[start]
        start = stop


def _arguments(engine, structures, centers, species_index, n_threads):
    pairs = find_pairs(structures, engine.cutoff, centers, species_index, n_threads)
    arrays = (pairs.offsets, pairs.neighbor, pairs.displacement, pairs.distance)
    return pairs, (
        engine.expansion, engine.invariant, *arrays, species_index, centers,
        pairs.max_neighbors, n_threads,
    )  # fmt: skip


def describe(engine, structures, centers, center_offsets, n_threads):
    """Compute the features of some centers.

    Parameters
    ----------
    engine : object
        Has ``cutoff``, ``expansion``, ``invariant`` and ``species_index(numbers)``.
    structures : Structures
        All structures.
    centers : ndarray of shape (n_centers,)
        Atoms to describe, ascending.
    center_offsets : ndarray of shape (n_structures + 1,)
        Structure `s` owns the centers ``center_offsets[s]`` to ``center_offsets[s + 1]``.
    n_threads : int
        Threads to use.

    Yields
    ------
    rows : slice
        Centers of this batch.
    values : ndarray of shape (n_rows, n_features)
        Their features; overwritten by the next batch.
    norms : ndarray of shape (n_rows,)
        Norms before normalization.
    """
    values = np.empty((0, engine.invariant.n_features))
    for part, rows, own in _batches(structures, centers, center_offsets):
        batch = structures[part]
        n_rows = len(own)
        if len(values) < n_rows:
            values = np.empty((n_rows, engine.invariant.n_features))
        norms = np.empty(n_rows)
        _, arguments = _arguments(
            engine, batch, own, engine.species_index(batch.numbers), n_threads
        )
        _environments_cy.values(*arguments, values[:n_rows], norms)
        yield rows, values[:n_rows], norms


def pull_back(engine, structures, centers, center_offsets, features, norms, cotangents, n_threads):
    """Contract derivatives of the features with a cotangent.

    Parameters
    ----------
    engine, structures, centers, center_offsets, n_threads
        As for :func:`describe`.
    features : ndarray of shape (n_centers, n_features)
        Values that :func:`describe` gave.
    norms : ndarray of shape (n_centers,)
        Norms that :func:`describe` gave.
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
    for part, rows, own in _batches(structures, centers, center_offsets):
        batch = structures[part]
        pairs, arguments = _arguments(
            engine, batch, own, engine.species_index(batch.numbers), n_threads
        )
        pair_gradients = np.empty_like(pairs.displacement)
        _environments_cy.adjoint(
            *arguments,
            np.ascontiguousarray(features[rows], dtype=np.float64),
            norms[rows],
            np.ascontiguousarray(cotangents[rows], dtype=np.float64),
            pair_gradients,
        )
        atoms = slice(structures.offsets[part.start], structures.offsets[part.stop])
        _environments_cy.scatter(
            pairs.offsets, pairs.neighbor, pairs.displacement, own,
            batch.structure_index[own], pair_gradients, gradient[atoms], strain_gradient[part],
        )  # fmt: skip
    return gradient, strain_gradient
