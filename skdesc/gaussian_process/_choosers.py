"""Of many environments the few that differ most: ways to choose rows of an array."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.linalg import qr

# two environments nearer than this (for vectors of unit length) are one: their covariance
# differs from 1 by less than what the solver can resolve
_SAME = 1e-6
# leverage scores of vectors longer than this are those of a random projection
_MAX_LEVERAGE_FEATURES = 1000
_CHUNK = 4096
# of many environments, only those of highest leverage take part in pivoting
_CANDIDATES_PER_POINT = 5


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
    from sklearn.cluster import KMeans  # takes as long to import as all of this package

    clusters = KMeans(count, n_init=1, max_iter=50, random_state=rng).fit(values)
    distance = np.linalg.norm(values - clusters.cluster_centers_[clusters.labels_], axis=1)
    order = np.lexsort((distance, clusters.labels_))
    return rows[order[np.unique(clusters.labels_[order], return_index=True)[1]]]


def _random(values, rows, count, rng):
    return rng.choice(rows, count, replace=False)


CHOOSERS = {"cur": _cur, "fps": _fps, "kmeans": _kmeans, "random": _random}


def balanced(values, rows, count, labels):
    """As many of each kind as of any other, where there are; among a kind by leverage.

    Parameters
    ----------
    values : ndarray of shape (n, n_features)
        Environments.
    rows : ndarray of intp of shape (n_rows,)
        Rows to choose from.
    count : int
        How many.
    labels : ndarray of shape (n_rows,)
        Their kinds.

    Returns
    -------
    ndarray of intp of shape (count,)
        Rows chosen.
    """
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


def _chunks(length):
    return (slice(start, min(start + _CHUNK, length)) for start in range(0, length, _CHUNK))
