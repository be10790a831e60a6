r"""From observations and a prior to weights, variances and evidence.

With covariances :math:`\hat K` for scales of 1 and weights :math:`\hat a`, a fit minimizes

.. math::
    \sum_k |y_k - \hat K_k \hat a|^2 / \sigma_k^2 + |\hat L^T \hat a|^2 / \delta^2

over the quantities k. Each has rows of its own, computed with noise 1, so that the noise and the
scales can be changed without going through the data again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.linalg import lapack, solve_triangular

from ..exceptions import UntrustworthyFitError
from ._observations import Observations
from ._prior import Prior
from ._triangle import stack


@dataclass(frozen=True)
class Posterior:
    """The Gaussian process given observations, scales and noise.

    Parameters
    ----------
    prior : Prior
        Covariances among sparse points.
    scales : ndarray of shape (n_terms,)
        Scale of the covariances of each term.
    noise : dict of str to float
        Noise of each quantity.
    R : ndarray of shape (n_points, n_points)
        Upper triangle; ``inv(R.T @ R)`` is the covariance of the weights.
    weights : ndarray of shape (n_points,)
        For scales of 1.
    log_marginal_likelihood : float
        Logarithm of the evidence.
    n_rows : dict of str to int
        Number of rows of each quantity.
    """

    prior: Prior
    scales: np.ndarray
    noise: dict[str, float]
    R: np.ndarray
    weights: np.ndarray
    log_marginal_likelihood: float
    n_rows: dict[str, int]

    @classmethod
    def solve(
        cls,
        prior: Prior,
        observations: Observations,
        rows: Mapping[str, np.ndarray],
        scales: Sequence[float],
        noise: Mapping[str, float],
    ) -> Posterior:
        """Solve for the weights.

        Parameters
        ----------
        prior : Prior
            Covariances among sparse points.
        observations : Observations
            Numbers of rows and their relative noise.
        rows : dict of str to ndarray
            What to fit to, from :meth:`Observations.subtract_mean`.
        scales : sequence of float
            Scale of the covariances of each term.
        noise : dict of str to float
            Noise of each quantity.

        Returns
        -------
        Posterior
            Solved.

        Raises
        ------
        UntrustworthyFitError
            If the weights are not finite.
        """
        scales, noise = np.asarray(scales, dtype=np.float64), dict(noise)
        R, weights, misfit = solve_weights(prior, rows, scales, noise)
        n_rows = {quantity: observations.triangles[quantity].n_rows for quantity in rows}
        return cls.assemble(
            prior, scales, noise, R, weights, misfit, n_rows, observations.log_noise
        )

    @classmethod
    def assemble(cls, prior, scales, noise, R, weights, misfit, n_rows, log_noise) -> Posterior:
        """Posterior of weights that are known, with its evidence.

        Parameters
        ----------
        prior, scales, noise, R, weights, n_rows : object
            As for the class.
        misfit : float
            Sum of squares that the weights leave, that of the prior included.
        log_noise : dict of str to float
            Sum of the logarithms of the relative noise of each quantity.

        Returns
        -------
        Posterior
            The same.
        """
        logdet = 2.0 * np.log(np.abs(np.diag(R))).sum()
        logdet += 2.0 * np.log(prior.repeat_per_point(scales)).sum() - prior.logdet()
        for quantity, count in n_rows.items():
            logdet += 2.0 * (count * np.log(noise[quantity]) + log_noise[quantity])
        constant = sum(n_rows.values()) * np.log(2.0 * np.pi)
        evidence = float(-0.5 * (misfit + logdet + constant))
        return cls(prior, scales, noise, R, weights, evidence, n_rows)

    def condition_number(self) -> float:
        """Estimate of the condition number of R, in the 1-norm."""
        # a triangle is its own LU decomposition; older versions of SciPy lack trcon
        reciprocal, _ = lapack.dgecon(self.R, np.abs(self.R).sum(axis=0).max())
        return float(1.0 / reciprocal) if reciprocal > 0 else np.inf

    def covariance_factor(self, rows: np.ndarray) -> np.ndarray:
        """Factor of the posterior covariance within the span of the sparse points.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_points)
            Covariances with the sparse points.

        Returns
        -------
        ndarray of shape (n_rows, n_points)
            H such that ``H @ H.T`` are covariances.
        """
        return solve_triangular(self.R, rows.T, trans="T", check_finite=False).T

    def variances(self, rows: np.ndarray, prior_variance: np.ndarray) -> np.ndarray:
        """Two parts of the posterior variance of linear functionals, which add up.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_points)
            Their covariances with the sparse points.
        prior_variance : ndarray of shape (n_terms, n_rows)
            Their variance before any data; for scales of 1, like the rows.

        Returns
        -------
        ndarray of shape (2, n_rows)
            What the data leave open within the span of the sparse points, and what lies outside.
        """
        inside = np.square(self.covariance_factor(rows)).sum(axis=1)
        return np.array([inside, self.variance_outside(rows, prior_variance)])

    def variance_outside(
        self, rows: np.ndarray, prior_variance: np.ndarray, without: Sequence[int] = ()
    ) -> np.ndarray:
        """Variance that sparse points cannot represent, so that no data reduce it.

        Parameters
        ----------
        rows, prior_variance : ndarray
            As for :meth:`variances`.
        without : sequence of int, default=()
            Sparse points to do without.

        Returns
        -------
        ndarray of shape (n_rows,)
            Variances.
        """
        projected = self.prior.sum_per_term(np.square(self.prior.whiten(rows, without)))
        return self.scales**2 @ np.maximum(prior_variance - projected, 0.0)


def solve_weights(
    prior: Prior,
    rows: Mapping[str, np.ndarray],
    scales: Sequence[float],
    noise: Mapping[str, float],
) -> tuple[np.ndarray, np.ndarray, float]:
    """Weights of the covariances with the sparse points.

    Parameters
    ----------
    prior, rows, scales, noise : object
        As for :meth:`Posterior.solve`.

    Returns
    -------
    R : ndarray of shape (n_points, n_points)
        Triangle of prior and observations.
    weights : ndarray of shape (n_points,)
        For scales of 1.
    misfit : float
        Sum of squares that they leave.
    """
    n = prior.n_points
    scaled = (A / noise[quantity] for quantity, A in rows.items())
    R = stack(chain([prior.triangle(scales)], scaled))
    square, targets, misfit = np.asfortranarray(R[:n, :n]), R[:n, n], R[n, n] ** 2
    weights, singular = lapack.dtrtrs(square, targets)
    if singular or not np.isfinite(weights).all():
        raise UntrustworthyFitError(
            "the weights are not finite; targets or noise levels are too extreme "
            f"(energy_scale={scales}, noise {noise})"
        )
    return square, weights, misfit
