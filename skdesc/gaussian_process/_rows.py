"""Covariances with sparse points: rows for targets, and values for environments."""

from __future__ import annotations

from bisect import bisect_left
from itertools import combinations, pairwise

import numpy as np
from scipy import sparse

from ..utils.indexing import runs
from ..utils.threads import ordered_map

BATCH_ROWS = 128
"""Environments whose covariances are computed at a time, so that these stay in the cache."""

_CHUNK = 1024
# of the products with all features, for which fewer features are worth two more products
_LARGEST_SHARE = 0.75

# xx, yy, zz, yz, xz, xy: six components of a symmetric virial
VOIGT = (np.array([0, 1, 2, 1, 0, 0]), np.array([0, 1, 2, 2, 2, 1]))


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


def energy_rows(environments, points, covariances):
    """Covariances of total energies with the sparse points.

    Parameters
    ----------
    environments : Environments
        The structures.
    points : SparsePoints
        The sparse points.
    covariances : sequence of Covariance
        That of each term.

    Returns
    -------
    ndarray of shape (n_structures, n_points)
        Where the scale of energies is 1.
    """
    result = np.empty((len(environments), len(points)))
    for group, rows, dot in points.dot_products(environments):
        value = covariances[group.term].value(dot)
        result[:, group.points] = segment_sum(rows, value, environments.offsets)
    return result


def derivative_rows(environments, points, covariances, *, virials=True):
    """Covariances of energies, forces and virials with the sparse points.

    Parameters
    ----------
    environments : Environments
        The structures; they know their derivatives.
    points : SparsePoints
        The sparse points.
    covariances : sequence of Covariance
        That of each term.
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
        value, slope = covariances[group.term].value_and_slope(dot)
        energies[:, columns] = segment_sum(rows, value, environments.offsets)
        del value, dot  # as large as the current batch
        if len(rows) == len(environments.values):
            weights = slope
        else:
            weights = np.zeros((len(environments.values), slope.shape[1]))
            weights[rows] = slope
        features = environments.features.block(group.term)
        gradient, strain = features.gradient_rows(points.features_of(group), weights)
        np.negative(gradient.reshape(-1, gradient.shape[-1]), out=forces[:, columns])
        if virials is not None:
            i, j = VOIGT
            virials[:, :, columns] = -0.5 * (strain[:, i, j] + strain[:, j, i])
    return energies, forces, virials


def prior_variances(environments, covariances):
    """Variances of total energies before any data, covariances between atoms included.

    Parameters
    ----------
    environments : Environments
        The structures.
    covariances : sequence of Covariance
        That of each term.

    Returns
    -------
    ndarray of shape (n_terms, n_structures)
        Those of each term, for a scale of energies of 1.
    """
    return np.array([
        _prior_variances(environments, environments.values[:, columns], covariance)
        for columns, covariance in zip(environments.blocks, covariances, strict=True)
    ])


def _prior_variances(environments, values, covariance):
    if (np.diff(environments.offsets) == 1).all():
        return covariance.diagonal(values)
    result = np.zeros(len(environments))
    for index in range(len(environments)):
        rows = slice(environments.offsets[index], environments.offsets[index + 1])
        for z in np.unique(environments.species[rows]):
            block = values[rows][environments.species[rows] == z].astype(np.float64)
            for start in range(0, len(block), _CHUNK):
                part = block[start : start + _CHUNK]
                result[index] += covariance.matrix(part, block).sum()
    return result


def prior_force_variances(environments, covariances, atoms=None):
    r"""Variances of force components of one structure before any data.

    With :math:`J_i = \partial p_i / \partial r` these are

    .. math::
        \sum_{ij} \left[k'(D_{ij}) J_i \cdot J_j
        + k''(D_{ij}) (J_i \cdot p_j) (p_i \cdot J_j)\right], \qquad
        D_{ij} = p_i \cdot p_j, \quad k(D) = D^\zeta,

    over pairs of centers of the same species. It is the one place that needs derivatives of
    descriptors explicitly, which leave out zeros.

    Parameters
    ----------
    environments : Environments
        One structure.
    covariances : sequence of Covariance
        That of each term.
    atoms : sequence of int, default=None
        Which atoms; None stands for all.

    Returns
    -------
    ndarray of shape (n_terms, 3 * n_wanted)
        Those of each term, for a scale of energies of 1.
    """
    atoms = range(int(environments.n_atoms[0])) if atoms is None else atoms
    return np.array([
        _prior_force_variances(environments.features.block(term), covariance, atoms)
        for term, covariance in enumerate(covariances)
    ])


def _prior_force_variances(features, covariance, atoms):
    values = np.asarray(features.values, dtype=np.float64)
    dot = values @ values.T
    same = features.species[:, np.newaxis] == features.species
    first, second = same * covariance.slope(dot), same * covariance.curvature(dot)
    blocks = features.jacobian().blocks
    shared = _shared_columns(blocks)
    of_blocks = [values[:, block.columns] for block in blocks]
    result = np.zeros((len(atoms), 3))
    for index, atom in enumerate(atoms):
        # J_i = D_i - w_i p_i, see `Jacobian`; several images of an atom may be near one center
        rows = [np.flatnonzero(block.atom == atom) for block in blocks]
        centers = np.concatenate([b.center[of] for b, of in zip(blocks, rows, strict=True)])
        along = np.concatenate([b.along[of] for b, of in zip(blocks, rows, strict=True)])
        gram, across = _products(blocks, shared, of_blocks, rows, centers)
        pairs = np.ix_(centers, centers)
        w, w_dot = along.T[:, np.newaxis, :], along.T[:, :, np.newaxis] * dot[pairs]
        crossed = across * w
        gram += w_dot * w - crossed - crossed.transpose(0, 2, 1)
        across -= w_dot
        gram *= first[pairs]
        gram += second[pairs] * across * across.transpose(0, 2, 1)
        result[index] = gram.sum(axis=(1, 2))
    return result.reshape(-1)


def _shared_columns(blocks):
    """Places of the features that two blocks of a Jacobian have in common, by their indices."""
    return {
        (i, j): np.intersect1d(
            blocks[i].columns, blocks[j].columns, assume_unique=True, return_indices=True
        )[1:]
        for i, j in combinations(range(len(blocks)), 2)
    }


def _products(blocks, shared, of_blocks, rows, centers):
    """Dot products of D_i with D_j and of D_i with p_j, of shape (3, n_rows, n_rows)."""
    gram, across = np.zeros((2, 3, len(centers), len(centers)))
    ends = np.cumsum([0, *map(len, rows)])
    parts = [slice(start, stop) for start, stop in pairwise(ends)]
    D = {
        i: block.values[rows[i]].transpose(1, 0, 2)
        for i, block in enumerate(blocks) if len(rows[i])
    }
    for i in D:
        across[:, parts[i]] = D[i] @ of_blocks[i][centers].T
        gram[:, parts[i], parts[i]] = D[i] @ D[i].transpose(0, 2, 1)
    for i, j in combinations(D, 2):
        first, second = shared[i, j]
        product = D[i][:, :, first] @ D[j][:, :, second].transpose(0, 2, 1)
        gram[:, parts[i], parts[j]] = product
        gram[:, parts[j], parts[i]] = product.transpose(0, 2, 1)
    return gram, across


def split_by_cost(costs, limit):
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


class _WeightedPoints:
    """Sparse points of one species and one term with their weights, prepared for predictions."""

    def __init__(self, species, points, weights, covariance, tolerance):
        self.species, self.points, self.weights = species, points, weights
        self.covariance, self.basis = covariance, None
        self.collapsed = covariance.collapse(points, weights)
        if self.collapsed is not None:
            return
        if tolerance > 0:
            self._approximate(tolerance)
        self.weighted = self.weights[:, np.newaxis] * self.points

    def _approximate(self, tolerance):
        """Take fewer features and single precision where energies keep within a tolerance."""
        U, singular_values, Vt = np.linalg.svd(self.points, full_matrices=False)
        coordinates = U * singular_values
        exact = self.covariance.value(coordinates @ coordinates.T) @ self.weights

        def is_good(coordinates, weights=self.weights):
            energies = self.covariance.value(coordinates @ coordinates.T) @ weights
            return np.abs(energies - exact).max() <= tolerance

        ranks = range(len(singular_values))
        rank = bisect_left(ranks, True, key=lambda rank: is_good(coordinates[:, :rank]))
        n_points, n_features = self.points.shape
        if rank * (n_points + n_features) < _LARGEST_SHARE * n_points * n_features:
            self.basis = np.ascontiguousarray(Vt[:rank].T)
            self.points = np.ascontiguousarray(coordinates[:, :rank])
        single = self.points.astype(np.float32), self.weights.astype(np.float32)
        if is_good(*single):
            self.points, self.weights = single
            if self.basis is not None:
                self.basis = self.basis.astype(np.float32)

    def evaluate(self, values, derivatives):
        """Energies of environments, and derivatives by the features if asked for, else None."""
        if self.collapsed is None:
            return self._evaluate_points(values, derivatives)
        product = values @ self.collapsed
        if self.collapsed.ndim == 1:
            return product, np.broadcast_to(self.collapsed, values.shape)
        return np.einsum("ij,ij->i", product, values), 2.0 * product if derivatives else None

    def _evaluate_points(self, values, derivatives):
        values = values.astype(self.points.dtype, copy=False)
        dot = (values if self.basis is None else values @ self.basis) @ self.points.T
        if not derivatives:
            return self.covariance.value(dot) @ self.weights, None
        value, slope = self.covariance.value_and_slope(dot)
        slopes = slope @ self.weighted
        return value @ self.weights, slopes if self.basis is None else slopes @ self.basis.T


class LocalEnergies:
    """Energies of environments as functions of their features, without those of single atoms.

    Parameters
    ----------
    points : SparsePoints
        The sparse points.
    weights : ndarray of shape (n_points,)
        Their weights, for energy scales of 1.
    covariances : sequence of Covariance
        That of each term.
    tolerance : float, default=0.0
        Error of an environment's energy, in eV, that may be traded for speed; judged at the
        sparse points.
    """

    def __init__(self, points, weights, covariances, tolerance=0.0):
        self._groups = [[] for _ in covariances]
        for group in points.groups():
            self._groups[group.term].append(_WeightedPoints(
                group.species, points.features_of(group), weights[group.points],
                covariances[group.term], tolerance / len(covariances),
            ))

    def add(self, block, values, species, energies, slopes=None, n_threads=1):
        """Add the contribution of one block of features.

        Parameters
        ----------
        block : int
            Index of the block.
        values : ndarray of shape (n_centers, n_columns)
            Features of this block.
        species : ndarray of shape (n_centers,)
            Atomic numbers of the centers.
        energies : ndarray of shape (n_centers,)
            Energies of the centers, in eV; added to.
        slopes : ndarray of shape (n_centers, n_columns), default=None
            Gets derivatives by the features, in eV. Rows of species without sparse points stay
            as they are.
        n_threads : int, default=1
            Threads that share out batches of rows.
        """
        for group in self._groups[block]:
            rows = np.flatnonzero(species == group.species)
            # whole rows are read and written much faster than rows picked one by one
            every = len(rows) == len(species)

            def add_batch(start, group=group, rows=rows, every=every):
                stop = min(start + BATCH_ROWS, len(rows))
                some = slice(start, stop) if every else rows[start:stop]
                of_rows, by_features = group.evaluate(
                    np.asarray(values[some], dtype=np.float64), slopes is not None
                )
                energies[some] += of_rows
                if slopes is not None:
                    slopes[some] = by_features

            for _ in ordered_map(add_batch, range(0, len(rows), BATCH_ROWS), n_threads):
                pass


def add_rows(observations, rows):
    """Add rows of several quantities to observations."""
    for of_quantity in rows:
        observations.add(*of_quantity)


def merge_rows(observations, others):
    """Add all rows of other observations, and return the sum."""
    observations.merge(others)
    return observations
