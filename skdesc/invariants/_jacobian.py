"""Explicit derivatives of the features of all centers, in sparse form."""

from __future__ import annotations

import math

import numpy as np

from ..utils.memory import SPARE, check_fits_memory
from ..utils.threads import ordered_map
from . import _jacobian_cy, _scatter_cy
from ._environments import neighborhoods


def jacobian(descriptor, structures, centers, center_offsets, strain=False):
    """Compute the derivatives of the features with respect to positions and, on request, strain.

    Parameters
    ----------
    descriptor, structures, centers, center_offsets
        As for :func:`describe`.
    strain : bool, default=False
        Whether to compute derivatives by each structure's strain too.

    Returns
    -------
    groups : list of tuple (center, atom, columns, values, along)
        Blocks of each group, see `Blocks`, the last ones those by the centers themselves.
    strain : ndarray of shape (n_centers, 3, 3, n_features) or None
        Before normalization is accounted for.
    strain_along : ndarray of shape (n_centers, 3, 3) or None
        What normalization takes away.
    """
    invariant = descriptor.invariant
    batches, atom, center, group, present = _blocks(
        descriptor, structures, centers, center_offsets
    )
    count = len(atom)
    arena, own_arena = Arena(group, invariant.columns), _arena_of_centers(invariant, present)
    n_centers, n_features = len(centers), invariant.n_features
    strain_shape = (n_centers if strain else 0, 3, 3, n_features)
    sizes = [arena.size, own_arena.size, math.prod(strain_shape)]
    check_fits_memory(
        8 * sum(sizes),
        f"the derivatives of {n_centers} centers and {n_features} features by {count} neighbors",
        "take AtomicFeatures.vjp, which forms no Jacobian, or fewer structures or features",
    )
    memory, cleared = SPARE.take((sum(sizes),))
    if not cleared:
        memory.fill(0.0)
    arena.data, own_arena.data, strain_values = np.split(memory, np.cumsum(sizes[:-1]))
    strain_values = strain_values.reshape(strain_shape)
    along, own_along = np.zeros((count, 3)), np.zeros((n_centers, 3))
    strain_along = np.zeros((len(strain_values), 3, 3))

    def compute(item):
        batch, pairs, block, offsets, blocks = item
        extra = _jacobian_cy.n_extra_of_jacobian(
            descriptor.expansion, int(np.diff(offsets).max(initial=0)), strain
        )
        for some, full_rows in own_arena.full_rows(batch.rows, n_features):
            part = slice(some.start - batch.rows.start, some.stop - batch.rows.start)
            of_part = slice(pairs.offsets[part.start], pairs.offsets[part.stop])
            smaller, own_pairs = batch.some(part, pairs)
            _jacobian_cy.jacobian(
                smaller.environments(own_pairs, True, extra),
                block[of_part], offsets[part.start : part.stop + 1], arena.place[blocks],
                arena.data, along[blocks], full_rows, own_along[some], strain_values[some],
                strain_along[some],
            )

    for _ in ordered_map(compute, batches, descriptor.n_threads):
        pass
    groups = [
        (center[mine], atom[mine], columns, arena.values(g), along[mine])
        for g, (columns, mine) in enumerate(arena.groups())
    ]
    groups += [
        (mine, centers[mine], columns, own_arena.values(g), own_along[mine])
        for g, (columns, mine) in enumerate(own_arena.groups())
    ]
    return groups, *((strain_values, strain_along) if strain else (None, None))


def _blocks(descriptor, structures, centers, center_offsets):
    """Number the atoms near each center; images of one atom share a number.

    Returns
    -------
    batches : list of tuple
        Each batch, its pairs, the block of each pair, where the blocks of each center begin, and
        the slice of the batch among all blocks.
    atom, center, group : ndarray of shape (n_blocks,)
        Near atom, center, and group of species of each block.
    present : ndarray of bool of shape (n_centers, n_groups)
        Groups that a center has atoms of, itself included.
    """
    expansion = descriptor.expansion
    batches, count = [], 0
    # not of any neighbor yet, which may be all: where there are no centers
    atom, center, group = ([np.empty(0, dtype=np.intp)] for _ in range(3))
    present = np.zeros((len(centers), len(descriptor.invariant.columns)), dtype=bool)
    for batch in neighborhoods(descriptor, structures, centers, center_offsets):
        pairs, species, own, rows = batch.pairs(), batch.species, batch.centers, batch.rows
        block, offsets, atoms = _scatter_cy.number_blocks(
            pairs.offsets, pairs.neighbor, len(species)
        )
        blocks = slice(count, count + len(atoms))
        count = blocks.stop
        batches.append((batch, pairs, block, offsets, blocks))
        atom.append(atoms + structures.offsets[batch.part.start])
        center.append(np.repeat(np.arange(rows.start, rows.stop), np.diff(offsets)))
        group.append(expansion.groups_of(species[atoms]))
        present[center[-1], group[-1]] = True
        known = species[own] >= 0
        present[rows][known, expansion.groups_of(species[own][known])] = True
    return batches, *(np.concatenate(parts) for parts in (atom, center, group)), present


def _arena_of_centers(invariant, present):
    """Where the derivatives by the centers themselves go: without the zeros, if many are."""
    n_features = invariant.n_features
    sets, group = np.unique(present, axis=0, return_inverse=True)

    def columns(one):
        kept = np.ones(n_features, dtype=bool)
        for absent in np.flatnonzero(~one):
            kept[invariant.vanishing[absent]] = False
        return np.flatnonzero(kept)

    # lists of columns take memory, too
    widths = np.array([len(columns(one)) for one in sets])
    if widths @ (3 * np.bincount(group.reshape(-1)) + 1) < 0.8 * 3 * len(present) * n_features:
        return Arena(group.reshape(-1), [columns(one) for one in sets])
    return Arena(np.zeros(len(present), dtype=np.intp), [np.arange(n_features)])


BUFFER = 4e6
"""Bytes of full rows that are held at a time."""


class Arena:
    """Where in one array the rows of all blocks are, those of a group side by side.

    Parameters
    ----------
    group : ndarray of shape (n_blocks,)
        Group of each block.
    columns : list of ndarray
        Features of each group.

    Attributes
    ----------
    data : ndarray of shape (size,)
        Set by the user of this class.
    """

    def __init__(self, group, columns):
        self.group, self.columns = group, columns
        self.widths = np.array([len(part) for part in columns])
        counts = np.bincount(group, minlength=len(columns))
        self.firsts = np.concatenate([[0], np.cumsum(counts)])
        self.starts = np.concatenate([[0], np.cumsum(3 * counts * self.widths)])
        self.order = np.argsort(group, kind="stable")
        rank = np.empty(len(group), dtype=np.intp)
        rank[self.order] = np.arange(len(group))
        self.place = self.starts[group] + 3 * (rank - self.firsts[group]) * self.widths[group]

    @property
    def size(self):
        """Number of entries."""
        return int(self.starts[-1])

    def groups(self):
        """Columns and blocks of each group."""
        for g, columns in enumerate(self.columns):
            yield columns, self.order[self.firsts[g] : self.firsts[g + 1]]

    def full_rows(self, blocks, n_features):
        """Yield some of a slice of the blocks, and zeros for all features of theirs.

        What is added to the zeros is kept in the columns of each block.
        """
        if (self.widths == n_features).all():
            yield blocks, self.data.reshape(-1, 3, n_features)[blocks]
            return
        step = max(1, int(BUFFER / (24 * n_features)))
        for start in range(blocks.start, blocks.stop, step):
            some = slice(start, min(start + step, blocks.stop))
            rows = np.zeros((some.stop - start, 3, n_features))
            yield some, rows
            for k, row in zip(range(start, some.stop), rows, strict=True):
                columns = self.columns[self.group[k]]
                kept = self.data[self.place[k] : self.place[k] + 3 * len(columns)]
                np.take(row, columns, axis=1, out=kept.reshape(3, len(columns)), mode="clip")

    def values(self, g):
        """Rows of the blocks of a group, ndarray of shape (n_blocks, 3, n_columns)."""
        shape = (self.firsts[g + 1] - self.firsts[g], 3, self.widths[g])
        return self.data[self.starts[g] : self.starts[g + 1]].reshape(shape)
