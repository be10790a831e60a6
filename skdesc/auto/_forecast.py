"""What still fits into the time budget."""

from __future__ import annotations

import numpy as np

from ..utils.memory import available_memory
from ._cost import Clock, Size, decomposition_rate
from ._data import LabeledStructures
from ._trial import Trial

# predicted times may be exceeded by so much
_SAFETY = 1.4
# of the time that is left, for the best so far to learn what is left over
_MOST_RESERVED = 0.4
# evaluations of noise that a final fit is given time for
EVALUATIONS = 8
# solving for more points takes gigabytes
_MOST_POINTS = 6000
# of the memory of the machine, for triangles or descriptors
_OF_MEMORY = 0.25


class Forecast:
    """Times of fits that are to come, from those of fits of the same candidates.

    Parameters
    ----------
    data : LabeledStructures
        All structures.
    clock : Clock
        The time budget.
    time_per_atom : float or None
        Most seconds for energy and forces of an atom.
    """

    def __init__(self, data: LabeledStructures, clock: Clock, time_per_atom: float | None):
        self.data, self.clock, self.time_per_atom = data, clock, time_per_atom
        self._rate = decomposition_rate()

    def fit(self, trial: Trial, split, scale: float = 1.0, evaluations: int = 1) -> float:
        """Seconds to fit a candidate to other parts and to try noise so many times.

        Parameters
        ----------
        trial : Trial
            Fitted.
        split : list of (train, held_back)
            Index arrays.
        scale : float, default=1.0
            Number of sparse points, as a multiple of those of the trial.
        evaluations : int, default=1
            Changes of noise.

        Returns
        -------
        float
            The time.
        """
        size = trial.size(split, scale)
        learning = trial.timing.learning(size, self._rate)
        return learning + evaluations * trial.timing.evaluation(size, self._rate)

    def fit_to_all(self, trial: Trial, split, scale: float = 1.0) -> float:
        """Seconds to fit a final model, adjust its noise, and learn what is left over."""
        size = trial.size(split, scale)
        rest = self._rest(size, split, size.n_points)
        return self.fit(trial, split, scale, EVALUATIONS) + trial.timing.learning(rest, self._rate)

    def rest(self, trial: Trial) -> float:
        """Seconds that it will take to learn the rest of the data."""
        rest = self._rest(trial.timing.size, trial.split, trial.timing.size.n_points)
        return trial.timing.learning(rest, self._rate) + trial.timing.evaluation(
            trial.timing.size, self._rate
        )

    def all(self, trial: Trial) -> float:
        """Seconds to fit a candidate anew to all structures."""
        return self.fit(trial, [(np.arange(len(self.data)), np.empty(0, dtype=np.intp))])

    def may_spend(self, seconds: float, best: Trial | None) -> bool:
        """Whether the best so far can still learn more data after so many seconds."""
        return _SAFETY * seconds + (self.reserved(best) if best else 0.0) <= self.clock.left

    def reserved(self, best: Trial, most: float = _MOST_RESERVED) -> float:
        """Seconds to let the best so far learn the rest, at most a share of the time left."""
        return min(_SAFETY * self.rest(best), most * self.clock.left)

    def final_size(self, trial: Trial, splits, limit: float):
        """Points per element, and the part of the data, that a time allows.

        Parameters
        ----------
        trial : Trial
            Smaller fit of the candidate.
        splits : iterable of list of (train, held_back)
            Parts of the data; the first that allows as many points as the trial is chosen.
        limit : float
            Seconds.

        Returns
        -------
        points : int
            0 if there is no time for any of the parts.
        split : list of (train, held_back) or None
            The part.
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
        """Points per element within memory and the limit of time per atom."""
        memory = available_memory() or 8e9
        squares = 2 * len(self.data.quantities) + 4
        most = min(_MOST_POINTS, np.sqrt(_OF_MEMORY * memory / (8 * squares)))
        per_element = most * trial.points / trial.timing.size.n_points
        if self.time_per_atom is not None:
            # descriptors take part of the time, whatever the number of points
            per_element = min(
                per_element, trial.points * self.time_per_atom / trial.time_per_atom
            )
        return per_element

    def _rest(self, size: Size, split, n_points: int) -> Size:
        """Size of what is left to be learned after a fit to part of the data."""
        n_atoms = int(self.data.n_atoms.sum())
        # of a cross-validated set, the last fit is one of all
        learned = size.n_atoms if len(split) == 1 else 0
        mean_rows = size.n_rows / max(size.n_atoms, 1)
        rest = n_atoms - learned
        return Size(rest, int(rest * mean_rows), 0, n_points)
