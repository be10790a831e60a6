"""Covariances between targets and sparse points: the rows of the least-squares problem."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ..utils.indexing import runs
from ._covariance import dot_power
from ._targets import VOIGT


def segment_sum(rows, values, offsets):
    """Sum values of environments over structures.

    Parameters
    ----------
    rows : ndarray of shape (n,)
        Environment of each value, ascending.
    values : ndarray of shape (n, m)
        Values.
    offsets : ndarray of shape (n_structures + 1,)
        Range of environments of each structure.

    Returns
    -------
    ndarray of shape (n_structures, m)
        The sums.
    """
    indptr = np.searchsorted(rows, offsets)
    ones = np.ones(len(rows))
    shape = (len(offsets) - 1, len(rows))
    return sparse.csr_array((ones, np.arange(len(rows)), indptr), shape=shape) @ values


def energy_rows(environments, points, zeta):
    """Covariances of total energies with the sparse points.

    Parameters
    ----------
    environments : Environments
        The structures.
    points : SparsePoints
        The sparse points.
    zeta : float or sequence of float
        Exponent, or that of each block.

    Returns
    -------
    ndarray of shape (n_structures, n_points)
        Where the scale of energies is 1.
    """
    result = np.empty((len(environments), len(points)))
    zetas = np.broadcast_to(zeta, len(environments.blocks))
    for group, rows, dot in points.dot_products(environments):
        value = dot_power(dot, zetas[group.block])
        result[:, group.points] = segment_sum(rows, value, environments.offsets)
    return result


def all_rows(environments, points, zeta, *, virials=True):
    """Covariances of energies, forces and virials with the sparse points.

    Parameters
    ----------
    environments : Environments
        The structures; they know their derivatives.
    points : SparsePoints
        The sparse points.
    zeta : float or sequence of float
        Exponent, or that of each block.
    virials : bool, default=True
        Whether to return rows of virials.

    Returns
    -------
    energies : ndarray of shape (n_structures, n_points)
        Where the scale of energies is 1.
    forces : ndarray of shape (3 * n_atoms, n_points)
        Minus their derivatives by the positions.
    virials : ndarray of shape (n_structures, 6, n_points) or None
        Minus their derivatives by the strain, components xx yy zz yz xz xy.
    """
    zetas = np.broadcast_to(zeta, len(environments.blocks))
    n_points = len(points)
    energies = np.empty((len(environments), n_points))
    forces = np.empty((3 * int(environments.n_atoms.sum()), n_points))
    virials = np.empty((len(environments), 6, n_points)) if virials else None
    for group, rows, dot in points.dot_products(environments):
        columns = group.points
        if len(rows) == 0:
            energies[:, columns] = forces[:, columns] = 0.0
            if virials is not None:
                virials[:, :, columns] = 0.0
            continue
        value, slope = dot_power(dot, zetas[group.block], derivative=True)
        energies[:, columns] = segment_sum(rows, value, environments.offsets)
        del value, dot  # as large as what comes now
        if len(rows) == len(environments.values):
            weights = slope
        else:
            weights = np.zeros((len(environments.values), slope.shape[1]))
            weights[rows] = slope
        features = environments.features.block(group.block)
        gradient, strain = features.gradient_rows(points.of(group), weights)
        np.negative(gradient.reshape(-1, gradient.shape[-1]), out=forces[:, columns])
        if virials is not None:
            i, j = VOIGT
            virials[:, :, columns] = -0.5 * (strain[:, i, j] + strain[:, j, i])
    return energies, forces, virials


def bytes_per_structure(environments, points, derivatives, virials):
    """Memory that the rows of each structure take while they are made.

    Parameters
    ----------
    environments : Environments
        The structures.
    points : SparsePoints or tuple of int
        The sparse points, or their number and that of the most frequent species.
    derivatives : bool, or ndarray of bool of shape (n_structures,)
        Which structures need rows of forces or virials.
    virials : bool
        Whether these include virials.

    Returns
    -------
    ndarray of shape (n_structures,)
        In bytes.
    """
    total, block = points if isinstance(points, tuple) else points.sizes()
    n_coordinates = 3.0 * environments.n_atoms
    # rows of energies; descriptors of a species; three arrays of dot products and powers
    width = max(columns.stop - columns.start for columns in environments.blocks)
    if environments.values.dtype == np.float64 and np.ptp(environments.species) == 0:
        width = 0  # they are taken as they are
    n_centers = environments.centers_of_species().max(axis=1)  # one species after the other
    values = total + n_centers * (width + 3.0 * block)
    # rows, then what the descriptor returns for one species
    slopes = n_coordinates * total + (n_coordinates + 9.0) * block
    if virials:
        slopes += 6.0 * total + 12.0 * block
    return 8.0 * (values + derivatives * slopes)


def batches(costs, limit):
    """Cut a sequence of structures into runs that fit into memory.

    Parameters
    ----------
    costs : ndarray of shape (n_structures,)
        Cost of each structure.
    limit : float
        Highest total cost of a run; a single structure may exceed it.

    Returns
    -------
    iterator of slice
        With start and stop.
    """
    return runs(np.concatenate([[0.0], np.cumsum(costs)]), limit)
