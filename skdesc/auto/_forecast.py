"""Forecast which fits the time budget allows."""

from __future__ import annotations

import numpy as np

from ..utils.memory import available_memory
from ._cost import Clock, Size, decomposition_rate
from ._data import LabeledStructures
from ._trial import Trial

# factor by which predicted times may be exceeded
_SAFETY = 1.4
# fraction of the remaining time for fitting the best model to the remaining structures
_MOST_RESERVED = 0.4
# number of noise evaluations for which a final fit gets time
EVALUATIONS = 8
# solving for more points would take gigabytes
_MOST_POINTS = 6000
# fraction of the machine's memory for triangles, and for descriptors
_OF_MEMORY = 0.25


class Forecast:
    """Predicts times of fits from those of smaller fits of the same candidates.

    Parameters
    ----------
    data : LabeledStructures
        All structures.
    clock : Clock
        The time budget.
    time_per_atom : float or None
        Limit of the seconds for energy and forces of an atom.
    """

    def __init__(self, data: LabeledStructures, clock: Clock, time_per_atom: float | None):
        self.data, self.clock, self.time_per_atom = data, clock, time_per_atom
        self._rate = decomposition_rate()

    def fit(self, trial: Trial, split, scale: float = 1.0, evaluations: int = 1) -> float:
        """Predict the seconds to fit a candidate to other parts and to adjust its noise.

        Parameters
        ----------
        trial : Trial
            Fitted trial of the candidate.
        split : list of (train, held_back)
            Index arrays.
        scale : float, default=1.0
            Factor of the number of sparse points.
        evaluations : int, default=1
            Number of changes of noise.

        Returns
        -------
        float
            Seconds.
        """
        size = trial.size(split, scale)
        learning = trial.timing.learning(size, self._rate)
        return learning + evaluations * trial.timing.evaluation(size, self._rate)

    def fit_to_all(self, trial: Trial, split, scale: float = 1.0) -> float:
        """Predict the seconds to fit a final model, adjust its noise, and learn all structures."""
        size = trial.size(split, scale)
        rest = self._rest(size, split, size.n_points)
        return self.fit(trial, split, scale, EVALUATIONS) + trial.timing.learning(rest, self._rate)

    def rest(self, trial: Trial) -> float:
        """Predict the seconds to learn the remaining structures."""
        rest = self._rest(trial.timing.size, trial.split, trial.timing.size.n_points)
        return trial.timing.learning(rest, self._rate) + trial.timing.evaluation(
            trial.timing.size, self._rate
        )

    def all(self, trial: Trial) -> float:
        """Predict the seconds to fit a candidate to all structures from scratch."""
        return self.fit(trial, [(np.arange(len(self.data)), np.empty(0, dtype=np.intp))])

    def may_spend(self, seconds: float, best: Trial | None) -> bool:
        """Whether the best model so far can still learn more data after some seconds."""
        return _SAFETY * seconds + (self.reserved(best) if best else 0.0) <= self.clock.left

    def reserved(self, best: Trial, most: float = _MOST_RESERVED) -> float:
        """Seconds reserved for the best model to learn the rest, at most a share of the time."""
        return min(_SAFETY * self.rest(best), most * self.clock.left)

    def final_size(self, trial: Trial, splits, limit: float):
        """Choose the number of points per element and the part of the data that a time allows.

        Parameters
        ----------
        trial : Trial
            Smaller fit of the candidate.
        splits : iterable of list of (train, held_back)
            Parts of the data; the first that allows as many points as the trial is chosen.
        limit : float
            Time limit in seconds.

        Returns
        -------
        points : int
            Points per element; 0 if there is no time for any part.
        split : list of (train, held_back) or None
            The chosen part.
        """
        most = self._most_points(trial)
        for split in splits:
            low, high = 0, int(most)
            while high - low > max(1, low // 50):
                middle = (low + high + 1) // 2
                if self.fit_to_all(trial, split, middle / trial.points) <= limit:
                    low = middle
                else:
                    high = middle - 1
            if low >= min(trial.points, most):
                return low, split
        return 0, None

    def _most_points(self, trial):
        """Largest number of points per element within memory and the limit of time per atom."""
        memory = available_memory() or 8e9
        squares = 2 * len(self.data.quantities) + 4
        most = min(_MOST_POINTS, np.sqrt(_OF_MEMORY * memory / (8 * squares)))
        per_element = most * trial.points / trial.timing.size.n_points
        if self.time_per_atom is not None:
            # the time of descriptors does not depend on the number of points
            per_element = min(
                per_element, trial.points * self.time_per_atom / trial.time_per_atom
            )
        return per_element

    def _rest(self, size: Size, split, n_points: int) -> Size:
        """Size of the data that remain to be learned after a fit to part of them."""
        n_atoms = int(self.data.n_atoms.sum())
        # a cross-validated model is refitted to all structures
        learned = size.n_atoms if len(split) == 1 else 0
        mean_rows = size.n_rows / max(size.n_atoms, 1)
        rest = n_atoms - learned
        return Size(rest, int(rest * mean_rows), 0, n_points)
