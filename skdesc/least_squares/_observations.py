"""All that a fit keeps of its data: one triangle for each quantity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from sys import getsizeof

import numpy as np

from ..utils.blas import one_thread
from ._triangle import Triangle


@dataclass
class Observations:
    """Rows of several quantities as triangles, each quantity with its own noise.

    A row holds the covariances of a target with the sparse points, then its values of the mean
    functions, if its quantity has a mean, then the target itself. It is divided by its noise
    relative to that of its quantity, which is not known before weights are solved for.

    Parameters
    ----------
    n_points : int
        Number of sparse points.
    triangles : dict of str to Triangle
        One for each quantity that there are rows of.
    log_noise : dict of str to float
        Sum of logarithms of the relative noise of the rows of each quantity.
    """

    n_points: int
    triangles: dict[str, Triangle] = field(default_factory=dict)
    log_noise: dict[str, float] = field(default_factory=dict)

    def add(
        self,
        quantity: str,
        rows: np.ndarray,
        mean_columns: np.ndarray | None,
        targets: np.ndarray,
        relative_noise: np.ndarray,
    ) -> None:
        """Add rows of a quantity, except those whose target is NaN.

        Parameters
        ----------
        quantity : str
            Any name.
        rows : ndarray of shape (n_rows, n_points)
            Covariances with the sparse points.
        mean_columns : ndarray of shape (n_rows, n_means) or None
            Values of the mean functions; None if the quantity has mean zero.
        targets : ndarray of shape (n_rows,)
            Observed values.
        relative_noise : ndarray of shape (n_rows,)
            Noise of each row over that of its quantity.
        """
        present = np.isfinite(targets)
        if not present.any():
            return
        index = None if present.all() else np.flatnonzero(present)
        last = targets[:, np.newaxis]
        if mean_columns is not None:
            last = np.column_stack([mean_columns, targets])
        if quantity not in self.triangles:
            self.triangles[quantity] = Triangle(self.n_points + last.shape[1])
            self.log_noise[quantity] = 0.0
        with one_thread:
            self.triangles[quantity].fold(rows, last, 1.0 / relative_noise, index)
        self.log_noise[quantity] += np.log(relative_noise[present]).sum()

    def merge(self, other: Observations) -> None:
        """Add all rows of other observations, which stay as they are.

        Parameters
        ----------
        other : Observations
            Of the same sparse points and mean functions.
        """
        for quantity, triangle in other.triangles.items():
            if quantity not in self.triangles:
                self.triangles[quantity] = triangle.copy()
                self.log_noise[quantity] = other.log_noise[quantity]
                continue
            with one_thread:
                self.triangles[quantity].merge(triangle)
            self.log_noise[quantity] += other.log_noise[quantity]

    def copy(self) -> Observations:
        """Return observations that can grow while these stay as they are."""
        triangles = {quantity: triangle.copy() for quantity, triangle in self.triangles.items()}
        return Observations(self.n_points, triangles, dict(self.log_noise))

    def select(self, quantities: Iterable[str]) -> Observations:
        """Return the observations of some quantities alone, which share their triangles."""
        names = [name for name in quantities if name in self.triangles]
        return Observations(
            self.n_points,
            {name: self.triangles[name] for name in names},
            {name: self.log_noise[name] for name in names},
        )

    def select_columns(self, index: np.ndarray) -> Observations:
        """Return the same observations with some of the sparse points, in the order of an index."""
        triangles = {}
        for quantity, triangle in self.triangles.items():
            others = np.arange(self.n_points, triangle.n_columns)
            with one_thread:
                triangles[quantity] = triangle.select_columns(np.concatenate([index, others]))
        return Observations(len(index), triangles, dict(self.log_noise))

    def n_rows(self) -> dict[str, int]:
        """Number of rows of each quantity."""
        return {quantity: triangle.n_rows for quantity, triangle in self.triangles.items()}

    def subtract_mean(
        self, coefficients: np.ndarray, quantities: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Rows of covariances and of targets from which the mean is subtracted.

        Parameters
        ----------
        coefficients : ndarray of shape (n_means,)
            Coefficients of the mean functions.
        quantities : sequence of str, default=None
            Only these; all by default.

        Returns
        -------
        dict of str to ndarray of shape (n_rows, n_points + 1)
            Equivalent to all rows of each quantity, in Fortran order. They are upper triangles
            if they are square, and fewer than columns otherwise. Not to be changed.
        """
        names = self.triangles if quantities is None else quantities
        return {name: self._subtracted(name, coefficients) for name in names}

    def _subtracted(self, quantity, coefficients):
        n, triangle = self.n_points, self.triangles[quantity]
        rows = triangle.compact()
        if triangle.n_columns == n + 1:
            return rows
        rest = rows[:, -1] - rows[:, n:-1] @ coefficients
        if len(rows) <= n:
            return np.asfortranarray(np.column_stack([rows[:, :n], rest]))
        # rows below row n have no covariance with any point
        upper = triangle.R
        result = np.zeros((n + 1, n + 1), order="F")
        result[:n, :n] = upper[:n, :n]
        rest = upper[:, -1] - upper[:, n:-1] @ coefficients
        result[:n, n] = rest[:n]
        result[n, n] = np.linalg.norm(rest[n:])
        return result

    def __sizeof__(self):
        return object.__sizeof__(self) + sum(map(getsizeof, self.triangles.values()))
