"""Whitened normal equations: models of many parts of the data, and of many levels of noise.

Products of rows add up and subtract, where triangles have to be decomposed anew. In the
coordinates in which the prior of the weights is a unit matrix they are also accurate, as long as
the noise is not far below what double precision resolves; where it is, triangles take over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, lapack, solve_triangular

from ._observations import Observations
from ._posterior import Posterior, solve_weights
from ._prior import Prior

# largest condition number of the equations, relative to double precision
_SOLVABLE = 1e-3
# steps of iterative refinement; each squares the relative error of the weights
_REFINEMENTS = 3


@dataclass(frozen=True)
class NormalEquations:
    """Products of whitened rows of one quantity.

    Parameters
    ----------
    products : ndarray of shape (n, n)
        Products of the rows, whose columns are the whitened covariances with the sparse points,
        then mean functions and the target. Only the lower triangle counts.
    n_rows : int
        Number of rows.
    log_noise : float
        Sum of the logarithms of their relative noise.
    """

    products: np.ndarray
    n_rows: int
    log_noise: float

    @classmethod
    def of(
        cls,
        prior: Prior,
        observations: Observations,
        quantity: str,
        bases: Sequence[np.ndarray | None] | None = None,
    ) -> NormalEquations:
        """Multiply the rows of one quantity.

        Parameters
        ----------
        prior : Prior
            Covariances among sparse points.
        observations : Observations
            The data.
        quantity : str
            Name of the quantity.
        bases : sequence of (ndarray of shape (n, n_coordinates) or None), default=None
            For each term, an orthonormal basis of fewer coordinates; None for all.

        Returns
        -------
        NormalEquations
            For scales and noise of 1.
        """
        triangle = observations.triangles[quantity]
        rows = whiten_rows(prior, triangle.compact())
        if bases is not None:
            rows = np.asfortranarray(np.column_stack([
                *(rows[:, term] if basis is None else rows[:, term] @ basis
                  for term, basis in zip(prior.terms, bases, strict=True)),
                rows[:, prior.n_points :],
            ]))
        return cls(
            blas.dsyrk(1.0, rows, trans=1, lower=1), triangle.n_rows,
            observations.log_noise[quantity],
        )

    def __add__(self, other: NormalEquations) -> NormalEquations:
        return NormalEquations(
            self.products + other.products, self.n_rows + other.n_rows,
            self.log_noise + other.log_noise,
        )

    def subtract_mean(self, n_points: int, mean: np.ndarray) -> tuple[np.ndarray, float]:
        """Right-hand side and sum of squares of targets without their mean.

        Parameters
        ----------
        n_points : int
            Number of sparse points.
        mean : ndarray of shape (n_means,)
            Coefficients of the mean functions.

        Returns
        -------
        right : ndarray of shape (n_points,)
            Products of whitened covariances and targets.
        square : float
            Sum of squares of the targets.
        """
        n_means = len(self.products) - n_points - 1
        combination = np.append(-mean, 1.0) if n_means else np.ones(1)
        corner = np.tril(self.products[n_points:, n_points:])
        corner = corner + np.tril(corner, -1).T
        right = combination @ self.products[n_points:, :n_points]
        return right, float(combination @ corner @ combination)


@dataclass(frozen=True)
class Training:
    """Normal equations of all quantities of a part of the data.

    Parameters
    ----------
    sizes : sequence of int
        Number of whitened coordinates of each term.
    mean : ndarray of shape (n_means,)
        Coefficients of the mean functions.
    equations : dict of str to NormalEquations
        One for each quantity.
    """

    sizes: Sequence[int]
    mean: np.ndarray
    equations: Mapping[str, NormalEquations]

    @property
    def n_coordinates(self) -> int:
        """Number of whitened coordinates."""
        return sum(self.sizes)

    def repeat(self, of_terms: Sequence[float]) -> np.ndarray:
        """Value of each coordinate's term, ndarray of shape (n_coordinates,)."""
        return np.repeat(np.asarray(of_terms, dtype=np.float64), self.sizes)

    def decompose(
        self, scales: Sequence[float], noise: Mapping[str, float]
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Cholesky factor and right-hand side, for whitened weights of a unit prior.

        Parameters
        ----------
        scales : sequence of float
            Scale of each term.
        noise : dict of str to float
            Noise of each quantity.

        Returns
        -------
        factor : ndarray of shape (n_coordinates, n_coordinates)
            Lower triangle; its upper part is arbitrary.
        right : ndarray of shape (n_coordinates,)
            Right-hand side.
        None
            In place of both, where double precision does not suffice.
        """
        n, delta = self.n_coordinates, self.repeat(scales)
        matrix, right = np.zeros((n, n), order="F"), np.zeros(n)
        for quantity, equations in self.equations.items():
            weight = noise[quantity] ** -2
            matrix += weight * equations.products[:n, :n]
            right += weight * equations.subtract_mean(n, self.mean)[0]
        if (delta == delta[0]).all():
            matrix *= delta[0] ** 2
        else:
            matrix *= np.multiply.outer(delta, delta)
        matrix[np.diag_indices(n)] += 1.0
        if not np.isfinite(matrix.trace()):
            return None
        factor, failed = lapack.dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
        diagonal = np.diag(factor)
        condition = (diagonal.max() / diagonal.min()) ** 2 if not failed else np.inf
        if not condition * np.finfo(np.float64).eps < _SOLVABLE:
            return None
        return factor, right * delta

    def posterior(
        self,
        prior: Prior,
        scales: Sequence[float],
        noise: Mapping[str, float],
        parts: Sequence[Mapping[str, np.ndarray]],
    ) -> Posterior:
        """Posterior, as accurate as by triangles.

        Parameters
        ----------
        prior : Prior
            Covariances among sparse points.
        scales : sequence of float
            Scale of each term.
        noise : dict of str to float
            Noise of each quantity.
        parts : sequence of dict of str to ndarray
            All rows, from :meth:`Observations.subtract_mean`, in parts: residuals are computed
            from them, and all else where the normal equations do not suffice.

        Returns
        -------
        Posterior
            Solved.
        """
        scales, noise = np.asarray(scales, dtype=np.float64), dict(noise)
        # with fewer coordinates than points, rows are so few that triangles cost least
        complete = self.n_coordinates == prior.n_points
        decomposed = self.decompose(scales, noise) if complete else None
        if decomposed is None:
            R, weights, misfit = solve_weights(prior, _Chained(parts), scales, noise)
        else:
            R, weights, misfit = self._refine(prior, *decomposed, scales, noise, parts)
        n_rows = {quantity: equations.n_rows for quantity, equations in self.equations.items()}
        log_noise = {quantity: e.log_noise for quantity, e in self.equations.items()}
        return Posterior.assemble(prior, scales, noise, R, weights, misfit, n_rows, log_noise)

    def _refine(self, prior, factor, right, scales, noise, parts):
        """Triangle, weights and misfit; residuals of the rows make the weights accurate."""
        n, delta = self.n_coordinates, self.repeat(scales)
        x = lapack.dpotrs(factor, right, lower=1)[0]
        for _ in range(_REFINEMENTS):
            gradient, misfit = -x, float(x @ x)
            weights = unwhiten(prior, delta * x)
            for part in parts:
                for quantity, A in part.items():
                    residual = (A[:, n] - A[:, :n] @ weights) / noise[quantity]
                    misfit += float(residual @ residual)
                    transposed = (residual / noise[quantity]) @ A[:, :n]
                    gradient += delta * prior.whiten(transposed[np.newaxis])[0]
            step = lapack.dpotrs(factor, gradient, lower=1)[0]
            x += step
            if np.square(np.abs(step).max()) <= 1e-15 * np.square(np.abs(x).max()):
                break
        weights = unwhiten(prior, delta * x)
        # R^T R = L D^-1 F F^T D^-1 L^T, with the Cholesky factor F
        R = np.tril(factor).T / delta
        for points, L in prior.factors:
            R[: points.stop, points] = blas.dtrmm(
                1.0, L, R[: points.stop, points], side=1, lower=1, trans_a=1
            )
        return np.asfortranarray(R), weights, misfit


def whiten_rows(prior: Prior, rows: np.ndarray) -> np.ndarray:
    """Whiten covariances with the sparse points; leave all other columns as they are.

    Parameters
    ----------
    prior : Prior
        Covariances among sparse points.
    rows : ndarray of shape (n_rows, n_columns)
        An upper triangle if it is square.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)
        New, in Fortran order.
    """
    rows = np.array(rows, order="F")
    for points, L in prior.factors:
        # rows below the last of these columns are zero in a triangle
        last = points.stop if len(rows) == rows.shape[1] else len(rows)
        rows[:last, points] = blas.dtrsm(1.0, L, rows[:last, points], side=1, lower=1, trans_a=1)
    return rows


def unwhiten(prior: Prior, x: np.ndarray) -> np.ndarray:
    """Solve ``L^T a = x`` for weights a, ndarray of shape (n_points,)."""
    weights = np.empty_like(x)
    for points, L in prior.factors:
        weights[points] = solve_triangular(L, x[points], lower=True, trans="T")
    return weights


class _Chained:
    """Rows of several parts, presented to :func:`solve_weights` as one."""

    def __init__(self, parts):
        self._parts = parts

    def items(self):
        """Yield quantity and rows, part by part."""
        for part in self._parts:
            yield from part.items()
