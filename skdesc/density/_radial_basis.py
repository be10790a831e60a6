r"""Radial bases, as data for one spline.

A Gaussian of width sigma at distance r from a center has, in the channel l, the radial profile

.. math:: h_l(x; r) = e^{-(x^2 + r^2) / 2 \sigma^2}\, i_l(x r / \sigma^2)

with the modified spherical Bessel function i_l. Whatever the basis, its coefficients are a linear
map of samples of this profile: a quadrature of :math:`4 \pi \int R_n(x)\, x^2\, h_l(x; r)\, dx`,
or, in QUIP's basis, samples on a few nodes times a matrix. So a basis is nothing but nodes x and
one matrix per l.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf, spherical_jn

from ._quip_basis import quip_range, sampled_gto, sampled_polynomial

SINGULAR = 1e-9
"""Smallest ratio of singular values with which a basis counts as linearly independent."""


@dataclass(frozen=True)
class RadialBasis:
    """Nodes and one projection per l.

    Attributes
    ----------
    nodes : ndarray of shape (n_nodes,)
        Where the profile of a neighbor is sampled, in angstrom.
    projection : ndarray of shape (l_max + 1, n_max, n_nodes)
        The coefficient of function n is ``projection[l, n] @ h_l(nodes)``.
    """

    nodes: np.ndarray
    projection: np.ndarray


def make_radial_basis(kind, *, cutoff, n_max, l_max, atom_sigma):
    """Build a radial basis.

    Parameters
    ----------
    kind : str
        One of `RADIAL_BASES`.
    cutoff : float
        Cutoff radius, in angstrom.
    n_max, l_max : int
        Number of radial functions, and largest angular momentum (included).
    atom_sigma : float
        Width of the atomic Gaussians, in angstrom.

    Returns
    -------
    RadialBasis
        Orthonormal with respect to x^2 dx.

    Raises
    ------
    ValueError
        If so many functions are linearly dependent in double precision.
    """
    return RADIAL_BASES[kind](cutoff, n_max, l_max, atom_sigma)


def _panels(stop, width, order=20):
    """Composite Gauss-Legendre quadrature on [0, stop] with panels of at most `width`."""
    n_panels = int(np.ceil(stop / width))
    x, w = np.polynomial.legendre.leggauss(order)
    edges = np.linspace(0.0, stop, n_panels + 1)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (x + 1)).ravel(), (half * w).ravel()


def _orthonormalize(functions, nodes, weights, kind):
    """Löwdin orthonormalization: the orthonormal functions nearest to the given ones."""
    n_max = len(functions)
    metric = np.sqrt(weights) * nodes
    u, s, vt = np.linalg.svd(functions * metric, full_matrices=False)
    if not s[-1] > SINGULAR * s[0]:
        raise ValueError(
            f"n_max={n_max} is too large for radial_basis={kind!r}: its functions are linearly "
            f"dependent in double precision (singular values from {s[0]:.1e} to {s[-1]:.1e}); "
            "use a smaller n_max or radial_basis='laplacian'"
        )
    return (u @ vt) / metric


def _from_functions(functions, nodes, weights, l_max, reach, kind):
    """Basis of the same functions for every l, integrated up to `reach`."""
    functions = functions / np.sqrt(((functions * nodes) ** 2) @ weights)[:, None]
    functions = _orthonormalize(functions, nodes, weights, kind)
    kept = nodes <= reach
    projection = (4 * np.pi * weights * nodes**2 * functions)[:, kept]
    projection = np.repeat(projection[None], l_max + 1, axis=0)
    return RadialBasis(nodes[kept], np.ascontiguousarray(projection))


def _reach(cutoff, atom_sigma):
    """Beyond this radius no neighbor's Gaussian is seen in double precision."""
    return cutoff + 8.5 * atom_sigma


def _panel_width(cutoff, atom_sigma):
    return min(2.0 * atom_sigma, cutoff / 2)


def _gto(cutoff, n_max, l_max, atom_sigma):
    """Gaussian type orbitals x^n exp(-x^2 / 2 s_n^2), s_n = cutoff max(1, sqrt n) / n_max."""
    n = np.arange(n_max)
    widths = cutoff * np.sqrt(np.maximum(n, 1)) / n_max
    stop = max(_reach(cutoff, atom_sigma), float(((np.sqrt(n) + 8.5) * widths).max()))
    nodes, weights = _panels(stop, _panel_width(cutoff, atom_sigma))
    # powers relative to the maximum of each function, so that nothing overflows
    scale = np.where(n > 0, np.sqrt(n) * widths, 1.0)
    functions = (nodes / scale[:, None]) ** n[:, None] * np.exp(
        -(nodes**2) / (2 * widths[:, None] ** 2)
    )
    return _from_functions(
        functions, nodes, weights, l_max, _reach(cutoff, atom_sigma), "gto"
    )


def _polynomial(cutoff, n_max, l_max, atom_sigma):
    """Polynomials (cutoff - x)^(n + 2), n = 1 .. n_max, zero beyond the cutoff."""
    nodes, weights = _panels(cutoff, _panel_width(cutoff, atom_sigma))
    functions = (1 - nodes / cutoff) ** np.arange(3, n_max + 3)[:, None]
    return _from_functions(functions, nodes, weights, l_max, cutoff, "polynomial")


def _bessel_zeros(n_max, l_max):
    """Zeros of j_l, shape (l_max + 1, n_max); those of l and l + 1 interlace."""
    zeros = np.pi * np.arange(1, n_max + l_max + 1)
    table = [zeros[:n_max]]
    for l in range(1, l_max + 1):
        zeros = np.array([
            brentq(lambda z, l=l: spherical_jn(l, z), low, high, xtol=1e-14)
            for low, high in pairwise(zeros)
        ])  # fmt: skip
        table.append(zeros[:n_max])
    return np.array(table)


def _laplacian(cutoff, n_max, l_max, atom_sigma):
    """Eigenfunctions of the Laplacian in a sphere: j_l(z_nl x / cutoff)."""
    zeros = _bessel_zeros(n_max, l_max)
    width = min(_panel_width(cutoff, atom_sigma), 8 * cutoff / zeros[-1, -1])
    nodes, weights = _panels(cutoff, width)
    degree = np.arange(l_max + 1)[:, None]
    norms = np.sqrt(2 / cutoff**3) / np.abs(spherical_jn(degree + 1, zeros))
    functions = norms[:, :, None] * spherical_jn(
        degree[:, :, None], zeros[:, :, None] * (nodes / cutoff)
    )
    return RadialBasis(nodes, 4 * np.pi * weights * nodes**2 * functions)


def _equispaced(cutoff, n_max, l_max, atom_sigma):
    """Equispaced Gaussians as QUIP has them: sampled on the nodes, not integrated."""
    a = 1 / (2 * atom_sigma**2)
    nodes = np.arange(n_max) * quip_range(cutoff, atom_sigma) / n_max
    distance = nodes[:, None] - nodes
    middle = (nodes[:, None] + nodes) / 2
    samples = np.exp(-a * distance**2)
    overlap = np.exp(-a * distance**2 / 2) * (
        middle * np.exp(-2 * a * middle**2) / (4 * a)
        + 0.5 * np.sqrt(np.pi / (2 * a)) * (middle**2 + 1 / (4 * a))
        * (1 + erf(middle * np.sqrt(2 * a)))
    )  # fmt: skip
    s = np.linalg.svd(samples, compute_uv=False)
    if not s[-1] > SINGULAR * s[0]:
        raise ValueError(
            f"n_max={n_max} is too large for radial_basis='equispaced' with "
            f"atom_sigma={atom_sigma}: neighboring Gaussians coincide; use a smaller n_max"
        )
    transform = np.linalg.solve(samples, np.linalg.cholesky(overlap))
    return RadialBasis(nodes, np.repeat(transform.T[None], l_max + 1, axis=0))


RADIAL_BASES = {
    "gto": _gto,
    "polynomial": _polynomial,
    "laplacian": _laplacian,
    "equispaced": _equispaced,
    "quip_gto": lambda *args: RadialBasis(*sampled_gto(*args)),
    "quip_polynomial": lambda *args: RadialBasis(*sampled_polynomial(*args)),
}
