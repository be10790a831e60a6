r"""Radial bases, as data for one spline.

A Gaussian of width sigma at distance r from a center has, in the channel l, the radial profile

.. math:: h_l(x; r) = e^{-(x^2 + r^2) / 2 \sigma^2}\, i_l(x r / \sigma^2)

with the modified spherical Bessel function i_l. Whatever the basis, its coefficients are a linear
map of samples of this profile: a quadrature of :math:`4 \pi \int R_n(x)\, x^2\, h_l(x; r)\, dx`,
or, in QUIP's basis, samples on a few nodes times a matrix. So a basis is nothing but nodes x and
one matrix per l.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import erf, spherical_jn

from ._profiles import bessel_profiles
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
    kind : str, callable or array-like
        One of `RADIAL_BASES`; or a function that takes (x, n_max) or (x, n_max, l) and returns
        an array of shape (n_max, len(x)), smooth but for a jump at the cutoff; or a table of
        shape (n_max + 1, n_points) or (l_max + 1, n_max + 1, n_points): radii that ascend from
        0, then the functions there, between which splines are laid, zero beyond the last radius.
        Both are made orthonormal on the radii that Gaussians reach, up to the cutoff and 8.5
        widths more.
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
        If so many functions are linearly dependent in double precision, or a function or table
        of the user is not what is needed.
    """
    if isinstance(kind, str):
        if kind not in RADIAL_BASES:
            raise ValueError(f"radial_basis must be one of {list(RADIAL_BASES)}, a function or a "
                             f"table, got {kind!r}")
        return RADIAL_BASES[kind](cutoff, n_max, l_max, atom_sigma)
    make = _from_callable if callable(kind) else _from_table
    return make(kind, cutoff, n_max, l_max, atom_sigma)


def _panels(edges, width, order=20):
    """Composite Gauss-Legendre quadrature between edges, with panels of at most `width`."""
    x, w = np.polynomial.legendre.leggauss(order)
    parts = [
        np.linspace(start, stop, int(np.ceil((stop - start) / width)) + 1)[:-1]
        for start, stop in pairwise(edges)
    ]
    fine = np.concatenate([*parts, edges[-1:]])
    half = np.diff(fine)[:, None] / 2
    return (fine[:-1, None] + half * (x + 1)).ravel(), (half * w).ravel()


def _normalize(functions, nodes, weights, name):
    norms = np.sqrt(((functions * nodes) ** 2) @ weights)
    if not norms.all():
        raise ValueError(f"function {int(np.argmin(norms)) + 1} of radial_basis={name} vanishes "
                         "everywhere, but radial functions must be linearly independent")
    return functions / norms[:, None]


def _orthonormalize(functions, nodes, weights, name, scaled=True):
    """Löwdin orthonormalization: the orthonormal functions nearest to the given ones.

    With `scaled`, nearest to the functions of unit norm.
    """
    n_max = len(functions)
    metric = np.sqrt(weights) * nodes
    unit = _normalize(functions, nodes, weights, name)
    u, s, vt = np.linalg.svd(unit * metric, full_matrices=False)
    if not s[-1] > SINGULAR * s[0]:
        raise ValueError(
            f"n_max={n_max} is too large for radial_basis={name}: its functions are linearly "
            f"dependent in double precision (singular values from {s[0]:.1e} to {s[-1]:.1e}); "
            "use a smaller n_max or radial_basis='laplacian'"
        )
    if not scaled:
        u, _, vt = np.linalg.svd(functions * metric, full_matrices=False)
    return (u @ vt) / metric


def _project(functions, nodes, weights, l_max, reach):
    """Quadrature up to `reach` with orthonormal functions, (n_l, n_max, n_nodes), n_l may be 1."""
    kept = nodes <= reach
    projection = (4 * np.pi * weights * nodes**2 * functions)[..., kept]
    shape = (l_max + 1, *projection.shape[-2:])
    return RadialBasis(nodes[kept], np.ascontiguousarray(np.broadcast_to(projection, shape)))


def _from_functions(functions, nodes, weights, l_max, reach, name):
    """Basis of the same functions for every l, integrated up to `reach`."""
    return _project(
        _orthonormalize(functions, nodes, weights, name)[None], nodes, weights, l_max, reach
    )


def _reach(cutoff, atom_sigma):
    """Radius beyond which the Gaussians of all neighbors vanish in double precision."""
    return cutoff + 8.5 * atom_sigma


def _panel_width(cutoff, atom_sigma):
    return min(4.0 * atom_sigma, cutoff / 2)


def _gto(cutoff, n_max, l_max, atom_sigma):
    """Gaussian type orbitals x^n exp(-x^2 / 2 s_n^2), s_n = cutoff max(1, sqrt n) / n_max."""
    n = np.arange(n_max)
    widths = cutoff * np.sqrt(np.maximum(n, 1)) / n_max
    stop = max(_reach(cutoff, atom_sigma), float(((np.sqrt(n) + 8.5) * widths).max()))
    width = min(_panel_width(cutoff, atom_sigma), 4.0 * widths[0])
    nodes, weights = _panels([0.0, stop], width)
    # powers relative to the maximum of each function, so that nothing overflows
    scale = np.where(n > 0, np.sqrt(n) * widths, 1.0)
    functions = (nodes / scale[:, None]) ** n[:, None] * np.exp(
        -(nodes**2) / (2 * widths[:, None] ** 2)
    )
    return _from_functions(
        functions, nodes, weights, l_max, _reach(cutoff, atom_sigma), "'gto'"
    )


def _gto_dscribe(cutoff, n_max, l_max, atom_sigma):
    """Orbitals x^l exp(-a_nl x^2) that fall to 0.001 at n_max radii from 1 angstrom to the cutoff.

    Löwdin's orthonormalization acts on them as they are, not scaled to unit norm.
    """
    if cutoff <= 1.0:
        raise ValueError(f"radial_basis='gto-dscribe' needs a cutoff above 1 angstrom, where its "
                         f"first function ends, but cutoff={cutoff}; use radial_basis='gto'")
    radii = np.linspace(1.0, cutoff, n_max)
    degree = np.arange(l_max + 1)[:, None]
    exponents = (np.log(1e3) + degree * np.log(radii)) / radii**2
    ends = (np.sqrt(degree) + 8.5) / np.sqrt(2 * exponents)
    reach = _reach(cutoff, atom_sigma)
    width = min(_panel_width(cutoff, atom_sigma), 1.0)
    nodes, weights = _panels([0.0, max(reach, float(ends.max()))], width)
    functions = [
        _orthonormalize(
            nodes**l * np.exp(-exponents[l, :, None] * nodes**2), nodes, weights,
            "'gto-dscribe'", scaled=False,
        )
        for l in range(l_max + 1)
    ]
    return _project(np.array(functions), nodes, weights, l_max, reach)


def _polynomial(cutoff, n_max, l_max, atom_sigma):
    """Polynomials (cutoff - x)^(n + 2), n = 1 .. n_max, zero beyond the cutoff."""
    nodes, weights = _panels([0.0, cutoff], _panel_width(cutoff, atom_sigma))
    functions = (1 - nodes / cutoff) ** np.arange(3, n_max + 3)[:, None]
    return _from_functions(functions, nodes, weights, l_max, cutoff, "'polynomial'")


def _bessel_zeros(n_max, l_max):
    """Zeros of j_l, shape (l_max + 1, n_max); those of l and l + 1 interlace."""
    zeros = np.pi * np.arange(1, n_max + l_max + 1)
    table = [zeros[:n_max]]
    for l in range(1, l_max + 1):
        zeros = np.array([
            brentq(lambda z, l=l: spherical_jn(l, z), low, high, xtol=1e-14)
            for low, high in pairwise(zeros)
        ])
        table.append(zeros[:n_max])
    return np.array(table)


def _laplacian(cutoff, n_max, l_max, atom_sigma):
    """Eigenfunctions of the Laplacian in a sphere: j_l(z_nl x / cutoff)."""
    zeros = _bessel_zeros(n_max, l_max)
    width = min(_panel_width(cutoff, atom_sigma), 8 * cutoff / zeros[-1, -1])
    nodes, weights = _panels([0.0, cutoff], width)
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
    )
    s = np.linalg.svd(samples, compute_uv=False)
    if not s[-1] > SINGULAR * s[0]:
        raise ValueError(
            f"n_max={n_max} is too large for radial_basis='equispaced' with "
            f"atom_sigma={atom_sigma}: neighboring Gaussians coincide; use a smaller n_max"
        )
    transform = np.linalg.solve(samples, np.linalg.cholesky(overlap))
    return RadialBasis(nodes, np.repeat(transform.T[None], l_max + 1, axis=0))


def _from_callable(function, cutoff, n_max, l_max, atom_sigma):
    """Functions of the user, on panels that are halved until integrals no longer change."""
    name = getattr(function, "__name__", type(function).__name__)
    edges = [0.0, cutoff, _reach(cutoff, atom_sigma)]
    width = _panel_width(cutoff, atom_sigma)
    distances = np.linspace(0.0, cutoff, 7)
    previous, error = None, np.inf
    for _ in range(7):
        nodes, weights = _panels(edges, width)
        functions = _call(function, name, nodes, n_max, l_max)
        functions = [_orthonormalize(rows, nodes, weights, name) for rows in functions]
        basis = _project(np.array(functions), nodes, weights, l_max, edges[-1])
        profiles = bessel_profiles(basis.nodes, distances, atom_sigma, l_max)
        integrals = basis.projection @ profiles
        if previous is not None:
            error = np.abs(integrals - previous).max() / np.abs(integrals).max()
        if error < 1e-11:
            break
        previous, width = integrals, width / 2
    if not error < 1e-6:
        raise ValueError(
            f"integrals over radial_basis={name} do not converge (they change by {error:.0e} when "
            "panels are halved); radial functions must be smooth but for a jump at the cutoff"
        )
    return basis


def _call(function, name, nodes, n_max, l_max):
    """Values of the user's functions, shape (1 or l_max + 1, n_max, n_nodes)."""
    rule = (f"radial_basis={name} must take (x, n_max) or (x, n_max, l) and return an array of "
            "shape (n_max, len(x))")
    try:
        signature = inspect.signature(function)
    except ValueError as error:
        raise ValueError(f"{rule}, but has no signature that Python knows") from error
    for arguments in [[(nodes, n_max, l) for l in range(l_max + 1)], [(nodes, n_max)]]:
        try:
            signature.bind(*arguments[0])
        except TypeError:
            continue
        break
    else:
        raise ValueError(f"{rule}, but takes {signature}")
    values = [np.asarray(function(*one), dtype=np.float64) for one in arguments]
    for array in values:
        if array.shape != (n_max, len(nodes)):
            raise ValueError(f"{rule}, but returned the shape {array.shape} for n_max={n_max} "
                             f"and {len(nodes)} radii")
        if not np.isfinite(array).all():
            where = nodes[~np.isfinite(array).all(axis=0)][0]
            raise ValueError(f"radial_basis={name} is not finite at x={where:.6g}; it must be "
                             f"for 0 < x < {nodes[-1]:.3g}")
    return values


def _check_table(table, n_max, l_max):
    """The table with an axis for l, shape (1 or l_max + 1, n_max + 1, n_points)."""
    rule = (f"radial_basis must be a name, a function or a table of shape (n_max + 1, n_points) "
            f"or (l_max + 1, n_max + 1, n_points), radii first, with n_max={n_max} and "
            f"l_max={l_max}")
    try:
        array = np.array(table, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{rule}, got {table!r}") from error
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or len(array) not in (1, l_max + 1) or array.shape[1] != n_max + 1:
        raise ValueError(f"{rule}; got the shape {np.shape(table)}")
    if not 4 <= array.shape[2] <= 1000:
        raise ValueError(f"{rule}; it must have from 4 to 1000 points, got {array.shape[2]}")
    if not np.isfinite(array).all():
        raise ValueError("radial_basis has NaN or infinite entries; all must be finite")
    radii = array[0, 0]
    if radii[0] != 0 or (np.diff(radii) <= 0).any() or (array[:, 0] != radii).any():
        raise ValueError(f"{rule}; radii must ascend from 0 and be the same for every l, got "
                         f"{array[:, 0].tolist()}")
    return array


def _from_table(table, cutoff, n_max, l_max, atom_sigma):
    """Cubic splines through the points of a table, zero beyond its last radius."""
    table = _check_table(table, n_max, l_max)
    radii = table[0, 0]
    # functions are cubic between points, so panels need no other edges
    width = _panel_width(cutoff, atom_sigma)
    order = 20 if radii.size < 40 else 8
    reach = _reach(cutoff, atom_sigma)
    nodes, weights = _panels([*radii[radii < reach], min(radii[-1], reach)], width, order)
    functions = [
        _orthonormalize(CubicSpline(radii, rows[1:], axis=1)(nodes), nodes, weights, "a table")
        for rows in table
    ]
    return _project(np.array(functions), nodes, weights, l_max, reach)


RADIAL_BASES = {
    "gto": _gto,
    "gto-dscribe": _gto_dscribe,
    "polynomial": _polynomial,
    "laplacian": _laplacian,
    "equispaced": _equispaced,
    "quip_gto": lambda *args: RadialBasis(*sampled_gto(*args)),
    "quip_polynomial": lambda *args: RadialBasis(*sampled_polynomial(*args)),
}
