"""Batches of structures through neighbor list, expansion and invariant, in bounded memory."""

from __future__ import annotations

import numpy as np

from ..neighbors import find_pairs, search_bytes
from ..utils.indexing import runs
from ..utils.shapes import check_indices, check_offsets, check_shape
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


def neighborhoods(descriptor, structures, centers, center_offsets):
    """Cut the centers of some structures into batches and find their neighbors.

    Parameters
    ----------
    descriptor : object
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
    check_offsets("offsets", center_offsets, len(structures), len(centers))
    n_threads = descriptor.n_threads
    step = centers_per_batch(descriptor.invariant.n_features)
    for part in runs(structures.offsets, BATCH_ATOMS):
        first, last = int(center_offsets[part.start]), int(center_offsets[part.stop])
        if first == last:
            continue
        batch, own = structures, centers
        if part.stop - part.start < len(structures):
            batch, own = structures[part], centers[first:last] - structures.offsets[part.start]
        check_indices("centers", own, len(batch.positions))
        species = descriptor.species_index(batch.numbers)
        pairs = find_pairs(batch, descriptor.cutoff, own, species, n_threads)
        for k in range(0, len(own), step):
            chunk = slice(k, min(k + step, len(own)))
            rows = slice(first + chunk.start, first + chunk.stop)
            yield part, rows, batch, species, own[chunk], pairs.take(chunk)


def describe(descriptor, structures, centers, center_offsets, out=None, cleared=False):
    """Compute the features of some centers.

    Parameters
    ----------
    descriptor : object
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
    n_features = descriptor.invariant.n_features
    if out is not None:
        check_shape("out", out, (len(centers), n_features))
    else:
        buffer = np.empty((min(centers_per_batch(n_features), len(centers)), n_features))
    for _, rows, _, species, own, pairs in neighborhoods(
        descriptor, structures, centers, center_offsets
    ):
        values = buffer[: len(own)] if out is None else out[rows]
        _environments_cy.Neighborhoods(
            descriptor.expansion, descriptor.invariant, pairs, species, own,
            descriptor.n_threads, False,
        ).features(values, cleared)
        yield rows, values


def memory_of_describing(descriptor, structures, pooling):
    """Bound the memory of :func:`describe` or ``describe_means``, and of pooling what they give.

    Parameters
    ----------
    descriptor, structures
        As for :func:`describe`.
    pooling : {None, "mean", "sum", "inner"}
        What becomes of the features.

    Returns
    -------
    int
        In bytes, beside arrays of one row for each center or structure of all.
    """
    expansion, invariant = descriptor.expansion, descriptor.invariant
    n_threads = descriptor.n_threads
    batches = list(runs(structures.offsets, BATCH_ATOMS))
    max_neighbors, n_bytes = search_bytes(structures, descriptor.cutoff, batches, n_threads)
    n_bytes += n_threads * _environments_cy.scratch_bytes(
        expansion, invariant, max_neighbors, False
    )
    atoms = max(structures.offsets[part.stop] - structures.offsets[part.start] for part in batches)
    rows = min(centers_per_batch(invariant.n_features), int(atoms))
    if pooling == "inner":
        owners = max(part.stop - part.start for part in batches)
        # averages of two batches, what is added to them, and what that is added to
        coefficients = expansion.n_lm * expansion.n_groups * expansion.n_max * (rows + 4 * owners)
        n_bytes += 8 * (coefficients + 2 * owners * invariant.n_features)
        n_bytes += _environments_cy.scratch_bytes(expansion, invariant, 0, True)
    else:
        # the buffer, and sums of rows: of two batches, and times weights
        n_bytes += 8 * rows * invariant.n_features * (1 if pooling is None else 4)
    return n_bytes + 2**18  # and a little for offsets, indices and the like


def pull_back(descriptor, structures, centers, center_offsets, cotangents):
    """Contract derivatives of the features with a cotangent.

    Parameters
    ----------
    descriptor, structures, centers, center_offsets
        As for :func:`describe`.
    cotangents : ndarray of shape (n_centers, n_features)
        dE/d(features) of a scalar E.

    Returns
    -------
    gradient : ndarray of shape (n_atoms, 3)
        dE/dr.
    strain_gradient : ndarray of shape (n_structures, 3, 3)
        dE/d(strain).

    Raises
    ------
    ValueError
        If a cotangent is not finite.
    """
    gradient = np.zeros((len(structures.positions), 3))
    strain_gradient = np.zeros((len(structures), 3, 3))
    for part, rows, batch, species, own, pairs in neighborhoods(
        descriptor, structures, centers, center_offsets
    ):
        pair_gradients = np.empty_like(pairs.displacement)
        of_batch = np.ascontiguousarray(cotangents[rows], dtype=np.float64)
        check_shape("g", of_batch, (len(own), descriptor.invariant.n_features))
        finite = _environments_cy.Neighborhoods(
            descriptor.expansion, descriptor.invariant, pairs, species, own,
            descriptor.n_threads, True,
        ).pair_gradients(of_batch, pair_gradients)
        if not finite:
            raise ValueError("g has NaN or infinite entries; all must be finite")
        atoms = slice(structures.offsets[part.start], structures.offsets[part.stop])
        _scatter_cy.scatter(
            pairs.offsets, pairs.neighbor, pairs.displacement, own,
            batch.structure_index[own], pair_gradients, gradient[atoms], strain_gradient[part],
        )  # fmt: skip
    return gradient, strain_gradient
