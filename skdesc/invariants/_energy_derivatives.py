"""Energies of environments and their derivatives, by one search for neighbors and one expansion."""

from __future__ import annotations

import numpy as np

from ..utils.shapes import check_shape
from . import _environments_cy, _scatter_cy
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
        overwrite; returns the derivatives of the functions by the features, of the same shape.

    Returns
    -------
    gradient : ndarray of shape (n_atoms, 3)
        Derivatives of the sum by the positions.
    strain_gradient : ndarray of shape (n_centers, 3, 3)
        Derivatives of each center's function by the strain of its structure.

    Raises
    ------
    ValueError
        If a derivative by a feature is not finite.
    """
    gradient = np.zeros((len(structures.positions), 3))
    strain_gradient = np.zeros((len(centers), 3, 3))
    every = np.arange(len(centers))
    for part, rows, _, species, own, pairs in neighborhoods(
        descriptor, structures, centers, center_offsets
    ):
        hoods = _environments_cy.Neighborhoods(
            descriptor.expansion, descriptor.invariant, pairs, species, own,
            descriptor.n_threads, True,
        )
        values = np.empty((len(own), descriptor.invariant.n_features))
        kept = None
        if 8 * len(own) * hoods.n_coefficients <= KEPT_BYTES:
            kept = np.empty((len(own), hoods.n_coefficients))
        hoods.features(values, False, kept)
        slopes = energy_slopes(rows, values)
        check_shape("slopes", slopes, values.shape)
        pair_gradients = np.empty_like(pairs.displacement)
        if not hoods.pair_gradients(slopes, pair_gradients, kept):
            raise ValueError("the energy's derivatives by the features have NaN or infinite "
                             "entries, but all must be finite; fit the potential anew")
        atoms = slice(structures.offsets[part.start], structures.offsets[part.stop])
        _scatter_cy.scatter(
            pairs.offsets, pairs.neighbor, pairs.displacement, own, every[: len(own)],
            pair_gradients, gradient[atoms], strain_gradient[rows],
        )  # fmt: skip
    return gradient, strain_gradient
