"""Containers of samples that are sent to worker processes faster than lists."""

from __future__ import annotations

from functools import singledispatch

import numpy as np


@singledispatch
def pack_like(sample, X):
    """Put samples into a container; samples of unknown type are returned as they are.

    A package that has a container for a type of samples registers a function with
    ``pack_like.register``.

    Parameters
    ----------
    sample : object
        The first sample, whose type determines the container.
    X : sequence
        All samples.

    Returns
    -------
    object
        Container of the same samples in the same order.
    """
    return X


def pack(X):
    """Put samples into the container that is registered for their type.

    Parameters
    ----------
    X : sequence
        Samples.

    Returns
    -------
    object
        The container, or `X` itself if none is registered.
    """
    return pack_like(_first_sample(X), X)


def _first_sample(X):
    if pack_like.dispatch(type(X)) is not pack_like.dispatch(object):
        return X  # a single sample is not a sequence, which the container refuses
    if hasattr(X, "iloc"):
        X = X.to_numpy()
    if isinstance(X, np.ndarray):
        return next(iter(X.flat), None)
    return X[0] if isinstance(X, (list, tuple)) and X else None
