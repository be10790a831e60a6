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

    Nothing but R is kept: the memory does not depend on the number of rows, and the rounding
    errors are those of one orthogonal decomposition of all rows.

    Parameters
    ----------
    n_columns : int
        Length of a row.

    Attributes
    ----------
    R : ndarray of shape (n_columns, n_columns)
        In Fortran order; zero below the diagonal.
    n_rows : int
        Number of rows folded in.

    References
    ----------
    L. Foster et al., J. Mach. Learn. Res. 10, 857 (2009).
    """

    def __init__(self, n_columns):
        self.R = np.zeros((n_columns, n_columns), order="F")
        self.n_rows = 0

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
        for start in range(0, n_rows, CHUNK):
            part = slice(start, min(start + CHUNK, n_rows))
            block = np.empty((part.stop - start, self.R.shape[0]), order="F")
            if index is not None:
                part = index[part]
            np.multiply(rows[part], scale[part, np.newaxis], out=block[:, :n])
            np.multiply(last_columns[part], scale[part, np.newaxis], out=block[:, n:])
            self.R = _annihilate(self.R, block, 0)
        self.n_rows += n_rows


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
