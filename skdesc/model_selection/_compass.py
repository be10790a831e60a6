"""Compass search: steps along each axis from the best point, as long as they pay."""

from __future__ import annotations

import numpy as np

_FIRST_STEP = 0.25
_LEAST_STEP = 0.03
# smaller relative improvements of the cost do not justify further steps
_LEAST_GAIN = 2e-3


class CompassSearch:
    """Local search by batches of steps along the axes of the unit cube.

    After each batch it tries the sum of all successful steps, and steps from the best point.

    Parameters
    ----------
    start : ndarray of shape (n_first, n_dims)
        The first row is the starting point, further rows are tried together with the first steps;
        NaN means the middle.
    space : SearchSpace
        Space that defines which positions stand for the same values.
    width : float
        Factor of the step lengths.
    n_settings : int
        Largest number of positions to try.
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
        """Whether no further position is worth trying."""
        return len(self._position) == 0

    def ask(self):
        """Return the positions to evaluate, ndarray of shape (n_positions, n_dims)."""
        return self._position.copy()

    def tell(self, costs):
        """Receive the costs of the current positions and choose new ones.

        Parameters
        ----------
        costs : ndarray of shape (n_positions,)
            Costs to be minimized; values that are not finite count as infinite.
        """
        costs = np.where(np.isfinite(costs), costs, np.inf)
        best = int(np.argmin(costs))
        # the first batch begins with the center
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
        """Combine all steps that lowered the cost; along one axis, the most successful counts."""
        combined = self._centre.copy()
        for position in positions[costs < before]:
            combined = np.where(position == self._centre, combined, position)
        return combined

    def _steps(self):
        for axis in range(len(self._centre)):
            yield from self._space.neighbors(self._centre, axis, self._step)

    def _fresh(self, points):
        """Select positions of values not tried before, up to the remaining number."""
        fresh = []
        for point in points:
            key = self._space.snap(point[np.newaxis])[0].tobytes()
            if key not in self._seen and self._left > 0:
                self._seen.add(key)
                self._left -= 1
                fresh.append(point)
        return np.array(fresh).reshape(-1, len(self._centre))
