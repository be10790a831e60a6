"""The time that a fit will take, from the times of smaller fits."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from ..utils.blas import one_thread


class Clock:
    """Time since it was made, against a budget.

    Parameters
    ----------
    budget : float
        In seconds.
    """

    def __init__(self, budget: float):
        self.budget, self._start = budget, time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._start

    @property
    def left(self) -> float:
        """Seconds until the budget is spent; negative afterwards."""
        return self.budget - self.elapsed


def decomposition_rate() -> float:
    """Additions and multiplications per second of a QR decomposition of a tall matrix.

    On one thread, as decompositions are in fits: others would wait for the cores of a busy machine.
    """
    n_rows, n_columns = 1500, 300
    rows = np.asfortranarray(np.random.RandomState(0).normal(size=(n_rows, n_columns)))
    best = np.inf
    workspace = int(lapack.dgeqrf_lwork(n_rows, n_columns)[0])
    with one_thread:
        for _ in range(3):
            start = time.perf_counter()
            lapack.dgeqrf(rows, lwork=workspace)
            best = min(best, time.perf_counter() - start)
    return 2.0 * n_rows * n_columns**2 / best


@dataclass(frozen=True)
class Size:
    """What the time of a fit depends on.

    Attributes
    ----------
    n_atoms, n_rows : int
        Atoms that are learned, and equations: energies, force components, virials.
    n_held_back : int
        Atoms that are predicted.
    n_points : int
        Sparse points of all elements and descriptors.
    """

    n_atoms: int
    n_rows: int
    n_held_back: int
    n_points: int


@dataclass
class Timing:
    """Times of a fit, from which those of larger ones of the same candidate follow.

    Attributes
    ----------
    size : Size
        Size of the fit.
    describe, fit, solve, predict : float
        Seconds for the descriptors, for learning, for one change of noise, and for one
        prediction of what is held back.
    """

    size: Size
    describe: float = 0.0
    fit: float = 0.0
    solve: float = 0.0
    predict: float = 0.0

    def learning(self, size: Size, rate: float) -> float:
        """Seconds to describe structures and learn from them, at another size.

        The decomposition of the rows takes time with the square of the number of points, known
        from their number; making the rows takes the rest, in proportion to the points.
        """
        squares = 2.0 * self.size.n_rows * self.size.n_points**2 / rate
        # a third is not explained by proportion, and grows as the square, too
        linear = max(self.fit - squares, 0.3 * self.fit)
        points = size.n_points / self.size.n_points
        atoms = size.n_atoms / self.size.n_atoms
        decomposition = 2.0 * size.n_rows * size.n_points**2 / rate
        described = (size.n_atoms + size.n_held_back) / (
            self.size.n_atoms + self.size.n_held_back
        )
        return self.describe * described + linear * atoms * points + decomposition

    def evaluation(self, size: Size, rate: float) -> float:
        """Seconds to try other noise, at another size."""
        points = size.n_points / self.size.n_points
        held_back = size.n_held_back / max(self.size.n_held_back, 1)
        solve = max(self.solve, 10.0 * self.size.n_points**3 / rate) * points**3
        return solve + self.predict * held_back * points
