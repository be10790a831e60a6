"""Memory of a fit: all estimates in bytes, and the errors if memory does not suffice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..least_squares import CHUNK, as_covariance
from ..utils.subset_selection import (
    CANDIDATES_PER_POINT,
    LEAST_CANDIDATES,
    MAX_LEVERAGE_FEATURES,
    chunk_rows,
)
from ..utils.threads import effective_n_threads
from ..utils.validation import is_choice
from ._rows import split_by_cost
from ._sparse_points import check_method, expected_counts, expected_groups, one_per_term

# folds of a fit that tunes its noise
N_FOLDS = 5
# memory for the rows of a batch: enough that other costs of a batch do not count
BATCH_BYTES = 2**24
# batches of each thread in memory at once
_BATCHES_PER_THREAD = 2
# rows of a part of a pass, see `parts_of_pass`: per column, and at least
_ROWS_PER_COLUMN, _LEAST_ROWS = 4, 8192
# structures that variances are calibrated on: as many as have about so many atoms, within limits;
# no more than a part of all, and features of no more than this, or a part of those of all
LEAST_OF_MANY = 16
_SAMPLED_ATOMS, _SAMPLED = 2000, (LEAST_OF_MANY, 64)
_SAMPLED_PART, _SAMPLED_BYTES, _SAMPLED_PART_OF_BYTES = 4, 2**26, 8
LEAST_SAMPLED = 8
# of each of them, beside its features
_BYTES_OF_A_STRUCTURE = 1024
# fraction of the limit reserved for uncounted allocations
_UNCOUNTED = 0.05
# Square arrays of the size of a triangle that exist at once, beside the triangle of each kind:
# - while the data pass by: the prior; for the errors of what is left out, the result, triangles
#   of energies with and without e0;
# - when the triangles are combined: copies of each kind's with the last rows apart, energies with
#   e0 subtracted, factors of the prior, the result, a copy on its way.
_SQUARES_WHILE_PASSING, _SQUARES_WHILE_SOLVING = 4, 4


def fixed_bytes(n_points, n_elements, n_features, n_kinds):
    """Memory of a fit that does not depend on the number of structures.

    Parameters
    ----------
    n_points, n_elements, n_features, n_kinds : int
        Numbers of sparse points, of elements, of features, of kinds of targets.

    Returns
    -------
    passing, solving : int
        In bytes: beside the rows while the data pass by, and after that.
    """
    side = n_points + n_elements + 1
    others = n_points * n_features + n_kinds * CHUNK * side
    passing = (n_kinds + _SQUARES_WHILE_PASSING) * side**2 + others
    solving = (2 * n_kinds + _SQUARES_WHILE_SOLVING) * side**2 + others
    return 8 * passing, 8 * solving


def bytes_beside_rows(environments, n_points, n_elements, n_kinds):
    """Result of :func:`fixed_bytes`, plus copies of plain arrays and for calibration."""
    fixed = fixed_bytes(n_points, n_elements, environments.values.shape[1], n_kinds)
    size = environments.values.nbytes / len(environments)
    count = n_sampled(environments.n_atoms, size)
    copied = environments.copied_bytes() + int(count * (size + _BYTES_OF_A_STRUCTURE))
    return tuple(copied + n_bytes for n_bytes in fixed)


def n_sampled(sizes, bytes_of_one):
    """Number of structures that variances are calibrated on.

    Parameters
    ----------
    sizes : ndarray of shape (n_structures,)
        Numbers of atoms of all structures.
    bytes_of_one : float
        Mean memory of the features of a structure.
    """
    count = min(np.clip(_SAMPLED_ATOMS / np.mean(sizes), *_SAMPLED),
                max(len(sizes) // _SAMPLED_PART, LEAST_OF_MANY))
    most = max(_SAMPLED_BYTES / max(bytes_of_one, 1.0), len(sizes) / _SAMPLED_PART_OF_BYTES)
    return min(len(sizes), int(max(min(count, most), LEAST_SAMPLED)))


def workspace_bytes(environments, n_rows):
    """Memory that a descriptor takes beside so many rows while it makes them, in bytes."""
    descriptor = environments.features.descriptor
    if not hasattr(descriptor, "workspace_bytes"):
        return 0
    return int(descriptor.workspace_bytes(environments.structures, n_rows))


def bytes_left(memory_limit, fixed, costs):
    """Memory left for rows.

    Parameters
    ----------
    memory_limit : int or None
        Limit for the whole fit.
    fixed : pair of int
        What does not depend on the structures, see :func:`fixed_bytes`.
    costs : ndarray of shape (n_structures,)
        Memory for the rows of each structure.

    Returns
    -------
    float
        In bytes; infinite where there is no limit.
    """
    if memory_limit is None:
        return np.inf
    passing, solving = fixed
    left = (1.0 - _UNCOUNTED) * memory_limit - passing
    if left < costs.max() or memory_limit < solving:
        raise ValueError(
            f"memory_limit is {memory_limit} bytes, but the solver needs {solving}, and passing "
            f"the data {passing} and for the largest structure {int(costs.max())} more; raise it "
            "or lower n_sparse"
        )
    return left


def row_limit(environments, points, n_elements, targets, memory_limit):
    """Memory for the rows of each structure, and for those of a batch.

    Parameters
    ----------
    environments : Environments
        The structures.
    points : SparsePoints
        The sparse points.
    n_elements : int
        Number of elements.
    targets : Targets
        Energies, forces, virials of the structures.
    memory_limit : int or None
        For the whole fit, in bytes.

    Returns
    -------
    costs : ndarray of shape (n_structures,)
        In bytes.
    limit : float
        In bytes.
    """
    costs, left = _bytes_for_rows(environments, points, n_elements, targets, memory_limit)
    return costs, _limits(costs, left, 1)[0]


def parallel_limits(environments, points, n_elements, targets, memory_limit, n_threads):
    """What :func:`row_limit` gives, and how many threads have memory for so much.

    Parameters
    ----------
    environments, points, n_elements, targets, memory_limit : object
        As for :func:`row_limit`.
    n_threads : int
        Number of threads that there may be.

    Returns
    -------
    costs, limit : object
        As from :func:`row_limit`; they do not depend on the threads.
    n_threads : int
        At least 1.
    """
    costs, left = _bytes_for_rows(environments, points, n_elements, targets, memory_limit)
    return costs, *_limits(costs, left, n_threads)


def _limits(costs, left, n_threads):
    """Memory for the rows of a batch, and number of threads that there is memory for."""
    limit = min(left, max(BATCH_BYTES, costs.max()))
    if n_threads > 1:
        n_threads = int(max(1, min(n_threads, left / (_BATCHES_PER_THREAD * limit))))
    return limit, n_threads


def _further_triangles(n_parts, n_threads):
    """Parts of a pass, beside one, whose triangles are in memory at the same time."""
    if n_parts == 1:
        return 0
    # those that wait to be merged, one on each level of the tree, and those that grow
    return min(n_parts - 1, int(np.ceil(np.log2(n_parts))) + n_threads - 1)


def _bytes_for_rows(environments, points, n_elements, targets, memory_limit):
    """Memory for the rows of each structure, and what is left for all rows at once."""
    wanted = targets.has_derivatives()
    n_quantities = 1 + (targets.forces is not None) + (targets.virials is not None)
    passing, solving = bytes_beside_rows(environments, len(points), n_elements, n_quantities)
    if memory_limit is not None and wanted.any():
        passing += workspace_bytes(environments, points.sizes()[1])
    costs = bytes_per_structure(environments, points, wanted, targets.virials is not None)
    return costs, bytes_left(memory_limit, (passing, solving), costs)


def parts_of_pass(n_rows, n_columns, memory_limit):
    """Runs of structures whose rows get triangles of their own, which are merged in the end.

    They make it possible to fold rows by several threads, and depend on the data alone. A part
    has several times as many rows as columns, so that merging costs little beside folding. Where
    memory is limited, there is one part.

    Parameters
    ----------
    n_rows : ndarray of shape (n_structures,)
        Number of rows of each structure.
    n_columns : int
        Length of a row.
    memory_limit : int or None
        For the whole fit.

    Returns
    -------
    list of slice
        With start and stop.
    """
    ends = np.cumsum(n_rows)
    size = max(_ROWS_PER_COLUMN * n_columns, _LEAST_ROWS)
    n_parts = max(1, int(ends[-1] // size)) if memory_limit is None else 1
    bounds = np.searchsorted(ends, ends[-1] * np.arange(1, n_parts) // n_parts)
    bounds = np.unique([0, *bounds, len(ends)]).tolist()
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def estimate_bytes(environments, regressor, forces, virials):
    """Estimate the peak memory of a fit.

    Parameters
    ----------
    environments : Environments
        The structures.
    regressor : GAPRegressor
        Parameters.
    forces, virials : bool
        Whether the fit is to these as well.

    Returns
    -------
    int
        In bytes.
    """
    derivatives = environments.features is not None and (forces or virials)
    n_kinds = 1 + derivatives * (bool(forces) + bool(virials))
    zetas = one_per_term("zeta", regressor.zeta, len(environments.blocks))
    linear = [as_covariance(zeta).is_linear for zeta in zetas]
    choice = environments, regressor.sparse_method, regressor.n_sparse, linear
    selecting = bytes_for_selecting(regressor.memory_limit, *choice)
    sizes = expected_counts(*choice)
    n_elements = len(environments.elements())
    passing, solving = bytes_beside_rows(environments, sizes[0], n_elements, n_kinds)
    if derivatives:
        passing += workspace_bytes(environments, sizes[1])
    costs = bytes_per_structure(environments, sizes, derivatives, virials)
    left = bytes_left(regressor.memory_limit, (passing, solving), costs)
    limit, n_threads = _limits(costs, left, effective_n_threads(regressor.n_jobs))
    rows = max(costs[part].sum() for part in split_by_cost(costs, limit))
    rows *= 1 if n_threads == 1 else _BATCHES_PER_THREAD * n_threads
    n_rows = 1 + derivatives * (bool(forces) * 3 * environments.n_atoms + bool(virials) * 6)
    side = sizes[0] + n_elements + 1
    n_parts = len(parts_of_pass(n_rows, side, regressor.memory_limit))
    rows += _further_triangles(n_parts, n_threads) * n_kinds * 8 * (side**2 + CHUNK * side)
    folds = 0
    if is_choice(regressor.optimize, "held_out"):
        n_folds = min(N_FOLDS, len(environments))
        folds = fold_bytes(sizes[0], n_elements, n_kinds, n_folds, n_folds)
    return int(max(selecting, solving + folds, passing + rows + folds))


def fold_bytes(n_points, n_elements, n_quantities, n_cells, n_folds):
    """Memory of fits to parts of the data beside that of a fit, in bytes.

    Parameters
    ----------
    n_points, n_elements, n_quantities, n_cells, n_folds : int
        Numbers of sparse points, of elements, of quantities, of cells of the data that no part
        of a fold cuts, and of folds.

    Returns
    -------
    int
        Triangles and products of the rows of each cell, sums of these for each fold.
    """
    side = n_points + n_elements + 1
    n_squares = n_quantities * (2 * n_cells + n_folds) + 2
    return 8 * (n_squares * side**2 + n_quantities * n_cells * CHUNK * side)


def check_fold_bytes(memory_limit, n_bytes):
    """Refuse folds that need more memory than the limit."""
    if memory_limit is not None and n_bytes > memory_limit:
        raise ValueError(
            f"memory_limit is {memory_limit} bytes, but the folds need {n_bytes}; raise it, lower "
            "n_sparse, take fewer folds, or fit to each part by itself"
        )


def bytes_for_selecting(memory_limit, environments, method, *counts):
    """Memory for the choice of sparse points, if the limit allows."""
    needed = environments.copied_bytes() + selecting_bytes(environments, method, *counts)
    if memory_limit is not None and needed > memory_limit:
        if not isinstance(method, str):
            raise ValueError(
                f"memory_limit is {memory_limit} bytes, but features of unit length alone need "
                f"{needed}; raise it or fit to fewer structures at a time by partial_fit"
            )
        thrifty = "cur" if method in ("fps", "kmeans") else "random"
        raise ValueError(
            f"memory_limit is {memory_limit} bytes, but sparse_method={method!r} needs {needed} to "
            f"choose sparse points; raise it, lower n_sparse or choose them by {thrifty!r}"
        )
    return needed


def selecting_bytes(environments, method, n_sparse, linear=None):
    """Memory that :func:`select_points` takes, in bytes; parameters as there."""
    if not isinstance(method, str):
        return 0
    check_method(method)
    groups = list(expected_groups(environments, n_sparse, linear))
    kept = 8 * sum(width * n_points for width, _, n_points in groups)
    passing = max(
        choosing_bytes(method, n_rows, width, n_points) for width, n_rows, n_points in groups
    )
    assembled = 8 * environments.values.shape[1] * sum(n_points for *_, n_points in groups)
    return kept + max(passing, assembled)


def choosing_bytes(method, n_rows, n_features, count):
    """Memory that choosing takes beside the environments, in bytes.

    Parameters
    ----------
    method : str
        One of `CHOOSERS`, or "config".
    n_rows, n_features, count : int
        Numbers of environments, of features, and of environments to be chosen.

    Returns
    -------
    int
        In bytes.
    """
    # besides a few numbers of each environment, such as its order
    chunk = min(n_rows, chunk_rows(n_features)) * n_features + 6 * n_rows
    comparing = 2 * chunk
    if n_rows <= count or method == "random":
        return 8 * comparing
    if method in ("fps", "kmeans"):  # scikit-learn makes a copy of its own
        return 8 * max(comparing, n_rows * n_features * (2 if method == "kmeans" else 1))
    side = min(n_rows, n_features, MAX_LEVERAGE_FEATURES)
    rank = min(side, count)
    candidates = min(n_rows, max(CANDIDATES_PER_POINT * count, LEAST_CANDIDATES))
    # a matrix, its eigenvectors and the workspace of LAPACK; then a few of these, for this round
    # and the next, and vectors to pivot
    return 8 * max(comparing, 5 * side**2, chunk + rank * (3 * side + candidates))


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
        width = 0  # used as given
    n_centers = environments.centers_of_species().max(axis=1)  # one species after the other
    values = total + n_centers * (width + 3.0 * block)
    # rows, then what the descriptor returns for one species
    slopes = n_coordinates * total + (n_coordinates + 9.0) * block
    if virials:
        slopes += 6.0 * total + 12.0 * block
    return 8.0 * (values + derivatives * slopes)
