"""Invariants of the coefficients averaged over the centers of each structure."""

from __future__ import annotations

import numpy as np

from ..utils.shapes import check_shape
from ..utils.threads import ordered_map
from . import _inner_cy
from ._environments import neighborhoods, scatter


def describe_means(descriptor, structures, centers, center_offsets):
    """Compute the invariants of averaged coefficients.

    Parameters
    ----------
    descriptor, structures, centers, center_offsets
        As for :func:`describe`.

    Yields
    ------
    part : slice
        Structures of this batch; those without centers may be in none.
    values : ndarray of shape (n_structures_of_batch, n_features)
        Their features; zeros for a structure without centers.
    """
    for part, means in _means(descriptor, structures, centers, center_offsets):
        values = np.zeros((len(means), descriptor.invariant.n_features))
        _inner_cy.features(descriptor.expansion, descriptor.invariant, means, values)
        yield part, values


def _means(descriptor, structures, centers, center_offsets):
    """Averages of the coefficients, structure by structure, in a fixed order of summation."""
    counts = np.maximum(np.diff(center_offsets), 1)
    current, sums = None, None

    def compute(batch):
        return batch, batch.environments(batch.pairs(), False).coefficients()

    batches = neighborhoods(descriptor, structures, centers, center_offsets)
    for batch, coefficients in ordered_map(compute, batches, descriptor.n_threads):
        part = batch.part
        if part != current:
            if current is not None:
                yield current, sums
            current = part
            sums = np.zeros((len(batch.structures), *coefficients.shape[1:]))
        index = batch.owners
        starts = np.flatnonzero(np.diff(index, prepend=-1))
        added = np.add.reduceat(coefficients, starts, axis=0)
        del coefficients  # the largest array: released before the next ones are allocated
        added /= counts[part][index[starts], None, None, None]
        sums[index[starts]] += added
    if current is not None:
        yield current, sums


def pull_back_means(descriptor, structures, centers, center_offsets, cotangents):
    """Contract derivatives of the invariants of averaged coefficients with a cotangent.

    Parameters
    ----------
    descriptor, structures, centers, center_offsets
        As for :func:`describe`.
    cotangents : ndarray of shape (n_structures, n_features)
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
    counts = np.maximum(np.diff(center_offsets), 1)
    check_shape("g", cotangents, (len(structures), descriptor.invariant.n_features))
    for part, means in _means(descriptor, structures, centers, center_offsets):
        slopes = np.empty_like(means)
        _inner_cy.adjoint(
            descriptor.expansion, descriptor.invariant, means,
            np.ascontiguousarray(cotangents[part]), slopes,
        )
        slopes /= counts[part][:, None, None, None]
        atoms = slice(structures.offsets[part.start], structures.offsets[part.stop])
        mine = slice(center_offsets[part.start], center_offsets[part.stop])
        local = structures[part]

        def compute(batch, slopes=slopes):
            pairs = batch.pairs()
            pair_gradients = np.empty_like(pairs.displacement)
            batch.environments(pairs, True).pull_back_coefficients(
                slopes, batch.owners + batch.part.start, pair_gradients
            )
            return batch, pairs, pair_gradients

        batches = neighborhoods(
            descriptor, local, centers[mine] - atoms.start,
            center_offsets[part.start : part.stop + 1] - mine.start,
        )
        for batch, pairs, pair_gradients in ordered_map(compute, batches, descriptor.n_threads):
            scatter(local, batch, pairs, pair_gradients, gradient[atoms], strain_gradient[part])
    return gradient, strain_gradient
