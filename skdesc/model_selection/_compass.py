"""Compass search: steps along each axis from the best point, as long as they pay."""

from __future__ import annotations

import numpy as np

_FIRST_STEP = 0.25
_LEAST_STEP = 0.03
# an improvement of the cost by a smaller part is not worth further steps
_LEAST_GAIN = 2e-3


class CompassSearch:
    """Local search by batches of steps along the axes of the unit cube.

    After each batch it tries all steps together that have paid, beside steps from the best point.

    Parameters
    ----------
    start : ndarray of shape (n_first, n_dims)
        The first row is where it begins, further rows are tried beside the first steps; NaN stands
        for the middle.
    space : SearchSpace
        Says which positions stand for the same values.
    width : float
        Steps are as much smaller.
    n_settings : int
        How many positions to try at most.
    """

    def __init__(self, start, space, width, n_settings):
        self._space = space
        self._left = n_settings
        self._step = _FIRST_STEP * width
        self._centre = np.nan_to_num(start[0], nan=0.5)
        self._cost = np.inf
        self._seen = set()
        given = np.nan_to_num(start[1:], nan=0.5)
        self._position = self._fresh([self._centre, *given, *self._steps()])

    @property
    def finished(self):
        """Whether no further position is worth a try."""
        return len(self._position) == 0

    def ask(self):
        """Return the positions to evaluate, ndarray of shape (n_positions, n_dims)."""
        return self._position.copy()

    def tell(self, costs):
        """Take the costs of the current positions and move on.

        Parameters
        ----------
        costs : ndarray of shape (n_positions,)
            To be minimised; what is not finite is as bad as can be.
        """
        costs = np.where(np.isfinite(costs), costs, np.inf)
        best = int(np.argmin(costs))
        # the first batch begins with the centre
        before = costs[0] if np.isinf(self._cost) else self._cost
        pays = before - costs[best] > _LEAST_GAIN * abs(before) if costs[best] < before else False
        combined = self._combine(self._position[np.argsort(-costs)], np.sort(costs)[::-1], before)
        if costs[best] < self._cost:
            self._cost, self._centre = costs[best], self._position[best]
        if not pays:
            self._step /= 2
        is_small = self._step < _LEAST_STEP
        self._position = self._fresh([] if is_small else [combined, *self._steps()])

    def _combine(self, positions, costs, before):
        """All steps together that have led downhill, those that led farther above others."""
        combined = self._centre.copy()
        for position in positions[costs < before]:
            combined = np.where(position == self._centre, combined, position)
        return combined

    def _steps(self):
        for axis in range(len(self._centre)):
            yield from self._space.neighbors(self._centre, axis, self._step)

    def _fresh(self, points):
        """Those that stand for values not tried before, as many as are left."""
        fresh = []
        for point in points:
            key = self._space.snap(point[np.newaxis])[0].tobytes()
            if key not in self._seen and self._left > 0:
                self._seen.add(key)
                self._left -= 1
                fresh.append(point)
        return np.array(fresh).reshape(-1, len(self._centre))
