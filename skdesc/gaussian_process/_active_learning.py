"""Choice of the structures whose reference calculations are most informative."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from ..utils.typing import Samples
from ._rows import energy_rows, segment_sum, split_by_cost

_BATCH_BYTES = 2**26


def select_batch(model: Any, pool: Samples, n: int) -> np.ndarray:
    """Choose structures from a pool such that their energies are most informative together.

    Greedy and D-optimal: each step takes the structure with the largest ratio of posterior
    variance to noise, given that the energies of those before will be known. Near copies of
    one uncertain structure are therefore not all taken.

    Parameters
    ----------
    model : GAPRegressor or Pipeline
        Fitted; of a pipeline, the last step is the regressor.
    pool : object
        Candidates: what `model` predicts for.
    n : int
        Number of structures to choose, at most as many as there are.

    Returns
    -------
    indices : ndarray of shape (n,)
        Positions in the pool, the most informative first.
    std : ndarray of shape (n,)
        Standard deviation of each energy when it was chosen, in eV.

    References
    ----------
    N. Srinivas, A. Krause, S. M. Kakade, M. Seeger, IEEE Trans. Inf. Theory 58, 3250 (2012).

    Examples
    --------
    >>> import numpy as np
    >>> from skdesc import GAPRegressor
    >>> from skdesc.gaussian_process import select_batch
    >>> angle = np.array([0.0, 0.1, 0.2, 0.21, 1.5])
    >>> X = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> gap = GAPRegressor().fit(X[:2], [1.0, 1.1])
    >>> int(select_batch(gap, X, 1)[0][0])
    4
    """
    from ._gap import GAPRegressor  # which need not know this

    if isinstance(model, Pipeline):
        if len(model.steps) > 1:
            pool = model[:-1].transform(pool)
        model = model[-1]
    if not isinstance(model, GAPRegressor):
        raise TypeError(f"model is, or ends in, a {type(model).__name__}, but must be a "
                        "GAPRegressor or a Pipeline that ends in one; of a search, pass "
                        "best_estimator_")
    environments = model._check_predict(pool).without_derivatives()
    whole = isinstance(n, numbers.Integral) and not isinstance(n, bool)
    if not (whole and 1 <= n <= len(environments)):
        raise ValueError(f"n is {n!r}, but must be an integer from 1 to the {len(environments)} "
                         "structures of the pool")
    variance = np.square(model._model.std(environments))
    noise = model.sigma_energy_**2 * environments.n_atoms
    posterior = _PoolPosterior(model._model, environments)
    known = np.zeros((n, len(environments)))
    chosen, std = np.empty(n, dtype=np.intp), np.empty(n)
    available = np.ones(len(environments), dtype=bool)
    for step in range(n):
        index = int(np.argmax(np.where(available, variance / noise, -np.inf)))
        chosen[step], std[step] = index, np.sqrt(variance[index])
        available[index] = False
        # one step of a Cholesky decomposition, pivoted by the ratio above
        column = posterior.covariances(index) - known[:step].T @ known[:step, index]
        known[step] = column / np.sqrt(column[index] + noise[index])
        variance = np.maximum(variance - known[step] ** 2, 0.0)
    return chosen, std


class _PoolPosterior:
    """Posterior covariances between total energies of a pool, column by column."""

    def __init__(self, model, environments):
        self.environments, self.covariances_of_terms = environments, model.covariances
        self.factors = model.calibration["energy"]
        posterior = model.posterior
        self.scales = posterior.scales
        of_points = posterior.prior.repeat_per_point(self.scales)
        n = len(environments)
        self.explained = np.empty((n, len(model.points)))
        self.remaining = np.empty((n, len(model.points)))
        costs = 8.0 * np.diff(environments.offsets) * 4 * len(model.points)
        for part in split_by_cost(costs, _BATCH_BYTES):
            rows = energy_rows(environments[part], model.points, model.covariances)
            self.explained[part] = posterior.prior.whiten(rows) * of_points
            self.remaining[part] = posterior.covariance_factor(rows)

    def covariances(self, index):
        """Covariances of the energy of one structure with all."""
        prior = sum(
            scale**2 * self._prior(index, self.environments.values[:, columns], covariance)
            for columns, covariance, scale in zip(
                self.environments.blocks, self.covariances_of_terms, self.scales, strict=True
            )
        )
        outside = prior - self.explained @ self.explained[index]
        return self.factors @ [self.remaining @ self.remaining[index], outside]

    def _prior(self, index, features, covariance):
        pool = self.environments
        own = slice(pool.offsets[index], pool.offsets[index + 1])
        result = np.zeros(len(pool))
        for z in np.unique(pool.species[own]):
            block = features[own][pool.species[own] == z].astype(np.float64)
            costs = 8.0 * np.diff(pool.offsets) * (3 * len(block) + features.shape[1])
            for part in split_by_cost(costs, _BATCH_BYTES):
                batch = pool[part]
                rows = np.flatnonzero(batch.species == z)
                near = features[pool.offsets[part.start] + rows]
                values = covariance.matrix(near, block)
                sums = values.sum(axis=1, keepdims=True)
                result[part] += segment_sum(rows, sums, batch.offsets)[:, 0]
        return result
