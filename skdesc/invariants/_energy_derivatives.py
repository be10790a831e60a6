"""Energies of environments and their derivatives, by one search for neighbors and one expansion."""

from __future__ import annotations

import numpy as np

from ..utils.shapes import check_shape
from ..utils.threads import ordered_map
from . import _scatter_cy
from ._environments import neighborhoods

KEPT_BYTES = 64e6
"""Bytes of density coefficients that are kept for the derivatives; those of larger batches are
computed twice."""


def differentiate_energies(descriptor, structures, centers, center_offsets, energy_slopes):
    """Derivatives of a sum of functions, each of the features of one center.

    Parameters
    ----------
    descriptor, structures, centers, center_offsets
        As for :func:`describe`.
    energy_slopes : callable
        Called with a slice of the centers and their features, (n_rows, n_features), which it may
        overwrite, by several threads at a time; returns the derivatives of the functions by the
        features, of the same shape.

    Returns
    -------
    gradient : ndarray of shape (n_atoms, 3)
        Derivatives of the sum by the positions.
    strain_gradient : ndarray of shape (n_centers, 3, 3)
        Derivatives of each center's function by the strain of its structure.
    shortest : float
        Shortest distance from a center to a neighbor, in angstrom; infinite without neighbors.

    Raises
    ------
    ValueError
        If a derivative by a feature is not finite.
    """
    gradient = np.zeros((len(structures.positions), 3))
    strain_gradient = np.zeros((len(centers), 3, 3))
    shortest = np.inf

    def compute(batch):
        pairs = batch.pairs()
        environments = batch.environments(pairs, True)
        values = np.empty((len(batch.centers), descriptor.invariant.n_features))
        kept = None
        if 8 * len(values) * environments.n_coefficients <= KEPT_BYTES:
            kept = np.empty((len(values), environments.n_coefficients))
        environments.features(values, False, kept)
        slopes = energy_slopes(batch.rows, values)
        check_shape("slopes", slopes, values.shape)
        pair_gradients = np.empty_like(pairs.displacement)
        if not environments.pair_gradients(slopes, pair_gradients, kept):
            raise ValueError("the energy's derivatives by the features have NaN or infinite "
                             "entries, but all must be finite; fit the potential anew")
        return batch, pairs, pair_gradients

    batches = neighborhoods(descriptor, structures, centers, center_offsets)
    for batch, pairs, pair_gradients in ordered_map(compute, batches, descriptor.n_threads):
        atoms = slice(structures.offsets[batch.part.start], structures.offsets[batch.part.stop])
        _scatter_cy.scatter(
            pairs.offsets, pairs.neighbor, pairs.displacement, batch.centers,
            np.arange(len(batch.centers)), pair_gradients, gradient[atoms],
            strain_gradient[batch.rows],
        )
        shortest = np.minimum.reduce(pairs.distance, initial=shortest)
    return gradient, strain_gradient, shortest
