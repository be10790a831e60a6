"""From batches of centers to features: neighbors, expansion, invariants, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..neighbors import NeighborSearch, Pairs, search_bytes
from ..structures import Structures
from ..utils.indexing import runs
from ..utils.shapes import check_indices, check_offsets, check_shape
from ..utils.threads import ordered_map
from . import _describe_cy, _environments_cy, _scatter_cy

BATCH_ATOMS = 512
"""Atoms whose neighbors are held at a time; their pairs stay in the processor's cache."""

BATCH_CENTERS = 512
"""Centers that are described in one call, at most, between which a user can interrupt."""

BATCH_BYTES = 64e6
"""Bytes of features that are computed in one call, where that is not less than one center."""


def centers_per_batch(n_features):
    """All centers of one call."""
    return min(max(int(BATCH_BYTES / (8 * n_features)), 8), BATCH_CENTERS)


@dataclass
class Batch:
    """A batch of centers, which one thread handles at a time.

    Attributes
    ----------
    descriptor : DensityDescriptor
        How they are described.
    part : slice
        Structures of the batch.
    rows : slice
        Centers of the batch.
    structures : Structures
        These structures.
    species : ndarray of shape (n_atoms_of_batch,)
        Their species indices.
    centers : ndarray of shape (n_rows,)
        The centers, as atoms of the batch.
    search : NeighborSearch or None
        Prepared for these structures where other batches share it.
    """

    descriptor: object
    part: slice
    rows: slice
    structures: Structures
    species: np.ndarray
    centers: np.ndarray
    search: NeighborSearch | None

    def prepared(self):
        """The neighbor search."""
        if self.search is not None:
            return self.search
        return NeighborSearch(
            self.structures, self.descriptor.cutoff, self.species, self.part.start
        )

    def pairs(self) -> Pairs:
        """Neighbors of the centers."""
        return self.prepared().pairs(self.centers)

    def describe(self, out, cleared):
        """Write the features of the centers to an array (n_rows, n_features)."""
        search = self.prepared()
        closest = _describe_cy.describe(
            self.descriptor.expansion, self.descriptor.invariant, search.compiled, self.centers,
            out, cleared,
        )
        search.check(self.centers, closest)

    @property
    def owners(self):
        """Structure of each center, counted from the first of the batch."""
        return self.structures.structure_index[self.centers]

    def environments(self, pairs, derivatives, n_extra=0, expansion=None):
        """The compiled object that computes them; see ``_environments_cy.Neighborhoods``."""
        descriptor = self.descriptor
        invariant = descriptor.invariant if expansion is None else None
        return _environments_cy.Neighborhoods(
            expansion or descriptor.expansion, invariant, pairs, self.species, self.centers,
            derivatives, n_extra,
        )

    def some(self, chunk, pairs):
        """The same for a slice of the centers, and their neighbors."""
        rows = slice(self.rows.start + chunk.start, self.rows.start + chunk.stop)
        other = Batch(self.descriptor, self.part, rows, self.structures, self.species,
                      self.centers[chunk], self.search)
        return other, pairs.take(chunk)


def neighborhoods(descriptor, structures, centers, center_offsets):
    """Cut the centers of some structures into batches.

    Batches are whole structures, or centers of one structure that is too large for a batch.

    Parameters
    ----------
    descriptor : DensityDescriptor
        How they are to be described.
    structures : Structures
        All structures.
    centers : ndarray of shape (n_centers,)
        Atoms to describe, ascending.
    center_offsets : ndarray of shape (n_structures + 1,)
        Structure `s` owns the centers ``center_offsets[s]`` to ``center_offsets[s + 1]``.

    Yields
    ------
    Batch
        In the order of the centers.
    """
    check_offsets("offsets", center_offsets, len(structures), len(centers))
    step = centers_per_batch(descriptor.invariant.n_features)
    if 0 < len(centers) <= step and len(structures.positions) <= BATCH_ATOMS:  # for short
        check_indices("centers", centers, len(structures.positions))
        species = descriptor.species_index(structures.numbers)
        every, rows = slice(0, len(structures)), slice(0, len(centers))
        yield Batch(descriptor, every, rows, structures, species, centers, None)
        return
    for part in runs(structures.offsets, BATCH_ATOMS):
        first, last = int(center_offsets[part.start]), int(center_offsets[part.stop])
        if first == last:
            continue
        batch, own = structures, centers
        if part.stop - part.start < len(structures):
            batch, own = structures[part], centers[first:last] - structures.offsets[part.start]
        check_indices("centers", own, len(batch.positions))
        species = descriptor.species_index(batch.numbers)
        search = None
        if len(own) > step:
            search = NeighborSearch(batch, descriptor.cutoff, species, part.start)
        for k in range(0, len(own), step):
            chunk = slice(k, min(k + step, len(own)))
            rows = slice(first + chunk.start, first + chunk.stop)
            yield Batch(descriptor, part, rows, batch, species, own[chunk], search)


def describe(descriptor, structures, centers, center_offsets, out=None, cleared=False):
    """Compute the features of some centers.

    Parameters
    ----------
    descriptor, structures, centers, center_offsets
        As for :func:`neighborhoods`.
    out : ndarray of float64 of shape (n_centers, n_features), default=None
        Gets the features of all centers. By default, a few buffers serve all batches.
    cleared : bool, default=False
        Whether `out` holds zeros, so that features of absent species need not be written.

    Yields
    ------
    rows : slice
        Centers of this batch.
    values : ndarray of shape (n_rows, n_features)
        Their features; without `out`, overwritten later.
    """
    n_features = descriptor.invariant.n_features
    if out is not None:
        check_shape("out", out, (len(centers), n_features))
    buffers = []
    length = min(centers_per_batch(n_features), len(centers))

    def compute(batch):
        if out is not None:
            values, buffer = out[batch.rows], None
        else:
            try:
                buffer = buffers.pop()
            except IndexError:
                buffer = np.empty((length, n_features))
            values = buffer[: len(batch.centers)]
        batch.describe(values, cleared)
        return batch.rows, values, buffer

    batches = neighborhoods(descriptor, structures, centers, center_offsets)
    n_threads = 1 if len(structures.positions) <= BATCH_ATOMS else descriptor.n_threads
    for rows, values, buffer in ordered_map(compute, batches, n_threads):
        yield rows, values
        if buffer is not None:
            buffers.append(buffer)


def memory_of_describing(descriptor, structures, pooling):
    """Bound the memory of :func:`describe` or ``describe_means``, and of pooling their results.

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
    atoms = max(structures.offsets[part.stop] - structures.offsets[part.start] for part in batches)
    rows = min(centers_per_batch(invariant.n_features), int(atoms))
    max_neighbors, n_bytes = search_bytes(
        structures, descriptor.cutoff, batches, rows, n_threads
    )
    n_bytes += n_threads * _environments_cy.scratch_bytes(
        expansion, invariant, max_neighbors, False
    )
    # results that wait for earlier ones, see `ordered_map`
    n_results = 1 if n_threads == 1 else 2 * n_threads + 2
    if pooling == "inner":
        owners = max(part.stop - part.start for part in batches)
        # averages of two batches, what is added to them, and what that is added to
        coefficients = expansion.n_lm * expansion.n_groups * expansion.n_max
        n_bytes += 8 * coefficients * (n_results * rows + 4 * owners)
        n_bytes += 8 * 2 * owners * invariant.n_features
        n_bytes += _environments_cy.scratch_bytes(expansion, invariant, 0, True)
    else:
        # the buffers, and sums of rows: of two batches, and times weights
        n_buffers = n_results if pooling is not None else 0
        n_bytes += 8 * rows * invariant.n_features * (n_buffers + (3 if pooling else 1))
    return n_bytes + 2**18  # offsets, indices and other small arrays


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

    def compute(batch):
        pairs = batch.pairs()
        pair_gradients = np.empty_like(pairs.displacement)
        of_batch = np.ascontiguousarray(cotangents[batch.rows], dtype=np.float64)
        check_shape("g", of_batch, (len(batch.centers), descriptor.invariant.n_features))
        if not batch.environments(pairs, True).pair_gradients(of_batch, pair_gradients):
            raise ValueError("g has NaN or infinite entries; all must be finite")
        return batch, pairs, pair_gradients

    batches = neighborhoods(descriptor, structures, centers, center_offsets)
    for batch, pairs, pair_gradients in ordered_map(compute, batches, descriptor.n_threads):
        scatter(structures, batch, pairs, pair_gradients, gradient, strain_gradient)
    return gradient, strain_gradient


def scatter(structures, batch, pairs, pair_gradients, gradient, strain_gradient):
    """Add gradients of the pairs of a batch to those of all atoms and all structures."""
    atoms = slice(structures.offsets[batch.part.start], structures.offsets[batch.part.stop])
    _scatter_cy.scatter(
        pairs.offsets, pairs.neighbor, pairs.displacement, batch.centers, batch.owners,
        pair_gradients, gradient[atoms], strain_gradient[batch.part],
    )
