"""The expansion against quadrature that shares nothing with it."""

import numpy as np
import pytest
from ase import Atoms
from helpers.systems import zoo
from numpy.polynomial.legendre import leggauss
from scipy.integrate import quad
from scipy.special import ive

from skdesc.density import RADIAL_BASES, RadialSpline, make_radial_basis
from skdesc.density._expansion_cy import DensityExpansion
from skdesc.density._profiles import bessel_profiles
from skdesc.density._reference import coefficients as twin
from skdesc.invariants._environments_cy import Neighborhoods
from skdesc.neighbors import find_pairs
from skdesc.structures import Structures

PARAMETERS = {"cutoff": 4.0, "n_max": 5, "l_max": 4, "atom_sigma": 0.45}


def expand(atoms, basis="gto", n_max=5, l_max=4, cutoff=4.0, width=0.5, instruction_set=None):
    parameters = {**PARAMETERS, "n_max": n_max, "l_max": l_max, "cutoff": cutoff}
    radial = make_radial_basis(basis, **parameters)
    spline = RadialSpline(radial, cutoff=cutoff, cutoff_width=width, atom_sigma=0.45)
    structures = Structures.from_atoms([atoms])
    species = np.unique(structures.numbers, return_inverse=True)[1].astype(np.intp)
    expansion = DensityExpansion(spline, species.max() + 1, 1.0, instruction_set)
    centers = np.arange(len(atoms))
    pairs = find_pairs(structures, cutoff, centers, species)
    c = Neighborhoods(expansion, None, pairs, species, centers, False).coefficients()
    return c, pairs, species, radial


def test_profiles_against_scipy():
    x, r = np.linspace(0.01, 9, 40), np.linspace(0.01, 6, 30)
    for sigma in (0.1, 0.5, 2.0):
        z = x[:, None] * r / sigma**2
        gauss = np.exp(-((x[:, None] - r) ** 2) / (2 * sigma**2))
        expected = [np.sqrt(np.pi / (2 * z)) * ive(l + 0.5, z) * gauss for l in range(9)]
        np.testing.assert_allclose(bessel_profiles(x, r, sigma, 8), expected, atol=1e-14)


@pytest.mark.parametrize("kind", sorted(RADIAL_BASES))
@pytest.mark.parametrize("width", [0.0, 0.5, 4.0])
def test_spline_and_derivative(kind, width):
    """Between the knots, the spline agrees with quadrature, its slope with differences."""
    from skdesc.density._spline import cutoff_parts, radial_functions

    basis = make_radial_basis(kind, **PARAMETERS)
    spline = RadialSpline(basis, cutoff=4.0, cutoff_width=width, atom_sigma=0.45)
    assert spline.error < 1e-10
    scale = 0.0
    for start, stop, weight in cutoff_parts(4.0, width):
        r = np.random.default_rng(0).uniform(start, stop, 40)
        h = 1e-4
        inner = r[(r > start + h) & (r < stop - h)]
        f, f1, f2 = radial_functions(basis, inner, 0.45, weight)
        above, below = (radial_functions(basis, inner + d, 0.45, weight) for d in (h, -h))
        scale = max(scale, np.abs(f).max())
        np.testing.assert_allclose((above[0] - below[0]) / (2 * h), f1, atol=1e-5 * scale)
        np.testing.assert_allclose((above[1] - below[1]) / (2 * h), f2, atol=1e-3 * scale)


def gto_functions(n_max, cutoff):
    """Orthonormal GTOs from analytic overlaps, as a function of x."""
    from scipy.special import gamma

    n = np.arange(n_max)
    widths = cutoff * np.maximum(np.sqrt(n), 1) / n_max
    a = 1 / (2 * widths**2)
    power = n[:, None] + n + 2
    overlap = gamma((power + 1) / 2) / (2 * (a[:, None] + a) ** ((power + 1) / 2))
    norm = np.sqrt(np.diag(overlap))
    values, vectors = np.linalg.eigh(overlap / np.outer(norm, norm))
    mix = vectors @ np.diag(values**-0.5) @ vectors.T
    return lambda x: mix @ ((x**n * np.exp(-a * x**2)) / norm)


def test_against_three_dimensional_quadrature():
    """c_nlm = integral of density, R_n and Y_lm over all space, by brute force."""
    neighbor = np.array([0.7, -0.9, 1.1])
    atoms = Atoms("CO", positions=[[0, 0, 0], neighbor])
    c, *_ = expand(atoms, l_max=3, n_max=4)
    functions = gto_functions(4, 4.0)
    x, wx = leggauss(120)
    radii, wr = 4.5 * (x + 1), 4.5 * wx
    u, wu = leggauss(40)
    phi = 2 * np.pi * np.arange(80) / 80
    sin = np.sqrt(1 - u**2)
    directions = np.stack([np.outer(sin, np.cos(phi)), np.outer(sin, np.sin(phi)),
                           np.repeat(u[:, None], 80, axis=1)], axis=-1).reshape(-1, 3)
    weights = np.repeat(wu, 80) * 2 * np.pi / 80
    sphericart = pytest.importorskip("sphericart")
    harmonics = sphericart.SphericalHarmonics(3).compute(directions)
    expected = np.zeros((16, 4))
    for r, w in zip(radii, wr, strict=True):
        density = np.exp(-((r * directions - neighbor) ** 2).sum(axis=1) / (2 * 0.45**2))
        expected += np.outer((weights * density) @ harmonics, w * r**2 * functions(r))
    # real harmonics are unique up to signs per (l, m); those signs are sphericart's phase
    ours = c[0, :, 1, :]
    signs = np.sign((ours * expected).sum(axis=1))
    np.testing.assert_allclose(ours, signs[:, None] * expected, atol=1e-9)


def polynomial_functions(n_max, cutoff):
    """Orthonormal polynomials (cutoff - x)^(n + 2) from analytic overlaps."""
    n = np.arange(1, n_max + 1)
    k = n[:, None] + n
    norm = np.sqrt((n + 3) * (2 * n + 5) * (2 * n + 7) / cutoff ** (2 * n + 7))
    overlap = np.outer(norm, norm) * 2 * cutoff ** (k + 7) / ((k + 5) * (k + 6) * (k + 7))
    values, vectors = np.linalg.eigh(overlap)
    mix = vectors @ np.diag(values**-0.5) @ vectors.T
    return lambda x: mix @ (norm * (cutoff - x) ** (n + 2)) * (x < cutoff)


def laplacian_functions(n_max, cutoff):
    """For l = 0 the eigenfunctions are sin(n pi x / cutoff) / x, normalized."""
    n = np.arange(1, n_max + 1)
    return lambda x: np.sqrt(2 / cutoff) * np.sin(n * np.pi * x / cutoff) / x * (x < cutoff)


@pytest.mark.parametrize("kind", ["gto", "polynomial", "laplacian"])
def test_center_against_quadrature(kind):
    c, *_ = expand(Atoms("C"), kind, n_max=4)
    make = {"gto": gto_functions, "polynomial": polynomial_functions,
            "laplacian": laplacian_functions}[kind]
    functions = make(4, 4.0)
    for n in range(4):
        integral = quad(
            lambda x, n=n: functions(x)[n] * x**2 * np.exp(-(x**2) / (2 * 0.45**2)), 0, 8,
            epsabs=1e-13, limit=200, points=[4.0],
        )[0]
        assert c[0, 0, 0, n] == pytest.approx(np.sqrt(4 * np.pi) * integral, abs=1e-9)
    assert np.abs(c[0, 1:]).max() == 0


@pytest.mark.parametrize("instruction_set", ["avx512", "avx2", "baseline"])
@pytest.mark.parametrize(("n_max", "l_max"), [(1, 0), (4, 2), (5, 4), (8, 6), (11, 9), (12, 3)])
def test_kernels_agree_with_the_numpy_twin(instruction_set, n_max, l_max):
    basis = "laplacian"
    for atoms in zoo():
        c, pairs, species, radial = expand(
            atoms, basis, n_max, l_max, instruction_set=instruction_set
        )
        expected = twin(radial, pairs, species, cutoff=4.0, cutoff_width=0.5, atom_sigma=0.45,
                        center_weight=1.0)
        np.testing.assert_allclose(c, expected, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["gto", "polynomial", "equispaced"])
def test_singular_bases_are_refused(kind):
    with pytest.raises(ValueError, match="n_max=60 is too large"):
        make_radial_basis(kind, cutoff=5.0, n_max=60, l_max=2, atom_sigma=0.5)
