"""Choice of the environments that carry a sparse model."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from sklearn.utils import check_random_state

from ..least_squares import Prior
from ..utils.subset_selection import CHOOSERS, balanced, distinct_rows, used_columns
from ._inputs import atomic_number, check_config_types

METHODS = (*CHOOSERS, "config")
_WRONG_METHOD = (
    f"sparse_method is {{!r}}, but must be one of {METHODS}, a two-dimensional array of points, "
    "or a dict of such arrays"
)


class Group(NamedTuple):
    """Sparse points of one species in one block of features."""

    term: int
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
            Group(term, int(self.species[start]), slice(start, stop), self.columns[term])
            for start, stop in pairwise(bounds)
            for term in (int(self.block[start]),)
        ]

    def features_of(self, group):
        """Features of a group's points in their block, ndarray of shape (n, n_columns)."""
        return np.ascontiguousarray(self.features[group.points, group.features])

    def points_of_terms(self):
        """Slice of points of each term."""
        bounds = np.searchsorted(self.block, np.arange(len(self.columns) + 1)).tolist()
        return [slice(*pair) for pair in pairwise(bounds)]

    def places(self):
        """Index of each point by block, species and the bytes of its features, dict."""
        return {
            (group.term, group.species, row.tobytes()): group.points.start + index
            for group in self.groups()
            for index, row in enumerate(self.features_of(group))
        }

    def prior(self, covariances, jitter):
        """Covariances among the points, decomposed.

        Parameters
        ----------
        covariances : list of Covariance
            That of each term.
        jitter : "auto" or float
            Added to the diagonal, relative to its mean.

        Returns
        -------
        Prior
            Its groups are those of the points.
        """

        def matrices():
            for group in self.groups():
                Q = self.features_of(group)
                yield f"species {group.species}", group.points, covariances[group.term].matrix(Q, Q)

        return Prior.factorize(matrices(), self.points_of_terms(), jitter)

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
            yield group, rows, values @ self.features_of(group).T


def select_points(
    environments, method, n_sparse, *, linear=None, config_types=None, random_state=None
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
    linear : sequence of bool, default=None
        Whether the covariance of each term is linear: it is represented completely by the unit
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
    check_method(method)
    counts = [_counts(n, species) for n in one_per_term("n_sparse", n_sparse, len(blocks))]
    labels = _config_codes(config_types, environments) if method == "config" else None
    rng = check_random_state(random_state)
    parts = []
    for block, columns in enumerate(blocks):
        for z in species:
            rows = np.flatnonzero(environments.species == z)
            values = environments.values[:, columns]
            complete = linear is not None and linear[block]
            chosen = _choose(values, rows, counts[block][z], method, complete, labels, rng)
            parts.append((chosen, z, block))
    points = _assemble(parts, blocks)
    if len(points) == 0:
        raise ValueError("every environment in X is a zero vector, which is covariant with none; "
                         "scale the features, or check the cutoff of the descriptor")
    return points


def _choose(values, rows, count, method, linear, labels, rng):
    """Points of one species in one block, ndarray of shape (n_points, n_columns)."""
    if linear and values.shape[1] <= count:
        seen = used_columns(values, rows)
        if len(seen) <= len(rows):
            return np.eye(values.shape[1])[seen]
    rows = distinct_rows(values, rows)
    if len(rows) > count:
        if method == "config":
            rows = balanced(values, rows, count, labels[rows])
        else:
            rows = CHOOSERS[method](values, rows, count, rng)
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


def merge_choices(several):
    """All sparse points of several choices, each once.

    Parameters
    ----------
    several : list of SparsePoints
        The choices.

    Returns
    -------
    points : SparsePoints
        The points.
    columns : list of ndarray of int
        Where among these the points of each choice are.
    """
    index, rows = {}, []
    names = [
        list(zip(points.block, points.species, map(bytes, points.features), strict=True))
        for points in several
    ]
    for points, mine in zip(several, names, strict=True):
        for row, name in enumerate(mine):
            if name not in index:
                index[name] = len(rows)
                rows.append((points.features[row], points.species[row], points.block[row]))
    features, species, block = (np.array(values) for values in zip(*rows, strict=True))
    order = np.lexsort([species, block])
    place = np.argsort(order)
    everything = SparsePoints(features[order], species[order], block[order], several[0].columns)
    return everything, [place[[index[name] for name in mine]] for mine in names]


def one_per_term(name, value, n_blocks):
    """Value of each term, from one for all or a list of one for each.

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


def expected_counts(environments, method, n_sparse, linear=None):
    """Numbers of sparse points, before choosing them.

    Parameters
    ----------
    environments : Environments
        Candidates.
    method, n_sparse, linear : object
        As in :func:`select_points`.

    Returns
    -------
    total, largest : int
        Of all, and of the largest group. Upper bounds: equal environments are not looked for.
    """
    if not isinstance(method, str):
        return _given_points(method, np.unique(environments.species), environments.blocks).sizes()
    sizes = [n_points for *_, n_points in expected_groups(environments, n_sparse, linear)]
    return sum(sizes), max(sizes)


def expected_groups(environments, n_sparse, linear):
    """Yield features, candidates and points of each block and species, how many there will be."""
    species, available = np.unique(environments.species, return_counts=True)
    blocks = environments.blocks
    for block, n in enumerate(one_per_term("n_sparse", n_sparse, len(blocks))):
        counts = _counts(n, species)
        width = blocks[block].stop - blocks[block].start
        complete = linear is not None and linear[block]
        for z, n_rows in zip(species, available.tolist(), strict=True):
            unit = complete and width <= counts[z]
            yield width, n_rows, min(counts[z], n_rows, width if unit else n_rows)


def check_method(method):
    """Refuse unknown names of methods."""
    if method not in METHODS:
        raise ValueError(_WRONG_METHOD.format(method))


def _given_points(given, species, blocks):
    parts = []
    for z, values in sorted(_points_by_species(given, species).items()):
        values = _check_given(values, z, blocks[-1].stop)
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


def _points_by_species(given, species):
    """Points as given, for each species, dict of int to array-like."""
    if isinstance(given, Mapping):
        table = {atomic_number(key, "sparse_method"): value for key, value in given.items()}
    elif np.ndim(given) != 2:
        raise ValueError(_WRONG_METHOD.format(given))
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
    return table


def _check_given(values, z, n_features):
    """Points of a species, each once, ndarray of shape (n_points, n_features)."""
    values = np.array(values, dtype=np.float64, order="C")
    if values.ndim != 2 or values.shape[1] != n_features or not np.isfinite(values).all():
        raise ValueError(f"sparse_method has an array of shape {values.shape} for species {z}, "
                         f"but finite numbers of shape (n_points, {n_features}) are needed")
    # exact copies only, so that `sparse_features_` of a fit are kept completely
    return values[distinct_rows(values, np.arange(len(values)), same=0.0)]


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


def _config_codes(config_types, environments):
    check_config_types(config_types, len(environments), "sparse_method is 'config'")
    codes = np.unique([str(kind) for kind in config_types], return_inverse=True)[1]
    return np.repeat(codes, np.diff(environments.offsets))
