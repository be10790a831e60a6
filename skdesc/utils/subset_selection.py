"""Selection of representative rows of an array: the most different environments."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

# environments (unit vectors) at smaller distances count as equal: their covariance differs
# from 1 by less than the solver can resolve
_SAME = 1e-6
# leverage scores of longer vectors are computed from a random projection
MAX_LEVERAGE_FEATURES = 1000
# size of a chunk of environments in bytes, and its least number of environments
_CHUNK_BYTES, _LEAST_CHUNK = 2**22, 64
# with many environments, pivoting considers only those of highest leverage
CANDIDATES_PER_POINT, LEAST_CANDIDATES = 5, 4096


def distinct_rows(values, rows, same=_SAME):
    """Drop zero vectors and duplicates.

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
        Remaining rows, ascending; of equal environments the first is kept.
    """
    # equal vectors have equal projections, so only neighbors in their order need to be compared
    direction = np.random.RandomState(0).normal(size=values.shape[1])
    direction /= np.linalg.norm(direction)
    projection, length = np.empty(len(rows)), np.empty(len(rows))
    for part in _chunks(len(rows), values.shape[1]):
        block = np.asarray(values[rows[part]], dtype=np.float64)
        projection[part] = block @ direction
        length[part] = np.sqrt(np.einsum("ij,ij->i", block, block))
    nonzero = length > 0
    rows, projection = rows[nonzero], projection[nonzero]
    if len(rows) == 0:
        return rows
    tolerance = same * length.max()
    order = np.argsort(projection, kind="stable")
    # projections of equal vectors may differ in their last digits
    slack = tolerance + 1e-12 * length.max()
    near = np.flatnonzero(np.diff(projection[order]) <= slack)
    equal = np.zeros(len(rows), dtype=bool)
    for part in _chunks(len(near), values.shape[1]):
        left, right = rows[order[near[part]]], rows[order[near[part] + 1]]
        difference = np.subtract(values[left], values[right], dtype=np.float64)
        squared = np.einsum("ij,ij->i", difference, difference)
        equal[near[part] + 1] = squared <= tolerance**2
    # runs of equal vectors: keep the earliest row of each
    run = np.cumsum(~equal)
    first = np.full(run[-1] + 1, len(rows))
    np.minimum.at(first, run, order)
    return rows[np.sort(first[first < len(rows)])]


def used_columns(values, rows):
    """Indices of columns that are not zero in all rows, ndarray of intp."""
    used = np.zeros(values.shape[1], dtype=bool)
    for part in _chunks(len(rows), values.shape[1]):
        used |= values[rows[part]].any(axis=0)
    return np.flatnonzero(used)


def leading_coordinates(values, rows, rank):
    """Compute coordinates of rows in the space of their leading singular vectors, by chunks.

    Parameters
    ----------
    values : ndarray of shape (n, n_features)
        Environments.
    rows : ndarray of intp of shape (n_rows,)
        Selected rows.
    rank : int
        Largest number of singular vectors.

    Returns
    -------
    coordinates : callable
        Takes a slice or an index array of `rows`, returns an array with orthonormal columns
        (those of all rows): the left singular vectors. A squared norm is a leverage score.
    """
    n_rows, n_features = len(rows), values.shape[1]
    if n_rows <= min(n_features, MAX_LEVERAGE_FEATURES):
        gram = np.zeros((n_rows, n_rows))
        for columns in _chunks(n_features, n_rows):
            found = values[rows, columns].astype(np.float64, copy=False)
            gram += found @ found.T
        left = _leading_eigenvectors(gram, rank)[1]
        return lambda part: left[part]
    sketch = None
    if n_features > MAX_LEVERAGE_FEATURES:
        sketch = _sparse_projection(n_features, MAX_LEVERAGE_FEATURES)

    def block(part):
        found = values[rows[part]].astype(np.float64, copy=False)
        return found if sketch is None else found @ sketch

    gram = 0.0
    for part in _chunks(n_rows, n_features):
        found = block(part)
        gram += found.T @ found
    vectors = _orthonormalizer(gram, rank)
    return lambda part: block(part) @ vectors


def _leading_eigenvectors(gram, rank):
    """The `rank` largest eigenvalues, above rounding errors, and eigenvectors of a Gram matrix."""
    eigenvalues, vectors = np.linalg.eigh(gram)
    # squared singular values below the rounding errors of the Gram matrix are meaningless
    keep = eigenvalues > max(1e-12 * eigenvalues[-1], np.finfo(np.float64).tiny)
    keep[: max(len(keep) - rank, 0)] = False
    return eigenvalues[keep], vectors[:, keep]


def _orthonormalizer(gram, rank):
    """Matrix T such that ``T.T @ gram @ T`` is the unit matrix, of the leading eigenvectors."""
    eigenvalues, vectors = _leading_eigenvectors(gram, rank)
    return vectors / np.sqrt(eigenvalues)


def _sparse_projection(n_features, n_columns, n_nonzero=8):
    """Random projection that adds each feature, with random sign, to a few columns.

    It preserves the geometry as well as a dense projection, at the cost of a copy: J. Nelson and
    H. L. Nguyen, IEEE Symposium on Foundations of Computer Science 54, 117 (2013).
    """
    rng = np.random.RandomState(0)
    columns = rng.randint(n_columns, size=n_features * n_nonzero)
    signs = rng.choice([-1.0, 1.0], size=n_features * n_nonzero) / np.sqrt(n_nonzero)
    starts = np.arange(0, n_features * n_nonzero + 1, n_nonzero)
    return sparse.csr_array((signs, columns, starts), shape=(n_features, n_columns))


def _cur(values, rows, count, rng=None):
    """Choose repeatedly the row of highest leverage, given the rows chosen before.

    Without updates, leverage would select many copies of one unusual environment. Updating it
    after each choice is a QR decomposition of the singular vectors with pivoting: D. C. Sorensen
    and M. Embree, SIAM J. Sci. Comput. 38, A1454 (2016); Z. Drmac and S. Gugercin, same journal
    38, A631 (2016).
    """
    coordinates = leading_coordinates(values, rows, count)
    chosen = np.empty(0, dtype=np.intp)
    left, transform, gram = np.arange(len(rows)), None, None
    while len(chosen) < count:
        wanted = count - len(chosen)
        leverage = np.empty(len(left))
        for part, U in _in_chunks(coordinates, left, transform, values.shape[1]):
            leverage[part] = np.square(U).sum(axis=1)
        n_candidates = max(CANDIDATES_PER_POINT * wanted, LEAST_CANDIDATES)
        candidates = left[np.sort(np.argsort(-leverage, kind="stable")[:n_candidates])]
        pivots = candidates[_pivots(coordinates, candidates, transform, values.shape[1])[:wanted]]
        chosen = np.append(chosen, pivots)
        left = np.setdiff1d(left, pivots, assume_unique=True)
        # one round gives at most `rank` points; the next round chooses from the remaining rows
        U = coordinates(pivots)
        gram = (np.eye(U.shape[1]) if gram is None else gram) - U.T @ U
        transform = _orthonormalizer(gram, wanted)
        if transform.shape[1] == 0:  # only rounding errors remain, so any choice will do
            chosen = np.append(chosen, left[: count - len(chosen)])
    return rows[chosen]


def _in_chunks(coordinates, rows, transform, n_features):
    """Yield chunks of coordinates, made orthogonal to the rows chosen so far."""
    for part in _chunks(len(rows), n_features):
        U = coordinates(rows[part])
        yield part, U if transform is None else U @ transform


def _pivots(coordinates, candidates, transform, n_features):
    """Return the first pivots of a QR decomposition of the transpose, as many as the rank."""
    V = None
    for part, U in _in_chunks(coordinates, candidates, transform, n_features):
        V = np.empty((len(candidates), U.shape[1])) if V is None else V
        V[part] = U
    # scipy.linalg.qr would copy both the matrix and its triangle
    lwork = int(lapack.dgeqp3(V.T, lwork=-1, overwrite_a=True)[3][0])
    return lapack.dgeqp3(V.T, lwork=lwork, overwrite_a=True)[1][: V.shape[1]] - 1


def _fps(values, rows, count, rng):
    """Farthest point sampling that starts with the row farthest from the mean."""
    values = values[rows].astype(np.float64, copy=False)
    squared = np.einsum("ij,ij->i", values, values)
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
    """Choose the environment nearest to the mean of each cluster."""
    values = values[rows].astype(np.float64, copy=False)
    from sklearn.cluster import KMeans  # importing it takes as long as importing this package

    clusters = KMeans(count, n_init=1, max_iter=50, copy_x=False, random_state=rng).fit(values)
    labels, distance = clusters.labels_, np.empty(len(rows))
    for part in _chunks(len(rows), values.shape[1]):
        away = values[part] - clusters.cluster_centers_[labels[part]]
        distance[part] = np.linalg.norm(away, axis=1)
    order = np.lexsort((distance, labels))
    return rows[order[np.unique(labels[order], return_index=True)[1]]]


def _random(values, rows, count, rng):
    return rng.choice(rows, count, replace=False)


CHOOSERS = {"cur": _cur, "fps": _fps, "kmeans": _kmeans, "random": _random}


def balanced(values, rows, count, labels):
    """Choose equal numbers of each kind as far as possible, and by leverage within a kind.

    Parameters
    ----------
    values : ndarray of shape (n, n_features)
        Environments.
    rows : ndarray of intp of shape (n_rows,)
        Rows to choose from.
    count : int
        Number of rows to choose.
    labels : ndarray of shape (n_rows,)
        Kind of each row.

    Returns
    -------
    ndarray of intp of shape (count,)
        Chosen rows.
    """
    present, available = np.unique(labels, return_counts=True)
    quota = np.zeros(len(present), dtype=np.intp)
    while quota.sum() < count:
        # the share of an exhausted kind goes to the others
        open_kinds = np.flatnonzero(quota < available)
        share = max((count - quota.sum()) // len(open_kinds), 1)
        for kind in open_kinds[: count - quota.sum()]:
            quota[kind] += min(share, available[kind] - quota[kind])
    return np.concatenate([
        _cur(values, rows[labels == kind], wanted)
        for kind, wanted in zip(present, quota, strict=True)
    ])


def chunk_rows(width):
    """Number of rows in a chunk, for a number of columns."""
    return max(_CHUNK_BYTES // (8 * width), _LEAST_CHUNK)


def _chunks(length, width):
    """Slices of rows that fit into one chunk."""
    step = chunk_rows(width)
    return (slice(start, min(start + step, length)) for start in range(0, length, step))
