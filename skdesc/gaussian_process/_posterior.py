r"""From the triangles of the data and a prior to weights, variances and evidence.

With the covariances :math:`\hat K` for an energy scale of 1 and weights :math:`\hat a`, a fit
minimises

.. math::
    \sum_k |y_k - \hat K_k \hat a|^2 / \sigma_k^2 + |\hat L^T \hat a|^2 / \delta^2

over the kinds k of targets (energies, forces, virials). Each kind has a triangle of its own,
computed with noise 1, so that the noise and the energy scale can be changed without going
through the data again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from sys import getsizeof

import numpy as np
from scipy.linalg import cholesky, lapack, solve_triangular

from ..exceptions import UntrustworthyFitError, UntrustworthyFitWarning
from ..utils.blas import one_thread
from ..utils.user_warnings import warn_user
from ..utils.validation import is_choice
from ._covariance import covariance_matrix
from ._streaming_qr import Triangle, stack_triangles

KINDS = ("energy", "forces", "virials")

# Less than the first step after 0 often suffices for a decomposition, but then weights become
# ten times larger, of both signs, and predictions no better.
_LADDER = (0.0, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
# above this, the jitter is no longer a mere remedy for rounding errors
_HARMLESS_JITTER = 1e-8


class Prior:
    """Cholesky factors of the covariances among sparse points, species by species.

    Parameters
    ----------
    points : SparsePoints
        The points.
    zetas : sequence of float
        Exponent of each block.
    jitter : "auto" or float
        Added to the diagonal, relative to its mean. With "auto" the least of a ladder that
        suffices.

    Attributes
    ----------
    factors : list of (slice, ndarray)
        For each block and species, its points and the lower triangle L, where the energy scale
        is 1.
    blocks : list of slice
        Points of each block.
    jitter : float
        The largest that was used.
    """

    def __init__(self, points, zetas, jitter):
        self.n_points, self.zetas = len(points), zetas
        self.blocks = points.points_of_blocks()
        self.factors, self.jitter = [], 0.0
        ladder = _LADDER if is_choice(jitter, "auto") else (float(jitter),)
        for group in points.groups():
            Q, zeta = points.of(group), zetas[group.block]
            K = covariance_matrix(Q, Q, zeta)
            L, used = factorize(K, ladder)
            if L is None:
                raise UntrustworthyFitError(
                    f"the covariances of the {len(K)} sparse points of species {group.species} "
                    f"are not "
                    f"positive definite, even with a jitter of {ladder[-1]:g}; raise jitter, lower "
                    f"n_sparse, or use an integer zeta (it is {zeta:g})"
                )
            self.factors.append((group.points, L))
            self.jitter = max(self.jitter, used)
        if is_choice(jitter, "auto") and self.jitter > _HARMLESS_JITTER:
            warn_user(
                f"a jitter of {self.jitter:g} was needed to factorise the covariances of sparse "
                f"points: they are not positive definite, as may happen if zeta is no "
                "integer; use an integer, or lower n_sparse",
                UntrustworthyFitWarning,
            )

    def triangle(self, energy_scales):
        """Upper triangle of the prior, with a column of zeros for the targets."""
        R = np.zeros((self.n_points + 1, self.n_points + 1), order="F")
        scales = self.of_points(energy_scales)
        for columns, L in self.factors:
            R[columns, columns] = L.T / scales[columns.start]
        return R

    def of_points(self, of_blocks):
        """What each point's block has, ndarray of shape (n_points,)."""
        return np.repeat(of_blocks, [part.stop - part.start for part in self.blocks])

    def by_block(self, values):
        """Sums over the points (last axis) of each block, ndarray of shape (n_blocks, ...)."""
        return np.array([values[..., part].sum(axis=-1) for part in self.blocks])

    def whiten(self, rows):
        """Solve ``x L^T = rows`` for x, ndarray of shape (n_rows, n_points)."""
        result = np.empty_like(rows)
        for columns, L in self.factors:
            result[:, columns] = solve_triangular(L, rows[:, columns].T, lower=True).T
        return result

    def logdet(self):
        """Logarithm of the determinant of the covariances."""
        return 2.0 * sum(np.log(np.diag(L)).sum() for _, L in self.factors)


def factorize(K, ladder=_LADDER):
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


@dataclass
class Data:
    """All that has been seen of the data.

    Parameters
    ----------
    n_points, n_elements : int
        Numbers of columns. The triangle of energies has columns for the composition, so that
        the energies of single atoms need not be known while the data pass by.

    Attributes
    ----------
    triangles : dict of str to Triangle
        By kind of target.
    log_noise : dict of str to float
        Sum of the logarithms of the rows' noise, relative to the kind's.
    """

    n_points: int
    n_elements: int
    triangles: dict = field(default_factory=dict)
    log_noise: dict = field(default_factory=dict)

    def add(self, kind, rows, last_columns, relative_noise):
        """Take in rows of a kind, but for those whose target is NaN.

        Parameters
        ----------
        kind : str
            One of `KINDS`.
        rows : ndarray of shape (n_rows, n_points)
            Covariances with the sparse points.
        last_columns : ndarray of shape (n_rows, 1) or (n_rows, n_elements + 1)
            Targets; for energies, the composition before them.
        relative_noise : ndarray of shape (n_rows,)
            Noise of each row over that of the kind.
        """
        present = np.isfinite(last_columns[:, -1])
        if not present.any():
            return
        index = None if present.all() else np.flatnonzero(present)
        if kind not in self.triangles:
            self.triangles[kind] = Triangle(self.n_points + last_columns.shape[1])
            self.log_noise[kind] = 0.0
        with one_thread:
            self.triangles[kind].fold(rows, last_columns, 1.0 / relative_noise, index)
        self.log_noise[kind] += np.log(relative_noise[present]).sum()

    def merge(self, other):
        """Take in all that another pass has seen.

        Parameters
        ----------
        other : Data
            With the same columns; it stays as it is.
        """
        for kind, triangle in other.triangles.items():
            if kind not in self.triangles:
                self.triangles[kind] = Triangle(len(triangle.R))
                self.log_noise[kind] = 0.0
            with one_thread:
                self.triangles[kind].merge(triangle)
            self.log_noise[kind] += other.log_noise[kind]

    def with_points(self, index):
        """The same data with some of the columns of sparse points, in the order of an index."""
        other = Data(len(index), self.n_elements, log_noise=dict(self.log_noise))
        for kind, triangle in self.triangles.items():
            R = triangle.R
            last = R[:, self.n_points :]
            other.triangles[kind] = Triangle(len(index) + last.shape[1])
            with one_thread:
                other.triangles[kind].fold(R[:, index], last, np.ones(len(R)))
            other.triangles[kind].n_rows = triangle.n_rows
        return other

    def __sizeof__(self):
        return object.__sizeof__(self) + sum(map(getsizeof, self.triangles.values()))

    def reduced(self, e0):
        """Triangles with targets from which the energies of single atoms are subtracted.

        Parameters
        ----------
        e0 : ndarray of shape (n_elements,)
            Energies of single atoms.

        Returns
        -------
        dict of str to ndarray of shape (n_points + 1, n_points + 1)
            Upper triangles.
        """
        n, result = self.n_points, {}
        for kind in KINDS:
            if kind not in self.triangles:
                continue
            R = self.triangles[kind].R
            if kind == "energy":
                rest = R[:, -1] - R[:, n:-1] @ e0
                triangle = np.zeros((n + 1, n + 1), order="F")
                triangle[:n, :n] = R[:n, :n]
                triangle[:n, n] = rest[:n]
                triangle[n, n] = np.linalg.norm(rest[n:])
                R = triangle
            result[kind] = R
        return result


class Posterior:
    """The Gaussian process given data, prior, energy scale and noise.

    Parameters
    ----------
    prior : Prior
        Covariances among sparse points.
    data : Data
        Numbers of rows and their relative noise.
    triangles : dict of str to ndarray
        From :meth:`Data.reduced`.
    energy_scales : ndarray of shape (n_blocks,)
        Scale of the covariances of each block, in eV.
    sigmas : dict of str to float
        Noise of each kind.

    Attributes
    ----------
    R : ndarray of shape (n_points, n_points)
        Upper triangle; ``inv(R.T @ R)`` is the covariance of the weights.
    weights : ndarray of shape (n_points,)
        For an energy scale of 1.
    log_marginal_likelihood : float
        Logarithm of the evidence.
    n_rows : dict of str to int
        Number of rows of each kind.
    """

    def __init__(self, prior, data, triangles, energy_scales, sigmas):
        self.prior, self.sigmas = prior, dict(sigmas)
        self.energy_scales = np.asarray(energy_scales, dtype=np.float64)
        self.R, self.weights, misfit = solve_weights(
            prior, triangles, self.energy_scales, self.sigmas
        )
        logdet = 2.0 * np.log(np.abs(np.diag(self.R))).sum()
        logdet += 2.0 * np.log(prior.of_points(self.energy_scales)).sum() - prior.logdet()
        self.n_rows = {kind: data.triangles[kind].n_rows for kind in triangles}
        for kind, count in self.n_rows.items():
            logdet += 2.0 * (count * np.log(sigmas[kind]) + data.log_noise[kind])
        constant = sum(self.n_rows.values()) * np.log(2.0 * np.pi)
        self.log_marginal_likelihood = float(-0.5 * (misfit + logdet + constant))

    def condition_number(self):
        """Estimate of the condition number of R, in the 1-norm."""
        # a triangle is its own LU decomposition; SciPy has had trcon for a short time only
        reciprocal, _ = lapack.dgecon(self.R, np.abs(self.R).sum(axis=0).max())
        return float(1.0 / reciprocal) if reciprocal > 0 else np.inf

    def half(self, rows):
        """Factor H of what the data leave of covariances in the span of the sparse points.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_points)
            Covariances with the sparse points.

        Returns
        -------
        ndarray of shape (n_rows, n_points)
            ``H @ H.T`` are covariances, in eV^2.
        """
        return solve_triangular(self.R, rows.T, trans="T", check_finite=False).T

    def variance(self, rows, prior_variance):
        """Posterior variance of linear functionals.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_points)
            Their covariances with the sparse points.
        prior_variance : ndarray of shape (n_blocks, n_rows)
            Their variance before any data; for energy scales of 1, like the rows.

        Returns
        -------
        ndarray of shape (n_rows,)
            In eV^2.
        """
        projected = self.prior.by_block(np.square(self.prior.whiten(rows)))
        unexplained = np.maximum(prior_variance - projected, 0.0)
        return self.energy_scales**2 @ unexplained + np.square(self.half(rows)).sum(axis=1)


def solve_weights(prior, triangles, energy_scales, sigmas):
    """Weights of the covariances with the sparse points.

    Parameters
    ----------
    prior, triangles, energy_scales, sigmas : object
        As for :class:`Posterior`.

    Returns
    -------
    R : ndarray of shape (n_points, n_points)
        Triangle of prior and data.
    weights : ndarray of shape (n_points,)
        For an energy scale of 1.
    misfit : float
        Sum of squares that they leave.
    """
    n = prior.n_points
    copies = (T / sigmas[kind] for kind, T in triangles.items())
    R = stack_triangles(chain([prior.triangle(energy_scales)], copies))
    square, targets, misfit = np.asfortranarray(R[:n, :n]), R[:n, n], R[n, n] ** 2
    weights, singular = lapack.dtrtrs(square, targets)
    if singular or not np.isfinite(weights).all():
        raise UntrustworthyFitError(
            "the weights are not finite; targets or noise levels are too extreme "
            f"(energy_scale={energy_scales}, noise {sigmas})"
        )
    return square, weights, misfit


def moment_energy_scales(prior, data, triangles, floor):
    """Energy scales at which each block's prior alone is as variable as the targets are.

    The mean square of targets is divided by that of the prior, as the sparse points represent
    it: for energies, for what remains of energies when the best function of the composition
    is subtracted, and for forces. Energies, but for the composition, may vary much less than
    they could, as environments resemble one another: then the second ratio exceeds the first.
    The largest counts: a prior too wide costs little, one too narrow can't follow the data.

    Parameters
    ----------
    prior : Prior
        Covariances among sparse points.
    data : Data
        The data with the composition.
    triangles : dict of str to ndarray
        From :meth:`Data.reduced`.
    floor : float
        The least value.

    Returns
    -------
    ndarray of shape (n_blocks,)
        In eV.
    """
    n = prior.n_points
    pairs = [(kind, T[:, :n], T[:, n]) for kind, T in triangles.items() if kind != "virials"]
    R = data.triangles["energy"].R
    U, singular, _ = np.linalg.svd(R[:, n:-1], full_matrices=False)
    U = U[:, singular > 1e-10 * singular[0]]
    varying = R - U @ (U.T @ R)
    pairs.append(("energy", varying[:, :n], varying[:, -1]))
    scales = np.full(len(prior.blocks), floor)
    for kind, rows, values in pairs:
        expected = prior.by_block(np.square(prior.whiten(rows)).sum(axis=0))
        # nothing but rounding errors if there are as few structures as elements, or for
        # forces on the only sparse point, whose covariance is at its maximum there
        known = expected > 1e-10 * data.triangles[kind].n_rows
        ratios = np.sqrt(np.square(values).sum() / expected[known])
        scales[known] = np.maximum(scales[known], ratios)
    return scales
