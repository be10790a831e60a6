"""The Gaussian process before any data: Cholesky factors of covariances among sparse points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import cholesky, orth, solve_triangular

from ..exceptions import UntrustworthyFitError, UntrustworthyFitWarning
from ..utils.user_warnings import warn_user
from ..utils.validation import is_choice

# Less than the first step after 0 often suffices for a decomposition, but then weights become
# ten times larger, of both signs, and predictions no better.
LADDER = (0.0, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
# above this, the jitter is no longer a mere remedy for rounding errors
_HARMLESS_JITTER = 1e-8


@dataclass(frozen=True)
class Prior:
    """Cholesky factors of the covariances among sparse points, group by group.

    Points of different groups have no covariance. The groups of a term share its scale; the
    covariance is a sum over terms.

    Parameters
    ----------
    factors : list of (slice, ndarray)
        Points of each group, and the lower triangle L of their covariances, for scales of 1.
    terms : list of slice
        Points of each term.
    jitter : float
        Largest number that was added to diagonals, relative to their mean.
    """

    factors: list[tuple[slice, np.ndarray]]
    terms: list[slice]
    jitter: float

    @classmethod
    def factorize(
        cls,
        groups: Iterable[tuple[str, slice, np.ndarray]],
        terms: list[slice],
        jitter: Literal["auto"] | float = "auto",
    ) -> Prior:
        """Decompose covariances among sparse points.

        Parameters
        ----------
        groups : iterable of (str, slice, ndarray of shape (n, n))
            What error messages call a group, its points, and their covariances.
        terms : list of slice
            Points of each term.
        jitter : "auto" or float, default="auto"
            Added to the diagonal, relative to its mean. With "auto" the least of a ladder that
            suffices.

        Returns
        -------
        Prior
            The prior.

        Raises
        ------
        UntrustworthyFitError
            If covariances are not positive definite in spite of the jitter.
        """
        automatic = is_choice(jitter, "auto")
        ladder = LADDER if automatic else (float(jitter),)
        factors, largest = [], 0.0
        for name, points, K in groups:
            L, used = factorize(K, ladder)
            if L is None:
                raise UntrustworthyFitError(
                    f"the covariances of the {len(K)} sparse points of {name} are not positive "
                    f"definite, even with a jitter of {ladder[-1]:g}; raise jitter, lower "
                    "n_sparse, or use an integer zeta"
                )
            factors.append((points, L))
            largest = max(largest, used)
        if automatic and largest > _HARMLESS_JITTER:
            warn_user(
                f"a jitter of {largest:g} was needed to factorise the covariances of sparse "
                "points: they are not positive definite, as may happen if zeta is no integer; "
                "use an integer, or lower n_sparse",
                UntrustworthyFitWarning,
            )
        return cls(factors, terms, largest)

    @property
    def n_points(self) -> int:
        """Number of sparse points."""
        return self.terms[-1].stop

    def triangle(self, scales: Sequence[float]) -> np.ndarray:
        """Upper triangle of the prior, with a column of zeros for the targets."""
        R = np.zeros((self.n_points + 1, self.n_points + 1), order="F")
        of_points = self.repeat_per_point(scales)
        for points, L in self.factors:
            R[points, points] = L.T / of_points[points.start]
        return R

    def repeat_per_point(self, of_terms: Sequence[float]) -> np.ndarray:
        """Value of each point's term, ndarray of shape (n_points,)."""
        return np.repeat(of_terms, [term.stop - term.start for term in self.terms])

    def sum_per_term(self, values: np.ndarray) -> np.ndarray:
        """Sums over the points (last axis) of each term, ndarray of shape (n_terms, ...)."""
        return np.array([values[..., term].sum(axis=-1) for term in self.terms])

    def whiten(self, rows: np.ndarray, without: Sequence[int] = ()) -> np.ndarray:
        """Solve ``x L^T = rows`` for x.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_points)
            Covariances with the points.
        without : sequence of int, default=()
            Points to do without: x has no part that takes them.

        Returns
        -------
        ndarray of shape (n_rows, n_points)
            Sums of squares are variances that the points explain.
        """
        result = np.empty_like(rows)
        without = np.asarray(without, dtype=np.intp)
        for points, L in self.factors:
            x = solve_triangular(L, rows[:, points].T, lower=True)
            own = without[(without >= points.start) & (without < points.stop)] - points.start
            if len(own):
                Q = orth(solve_triangular(L, np.eye(len(L))[:, own], lower=True))
                x -= Q @ (Q.T @ x)
            result[:, points] = x.T
        return result

    def logdet(self) -> float:
        """Logarithm of the determinant of the covariances, for scales of 1."""
        return 2.0 * sum(np.log(np.diag(L)).sum() for _, L in self.factors)


def factorize(
    K: np.ndarray, ladder: Sequence[float] = LADDER
) -> tuple[np.ndarray, float] | tuple[None, None]:
    """Cholesky decomposition with the least jitter of a ladder that suffices.

    Parameters
    ----------
    K : ndarray of shape (n, n)
        Covariances.
    ladder : sequence of float
        What may be added to the diagonal, relative to its mean.

    Returns
    -------
    L : ndarray of shape (n, n) or None
        Lower triangle; None if no jitter suffices.
    jitter : float or None
        What was added, relative to the mean of the diagonal.
    """
    size, scale = len(K), np.trace(K) / len(K)
    for jitter in ladder:
        shifted = K.copy()
        shifted[np.diag_indices(size)] += jitter * scale
        try:
            L = cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            continue
        # pivots of the size of rounding errors are no information
        if np.diag(L).min() ** 2 > 10.0 * size * np.finfo(np.float64).eps * scale:
            return L, jitter
    return None, None
