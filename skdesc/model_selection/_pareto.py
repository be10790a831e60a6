"""Trade-offs between several costs, all to be minimised."""

from dataclasses import dataclass, field

import numpy as np


def dominates(a, b):
    """Whether the costs `a` are nowhere worse than `b` and somewhere better, row by row.

    Parameters
    ----------
    a, b : ndarray of shape (..., n_objectives)
        Costs; they broadcast.

    Returns
    -------
    ndarray of bool
        One value per pair of rows.
    """
    return np.all(a <= b, axis=-1) & np.any(a < b, axis=-1)


def is_non_dominated(costs):
    """Mark the rows that no other row dominates.

    Parameters
    ----------
    costs : ndarray of shape (n_points, n_objectives)
        Rows with a value that is not finite are never marked, nor are repetitions.

    Returns
    -------
    ndarray of bool of shape (n_points,)
        The Pareto front.
    """
    finite = np.isfinite(costs).all(axis=1)
    bounded = np.where(finite[:, np.newaxis], costs, np.inf)
    beaten = dominates(bounded[np.newaxis], bounded[:, np.newaxis]).any(axis=1)
    first = np.zeros(len(costs), dtype=bool)
    first[np.unique(bounded, axis=0, return_index=True)[1]] = True
    return finite & first & ~beaten


def crowding_distance(costs):
    """How empty the surroundings of each point of a front are.

    Parameters
    ----------
    costs : ndarray of shape (n_points, n_objectives)
        The front.

    Returns
    -------
    ndarray of shape (n_points,)
        Sum over objectives of the normalised distance between both neighbors; infinite at
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
    """Point of a front that is nearest to the best value of every objective at once.

    Parameters
    ----------
    costs : ndarray of shape (n_points, n_objectives)
        The front.

    Returns
    -------
    int
        Row with the least Euclidean distance to the ideal point, after each objective is
        scaled to [0, 1] over the front.
    """
    span = np.ptp(costs, axis=0)
    scaled = (costs - costs.min(axis=0)) / np.where(span > 0, span, 1.0)
    return int(np.argmin(np.linalg.norm(scaled, axis=1)))


@dataclass
class Front:
    """Best candidates of a stage: one, or the trade-offs between several metrics."""

    candidates: list = field(default_factory=list)
    scores: np.ndarray | None = None

    def update(self, candidates, scores):
        """Take a batch in; return whether the front has changed."""
        candidates = [*self.candidates, *candidates]
        scores = scores if self.scores is None else np.concatenate([self.scores, scores])
        kept = np.flatnonzero(is_non_dominated(-scores))
        changed = kept.tolist() != list(range(len(self.candidates)))
        self.candidates, self.scores = [candidates[index] for index in kept], scores[kept]
        return changed

    @property
    def best(self):
        """Index of the best candidate, that at the knee if there are several metrics."""
        return knee_point(-self.scores)

    @property
    def best_score(self):
        """Its score, or scores; NaN before any candidate has succeeded."""
        if not self.candidates:
            return np.nan
        scores = self.scores[self.best]
        return float(scores[0]) if len(scores) == 1 else scores
