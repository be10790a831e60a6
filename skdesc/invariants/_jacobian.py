"""Explicit derivatives of the features of all centers, without the zeros."""

from __future__ import annotations

import math

import numpy as np

from ..utils.memory import check_fits_memory
from . import _environments_cy, _scatter_cy
from ._environments import neighborhoods


def jacobian(engine, structures, centers, center_offsets, strain=False):
    """Compute the derivatives of the features by positions, and by strain if asked for.

    Parameters
    ----------
    engine, structures, centers, center_offsets
        As for :func:`describe`.
    strain : bool, default=False
        Whether to compute derivatives by each structure's strain too.

    Returns
    -------
    groups : list of tuple (center, atom, columns, values, along)
        Blocks of each group, see `Blocks`, the last one those by the centers themselves.
    strain : ndarray of shape (n_centers, 3, 3, n_features) or None
        Before normalization is accounted for.
    strain_along : ndarray of shape (n_centers, 3, 3) or None
        What normalization takes away.
    """
    expansion, invariant = engine.expansion, engine.invariant
    batches, atom, center, group, count = [], [], [], [], 0
    for part, rows, _, species, own, pairs in neighborhoods(
        engine, structures, centers, center_offsets
    ):
        block, offsets, atoms = _scatter_cy.number_blocks(
            pairs.offsets, pairs.neighbor, len(species)
        )
        blocks = slice(count, count + len(atoms))
        count = blocks.stop
        batches.append((rows, species, own, pairs, block, offsets, blocks))
        atom.append(atoms + structures.offsets[part.start])
        center.append(np.repeat(np.arange(rows.start, rows.stop), np.diff(offsets)))
        group.append(expansion.groups_of(species[atoms]))
    atom, center, group = (np.concatenate(parts) for parts in (atom, center, group))
    arena = Arena(group, invariant.columns)
    n_centers, n_features = len(centers), invariant.n_features
    n_strain = n_centers if strain else 0
    shapes = [(n_centers, 3, n_features), (n_strain, 3, 3, n_features)]
    sizes = [arena.size, *map(math.prod, shapes)]
    check_fits_memory(
        8 * sum(sizes),
        f"the derivatives of {n_centers} centers and {n_features} features by {count} neighbors",
        "take AtomicFeatures.vjp, which forms no Jacobian, or fewer structures or features",
    )
    memory, cleared = engine.spare_derivatives.take((sum(sizes),))
    if not cleared:
        memory.fill(0.0)
    arena.data, *rest = np.split(memory, np.cumsum(sizes[:-1]))
    own_values, strain_values = (
        part.reshape(shape) for part, shape in zip(rest, shapes, strict=True)
    )
    along, own_along = np.zeros((count, 3)), np.zeros((n_centers, 3))
    strain_along = np.zeros((n_strain, 3, 3))
    for rows, species, own, pairs, block, offsets, blocks in batches:
        extra = _environments_cy.n_extra_of_jacobian(
            expansion, int(np.diff(offsets).max(initial=0)), strain
        )
        _environments_cy.Neighborhoods(
            expansion, invariant, pairs, species, own, engine.n_threads, True, extra
        ).jacobian(
            block, offsets, arena.place[blocks], arena.data, along[blocks], own_values[rows],
            own_along[rows], strain_values[rows], strain_along[rows],
        )  # fmt: skip
    groups = []
    for g, columns in enumerate(invariant.columns):
        mine = arena.members(g)
        groups.append((center[mine], atom[mine], columns, arena.values(g), along[mine]))
    itself = np.arange(n_centers)
    groups.append((itself, centers, np.arange(n_features), own_values, own_along))
    return groups, *((strain_values, strain_along) if strain else (None, None))


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

    def members(self, g):
        """Blocks of a group."""
        return self.order[self.firsts[g] : self.firsts[g + 1]]

    def values(self, g):
        """Rows of the blocks of a group, ndarray of shape (n_blocks, 3, n_columns)."""
        return self.data[self.starts[g] : self.starts[g + 1]].reshape(-1, 3, self.widths[g])
