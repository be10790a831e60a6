"""Covariances of two environments as functions of the dot product of their features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class Covariance:
    """Covariance of two environments as a function of the dot product of their features.

    A covariance of your own derives from this class and defines :meth:`value`, :meth:`slope` and
    :meth:`curvature`. Features are of unit length unless their transformer says otherwise, so
    that functions of their distance are functions of the dot product, too.

    Notes
    -----
    The function must be positive definite: its matrix for any set of features must have no
    negative eigenvalue. Power series of the dot product with coefficients that are not negative
    are, and so are sums and products of such functions. Objects are compared, copied and saved
    with the models that they belong to; a frozen ``dataclass`` does all of that.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from skdesc import Covariance, GAPRegressor
    >>> @dataclass(frozen=True)
    ... class Exponential(Covariance):
    ...     length: float
    ...
    ...     def value(self, dot):
    ...         return np.exp((dot - 1.0) / self.length**2)
    ...
    ...     def slope(self, dot):
    ...         return self.value(dot) / self.length**2
    ...
    ...     def curvature(self, dot):
    ...         return self.value(dot) / self.length**4
    >>> gap = GAPRegressor(zeta=Exponential(0.5))
    """

    @property
    def is_linear(self) -> bool:
        """Whether unit vectors as sparse points represent it completely."""
        return False

    def value(self, dot: np.ndarray) -> np.ndarray:
        """Covariances of environments with given dot products, for a scale of energies of 1.

        Parameters
        ----------
        dot : ndarray
            Dot products.

        Returns
        -------
        ndarray
            New array of the same shape.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method value; define it")

    def slope(self, dot: np.ndarray) -> np.ndarray:
        """Derivatives of the covariances by the dot products.

        Parameters
        ----------
        dot : ndarray
            Dot products.

        Returns
        -------
        ndarray
            New array of the same shape.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method slope; define it")

    def curvature(self, dot: np.ndarray) -> np.ndarray:
        """Second derivatives of the covariances by the dot products.

        Only standard deviations of forces ask for them.

        Parameters
        ----------
        dot : ndarray
            Dot products.

        Returns
        -------
        ndarray
            New array of the same shape.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method curvature; define it")

    def value_and_slope(self, dot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Covariances, and their derivatives by the dot products.

        Parameters
        ----------
        dot : ndarray
            Dot products.

        Returns
        -------
        value, slope : ndarray
            Of the same shape.
        """
        return self.value(dot), self.slope(dot)

    def diagonal(self, features: np.ndarray) -> np.ndarray:
        """Variances of environments.

        Parameters
        ----------
        features : ndarray of shape (n, n_features)
            Environments.

        Returns
        -------
        ndarray of shape (n,)
            For a scale of energies of 1.
        """
        return self.value(np.einsum("ij,ij->i", features, features, dtype=np.float64))

    def matrix(self, A: np.ndarray, B: np.ndarray) -> np.ndarray:
        """Covariances between two sets of environments of one species.

        Parameters
        ----------
        A : ndarray of shape (n, n_features)
            Environments.
        B : ndarray of shape (m, n_features)
            Environments.

        Returns
        -------
        ndarray of shape (n, m)
            For a scale of energies of 1.
        """
        return self.value(A @ B.T)

    def collapse(self, points: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
        """Form one vector or matrix that acts as all weighted sparse points together.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_features)
            Sparse points.
        weights : ndarray of shape (n_points,)
            Their weights.

        Returns
        -------
        ndarray or None
            A vector v of shape (n_features,), for energies v . p; or a symmetric matrix A, for
            energies p . A p; None where neither exists or it would take longer.
        """
        return None


@dataclass(frozen=True)
class PowerCovariance(Covariance):
    r"""Powers of dot products, :math:`(p \cdot p')^\zeta`.

    Parameters
    ----------
    zeta : float
        Exponent, at least 1. With other than integer exponents, negative dot products count as
        0: they have no real power.
    """

    zeta: float

    @property
    def is_linear(self) -> bool:
        return self.zeta == 1

    def value(self, dot: np.ndarray) -> np.ndarray:
        # the same digits as with the slope
        return power(dot, self.zeta - 1.0) * dot

    def value_and_slope(self, dot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope = power(dot, self.zeta - 1.0)
        value = slope * dot
        slope *= self.zeta
        return value, slope

    def slope(self, dot: np.ndarray) -> np.ndarray:
        return self.zeta * power(dot, self.zeta - 1.0)

    def curvature(self, dot: np.ndarray) -> np.ndarray:
        factor, exponent = self.zeta * (self.zeta - 1.0), self.zeta - 2.0
        if exponent >= 0:
            return factor * power(dot, exponent)
        # a negative power of what does not count is none, and an exponent of 1 has a factor of 0
        return factor * np.where(dot > 0, np.maximum(dot, np.finfo(float).tiny) ** exponent, 0.0)

    def collapse(self, points: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
        if self.zeta == 1:
            return weights @ points
        if self.zeta == 2 and points.shape[1] <= len(points):
            return (points.T * weights) @ points
        return None


def as_covariance(zeta: float | Covariance) -> Covariance:
    """Powers of dot products with an exponent; a covariance is returned as it is."""
    return zeta if isinstance(zeta, Covariance) else PowerCovariance(float(zeta))


def power(base: np.ndarray, exponent: float) -> np.ndarray:
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
