"""Every radial basis against quadrature that shares nothing with it."""

import pickle

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gamma, gammainc, ive, spherical_jn

from skdesc.density import make_radial_basis
from skdesc.density._profiles import bessel_profiles

CUTOFF, SIGMA, N_MAX, L_MAX = 4.0, 0.45, 4, 3
SIZES = {"cutoff": CUTOFF, "n_max": N_MAX, "l_max": L_MAX, "atom_sigma": SIGMA}


def symmetric_power(overlap):
    """S^(-1/2)."""
    values, vectors = np.linalg.eigh(overlap)
    return vectors @ np.diag(values**-0.5) @ vectors.T


def gaussian_overlap(powers, exponents):
    """Integrals of x^(p + q + 2) exp(-(a + b) x^2) over all x > 0."""
    t = (powers[:, None] + powers + 3) / 2
    return gamma(t) / (2 * (exponents[:, None] + exponents) ** t)


def gto(x, l):
    n = np.arange(N_MAX)
    a = 1 / (2 * (CUTOFF * np.maximum(np.sqrt(n), 1) / N_MAX) ** 2)
    overlap = gaussian_overlap(n, a)
    norm = np.sqrt(np.diag(overlap))
    return symmetric_power(overlap / np.outer(norm, norm)) @ (x**n * np.exp(-a * x**2) / norm)


def gto_dscribe(x, l):
    ends = np.linspace(1, CUTOFF, N_MAX)
    a = -np.log(1e-3 / ends**l) / ends**2
    return symmetric_power(gaussian_overlap(np.full(N_MAX, l), a)) @ (x**l * np.exp(-a * x**2))


def polynomial(x, l):
    n = np.arange(1, N_MAX + 1)
    k = n[:, None] + n
    norm = np.sqrt((n + 3) * (2 * n + 5) * (2 * n + 7) / CUTOFF ** (2 * n + 7))
    overlap = np.outer(norm, norm) * 2 * CUTOFF ** (k + 7) / ((k + 5) * (k + 6) * (k + 7))
    return symmetric_power(overlap) @ (norm * (CUTOFF - x) ** (n + 2)) * (x < CUTOFF)


ZEROS = [  # of spherical Bessel functions, as tables have them
    [3.141592653589793, 6.283185307179586, 9.424777960769380, 12.566370614359172],
    [4.493409457909064, 7.725251836937707, 10.904121659428899, 14.066193912831473],
    [5.763459196894550, 9.095011330476355, 12.322940970566582, 15.514603010886749],
    [6.987932000500519, 10.417118547379365, 13.698023153249249, 16.923621285214000],
]


def laplacian(x, l):
    zeros = np.array(ZEROS[l])
    norm = np.sqrt(2 / CUTOFF**3) / np.abs(spherical_jn(l + 1, zeros))
    return norm * spherical_jn(l, zeros * x / CUTOFF) * (x < CUTOFF)


def slater(x, n_max):
    """A basis of a user: exponentials, the same for every l."""
    return np.exp(-np.arange(1, n_max + 1)[:, None] * x / 2)


def own_laplacian(x, n_max, l):
    """A basis of a user that depends on l and ends at the cutoff."""
    return np.array([laplacian(one, l)[:n_max] for one in x]).T


def orthonormal_slater(x, l):
    n = np.arange(1, N_MAX + 1) / 2
    k = n[:, None] + n
    overlap = 2 / k**3 * gammainc(3, k * (CUTOFF + 8.5 * SIGMA))  # as far as Gaussians reach
    norm = np.sqrt(np.diag(overlap))
    return symmetric_power(overlap / np.outer(norm, norm)) @ (np.exp(-n * x) / norm)


RADII = np.linspace(0, CUTOFF, 30)


def bumps(x):
    """Four cubic splines, which a table holds exactly."""
    return np.stack([x**k for k in range(N_MAX)])


def orthonormal_bumps(x, l):
    k = np.arange(N_MAX)
    overlap = CUTOFF ** (k[:, None] + k + 3) / (k[:, None] + k + 3)
    norm = np.sqrt(np.diag(overlap))
    return symmetric_power(overlap / np.outer(norm, norm)) @ (x**k / norm) * (x < CUTOFF)


TABLE = np.vstack([RADII, bumps(RADII)])
BASES = {
    "gto": ("gto", gto),
    "gto-dscribe": ("gto-dscribe", gto_dscribe),
    "polynomial": ("polynomial", polynomial),
    "laplacian": ("laplacian", laplacian),
    "function": (slater, orthonormal_slater),
    "function of l": (own_laplacian, laplacian),
    "table": (TABLE, orthonormal_bumps),
    "table of l": (np.stack([TABLE] * (L_MAX + 1)), orthonormal_bumps),
}


@pytest.mark.parametrize("name", BASES)
def test_against_quadrature(name):
    """4 pi integral of R_n(x) x^2 exp(-(x^2 + r^2) / 2 sigma^2) i_l(x r / sigma^2)."""
    kind, functions = BASES[name]
    basis = make_radial_basis(kind, **SIZES)
    distances = np.array([0.3, 1.7, 3.6])
    ours = basis.projection @ bessel_profiles(basis.nodes, distances, SIGMA, L_MAX)
    for l in range(L_MAX + 1):
        for k, r in enumerate(distances):
            def integrand(x, n, l=l, r=r):
                z = x * r / SIGMA**2
                bessel = np.sqrt(np.pi / (2 * z)) * ive(l + 0.5, z)
                return functions(x, l)[n] * x**2 * bessel * np.exp(-(x - r)**2 / (2 * SIGMA**2))

            for n in range(N_MAX):
                pieces = [quad(integrand, *ends, (n,), epsabs=1e-12, epsrel=1e-11, limit=200)[0]
                          for ends in ((1e-12, r), (r, CUTOFF), (CUTOFF, CUTOFF + 4))]
                assert 4 * np.pi * sum(pieces) == pytest.approx(ours[l, n, k], abs=1e-9)


def test_equispaced_against_the_definition():
    """Samples on equispaced nodes, solved for expansion coefficients, times a Cholesky factor."""
    basis = make_radial_basis("equispaced", **SIZES)
    stop = CUTOFF + SIGMA * np.sqrt(20 * np.log(10))
    nodes = np.arange(N_MAX) * stop / N_MAX
    np.testing.assert_allclose(basis.nodes, nodes, atol=1e-14)
    samples = np.exp(-((nodes[:, None] - nodes) ** 2) / (2 * SIGMA**2))

    def product(x, k, n):
        return x**2 * np.exp(-((x - nodes[k]) ** 2 + (x - nodes[n]) ** 2) / (2 * SIGMA**2))

    overlap = [
        [quad(product, 0, stop + 4, (k, n), points=[nodes[k], nodes[n]], epsabs=1e-13)[0]
         for n in range(N_MAX)] for k in range(N_MAX)
    ]
    expected = (np.linalg.inv(samples) @ np.linalg.cholesky(np.array(overlap))).T
    for l in range(L_MAX + 1):
        np.testing.assert_allclose(basis.projection[l], expected, atol=1e-9)


def test_functions_and_tables_survive_pickling():
    for kind in (slater, TABLE):
        again = make_radial_basis(pickle.loads(pickle.dumps(kind)), **SIZES)
        np.testing.assert_array_equal(
            again.projection, make_radial_basis(kind, **SIZES).projection
        )


def with_nan(x, n_max):
    return np.full((n_max, len(x)), np.nan)


BAD = [
    (lambda x: x, "must take"),
    (lambda x, n_max: x, "returned the shape"),
    (with_nan, "with_nan is not finite at x="),
    (lambda x, n_max: np.ones((n_max, len(x))), "linearly dependent"),
    (lambda x, n_max: np.zeros((n_max, len(x))), "vanishes"),
    (lambda x, n_max: np.sign(np.sin(40 * x)) * x ** np.arange(n_max)[:, None], "do not converge"),
    (3, r"got the shape \(\)"),
    ("ab", "must be one of"),
    (TABLE[:3], r"got the shape \(3, 30\)"),
    (TABLE[:, :3], "from 4 to 1000 points"),
    (TABLE[:, ::-1], "radii must ascend"),
    (TABLE * np.nan, "NaN"),
    ([["a"]], "must be a name, a function or a table"),
]


@pytest.mark.parametrize(("kind", "match"), BAD)
def test_bases_that_cannot_be(kind, match):
    with pytest.raises(ValueError, match=match):
        make_radial_basis(kind, **SIZES)


def test_orbitals_of_dscribe_need_room():
    with pytest.raises(ValueError, match="cutoff above 1 angstrom"):
        make_radial_basis("gto-dscribe", **{**SIZES, "cutoff": 0.9})
