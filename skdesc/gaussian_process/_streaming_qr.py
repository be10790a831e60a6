"""QR decomposition of rows that never are in memory all at once."""

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
        """Fold in all that another triangle has seen; that one stays as it is.

        Parameters
        ----------
        other : Triangle
            With as many columns.
        """
        self._folded = stack_triangles([self.R.copy(order="F"), other.R.copy(order="F")])
        self._complete, self._n_waiting = self._folded, 0
        self.n_rows += other.n_rows

    def __sizeof__(self):
        # schedulers of clusters ask for it, and move and spill data accordingly
        return object.__sizeof__(self) + self._folded.nbytes + self._waiting.nbytes

    def __getstate__(self):
        # half of a triangle is zero, and most of the room for waiting rows may be empty
        upper = self._folded[_upper(len(self._folded))]
        waiting = self._waiting[: self._n_waiting].copy()
        return {"n_columns": len(self._folded), "upper": upper, "waiting": waiting,
                "n_rows": self.n_rows}

    def __setstate__(self, state):
        self.__init__(state["n_columns"])
        self._folded[_upper(state["n_columns"])] = state["upper"]
        self._n_waiting = len(state["waiting"])
        self._waiting[: self._n_waiting] = state["waiting"]
        self._complete = None if self._n_waiting else self._folded
        self.n_rows = state["n_rows"]


def stack_triangles(triangles):
    """Triangle of several triangles on top of one another.

    Parameters
    ----------
    triangles : iterable of ndarray of shape (n, n)
        Upper triangles in Fortran order; they are overwritten. A generator of copies makes
        sure that there are no more than two of them at once.

    Returns
    -------
    ndarray of shape (n, n)
        Upper triangle, in Fortran order.
    """
    triangles = iter(triangles)
    result = next(triangles)
    for triangle in triangles:
        result = _annihilate(result, triangle, result.shape[0])
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
