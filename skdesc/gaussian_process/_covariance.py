"""The covariance of two environments, (p . p')^zeta, as a function of the dot product."""

from __future__ import annotations

import numpy as np


def power(base, exponent):
    """Raise dot products to a power, as fast as the exponent allows.

    Parameters
    ----------
    base : ndarray
        Dot products.
    exponent : float
        At least 0. Products of integer exponents are exact powers. For any other exponent,
        negative dot products count as 0: they have no real power.

    Returns
    -------
    ndarray
        New array of the shape of `base`.
    """
    if exponent != int(exponent):
        return np.maximum(base, 0.0) ** exponent
    exponent = int(exponent)
    if exponent == 0:
        return np.ones_like(base)
    # repeated squaring: np.power takes ten times longer
    result, square = None, base
    while exponent:
        if exponent & 1:
            result = square.copy() if result is None else np.multiply(result, square, out=result)
        exponent >>= 1
        if exponent:
            square = np.multiply(square, square, out=None if square is base else square)
    return result


def dot_power(dot, zeta, *, derivative=False):
    r"""Covariance :math:`(p \cdot p')^\zeta` and its derivative by the dot product.

    Parameters
    ----------
    dot : ndarray
        Dot products of (unit) vectors.
    zeta : float
        At least 1.
    derivative : bool, default=False
        Whether to return the derivative too.

    Returns
    -------
    value : ndarray
        Covariances, where the scale of energies is 1.
    slope : ndarray
        :math:`\zeta (p \cdot p')^{\zeta - 1}`; only if `derivative`.
    """
    slope = power(dot, zeta - 1.0)
    # the same digits whether or not the derivative is asked for
    value = slope * dot
    if not derivative:
        return value
    slope *= zeta
    return value, slope


def covariance_matrix(A, B, zeta):
    """Covariances between two sets of environments of one species.

    Parameters
    ----------
    A : ndarray of shape (n, n_features)
        Environments.
    B : ndarray of shape (m, n_features)
        Environments.
    zeta : float
        Exponent.

    Returns
    -------
    ndarray of shape (n, m)
        Where the scale of energies is 1.
    """
    return dot_power(A @ B.T, zeta)
