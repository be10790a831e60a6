"""Folds of cross-validation, seen as sets."""

import numpy as np


def take(values, index):
    """Some entries of metadata or data with one for each sample.

    Parameters
    ----------
    values : array-like, sequence or None
        What to take from; None gives None.
    index : ndarray of int
        Samples.

    Returns
    -------
    object
        Of the kind of `values` if that has a shape, else a list; an array of a Series.
    """
    if values is None:
        return None
    if hasattr(values, "iloc"):  # whose index may be anything
        values = np.asarray(values)
    return values[index] if hasattr(values, "shape") else [values[i] for i in index]


def split_blocks(trains, n_samples):
    """Largest blocks of samples of which no training part has some but not all.

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
