"""From weights to energies and their derivatives; variances before any data."""

from __future__ import annotations

import numpy as np

from ._covariance import covariance_matrix, dot_power, power
from ._rows import batches

_BATCH_BYTES = 2**26
_CHUNK = 1024


def local_energies(environments, points, zeta, weights, *, gradient=False):
    """Energies of environments, and their derivatives by the descriptors.

    Parameters
    ----------
    environments : Environments
        The environments.
    points : SparsePoints
        The sparse points.
    zeta : float
        Exponent.
    weights : ndarray of shape (n_points,)
        For an energy scale of 1.
    gradient : bool, default=False
        Whether to return derivatives too.

    Returns
    -------
    energies : ndarray of shape (n_centers,)
        In eV.
    gradient : ndarray of shape (n_centers, n_features) or None
        In eV.
    """
    energies = np.zeros(len(environments.values))
    g = np.zeros(environments.values.shape) if gradient else None
    costs = 8.0 * np.diff(environments.offsets) * (4 * len(points) + environments.values.shape[1])
    for part in batches(costs, _BATCH_BYTES):
        start = environments.offsets[part.start]
        batch = environments.without_derivatives()[part]
        for columns, rows, dot in points.dot_products(batch):
            if gradient:
                value, slope = dot_power(dot, zeta, derivative=True)
                g[start + rows] = (slope * weights[columns]) @ points.features[columns]
            else:
                value = power(dot, zeta)
            energies[start + rows] = value @ weights[columns]
    return energies, g


def prior_variances(environments, zeta):
    """Variances of total energies before any data, covariances between atoms included.

    Parameters
    ----------
    environments : Environments
        The structures.
    zeta : float
        Exponent.

    Returns
    -------
    ndarray of shape (n_structures,)
        Where the scale of energies is 1.
    """
    counts = np.diff(environments.offsets)
    if (counts == 1).all():
        return local_prior_variances(environments, zeta)
    result = np.zeros(len(environments))
    for index in range(len(environments)):
        rows = slice(environments.offsets[index], environments.offsets[index + 1])
        values = np.asarray(environments.values[rows], dtype=np.float64)
        for z in np.unique(environments.species[rows]):
            block = values[environments.species[rows] == z]
            for start in range(0, len(block), _CHUNK):
                result[index] += covariance_matrix(
                    block[start : start + _CHUNK], block, zeta
                ).sum()
    return result


def local_prior_variances(environments, zeta):
    """Variances of the energies of environments before any data.

    Parameters
    ----------
    environments : Environments
        The environments.
    zeta : float
        Exponent.

    Returns
    -------
    ndarray of shape (n_centers,)
        Where the scale of energies is 1; it is 1 for vectors of unit length.
    """
    values = environments.values
    return power(np.einsum("ij,ij->i", values, values, dtype=np.float64), zeta)
