"""Folds of cross-validation, checked once and turned into index arrays."""

from __future__ import annotations

import numpy as np

from ._sklearn_compat import safe_indexing

_WAYS = "index arrays or boolean masks"


def check_folds(splits, n_samples):
    """Turn folds into index arrays that select what scikit-learn would select.

    Parameters
    ----------
    splits : iterable of (train, test)
        Index arrays or boolean masks from a splitter or a user; a generator is consumed.
    n_samples : int
        Number of samples.

    Returns
    -------
    list of (train, test)
        Arrays of intp between 0 and `n_samples`, in the given order, repetitions included.

    Raises
    ------
    IndexError
        If an index is out of range or a mask has another length (raised by scikit-learn).
    ValueError
        If a fold is not a pair, or its parts do not select samples.

    Examples
    --------
    >>> import numpy as np
    >>> from skdesc.utils.folds import check_folds
    >>> check_folds([(np.array([True, True, False]), [-1])], 3)
    [(array([0, 1]), array([2]))]
    """
    everyone = np.arange(n_samples, dtype=np.intp)
    checked = []
    for index, fold in enumerate(splits):
        if not isinstance(fold, (tuple, list, np.ndarray)) or len(fold) != 2:
            raise ValueError(
                f"cv gives {fold!r} as fold {index}, but it must be a pair of {_WAYS}, the "
                "training part and the test part"
            )
        checked.append(tuple(_check_part(part, index, everyone) for part in fold))
    return checked


def _check_part(part, index, everyone):
    array = np.asarray(part)
    if array.ndim != 1:
        raise ValueError(
            f"cv gives {part!r} as a part of fold {index}, but it must be one-dimensional; give "
            f"{_WAYS}"
        )
    if array.size == 0 and array.dtype != np.bool_:  # NumPy gives an empty list the type float
        return everyone[:0]
    return np.ascontiguousarray(safe_indexing(everyone, array))


def can_share_a_pass(splits):
    """Whether one pass over the data suffices for the models of all folds.

    Parameters
    ----------
    splits : list of (train, test)
        Folds from :func:`check_folds`.

    Returns
    -------
    bool
        False if a part is empty, or has a sample more than once, as in a bootstrap: the pass sees
        each sample once.
    """
    return all(
        len(part) > 0 and len(np.unique(part)) == len(part) for split in splits for part in split
    )


def take(values, index):
    """Select samples from data or metadata that have one entry per sample.

    Parameters
    ----------
    values : array-like, sequence or None
        The data; None gives None.
    index : ndarray of int
        Samples to select.

    Returns
    -------
    object
        Same type as `values` if that has a shape, an array for a Series, otherwise a list.
    """
    if values is None:
        return None
    if hasattr(values, "iloc"):  # pandas: select by position, whatever the labels
        values = np.asarray(values)
    return values[index] if hasattr(values, "shape") else [values[i] for i in index]


def split_blocks(trains, n_samples):
    """Divide samples into the largest blocks that every training part has wholly or not at all.

    Parameters
    ----------
    trains : sequence of index array
        Training parts.
    n_samples : int
        Number of samples.

    Returns
    -------
    list of ndarray
        Index arrays; samples in no training part are in none.
    """
    membership = np.zeros((n_samples, len(trains)), dtype=bool)
    for column, train in enumerate(trains):
        membership[train, column] = True
    patterns, block = np.unique(membership, axis=0, return_inverse=True)
    block = block.reshape(-1)
    return [np.flatnonzero(block == k) for k, pattern in enumerate(patterns) if pattern.any()]
