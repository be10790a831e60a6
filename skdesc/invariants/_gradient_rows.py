r"""Derivatives of many linear functions of the power spectrum at once.

For a sparse point q, :math:`\partial (p \cdot q) / \partial c_l = 2 Q_l c_l` with a symmetric
matrix :math:`Q_l` of the channels that does not depend on the environment. So all sparse points
share two matrix products per environment: coefficients times :math:`Q`, and derivatives of the
coefficients by the neighbors' positions times the result. The derivative of the spectrum itself
is never formed.
"""

from __future__ import annotations

import numpy as np

from ..neighbors import find_pairs
from . import _environments_cy

WORKSPACE = 64e6
"""Bytes for derivatives of coefficients that are held at a time."""


def gradient_rows(engine, features, Q, weights, n_threads):
    """Derivatives of ``sum_i weights[i, m] * (values[i] @ Q[m])`` with the weights held fixed.

    Parameters
    ----------
    engine : object
        The descriptor behind the features.
    features : AtomicFeatures
        The environments.
    Q : ndarray of shape (n_rows, n_features)
        Coefficients of the linear functions.
    weights : ndarray of shape (n_centers, n_rows)
        Weights of the centers.
    n_threads : int
        Threads for the neighbor search.

    Returns
    -------
    gradient : ndarray of shape (n_atoms, 3, n_rows)
        By the positions.
    strain_gradient : ndarray of shape (n_structures, 3, 3, n_rows)
        By the strains.
    """
    structures = features.structures
    n_rows = len(Q)
    gradient = np.zeros((len(structures.positions), 3, n_rows))
    strain_gradient = np.zeros((len(structures), 3, 3, n_rows))
    contraction = _Contraction(engine, Q)
    used = np.flatnonzero(weights.any(axis=1))
    species_index = engine.species_index(structures.numbers)
    for s in range(len(structures)):
        rows = used[np.searchsorted(used, features.offsets[s]) :
                    np.searchsorted(used, features.offsets[s + 1])]  # fmt: skip
        if rows.size == 0:
            continue
        atoms = slice(structures.offsets[s], structures.offsets[s + 1])
        centers = features.centers[rows] - atoms.start
        species = np.ascontiguousarray(species_index[atoms])
        pairs = find_pairs(structures[s : s + 1], engine.cutoff, centers, species, n_threads)
        for k, derivatives, coefficients in _environments(engine, pairs, centers, species):
            own = slice(pairs.offsets[k], pairs.offsets[k + 1])
            row = rows[k]
            rows_of_pairs = contraction(
                coefficients, derivatives, species[pairs.neighbor[own]], features.values[row],
                features.norms[row], weights[row],
            )  # fmt: skip
            _scatter(
                rows_of_pairs, pairs.neighbor[own], centers[k], pairs.displacement[own],
                gradient[atoms], strain_gradient[s],
            )  # fmt: skip
    return gradient, strain_gradient


def _environments(engine, pairs, centers, species):
    """Yield each center with neighbors, its coefficients and their derivatives."""
    expansion = engine.expansion
    size = 3 * expansion.n_lm * expansion.n_max
    per_batch = max(1, int(WORKSPACE / (8 * size * max(pairs.max_neighbors, 1))))
    for start in range(0, len(centers), per_batch):
        stop = min(start + per_batch, len(centers))
        first, last = pairs.offsets[start], pairs.offsets[stop]
        arguments = (
            expansion, pairs.offsets[start : stop + 1] - first, pairs.neighbor[first:last],
            pairs.displacement[first:last], pairs.distance[first:last], species,
            np.ascontiguousarray(centers[start:stop]), pairs.max_neighbors,
        )  # fmt: skip
        coefficients = _environments_cy.coefficients(*arguments)
        derivatives = np.empty((last - first, 3, expansion.n_lm, expansion.n_max))
        _environments_cy.coefficient_derivatives(*arguments, derivatives)
        for k in range(start, stop):
            own = slice(pairs.offsets[k] - first, pairs.offsets[k + 1] - first)
            if own.stop > own.start:
                yield k, derivatives[own], coefficients[k - start]


class _Contraction:
    """The two matrix products, for one set of linear functions."""

    def __init__(self, engine, Q):
        layout, expansion = engine.layout, engine.expansion
        self.normalize = engine.normalize
        self.Q = np.asarray(Q, dtype=np.float64)
        self.n_max, self.n_species = expansion.n_max, expansion.n_species
        degree = np.arange(expansion.l_max + 1)
        self.prefactor = np.pi * np.sqrt(8 / (2 * degree + 1))
        self.parts = [slice(l * l, (l + 1) ** 2) for l in degree]
        n_channels = self.n_species * self.n_max
        unpacked = layout.unpack(self.Q) * (2 * self.prefactor)[:, None, None, None]
        # (l, all channels, species, n * row): one product gives a species' share for all rows
        self.unpacked = unpacked.reshape(len(degree), n_channels, self.n_species, -1)

    def __call__(self, coefficients, derivatives, species, value, norm, weights):
        """Rows of all neighbors of one center, shape (n_neighbors, 3, n_rows)."""
        n_lm = len(coefficients)
        channels = coefficients.reshape(n_lm, -1)
        result = np.empty((len(derivatives), 3, len(self.Q)))
        along = self._along(channels, norm) if self.normalize else None
        for s in np.unique(species):
            mine = species == s
            inner = np.empty((n_lm, self.unpacked.shape[-1]))
            for part, matrix in zip(self.parts, self.unpacked, strict=True):
                np.matmul(channels[part], matrix[:, s], out=inner[part])
            flat = derivatives[mine].reshape(-1, n_lm * self.n_max)
            rows = flat @ inner.reshape(n_lm * self.n_max, -1)
            if self.normalize:
                own = along[:, s * self.n_max : (s + 1) * self.n_max].ravel()
                rows -= np.outer(flat @ own, self.Q @ value)
            result[mine] = rows.reshape(-1, 3, len(self.Q))
        scale = weights
        if self.normalize:
            scale = weights / norm if norm > 0 else np.zeros_like(weights)
        return result * scale

    def _along(self, channels, norm):
        """Derivative of p . p0 by the coefficients at p0 = p: the direction normalized away."""
        if norm == 0:
            return np.zeros_like(channels)
        return np.concatenate([
            (2 * factor**2 / norm) * (channels[part] @ channels[part].T) @ channels[part]
            for part, factor in zip(self.parts, self.prefactor, strict=True)
        ])  # fmt: skip


def _scatter(rows, neighbor, center, displacement, gradient, strain_gradient):
    """Add the rows of one center's neighbors to those of atoms and strain."""
    flat = rows.reshape(len(rows), -1)
    atoms, place = np.unique(neighbor, return_inverse=True)
    selector = np.zeros((len(atoms), len(neighbor)))
    selector[place, np.arange(len(neighbor))] = 1.0
    gradient[atoms] += (selector @ flat).reshape(len(atoms), *rows.shape[1:])
    gradient[center] -= rows.sum(axis=0)
    strain = (displacement.T @ flat).reshape(3, *rows.shape[1:])
    strain_gradient += strain.transpose(1, 0, 2)
