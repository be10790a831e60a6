r"""Derivatives of many linear functions of the features at once.

For the power spectrum and a sparse point q, :math:`\partial (p \cdot q) / \partial c_l = 2 Q_l c_l`
with a symmetric matrix :math:`Q_l` of the channels that does not depend on the environment. So all
sparse points share two matrix products per environment: coefficients times :math:`Q`, and
derivatives of the coefficients by the neighbors' positions times the result. The derivative of
the spectrum itself is never formed. It is where a species has fewer features than coefficients,
as in the spectrum of a single species, and for all other invariants.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.linalg import blas

from ..neighbors import bound_neighbors
from ..utils.indexing import runs
from ..utils.shapes import check_shape
from . import _jacobian_cy, _scatter_cy
from ._environments import neighborhoods
from ._jacobian import Arena

WORKSPACE = 6e6
"""Bytes for derivatives of coefficients or features of a chunk; two chunks may exist at a time."""

def gradient_rows(descriptor, features, Q, weights):
    """Derivatives of ``sum_i weights[i, m] * (values[i] @ Q[m])`` with the weights held fixed.

    Parameters
    ----------
    descriptor : object
        The descriptor behind the features.
    features : AtomicFeatures
        The environments.
    Q : ndarray of shape (n_rows, n_features) or None
        Coefficients of the linear functions; with None, they are the features themselves, which
        not all invariants offer.
    weights : ndarray of shape (n_centers, n_rows)
        Weights of the centers.

    Returns
    -------
    gradient : ndarray of shape (n_atoms, 3, n_rows)
        By the positions.
    strain_gradient : ndarray of shape (n_structures, 3, 3, n_rows)
        By the strains.
    """
    structures = features.structures
    if Q is not None:
        Q = np.ascontiguousarray(Q, dtype=np.float64)
    n_rows, n_features = weights.shape[1], descriptor.invariant.n_features
    check_shape("features", features.values, (len(features.centers), n_features))
    check_shape("weights", weights, (len(features.centers), n_rows))
    if Q is not None:
        check_shape("Q", Q, (n_rows, n_features))
    gradient = np.zeros((len(structures.positions), 3, n_rows))
    strain_gradient = np.zeros((len(structures), 3, 3, n_rows))
    contraction = descriptor.contraction(descriptor, Q)
    used = np.flatnonzero(weights.any(axis=1))
    offsets = np.searchsorted(used, features.offsets)
    for batch in neighborhoods(descriptor, structures, features.centers[used], offsets):
        pairs, rows = batch.pairs(), used[batch.rows]
        atoms = slice(structures.offsets[batch.part.start], structures.offsets[batch.part.stop])
        structure = batch.part.start + batch.owners
        values = np.asarray(features.values[rows], dtype=np.float64)
        for k, result in contraction(batch, pairs, values):
            mine = slice(pairs.offsets[k], pairs.offsets[k + 1])
            _scatter_cy.scatter_rows(
                result, pairs.neighbor[mine], batch.centers[k], pairs.displacement[mine],
                np.ascontiguousarray(weights[rows[k]], dtype=np.float64),
                gradient[atoms], strain_gradient[structure[k]],
            )
    return gradient, strain_gradient


def workspace_of_rows(descriptor, structures, n_rows):
    """Bound the memory of :func:`gradient_rows` beside its result.

    Parameters
    ----------
    descriptor, structures, n_rows
        The descriptor, the structures, and the number of linear functions.

    Returns
    -------
    int
        In bytes.
    """
    n_neighbors = bound_neighbors(structures, descriptor.cutoff)[0]
    per_pair = descriptor.contraction.bytes_per_pair(descriptor, n_rows)
    # a chunk has at least one center
    two_chunks = 2 * max(WORKSPACE, n_neighbors * per_pair)
    return int(min(two_chunks, len(structures.positions) * n_neighbors * per_pair))


def _chunks(pairs, bytes_per_pair):
    """Runs of centers with neighbors whose pairs fit the workspace."""
    for part in runs(pairs.offsets, max(1, int(WORKSPACE / bytes_per_pair))):
        if pairs.offsets[part.stop] > pairs.offsets[part.start]:
            yield part


class Factorized:
    """The two matrix products, for one set of linear functions of a power spectrum."""

    def __init__(self, descriptor, Q):
        expansion, layout = descriptor.expansion, descriptor.layout
        self.descriptor, self.Q = descriptor, Q
        self.n_max, self.n_lm = expansion.n_max, expansion.n_lm
        self.n_groups = expansion.n_groups + expansion.n_spare
        self.parts = [slice(l * l, (l + 1) ** 2) for l in range(expansion.l_max + 1)]
        unpacked = layout.unpack(Q)
        unpacked *= 2
        shape = (len(self.parts), self.n_groups * self.n_max, self.n_groups, -1)
        unpacked = unpacked.reshape(shape)
        if expansion.n_spare:
            # a change of one species also changes the sum over all species
            unpacked[:, :, :-1] += unpacked[:, :, -1:]
        # one product contracts all linear functions with the coefficients of a species
        self.unpacked = [
            [np.ascontiguousarray(matrix[:, s]) for matrix in unpacked]
            for s in range(expansion.n_groups)
        ]

    @staticmethod
    def bytes_per_pair(descriptor, n_rows):
        """Derivatives of the expansion coefficients of a species."""
        return 24 * descriptor.expansion.n_lm * descriptor.expansion.n_max

    def __call__(self, batch, pairs, values):
        """Yield each center and the rows (n_neighbors, 3, n_rows) of its neighbors."""
        descriptor = self.descriptor
        size = self.n_lm * self.n_max
        for chunk in _chunks(pairs, self.bytes_per_pair(descriptor, len(self.Q))):
            smaller, part = batch.some(chunk, pairs)
            shape = (len(part.offsets) - 1, self.n_lm, self.n_groups, self.n_max)
            c, H = np.zeros(shape), np.zeros(shape)
            dc = np.empty((len(part.neighbor), 3, self.n_lm, self.n_max))
            extra = 3 * self.n_lm * descriptor.expansion.n_pad * part.max_neighbors
            smaller.environments(part, True, extra).linearize(c, H, dc)
            dots = values[chunk] @ self.Q.T if descriptor.invariant.normalize else None
            kinds = batch.species[part.neighbor]
            # runs of neighbors of one species
            changes = np.flatnonzero(kinds[1:] != kinds[:-1]) + 1
            edges = np.union1d(part.offsets, changes)
            bounds = np.searchsorted(edges, part.offsets).tolist()
            edges = edges.tolist()
            for k, (first, last) in enumerate(pairwise(bounds)):
                start, stop = edges[first], edges[last]
                if stop == start:
                    continue
                result = np.empty((stop - start, 3, len(self.Q)))
                for a, b in pairwise(edges[first : last + 1]):
                    s = kinds[a]
                    flat = dc[a:b].reshape(-1, size)
                    rows = result[a - start : b - start].reshape(-1, len(self.Q))
                    np.matmul(flat, self._inner(c[k], s), out=rows)
                    if dots is not None:  # in place: BLAS works on the transpose
                        blas.dger(-1.0, dots[k], flat @ H[k, :, s].ravel(), a=rows.T,
                                  overwrite_a=True)
                yield chunk.start + k, result

    def _inner(self, c, s):
        """Derivatives of all linear functions with respect to the coefficients of a species."""
        channels = c.reshape(self.n_lm, -1)
        inner = np.empty((self.n_lm, self.n_max * len(self.Q)))
        for part, matrix in zip(self.parts, self.unpacked[s], strict=True):
            np.matmul(channels[part], matrix, out=inner[part])
        return inner.reshape(-1, len(self.Q))


class ByJacobian:
    """The derivatives of the features, times the coefficients of the linear functions."""

    def __init__(self, descriptor, Q):
        self.descriptor, self.Q = descriptor, Q
        features = descriptor.invariant.columns
        # without Q, the features themselves
        self.columns = ([None] * len(features) if Q is None else
                        [np.ascontiguousarray(Q[:, columns].T) for columns in features])

    @staticmethod
    def bytes_per_pair(descriptor, n_rows):
        """Derivatives of the features that depend on a species, and two arrays of rows."""
        return 24 * (max(map(len, descriptor.invariant.columns)) + 2 * n_rows)

    def __call__(self, batch, pairs, values):
        """Yield each center and the rows (n_neighbors, 3, n_rows) of its neighbors."""
        descriptor = self.descriptor
        expansion, invariant = descriptor.expansion, descriptor.invariant
        n_rows = 0 if self.Q is None else len(self.Q)
        for chunk in _chunks(pairs, self.bytes_per_pair(descriptor, n_rows)):
            smaller, part = batch.some(chunk, pairs)
            n_centers, n_pairs = len(part.offsets) - 1, len(part.neighbor)
            # every pair is a block of its own: images of one atom differ in their strain
            arena = Arena(expansion.groups_of(batch.species[part.neighbor]), invariant.columns)
            arena.data = np.zeros(arena.size)
            along = np.zeros((n_pairs, 3))
            n_extra = _jacobian_cy.n_extra_of_jacobian(expansion, part.max_neighbors, False)
            _jacobian_cy.jacobian(
                smaller.environments(part, True, n_extra),
                np.arange(n_pairs), part.offsets, arena.place, arena.data, along,
                np.zeros((n_centers, 3, invariant.n_features)), np.zeros((n_centers, 3)),
                np.zeros((0, 3, 3, 0)), np.zeros((0, 3, 3)),
            )
            dots = None
            if invariant.normalize:
                dots = values[chunk] if self.Q is None else values[chunk] @ self.Q.T
            for k, result in self._contract(arena, part.offsets.tolist()):
                if dots is not None:
                    own = along[part.offsets[k] : part.offsets[k + 1]]
                    # in place: BLAS works on the transpose
                    blas.dger(-1.0, dots[k], own.ravel(), a=result.reshape(-1, dots.shape[1]).T,
                              overwrite_a=True)
                yield chunk.start + k, result

    def _contract(self, arena, offsets):
        """Yield centers that have pairs, and derivatives of the linear functions by these."""
        whole = None
        if len(self.columns) > 1:
            whole = np.empty((len(arena.place), 3, len(self.Q)))
            for g, (_, mine) in enumerate(arena.groups()):
                whole[mine] = _product(arena.values(g), self.columns[g])
        elif self.Q is None:
            whole = arena.values(0)
        for k, (start, stop) in enumerate(pairwise(offsets)):
            if stop > start and whole is not None:
                yield k, whole[start:stop]
            elif stop > start:  # while they are in the cache
                yield k, _product(arena.values(0)[start:stop], self.columns[0])


def _product(rows, columns):
    """Derivatives (n, 3, n_features) times a matrix, as one product of matrices."""
    return (rows.reshape(-1, len(columns)) @ columns).reshape(len(rows), 3, columns.shape[1])
