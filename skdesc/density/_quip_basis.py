"""The radial bases GTO and POLY of QUIP: least squares on equispaced nodes.

As for all bases of QUIP, the profile of a neighbor is sampled, not integrated: the coefficients
are those of the linear combination of the functions that is nearest to the samples in the plain
norm over the nodes.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cholesky, qr, solve_triangular
from scipy.special import gamma, gammainc


def quip_range(cutoff, atom_sigma):
    """Radius where a Gaussian at the cutoff has fallen to 1e-10, in angstrom."""
    return cutoff + atom_sigma * np.sqrt(20 * np.log(10))


def sampled_gto(cutoff, n_max, l_max, atom_sigma):
    """Nodes and projections of x^l exp(-b_ln x^2), each 0.001 at its own radius.

    Parameters
    ----------
    cutoff : float
        Cutoff radius, in angstrom.
    n_max, l_max : int
        Number of radial functions, and largest angular momentum (included).
    atom_sigma : float
        Width of the atomic Gaussians, in angstrom.

    Returns
    -------
    nodes : ndarray of shape (3 * n_max,)
        In angstrom.
    projection : ndarray of shape (l_max + 1, n_max, 3 * n_max)
        Takes samples to coefficients.
    """
    reach = quip_range(cutoff, atom_sigma)
    nodes = np.arange(3 * n_max) * reach / (3 * n_max)
    radii = np.arange(1, n_max + 1) * reach / n_max
    projection = []
    for l in range(l_max + 1):
        b = (np.log(1000) + l * np.log(radii)) / radii**2
        if not b.min() > 0:
            raise ValueError(
                f"l_max={l_max} is too large for radial_basis='quip_gto' with n_max={n_max}: some "
                f"functions grow with the radius; use l_max={l - 1}"
            )
        functions = nodes**l * np.exp(-b[:, None] * nodes**2)
        t, a = l + 1.5, b[:, None] + b
        overlap = 0.5 * a**-t * gamma(t) * gammainc(t, a * reach**2)
        projection.append(_least_squares(functions, overlap, "quip_gto"))
    return nodes, np.array(projection)


def sampled_polynomial(cutoff, n_max, l_max, atom_sigma):
    """Nodes and projections of powers of the distance to the end of the range.

    Parameters
    ----------
    cutoff : float
        Cutoff radius, in angstrom.
    n_max, l_max : int
        Number of radial functions, and largest angular momentum (included).
    atom_sigma : float
        Width of the atomic Gaussians, in angstrom.

    Returns
    -------
    nodes : ndarray of shape (3 * n_max,)
        In angstrom.
    projection : ndarray of shape (l_max + 1, n_max, 3 * n_max)
        Takes samples to coefficients.
    """
    reach = quip_range(cutoff, atom_sigma)
    nodes = np.arange(3 * n_max) * reach / (3 * n_max)
    n = np.arange(1, n_max + 1)
    # in units of the range, whose powers would cancel
    norms = np.sqrt(1 / ((n + 3.0) * (2 * n + 5) * (2 * n + 7)))
    functions = (1 - nodes / reach) ** (n[:, None] + 2) / norms[:, None] / reach**1.5
    s = n[:, None] + n
    overlap = 2 / ((s + 5.0) * (s + 6) * (s + 7)) / (norms[:, None] * norms)
    one = _least_squares(functions, overlap, "quip_polynomial")
    return nodes, np.repeat(one[None], l_max + 1, axis=0)


def _least_squares(functions, overlap, kind):
    """Matrix from samples of a profile to its coefficients in the orthonormalized functions."""
    try:
        U = cholesky(overlap, lower=True)
    except LinAlgError as error:
        raise ValueError(
            f"n_max={len(functions)} is too large for radial_basis={kind!r}: its functions are "
            "linearly dependent in double precision; use a smaller n_max or "
            "radial_basis='equispaced'"
        ) from error
    # rows of U^-1 functions are orthonormal; columns of its transpose are the basis
    Q, R = qr(solve_triangular(U, functions, lower=True).T, mode="economic")
    return solve_triangular(R, Q.T)
