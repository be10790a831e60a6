"""Triangles: QR decomposition of rows that are never in memory together."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

# Columns of a panel in LAPACK's tpqrt, and rows folded at once: a panel of 512 x 32 doubles
# stays in the second-level cache. Other sizes up to four times larger or smaller are slower by
# up to a factor of two, none is faster by more than a tenth.
_PANEL = 32
CHUNK = 512


class Triangle:
    """Upper triangle R with the same ``R.T @ R`` as all rows folded in so far.

    Nothing but R and the last rows are kept: the memory does not depend on the number of rows,
    and the rounding errors are those of one orthogonal decomposition of all rows. Rows are
    folded in by a fixed number, however many arrive at once: so the same rows in the same
    order give the same digits.

    Parameters
    ----------
    n_columns : int
        Length of a row.

    Attributes
    ----------
    n_rows : int
        Number of rows folded in.

    References
    ----------
    L. Foster et al., J. Mach. Learn. Res. 10, 857 (2009).
    """

    def __init__(self, n_columns):
        self._folded = np.zeros((n_columns, n_columns), order="F")
        self._waiting = np.empty((CHUNK, n_columns), order="F")
        self._n_waiting = 0
        self._complete = self._folded
        self.n_rows = 0

    @property
    def n_columns(self):
        """Length of a row."""
        return len(self._folded)

    @property
    def R(self):
        """Upper triangle, ndarray of shape (n_columns, n_columns), in Fortran order."""
        if self._complete is None:
            rows = np.array(self._waiting[: self._n_waiting], order="F")
            self._complete = _annihilate(self._folded.copy(order="F"), rows, 0)
        return self._complete

    def fold(self, rows, last_columns, scale, index=None):
        """Fold in rows given as a wide block and a few columns beside it.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n)
            First columns of the rows.
        last_columns : ndarray of shape (n_rows, n_columns - n)
            The others.
        scale : ndarray of shape (n_rows,)
            Factor by which each row is multiplied.
        index : ndarray of intp, default=None
            The rows to take; all by default.
        """
        n, n_rows = rows.shape[1], rows.shape[0] if index is None else len(index)
        start = 0
        while start < n_rows:
            stop = min(start + CHUNK - self._n_waiting, n_rows)
            part = slice(start, stop) if index is None else index[start:stop]
            block = self._waiting[self._n_waiting : self._n_waiting + stop - start]
            np.multiply(rows[part], scale[part, np.newaxis], out=block[:, :n])
            np.multiply(last_columns[part], scale[part, np.newaxis], out=block[:, n:])
            self._n_waiting += stop - start
            start = stop
            self._complete = None
            if self._n_waiting == CHUNK:
                self._folded = self._complete = _annihilate(self._folded, self._waiting, 0)
                self._n_waiting = 0
        self.n_rows += n_rows

    def merge(self, other):
        """Fold in another triangle, which is not changed.

        Parameters
        ----------
        other : Triangle
            With as many columns.
        """
        n_folded = other.n_rows - other._n_waiting
        if n_folded:
            self._folded = _annihilate(
                self._folded, other._folded.copy(order="F"), len(self._folded)
            )
            self._complete = None if self._n_waiting else self._folded
            self.n_rows += n_folded
        if other._n_waiting:
            rows = other._waiting[: other._n_waiting]
            self.fold(rows, rows[:, len(self._folded) :], np.ones(len(rows)))

    def copy(self):
        """Return a triangle that can be changed while this one stays as it is."""
        other = Triangle(len(self._folded))
        other._folded[:] = self._folded
        other._waiting[: self._n_waiting] = self._waiting[: self._n_waiting]
        other._n_waiting, other.n_rows = self._n_waiting, self.n_rows
        other._complete = None if self._n_waiting else other._folded
        return other

    def compact(self):
        """Fewest rows with the same products: those folded in if there are fewer than columns.

        Returns
        -------
        ndarray of shape (min(n_rows, n_columns), n_columns)
            In Fortran order, not to be changed; an upper triangle if it is square.
        """
        if self.n_rows == self._n_waiting and self.n_rows < len(self._folded):
            return self._waiting[: self.n_rows]
        return self.R

    def select_columns(self, index):
        """Return the triangle of some columns, in the order of an index array."""
        rows = self.compact()
        other = Triangle(len(index))
        other.fold(rows[:, index], rows[:, :0], np.ones(len(rows)))
        other.n_rows = self.n_rows
        return other

    def __sizeof__(self):
        # used by cluster schedulers to decide on moving and spilling data
        return object.__sizeof__(self) + self._folded.nbytes + self._waiting.nbytes

    def __getstate__(self):
        # half of a triangle is zero, and most of the room for waiting rows may be empty
        upper = self._folded[_upper(len(self._folded))]
        waiting = self._waiting[: self._n_waiting].copy()
        return {"n_columns": len(self._folded), "upper": upper, "waiting": waiting,
                "n_rows": self.n_rows}

    @classmethod
    def from_state(cls, state):
        """Restore the state that :meth:`__getstate__` returned."""
        triangle = cls(state["n_columns"])
        triangle.__setstate__(state)
        return triangle

    def __setstate__(self, state):
        self.__init__(state["n_columns"])
        self._folded[_upper(state["n_columns"])] = state["upper"]
        self._n_waiting = len(state["waiting"])
        self._waiting[: self._n_waiting] = state["waiting"]
        self._complete = None if self._n_waiting else self._folded
        self.n_rows = state["n_rows"]


def stack(blocks):
    """Triangle of several blocks of rows on top of one another.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (n_rows, n)
        In Fortran order; the first is square, and square ones are upper triangles. They are
        overwritten. A generator of copies makes sure that there are no more than two at once.

    Returns
    -------
    ndarray of shape (n, n)
        Upper triangle, in Fortran order.
    """
    blocks = iter(blocks)
    result = next(blocks)
    for block in blocks:
        n_rows, n_columns = block.shape
        result = _annihilate(result, block, n_columns if n_rows == n_columns else 0)
    return result


def _upper(n):
    """Mask of an upper triangle."""
    return np.tri(n, dtype=np.bool_).T


def _annihilate(R, block, n_triangular):
    """Triangle of [R; block]; both may be overwritten."""
    if R.shape[0] == 0:
        return R
    R, _, _, info = lapack.dtpqrt(
        n_triangular, min(_PANEL, R.shape[0]), R, block, overwrite_a=True, overwrite_b=True
    )
    if info != 0:
        raise RuntimeError(f"LAPACK's dtpqrt refused argument {-info}")
    return R
