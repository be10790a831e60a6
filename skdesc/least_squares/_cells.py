"""Observations in cells, whose sums make up training and test parts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ._normal_equations import NormalEquations
from ._observations import Observations
from ._prior import Prior


class Cells:
    """Observations of several cells of the data, and their normal equations on demand.

    Parameters
    ----------
    observations : list of Observations
        Those of each cell, with the same sparse points and means.
    """

    def __init__(self, observations: list[Observations]):
        self._observations = observations
        # the third entries keep what identifies the others alive
        self._selected, self._equations = {}, {}

    def n_bytes(self) -> int:
        """Memory of triangles and normal equations, in bytes."""
        side = 1 + max(observations.n_points for observations in self._observations)
        n_squares = sum(len(observations.triangles) for observations in self._observations)
        return 2 * 8 * side**2 * n_squares

    def observations(self, cell: int, columns: np.ndarray | None = None) -> Observations:
        """Observations of a cell, with some of the sparse points or all."""
        observations = self._observations[cell]
        if columns is None:
            return observations
        key = cell, id(columns)
        if key not in self._selected:
            self._selected[key] = observations.select_columns(columns), columns
        return self._selected[key][0]

    def equations(
        self, prior: Prior, cell: int, columns: np.ndarray | None = None
    ) -> dict[str, NormalEquations]:
        """Normal equations of each quantity of a cell.

        Parameters
        ----------
        prior : Prior
            Covariances among the sparse points.
        cell : int
            Index of the cell.
        columns : ndarray of int, default=None
            Places of the points of the prior among those of the observations; all by default.

        Returns
        -------
        dict of str to NormalEquations
            For the quantities that the cell has rows of.
        """
        key = cell, id(prior)
        if key not in self._equations:
            observations = self.observations(cell, columns)
            equations = {
                quantity: NormalEquations.of(prior, observations, quantity)
                for quantity in observations.triangles
            }
            self._equations[key] = equations, prior
        return self._equations[key][0]

    def sum_equations(
        self, prior: Prior, cells: Iterable[int], columns: np.ndarray | None = None
    ) -> dict[str, NormalEquations]:
        """Normal equations of several cells together; parameters as of :meth:`equations`."""
        result = {}
        for cell in cells:
            for quantity, equations in self.equations(prior, cell, columns).items():
                known = result.get(quantity)
                result[quantity] = equations if known is None else known + equations
        return result
