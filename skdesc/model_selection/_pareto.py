"""Pareto fronts of several costs, all to be minimized."""

from dataclasses import dataclass, field

import numpy as np


def dominates(a, b):
    """Whether the costs `a` dominate `b`: no cost is larger, and one is smaller.

    Parameters
    ----------
    a, b : ndarray of shape (..., n_objectives)
        Costs, which are broadcast against each other.

    Returns
    -------
    ndarray of bool
        One value for each pair of rows.
    """
    return np.all(a <= b, axis=-1) & np.any(a < b, axis=-1)


def is_non_dominated(costs):
    """Mark the rows that no other row dominates.

    Parameters
    ----------
    costs : ndarray of shape (n_points, n_objectives)
        Costs; rows with values that are not finite and duplicates are never marked.

    Returns
    -------
    ndarray of bool of shape (n_points,)
        Mask of the Pareto front.
    """
    finite = np.isfinite(costs).all(axis=1)
    bounded = np.where(finite[:, np.newaxis], costs, np.inf)
    beaten = dominates(bounded[np.newaxis], bounded[:, np.newaxis]).any(axis=1)
    first = np.zeros(len(costs), dtype=bool)
    first[np.unique(bounded, axis=0, return_index=True)[1]] = True
    return finite & first & ~beaten


def crowding_distance(costs):
    """Compute the crowding distance of each point of a front.

    Parameters
    ----------
    costs : ndarray of shape (n_points, n_objectives)
        The front.

    Returns
    -------
    ndarray of shape (n_points,)
        Sum over objectives of the normalized distance between both neighbors; infinite at
        the ends.
    """
    distance = np.zeros(len(costs))
    for column in costs.T:
        order = np.argsort(column, kind="stable")
        span = np.ptp(column) or 1.0
        distance[order[[0, -1]]] = np.inf
        distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance


def knee_point(costs):
    """Find the point of a front that is nearest to the ideal point.

    Parameters
    ----------
    costs : ndarray of shape (n_points, n_objectives)
        The front.

    Returns
    -------
    int
        Row with the smallest Euclidean distance to the best values of all objectives, each of
        which is scaled to [0, 1] over the front.
    """
    span = np.ptp(costs, axis=0)
    scaled = (costs - costs.min(axis=0)) / np.where(span > 0, span, 1.0)
    return int(np.argmin(np.linalg.norm(scaled, axis=1)))


@dataclass
class Front:
    """Best candidate of a stage, or the Pareto front of several metrics."""

    candidates: list = field(default_factory=list)
    scores: np.ndarray | None = None

    def update(self, candidates, scores):
        """Add a batch; return whether the front has changed."""
        candidates = [*self.candidates, *candidates]
        scores = scores if self.scores is None else np.concatenate([self.scores, scores])
        kept = np.flatnonzero(is_non_dominated(-scores))
        changed = kept.tolist() != list(range(len(self.candidates)))
        self.candidates, self.scores = [candidates[index] for index in kept], scores[kept]
        return changed

    @property
    def best(self):
        """Index of the best candidate; with several metrics, that at the knee of the front."""
        return knee_point(-self.scores)

    @property
    def best_score(self):
        """Score or scores of the best candidate; NaN before any candidate has succeeded."""
        if not self.candidates:
            return np.nan
        scores = self.scores[self.best]
        return float(scores[0]) if len(scores) == 1 else scores
