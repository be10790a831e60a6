"""Indexing of containers that hold one variable-length segment per structure."""

import operator

import numpy as np


def normalize_key(key, length):
    """Normalize an index to an int, a unit-step slice or an index array.

    Parameters
    ----------
    key : int, slice, mask, index array, or tuple (key, Ellipsis)
        scikit-learn indexes objects with a shape by ``X[key, ...]``.
    length : int
        Length of the indexed axis.

    Returns
    -------
    int, slice with explicit start and stop and step 1, or ndarray of intp
        The same selection.
    """
    if isinstance(key, tuple):
        key = _only_axis(key)
    if isinstance(key, slice):
        start, stop, step = key.indices(length)
        if step == 1:
            return slice(start, max(start, stop))
        return np.arange(start, stop, step, dtype=np.intp)
    if np.ndim(key) == 0 and not isinstance(key, (bool, np.bool_)):
        index = operator.index(key)
        if not -length <= index < length:
            raise IndexError(f"index {index} is out of range for {length} structures")
        return index % length
    return _to_indices(np.asarray(key), length)


def _only_axis(key):
    if len(key) != 2 or not (key[1] is Ellipsis or key[1] == slice(None)):
        raise IndexError(
            f"got the index {key!r}, but the only axis is that of the structures; "
            "index with an int, a slice, a mask or an array of integers"
        )
    return key[0]


def _to_indices(key, length):
    """Convert a mask or an array of integers to non-negative indices."""
    if key.dtype == np.bool_:
        if key.shape != (length,):
            raise IndexError(f"a mask of shape {key.shape} does not fit {length} structures")
        return np.flatnonzero(key)
    if key.size == 0:
        return np.empty(0, dtype=np.intp)
    if key.ndim != 1 or key.dtype.kind not in "iu":
        raise IndexError(
            f"got an index of shape {key.shape} and dtype {key.dtype}; "
            "index with an int, a slice, a mask or a 1-D array of integers"
        )
    if key.min() < -length or key.max() >= length:
        raise IndexError(f"indices reach from {key.min()} to {key.max()}, "
                         f"but there are {length} structures")
    return key.astype(np.intp) % length


def runs(offsets, limit):
    """Group successive segments into runs of limited size.

    Parameters
    ----------
    offsets : ndarray of shape (n_segments + 1,)
        Segment `s` owns the rows ``offsets[s]`` to ``offsets[s + 1]``; or cumulative costs.
    limit : float
        Largest number of rows, or cost, of a run; a single segment may exceed it.

    Yields
    ------
    slice
        With start and stop.
    """
    start, n_segments = 0, len(offsets) - 1
    while start < n_segments:
        stop = int(offsets.searchsorted(offsets[start] + limit, side="right")) - 1
        stop = max(stop, start + 1)
        yield slice(start, stop)
        start = stop


def segments_to_indices(offsets, selected):
    """Find the rows of the selected segments, and the offsets of the result.

    Parameters
    ----------
    offsets : ndarray of shape (n_segments + 1,)
        Segment `s` owns the rows ``offsets[s]`` to ``offsets[s + 1]``.
    selected : ndarray of intp
        Segments to take, in this order.

    Returns
    -------
    rows : ndarray of intp
        Row indices, segment after segment.
    new_offsets : ndarray of shape (n_selected + 1,)
        Offsets of the segments in `rows`.
    """
    starts = offsets[:-1][selected]
    lengths = np.diff(offsets)[selected]
    new_offsets = np.zeros(len(selected) + 1, dtype=np.intp)
    np.cumsum(lengths, out=new_offsets[1:])
    rows = np.arange(new_offsets[-1]) + np.repeat(starts - new_offsets[:-1], lengths)
    return rows, new_offsets


def count_pairs(first, second, shape):
    """Count how often each pair of indices occurs.

    Parameters
    ----------
    first, second : ndarray of intp of shape (n,)
        The indices.
    shape : tuple of int
        Numbers of possible values of both.

    Returns
    -------
    ndarray of int of that shape
        The counts.
    """
    return np.bincount(first * shape[1] + second, minlength=shape[0] * shape[1]).reshape(shape)
