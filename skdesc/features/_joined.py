"""Several descriptors of the same structures, joined column by column."""

from __future__ import annotations

import numpy as np

from ._jacobian import Blocks, Jacobian
from ._protocol import AtomicDescriptor


class JoinedDescriptor(AtomicDescriptor):
    """Descriptors whose features are the columns of one array, block after block.

    Parameters
    ----------
    descriptors : sequence of AtomicDescriptor
        The descriptor of each block.
    widths : sequence of int
        Numbers of features.
    """

    def __init__(self, descriptors, widths):
        self.descriptors = tuple(descriptors)
        ends = np.cumsum(widths).tolist()
        self.blocks = tuple(slice(*pair) for pair in zip([0, *ends[:-1]], ends, strict=True))
        cutoffs = [descriptor.cutoff for descriptor in self.descriptors]
        self.cutoff = None if None in cutoffs else max(cutoffs)

    def workspace_bytes(self, structures, n_rows):
        """Memory for computing the rows, block after block."""
        return max(part.workspace_bytes(structures, n_rows) for part in self.descriptors)

    def vjp(self, features, g):
        """Sum over the blocks; see ``AtomicFeatures.vjp``."""
        return _sum(
            features.block(index).vjp(np.ascontiguousarray(g[:, columns]))
            for index, columns in enumerate(self.blocks)
        )

    def gradient_rows(self, features, Q, weights):
        """Sum over the blocks; see ``AtomicFeatures.gradient_rows``."""
        return _sum(
            features.block(index).gradient_rows(np.ascontiguousarray(Q[:, columns]), weights)
            for index, columns in enumerate(self.blocks)
        )

    def jacobian(self, features, strain=False):
        """Jacobians of the blocks, joined; see ``AtomicFeatures.jacobian``."""
        parts, strains = [], []
        for index, columns in enumerate(self.blocks):
            block = features.block(index)
            found = block.jacobian(strain)
            strains.append(found.strain)
            for part in found.blocks:
                # each block is normalized separately, so it must be done here
                values = np.zeros((len(part.center), 3, block.values.shape[1]))
                values[:, :, part.columns] = part.values
                values -= part.along[:, :, np.newaxis] * block.values[part.center, np.newaxis]
                every = np.arange(columns.start, columns.stop)
                parts.append(
                    Blocks(part.center, part.atom, every, values, np.zeros_like(part.along))
                )
        by_strain = np.concatenate(strains, axis=3) if strain else None
        return Jacobian(features.values, parts, len(features.structures.positions), by_strain)


def _sum(pairs):
    gradient, strain_gradient = 0.0, 0.0
    for of_positions, of_strain in pairs:
        gradient, strain_gradient = gradient + of_positions, strain_gradient + of_strain
    return gradient, strain_gradient


def join(parts):
    """Put the features of the same centers side by side.

    Parameters
    ----------
    parts : sequence of AtomicFeatures
        One of each descriptor.

    Returns
    -------
    AtomicFeatures
        With the blocks of all parts.
    """
    parts = list(parts)
    kind, first = type(parts[0]), parts[0]
    for index, part in enumerate(parts):
        if not isinstance(part, kind):
            raise TypeError(
                f"AtomicFeatures can be joined with their like only, but part {index} is of type "
                f"{type(part).__name__}; use pooling='mean' or 'sum' in all transformers or in none"
            )
        same = (
            np.array_equal(part.offsets, first.offsets)
            and np.array_equal(part.centers, first.centers)
            and np.array_equal(part.structures.positions, first.structures.positions)
        )
        if not same:
            raise ValueError(f"part {index} has other structures or centers than part 0; describe "
                             "the same structures, in the same order")
    if len(parts) == 1:
        return first
    pieces = [part.block(index) for part in parts for index in range(len(part.blocks))]
    descriptor = JoinedDescriptor(
        [piece.descriptor for piece in pieces], [piece.values.shape[1] for piece in pieces]
    )
    values = np.concatenate([piece.values for piece in pieces], axis=1)
    return kind(values, first.structures, first.centers, first.offsets, descriptor)
