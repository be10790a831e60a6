"""Scales of a prior that is as variable as the targets are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ._normal_equations import Training
from ._observations import Observations
from ._prior import Prior


def moment_scales(
    prior: Prior, observations: Observations, rows: Mapping[str, np.ndarray], floor: float
) -> np.ndarray:
    """Scales at which the prior of each term alone is as variable as the targets are.

    The mean square of targets is divided by that of the prior, as the sparse points represent
    it: for each quantity, and for what remains of those with a mean when their best mean is
    subtracted. Such targets, but for their mean, may vary much less than they could: then the
    second ratio exceeds the first. The largest counts: a prior too wide costs little, one too
    narrow can't follow the data.

    Parameters
    ----------
    prior : Prior
        Covariances among sparse points.
    observations : Observations
        The observations with their means.
    rows : dict of str to ndarray
        The quantities that count, from :meth:`Observations.subtract_mean`.
    floor : float
        The least value.

    Returns
    -------
    ndarray of shape (n_terms,)
        Scales.
    """
    n = prior.n_points
    compared = [(quantity, A[:, :n], A[:, n]) for quantity, A in rows.items()]
    for quantity in rows:
        triangle = observations.triangles[quantity]
        if triangle.n_columns == n + 1:
            continue
        A = triangle.compact()
        U, singular, _ = np.linalg.svd(A[:, n:-1], full_matrices=False)
        U = U[:, singular > 1e-10 * singular[0]]
        varying = A - U @ (U.T @ A)
        compared.append((quantity, varying[:, :n], varying[:, -1]))
    scales = np.full(len(prior.terms), floor)
    for quantity, covariances, values in compared:
        expected = prior.sum_per_term(np.square(prior.whiten(covariances)).sum(axis=0))
        # nothing but rounding errors if there are as few rows as means, or for the derivatives
        # at the only sparse point, whose covariance is at its maximum there
        known = expected > 1e-10 * observations.triangles[quantity].n_rows
        ratios = np.sqrt(np.square(values).sum() / expected[known])
        scales[known] = np.maximum(scales[known], ratios)
    return scales


def moment_scales_of_parts(
    prior: Prior, training: Training, parts: Sequence[Observations], quantities: Sequence[str]
) -> np.ndarray:
    """The same scales for data in several parts, from their normal equations.

    Parameters
    ----------
    prior : Prior
        Covariances among sparse points.
    training : Training
        Normal equations of all parts together.
    parts : sequence of Observations
        The parts.
    quantities : sequence of str
        The quantities that count.

    Returns
    -------
    ndarray of shape (n_terms,)
        Scales.
    """
    n, scales = training.n_coordinates, np.zeros(len(prior.terms))
    ends = np.cumsum([0, *training.sizes])[:-1]
    for quantity in quantities:
        equations = training.equations[quantity]
        # squares of whitened covariances are the same in any orthonormal basis
        expected = np.add.reduceat(np.diag(equations.products)[:n], ends)
        compared = [(expected, equations.subtract_mean(n, training.mean)[1])]
        if len(equations.products) > n + 1:
            rows = [
                part.triangles[quantity].compact() for part in parts if quantity in part.triangles
            ]
            explained, total, varying = _explained_by_means(prior, training.mean, rows)
            compared = [(expected, total), (np.maximum(expected - explained, 0.0), varying)]
        for expected, total in compared:
            known = expected > 1e-10 * equations.n_rows
            scales[known] = np.maximum(scales[known], np.sqrt(total / expected[known]))
    return scales


def _explained_by_means(prior, mean, rows):
    """What the means explain of whitened covariances; squares of targets without a given mean,
    and without the best mean."""
    n = prior.n_points
    means = np.concatenate([A[:, n:-1] for A in rows])
    values = np.concatenate([A[:, -1] for A in rows])
    U, singular, _ = np.linalg.svd(means, full_matrices=False)
    U = U[:, singular > 1e-10 * singular[0]]
    ends = np.cumsum([0, *map(len, rows)])
    along = sum(
        U[start:stop].T @ A[:, :n]
        for A, start, stop in zip(rows, ends[:-1], ends[1:], strict=True)
    )
    explained = prior.sum_per_term(np.square(prior.whiten(along)).sum(axis=0))
    total = np.square(values - means @ mean).sum()
    return explained, total, np.square(values - U @ (U.T @ values)).sum()
