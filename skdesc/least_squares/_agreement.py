r"""Agreement of the labels of one quantity with those that all other quantities imply.

Rows of each quantity, whitened by the prior, are X_k, and its labels are
:math:`y_k = X_k w + noise` with :math:`w \sim N(0, 1)`. Without quantity k, w has the precision
:math:`A_k = 1 + \sum_{j \ne k} X_j^T X_j / \sigma_j^2` and a mean that implies labels
:math:`v_k`, whose covariance, noise included, is
:math:`C_k = \sigma_k^2 + X_k A_k^{-1} X_k^T`. Labels and implied labels are compared in the metric
of the inverse of C, which counts what is known of them and nothing else. By Woodbury's identity

.. math::
    C_k^{-1} = (1 - X_k M^{-1} X_k^T / \sigma_k^2) / \sigma_k^2

where M is the precision given all labels. All of it takes the Gram matrices and a Cholesky
decomposition per quantity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

MAX_POINTS = 500
"""More sparse points are thinned out, so that a comparison costs no more than with these."""
# least noise, relative to the root mean square of labels, so that precisions are well-conditioned
_LEAST_NOISE = 1e-3
_LEAST_SCALE, _TINY = 1e-6, 1e-150


@dataclass
class Labels:
    """Inner products of rows and labels of one quantity, which suffice for a comparison.

    Parameters
    ----------
    gram : ndarray of shape (n_points, n_points)
        Inner products of the columns of whitened rows.
    product : ndarray of shape (n_points,)
        Inner products of these columns with the labels.
    square : float
        Sum of squares of the labels.
    n_rows : int
        Number of rows in the data.
    noise : float
        Noise of the labels.
    """

    gram: np.ndarray
    product: np.ndarray
    square: float
    n_rows: int
    noise: float

    @classmethod
    def of(
        cls, rows: np.ndarray, values: np.ndarray, n_rows: int, noise: float,
        factors: list[np.ndarray],
    ) -> Labels:
        """Compute inner products of rows and labels.

        Parameters
        ----------
        rows : ndarray of shape (n_kept, n_points)
            Covariances with the sparse points, for energy scales of 1, which are overwritten.
            Any rows with the same inner products as those of the data will do, such as those of
            their triangle.
        values : ndarray of shape (n_kept,)
            The labels.
        n_rows : int
            Number of rows in the data.
        noise : float
            Noise of the labels.
        factors : list of ndarray
            Lower Cholesky factors of the prior covariances of consecutive points.

        Returns
        -------
        Labels
            Inner products.
        """
        start = 0
        for L in factors:
            part = slice(start, start + len(L))
            rows[:, part] = solve_triangular(L, rows[:, part].T, lower=True).T
            start = part.stop
        square = float(values @ values)
        floor = _LEAST_NOISE * np.sqrt(square / n_rows)
        return cls(rows.T @ rows, rows.T @ values, square, n_rows, max(noise, floor))


@dataclass(frozen=True)
class Agreement:
    """Agreement of labels with those that all other quantities imply.

    Parameters
    ----------
    cosine : float
        Correlation of both.
    ratio : float
        Length of the labels over that of the implied ones.
    certainty : float
        Length of the implied labels, in standard deviations per degree of freedom.
    n_known : int
        Number of independent labels that are compared.
    explained : float
        Part of the labels' variance that a fit to them alone explains.
    """

    cosine: float
    ratio: float
    certainty: float
    n_known: int
    explained: float

    @property
    def significance(self) -> float:
        """Student's t of the correlation; its sign is that of the correlation."""
        if self.n_known < 3:
            return 0.0
        spread = max(1.0 - self.cosine**2, 1e-12)
        return float(self.cosine * np.sqrt((self.n_known - 2) / spread))

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and largest factor between true labels and the given ones.

        Of two quantities that both have errors, the regressions of each on the other enclose
        the factor.
        """
        cosine = abs(self.cosine)
        return self.ratio * cosine, self.ratio / max(cosine, 1e-12)


def thin_out(points: list[slice], factors: list[np.ndarray]) -> tuple[np.ndarray, list]:
    """Choose some of the sparse points, and whiten by their prior alone.

    Parameters
    ----------
    points : list of slice
        Points of each group with a covariance of its own.
    factors : list of ndarray
        Lower Cholesky factor of the covariance of each group, for an energy scale of 1.

    Returns
    -------
    index : ndarray
        The chosen points.
    factors : list of ndarray
        Factors of their covariances.
    """
    total = sum(len(L) for L in factors)
    step = -(-total // MAX_POINTS)
    if step == 1:
        return np.arange(total), factors
    index, chosen = [], []
    for group, L in zip(points, factors, strict=True):
        part = np.arange(0, len(L), step)
        index.append(group.start + part)
        # a triangle with the same Gram matrix as the chosen rows of L
        chosen.append(np.linalg.qr(L[part].T, mode="r").T)
    return np.concatenate(index), chosen


def compare(labels: dict[str, Labels], blocks: list[np.ndarray]) -> dict[str, Agreement]:
    """Compare the labels of each quantity with those that the others imply.

    Parameters
    ----------
    labels : dict of str to Labels
        By quantity, which are changed; of energies, rows and values are those that remain when
        the best function of the composition is subtracted.
    blocks : list of ndarray
        Points of each descriptor, whose energy scale is chosen here.

    Returns
    -------
    dict of str to Agreement
        By quantity; nothing if a decomposition fails.
    """
    _scale(labels, blocks)
    try:
        return _agreements(labels)
    except np.linalg.LinAlgError:
        return {}


def _scale(labels: dict[str, Labels], blocks: list[np.ndarray]) -> None:
    """Scale columns such that the prior is as variable as the most variable labels."""
    scales = np.ones(len(labels["energy"].product))
    for block in blocks:
        ratios = [
            np.sqrt(item.square / max(np.diag(item.gram)[block].sum(), _TINY))
            for name, item in labels.items() if name != "virials"
        ]
        scales[block] = np.clip(max(ratios), _LEAST_SCALE, 1.0 / _LEAST_SCALE)
    for item in labels.values():
        item.gram *= scales
        item.gram *= scales[:, np.newaxis]
        item.product *= scales


def _explain(item: Labels) -> tuple[float, float]:
    """Part of the labels that a fit to them alone explains, and noise that it leaves."""
    precision = _precision([(item, 1.0 / item.noise**2)])
    alone = cho_solve(cho_factor(precision, overwrite_a=True), item.product / item.noise**2)
    left = max(item.square - 2 * alone @ item.product + alone @ item.gram @ alone, 0.0)
    explained = 1.0 - left / item.square if item.square else 0.0
    return float(explained), max(item.noise, float(np.sqrt(left / item.n_rows)))


def _precision(weighted: list[tuple[Labels, float]]) -> np.ndarray:
    """Precision of the weights of a fit to some quantities."""
    precision = np.eye(len(weighted[0][0].product))
    for item, weight in weighted:
        precision += weight * item.gram
    return precision


def _agreements(labels: dict[str, Labels]) -> dict[str, Agreement]:
    # what the descriptors cannot represent is noise, too
    explained = {name: _explain(item) for name, item in labels.items()}
    weights = {name: 1.0 / noise**2 for name, (_, noise) in explained.items()}
    everything = cho_factor(
        _precision([(item, weights[name]) for name, item in labels.items()]), overwrite_a=True
    )
    result = {}
    for name, item in labels.items():
        others = {other: labels[other] for other in labels if other != name}
        precision = cho_factor(
            _precision([(part, weights[other]) for other, part in others.items()]),
            overwrite_a=True,
        )
        mean = cho_solve(
            precision, sum(weights[other] * part.product for other, part in others.items())
        )
        implied = item.gram @ mean
        sides = np.column_stack([item.product, implied])
        inner = sides.T @ cho_solve(everything, sides) * weights[name]
        plain = np.array([
            [item.square, item.product @ mean],
            [item.product @ mean, mean @ implied],
        ])
        metric = (plain - inner) * weights[name]
        lengths = np.sqrt(np.maximum(np.diag(metric), 0.0))
        n_independent = min(item.n_rows, len(mean))
        result[name] = Agreement(
            cosine=float(np.clip(metric[0, 1] / max(lengths[0] * lengths[1], _TINY), -1.0, 1.0)),
            ratio=float(lengths[0] / max(lengths[1], _TINY)),
            certainty=float(lengths[1] / np.sqrt(n_independent)),
            n_known=min(n_independent, sum(part.n_rows for part in others.values())),
            explained=explained[name][0],
        )
    return result
