"""Observations in cells, whose sums make up training and test parts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ._normal_equations import NormalEquations, whiten_rows
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
        # second entries keep the objects alive whose id is the key
        self._selected, self._equations, self._bases = {}, {}, {}

    def of_quantity(self, quantity: str) -> Cells:
        """Return the same cells with the observations of one quantity alone."""
        return Cells([observations.select([quantity]) for observations in self._observations])

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
            observations, bases = self.observations(cell, columns), self.bases(prior, columns)
            equations = {
                quantity: NormalEquations.of(prior, observations, quantity, bases)
                for quantity in observations.triangles
            }
            self._equations[key] = equations, prior
        return self._equations[key][0]

    def bases(
        self, prior: Prior, columns: np.ndarray | None = None
    ) -> list[np.ndarray | None] | None:
        """Orthonormal basis of all whitened rows in each term, where these are few.

        Parameters
        ----------
        prior, columns : object
            As for :meth:`equations`.

        Returns
        -------
        list of (ndarray of shape (n, n_rows) or None), or None
            None for terms with no more than twice as many points as there are rows, or if all
            are such.
        """
        if id(prior) not in self._bases:
            self._bases[id(prior)] = self._make_bases(prior, columns), prior
        return self._bases[id(prior)][0]

    def _make_bases(self, prior, columns):
        triangles = [t for o in self._observations for t in o.triangles.values()]
        n_rows = sum(min(triangle.n_rows, triangle.n_columns) for triangle in triangles)
        if n_rows == 0 or all(2 * n_rows >= term.stop - term.start for term in prior.terms):
            return None
        cells = [self.observations(cell, columns) for cell in range(len(self._observations))]
        rows = np.concatenate([
            whiten_rows(prior, triangle.compact())[:, : prior.n_points]
            for observations in cells for triangle in observations.triangles.values()
        ])
        return [
            None if 2 * n_rows >= term.stop - term.start else np.linalg.qr(rows[:, term].T)[0]
            for term in prior.terms
        ]

    def sizes(self, prior: Prior, columns: np.ndarray | None = None) -> list[int]:
        """Number of coordinates of each term; parameters as of :meth:`equations`."""
        bases = self.bases(prior, columns) or [None] * len(prior.terms)
        return [
            term.stop - term.start if basis is None else basis.shape[1]
            for term, basis in zip(prior.terms, bases, strict=True)
        ]

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
