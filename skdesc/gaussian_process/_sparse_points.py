"""Which environments carry a sparse model."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from scipy import sparse
from scipy.linalg import qr
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state

from ._environments import atomic_number
from ._targets import check_config_types

METHODS = ("cur", "fps", "kmeans", "random", "config")

# two environments nearer than this (for vectors of unit length) are one: their covariance
# differs from 1 by less than what the solver can resolve
_SAME = 1e-6
# leverage scores of vectors longer than this are those of a random projection
_MAX_LEVERAGE_FEATURES = 1000
_CHUNK = 4096
# of many environments, only those of highest leverage take part in pivoting
_CANDIDATES_PER_POINT = 5


class Group(NamedTuple):
    """Sparse points of one species in one block of features."""

    block: int
    species: int
    points: slice
    features: slice


@dataclass(frozen=True)
class SparsePoints:
    """Sparse points of all blocks of features, and in a block of all species, in this order.

    Parameters
    ----------
    features : ndarray of shape (n_points, n_features)
        Their environments; zero outside of their block.
    species : ndarray of shape (n_points,)
        Atomic numbers of their centers, ascending within a block.
    block : ndarray of shape (n_points,)
        Index of their block, ascending.
    columns : tuple of slice
        Features of each block.
    """

    features: np.ndarray
    species: np.ndarray
    block: np.ndarray
    columns: tuple

    def __len__(self):
        return len(self.species)

    def sizes(self):
        """Number of points, and of those of the largest group."""
        return len(self), max(g.points.stop - g.points.start for g in self.groups())

    def groups(self):
        """List of `Group`, in the order of the points."""
        ends = np.flatnonzero(np.diff(self.species) | np.diff(self.block)) + 1
        bounds = [0, *ends.tolist(), len(self)]
        return [
            Group(block, int(self.species[start]), slice(start, stop), self.columns[block])
            for start, stop in pairwise(bounds)
            for block in (int(self.block[start]),)
        ]

    def of(self, group):
        """Features of a group's points in their block, ndarray of shape (n, n_columns)."""
        return np.ascontiguousarray(self.features[group.points, group.features])

    def points_of_blocks(self):
        """Slice of points of each block."""
        bounds = np.searchsorted(self.block, np.arange(len(self.columns) + 1)).tolist()
        return [slice(*pair) for pair in pairwise(bounds)]

    def dot_products(self, environments):
        """Dot products of environments with the points of their species.

        Parameters
        ----------
        environments : Environments
            The environments.

        Yields
        ------
        group : Group
            Points of one block and species.
        rows : ndarray
            Environments of this species.
        dot : ndarray of shape (n_rows, n_points_of_group)
            Dot products of the features of this block.
        """
        for group in self.groups():
            rows = np.flatnonzero(environments.species == group.species)
            values = environments.values[:, group.features]
            if len(rows) < len(values):
                values = values[rows]
            values = np.asarray(values, dtype=np.float64)
            yield group, rows, values @ self.of(group).T


def select_points(
    environments, method, n_sparse, *, zetas=None, config_types=None, random_state=None
):
    """Choose sparse points among environments, for each block and species of the centers.

    Parameters
    ----------
    environments : Environments
        Candidates.
    method : {"cur", "fps", "kmeans", "random", "config"}, array-like, or dict of array-likes
        How to choose, or the points themselves, for several species by species.
    n_sparse : int, dict, or list of these
        Number of points per species, as far as there are as many different environments; or
        that of each block.
    zetas : sequence of float, default=None
        Exponent of each block. A linear covariance is represented completely by the unit
        vectors, which are taken if they are no more than the points asked for.
    config_types : sequence of length n_structures, default=None
        Kinds of structures, for the method "config".
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    SparsePoints
        The points.
    """
    species, blocks = np.unique(environments.species), environments.blocks
    if not isinstance(method, str):
        return _given_points(method, species, blocks)
    if method not in METHODS:
        raise ValueError(f"sparse_method is {method!r}, but must be one of {METHODS}, an array "
                         "of points, or a dict of such arrays")
    counts = [_counts(n, species) for n in one_per_block("n_sparse", n_sparse, len(blocks))]
    labels = _config_codes(config_types, environments) if method == "config" else None
    rng = check_random_state(random_state)
    parts = []
    for block, columns in enumerate(blocks):
        for z in species:
            rows = np.flatnonzero(environments.species == z)
            values = environments.values[:, columns]
            linear = zetas is not None and zetas[block] == 1
            chosen = _choose(values, rows, counts[block][z], method, linear, labels, rng)
            parts.append((chosen, z, block))
    points = _assemble(parts, blocks)
    if len(points) == 0:
        raise ValueError("every environment in X is a zero vector, which is covariant with none; "
                         "scale the features, or check the cutoff of the descriptor")
    return points


def _choose(values, rows, count, method, linear, labels, rng):
    """Points of one species in one block, ndarray of shape (n_points, n_columns)."""
    if linear and values.shape[1] <= count:
        seen = np.flatnonzero(values[rows].any(axis=0))
        if len(seen) <= len(rows):
            return np.eye(values.shape[1])[seen]
    rows = distinct_rows(values, rows)
    if len(rows) > count:
        if method == "config":
            rows = _balanced(values, rows, count, labels[rows])
        else:
            rows = _CHOOSERS[method](values, rows, count, rng)
    return values[np.sort(rows)].astype(np.float64)


def _assemble(parts, blocks):
    """Sparse points from triples of features of a block, atomic number and index of the block."""
    features = np.zeros((sum(len(part[0]) for part in parts), blocks[-1].stop))
    start = 0
    for values, _, block in parts:
        features[start : start + len(values), blocks[block]] = values
        start += len(values)
    counts = [len(part[0]) for part in parts]
    species = np.repeat([part[1] for part in parts], counts)
    return SparsePoints(features, species, np.repeat([part[2] for part in parts], counts), blocks)


def one_per_block(name, value, n_blocks):
    """Value of each block, from one for all or a list of one for each.

    Parameters
    ----------
    name : str
        How error messages call the parameter.
    value : object
        A list, tuple or array has one entry per block; anything else holds for all.
    n_blocks : int
        Number of descriptors that were joined.

    Returns
    -------
    list
        Of length `n_blocks`.
    """
    if not isinstance(value, (list, tuple, np.ndarray)):
        return [value] * n_blocks
    if len(value) != n_blocks:
        raise ValueError(f"{name} is {value!r} with {len(value)} entries, but X joins {n_blocks} "
                         "descriptor(s); give one value for all, or one for each")
    return list(value)


def expected_counts(environments, method, n_sparse, zetas=None):
    """Numbers of sparse points, before choosing them.

    Parameters
    ----------
    environments : Environments
        Candidates.
    method, n_sparse, zetas : object
        As in :func:`select_points`.

    Returns
    -------
    total, largest : int
        Of all, and of the largest group. Upper bounds: equal environments are not looked for.
    """
    species, available = np.unique(environments.species, return_counts=True)
    blocks = environments.blocks
    if not isinstance(method, str):
        return _given_points(method, species, blocks).sizes()
    sizes = []
    for block, n in enumerate(one_per_block("n_sparse", n_sparse, len(blocks))):
        counts = _counts(n, species)
        width = blocks[block].stop - blocks[block].start
        linear = zetas is not None and zetas[block] == 1
        for z, n_rows in zip(species, available.tolist(), strict=True):
            unit = linear and width <= counts[z]
            sizes.append(min(counts[z], n_rows, width if unit else n_rows))
    return sum(sizes), max(sizes)


def _given_points(given, species, blocks):
    n_features = blocks[-1].stop
    if isinstance(given, Mapping):
        table = {atomic_number(key, "sparse_method"): value for key, value in given.items()}
    elif len(species) == 1:
        table = {int(species[0]): given}
    else:
        raise ValueError(
            f"sparse_method is one array, but there are centers of {len(species)} species "
            f"({', '.join(chemical_symbols[z] for z in species)}); give a dict of arrays"
        )
    missing = [chemical_symbols[z] for z in species if z not in table]
    if missing:
        raise ValueError(f"sparse_method has no points for {', '.join(missing)}; add some")
    parts = []
    for z in sorted(table):
        values = np.array(table[z], dtype=np.float64, order="C")
        if values.ndim != 2 or values.shape[1] != n_features or not np.isfinite(values).all():
            raise ValueError(f"sparse_method has an array of shape {values.shape} for species {z}, "
                             f"but finite numbers of shape (n_points, {n_features}) are needed")
        # nothing but exact copies, so that `sparse_features_` of a fit come back complete
        values = values[distinct_rows(values, np.arange(len(values)), same=0.0)]
        inside = np.array([values[:, columns].any(axis=1) for columns in blocks])
        if (inside.sum(axis=0) > 1).any():
            raise ValueError(f"sparse_method has points for species {z} that are not zero outside "
                             "of one descriptor; the covariance is a sum over descriptors, each "
                             "with its own points")
        parts += [
            (values[rows][:, columns], z, block)
            for block, (rows, columns) in enumerate(zip(inside, blocks, strict=True))
        ]
    points = _assemble(sorted(parts, key=lambda part: (part[2], part[1])), blocks)
    if len(points) == 0:
        raise ValueError("sparse_method holds no point other than zero vectors")
    return points


def _counts(n_sparse, species):
    if isinstance(n_sparse, Mapping):
        table = {atomic_number(key, "n_sparse"): value for key, value in n_sparse.items()}
        missing = [chemical_symbols[z] for z in species if z not in table]
        if missing:
            raise ValueError(f"n_sparse has no entry for {', '.join(missing)}; add one")
    else:
        table = dict.fromkeys(species, n_sparse)
    for z, count in table.items():
        if isinstance(count, bool) or not isinstance(count, numbers.Integral) or count < 1:
            raise ValueError(f"n_sparse is {count!r} for {chemical_symbols[z]}, but must be a "
                             "positive integer")
    return table


def distinct_rows(values, rows, same=_SAME):
    """Leave out zero vectors and repetitions.

    Parameters
    ----------
    values : ndarray of shape (n, n_features)
        Environments.
    rows : ndarray of intp
        Rows to choose from, ascending.
    same : float
        Vectors that differ by no more than this, relative to the longest, are equal.

    Returns
    -------
    ndarray of intp
        Ascending; of equal environments the first remains.
    """
    # equal vectors have equal projections, so that only neighbors in their order need comparing
    direction = np.random.RandomState(0).normal(size=values.shape[1])
    direction /= np.linalg.norm(direction)
    projection, length = np.empty(len(rows)), np.empty(len(rows))
    for part in _chunks(len(rows)):
        block = np.asarray(values[rows[part]], dtype=np.float64)
        projection[part] = block @ direction
        length[part] = np.linalg.norm(block, axis=1)
    nonzero = length > 0
    rows, projection = rows[nonzero], projection[nonzero]
    if len(rows) == 0:
        return rows
    tolerance = same * length.max()
    order = np.argsort(projection, kind="stable")
    # products of equal vectors may differ in their last digits
    slack = tolerance + 1e-12 * length.max()
    near = np.flatnonzero(np.diff(projection[order]) <= slack)
    equal = np.zeros(len(rows), dtype=bool)
    for part in _chunks(len(near)):
        left, right = rows[order[near[part]]], rows[order[near[part] + 1]]
        difference = values[left].astype(np.float64) - values[right]
        equal[near[part] + 1] = np.linalg.norm(difference, axis=1) <= tolerance
    # runs of equal vectors: keep the earliest row of each
    run = np.cumsum(~equal)
    first = np.full(run[-1] + 1, len(rows))
    np.minimum.at(first, run, order)
    return rows[np.sort(first[first < len(rows)])]


def leading_coordinates(values, rows, rank):
    """Coordinates of rows in the space of their leading singular vectors, chunk by chunk.

    Parameters
    ----------
    values : ndarray of shape (n, n_features)
        Environments.
    rows : ndarray of intp of shape (n_rows,)
        Which of them.
    rank : int
        Highest number of singular vectors.

    Returns
    -------
    coordinates : callable
        Takes a slice or an index array of `rows`, returns an array with orthonormal columns
        (those of all rows): the left singular vectors. A squared norm is a leverage score.
    """
    sketch = None
    if values.shape[1] > _MAX_LEVERAGE_FEATURES:
        sketch = _sparse_projection(values.shape[1], _MAX_LEVERAGE_FEATURES)

    def block(part):
        found = values[rows[part]].astype(np.float64, copy=False)
        return found if sketch is None else found @ sketch

    gram = 0.0
    for part in _chunks(len(rows)):
        found = block(part)
        gram += found.T @ found
    vectors = _orthonormalizer(gram, rank)
    return lambda part: block(part) @ vectors


def _orthonormalizer(gram, rank):
    """Matrix T such that ``T.T @ gram @ T`` is the unit matrix, of the leading eigenvectors."""
    eigenvalues, vectors = np.linalg.eigh(gram)
    # squared singular values below the rounding errors of the Gram matrix mean nothing
    keep = eigenvalues > max(1e-12 * eigenvalues[-1], np.finfo(np.float64).tiny)
    keep[: max(len(keep) - rank, 0)] = False
    return vectors[:, keep] / np.sqrt(eigenvalues[keep])


def _sparse_projection(n_features, n_columns, n_nonzero=8):
    """Random projection that adds each feature, with random sign, to a few columns.

    It keeps the geometry as well as a dense one does, at the cost of a copy: J. Nelson and
    H. L. Nguyen, IEEE Symposium on Foundations of Computer Science 54, 117 (2013).
    """
    rng = np.random.RandomState(0)
    columns = rng.randint(n_columns, size=n_features * n_nonzero)
    signs = rng.choice([-1.0, 1.0], size=n_features * n_nonzero) / np.sqrt(n_nonzero)
    starts = np.arange(0, n_features * n_nonzero + 1, n_nonzero)
    return sparse.csr_array((signs, columns, starts), shape=(n_features, n_columns))


def _cur(values, rows, count, rng=None):
    """Greedily the highest leverage, given those before.

    Leverage alone would take many copies of one unusual environment. Updating it after each
    choice is a QR decomposition of the singular vectors with pivoting: D. C. Sorensen and
    M. Embree, SIAM J. Sci. Comput. 38, A1454 (2016); Z. Drmac and S. Gugercin, same journal
    38, A631 (2016).
    """
    coordinates = leading_coordinates(values, rows, count)
    chosen = np.empty(0, dtype=np.intp)
    left, transform, gram = np.arange(len(rows)), None, None
    while len(chosen) < count:
        wanted = count - len(chosen)
        leverage = np.empty(len(left))
        for part in _chunks(len(left)):
            U = coordinates(left[part])
            leverage[part] = np.square(U if transform is None else U @ transform).sum(axis=1)
        n_candidates = max(_CANDIDATES_PER_POINT * wanted, _CHUNK)
        candidates = np.sort(np.argsort(-leverage, kind="stable")[:n_candidates])
        U = coordinates(left[candidates])
        V = U if transform is None else U @ transform
        pivots = qr(V.T, mode="r", pivoting=True)[1][: min(V.shape[1], wanted)]
        chosen = np.append(chosen, left[candidates[pivots]])
        left = np.delete(left, candidates[pivots])
        # no more than the rank in one round; further points come from what is left
        gram = (np.eye(U.shape[1]) if gram is None else gram) - U[pivots].T @ U[pivots]
        transform = _orthonormalizer(gram, wanted)
        if transform.shape[1] == 0:  # all that is left is noise: any will do
            chosen = np.append(chosen, left[: count - len(chosen)])
    return rows[chosen]


def _fps(values, rows, count, rng):
    """Greedily the farthest from all chosen before; the start is the farthest from the mean."""
    values = values[rows].astype(np.float64)
    squared = np.square(values).sum(axis=1)
    chosen = np.empty(count, dtype=np.intp)
    chosen[0] = np.argmax(squared - 2.0 * (values @ values.mean(axis=0)))
    distance = np.full(len(values), np.inf)
    for index in range(1, count):
        last = chosen[index - 1]
        to_last = squared + squared[last] - 2.0 * (values @ values[last])
        np.minimum(distance, to_last, out=distance)
        distance[last] = -np.inf
        chosen[index] = np.argmax(distance)
    return rows[chosen]


def _kmeans(values, rows, count, rng):
    """Of each cluster the environment nearest to its mean."""
    values = values[rows].astype(np.float64)
    clusters = KMeans(count, n_init=1, max_iter=50, random_state=rng).fit(values)
    distance = np.linalg.norm(values - clusters.cluster_centers_[clusters.labels_], axis=1)
    order = np.lexsort((distance, clusters.labels_))
    return rows[order[np.unique(clusters.labels_[order], return_index=True)[1]]]


def _random(values, rows, count, rng):
    return rng.choice(rows, count, replace=False)


_CHOOSERS = {"cur": _cur, "fps": _fps, "kmeans": _kmeans, "random": _random}


def _balanced(values, rows, count, labels):
    """As many of each kind as of any other, where there are; among a kind by leverage."""
    present, available = np.unique(labels, return_counts=True)
    quota = np.zeros(len(present), dtype=np.intp)
    while quota.sum() < count:
        # a kind that has run out leaves its share to the others
        open_kinds = np.flatnonzero(quota < available)
        share = max((count - quota.sum()) // len(open_kinds), 1)
        for kind in open_kinds[: count - quota.sum()]:
            quota[kind] += min(share, available[kind] - quota[kind])
    return np.concatenate([
        _cur(values, rows[labels == kind], wanted)
        for kind, wanted in zip(present, quota, strict=True)
    ])


def _config_codes(config_types, environments):
    check_config_types(config_types, len(environments), "sparse_method is 'config'")
    codes = np.unique([str(kind) for kind in config_types], return_inverse=True)[1]
    return np.repeat(codes, np.diff(environments.offsets))


def _chunks(length):
    return (slice(start, min(start + _CHUNK, length)) for start in range(0, length, _CHUNK))
