"""Tables of bilinear products of rows, their adjoint and their tangent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Products(NamedTuple):
    """Sums of products of two rows: ``out[o] = sum w[e] x[a[e]] y[b[e]]``, e of the row o."""

    start: np.ndarray
    a: np.ndarray
    b: np.ndarray
    w: np.ndarray


def gather_products(o, a, b, w, n_out):
    """Tables from products in any order; products of the same rows are merged.

    Parameters
    ----------
    o, a, b : ndarray of int
        Output row and the two rows to multiply.
    w : ndarray of float
        Weights.
    n_out : int
        Number of output rows.

    Returns
    -------
    Products
        The tables.
    """
    order = np.lexsort((b, a, o))
    keys = np.stack([o, a, b])[:, order]
    is_new = np.append(True, (np.diff(keys, axis=1) != 0).any(axis=0))[: len(order)]
    total = np.zeros(np.count_nonzero(is_new))
    np.add.at(total, np.cumsum(is_new) - 1, np.asarray(w)[order])
    used = total != 0
    o, a, b = keys[:, is_new][:, used].astype(np.int32)
    start = np.searchsorted(o, np.arange(n_out + 1)).astype(np.int32)
    return Products(start, np.ascontiguousarray(a), np.ascontiguousarray(b), total[used])


def reverse(products, n_rows):
    """Tables of the adjoint: the derivative by every row, from those by the outputs.

    Parameters
    ----------
    products : Products
        Products of rows.
    n_rows : int
        Number of rows.

    Returns
    -------
    Products
        ``dx[r] = sum w[e] dout[a[e]] x[b[e]]``.
    """
    o = np.repeat(np.arange(len(products.start) - 1), np.diff(products.start))
    return gather_products(
        np.concatenate([products.a, products.b]), np.concatenate([o, o]),
        np.concatenate([products.b, products.a]), np.tile(products.w, 2), n_rows,
    )


def forward_derivative(products):
    """Tables of the tangent: the change of every output, from changes of the rows.

    Parameters
    ----------
    products : Products
        Products of rows.

    Returns
    -------
    Products
        ``dout[o] = sum w[e] dx[a[e]] x[b[e]]``.
    """
    n_out = len(products.start) - 1
    o = np.repeat(np.arange(n_out), np.diff(products.start))
    return gather_products(
        np.tile(o, 2), np.concatenate([products.a, products.b]),
        np.concatenate([products.b, products.a]), np.tile(products.w, 2), n_out,
    )
