"""Prediction of the time of a fit from the times of smaller fits."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from ..utils.blas import one_thread


class Clock:
    """Clock that starts when it is created and compares the time with a budget.

    Parameters
    ----------
    budget : float
        Time budget in seconds.
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
    """Measure the floating-point operations per second of a QR decomposition of a tall matrix.

    It runs on one thread, like the decompositions in fits.
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
    """Size of a fit, which determines its time.

    Attributes
    ----------
    n_atoms, n_rows : int
        Numbers of training atoms and of equations: energies, force components, virials.
    n_held_back : int
        Number of held-back atoms, which are predicted.
    n_points : int
        Number of sparse points of all elements and descriptors.
    """

    n_atoms: int
    n_rows: int
    n_held_back: int
    n_points: int


@dataclass
class Timing:
    """Times of a fit, from which those of larger fits of the same candidate are predicted.

    Attributes
    ----------
    size : Size
        Size of the fit.
    describe, fit, solve, predict : float
        Seconds for the descriptors, for the fit, for one change of noise, and for predicting the
        held-back structures.
    """

    size: Size
    describe: float = 0.0
    fit: float = 0.0
    solve: float = 0.0
    predict: float = 0.0

    def learning(self, size: Size, rate: float) -> float:
        """Predict the seconds for descriptors and fit at another size.

        The time of the decomposition follows from its number of operations, which grows with the
        square of the number of points. The rest, computing the rows, is proportional to the points.
        """
        squares = 2.0 * self.size.n_rows * self.size.n_points**2 / rate
        # a third of it is assumed to grow with the square, too
        linear = max(self.fit - squares, 0.3 * self.fit)
        points = size.n_points / self.size.n_points
        atoms = size.n_atoms / self.size.n_atoms
        decomposition = 2.0 * size.n_rows * size.n_points**2 / rate
        described = (size.n_atoms + size.n_held_back) / (
            self.size.n_atoms + self.size.n_held_back
        )
        return self.describe * described + linear * atoms * points + decomposition

    def evaluation(self, size: Size, rate: float) -> float:
        """Predict the seconds to try other noise at another size."""
        points = size.n_points / self.size.n_points
        held_back = size.n_held_back / max(self.size.n_held_back, 1)
        solve = max(self.solve, 10.0 * self.size.n_points**3 / rate) * points**3
        return solve + self.predict * held_back * points
