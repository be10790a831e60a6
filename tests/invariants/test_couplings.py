"""Couplings against quadrature, group averages and numerical ranks."""

from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss
from scipy.spatial.transform import Rotation

from skdesc.density._reference import real_harmonics
from skdesc.invariants._couplings import (
    clebsch_gordan,
    coupling_tensor,
    independent_intermediates,
    intermediates,
    n_orderings,
)
from skdesc.invariants._tensor_reduced import TensorReduced
from skdesc.invariants._tensor_reduced_reference import features, mix


def sphere(order):
    """Points and weights that integrate polynomials up to a degree over the sphere."""
    u, w = leggauss(order // 2 + 1)
    phi = 2 * np.pi * np.arange(order + 1) / (order + 1)
    sin = np.sqrt(1 - u**2)[:, None]
    points = np.stack(np.broadcast_arrays(sin * np.cos(phi), sin * np.sin(phi), u[:, None]), -1)
    return points.reshape(-1, 3), np.repeat(w, order + 1) * 2 * np.pi / (order + 1)


def rotations(order):
    """Rotations and weights that integrate products of D^l with a sum of l's up to a degree."""
    u, w = leggauss(order // 2 + 1)
    angle = 2 * np.pi * np.arange(order + 1) / (order + 1)
    euler = [(a, np.arccos(b), c) for a, b, c in product(angle, u, angle)]
    weights = np.tile(np.repeat(w, order + 1), order + 1) * (2 * np.pi / (order + 1)) ** 2
    return Rotation.from_euler("ZYZ", euler).as_matrix(), weights


@pytest.mark.parametrize("degrees", [(0, 0, 0), (1, 1, 2), (2, 2, 2), (1, 3, 4), (3, 4, 5)])
def test_against_integrals_of_three_harmonics(degrees):
    """Where the degrees add up to an even number, a coupling is proportional to that integral."""
    points, weights = sphere(sum(degrees))
    y = real_harmonics(points, max(degrees))
    a, b, c = (y[:, l * l : (l + 1) ** 2] for l in degrees)
    integral = np.einsum("p,pa,pb,pc->abc", weights, a, b, c)
    coupling = clebsch_gordan(*degrees)
    scale = (integral * coupling).sum() / (coupling**2).sum()
    assert abs(scale) > 1e-3
    np.testing.assert_allclose(integral, scale * coupling, atol=1e-12)


@pytest.mark.parametrize("degrees", [(1, 1, 1), (2, 3, 1), (4, 4, 8), (2, 3, 4), (9, 10, 12)])
def test_orthonormal(degrees):
    C = clebsch_gordan(*degrees)
    np.testing.assert_allclose(
        np.einsum("abM,abN->MN", C, C), np.eye(2 * degrees[2] + 1), atol=1e-12
    )


def wigner(l, matrix):
    """Real rotation matrix of degree l, from harmonics at more points than needed."""
    points, _ = sphere(2 * l)
    y = real_harmonics(points, l)[:, l * l :]
    return np.linalg.lstsq(y, real_harmonics(points @ matrix.T, l)[:, l * l :], rcond=None)[0]


@pytest.mark.parametrize(
    "degrees", [(2,), (0,), (1, 2), (3, 3), (1, 1, 1), (1, 1, 2), (2, 2, 2), (1, 1, 1, 1),
                (1, 1, 2, 2), (1, 2, 3, 2), (2, 2, 2, 2), (1, 1, 1, 2)],
)
def test_couplings_are_all_invariants_there_are(degrees):
    """Their number is the dimension of the tensors that rotations and inversion leave alone."""
    size = int(np.prod([2 * l + 1 for l in degrees]))
    stacked = [np.eye(size) * (sum(degrees) % 2)]
    for matrix in Rotation.random(2, random_state=0).as_matrix():
        total = np.eye(1)
        for l in degrees:
            total = np.kron(total, wigner(l, matrix))
        stacked.append(total - np.eye(size))
    dimension = size - np.linalg.matrix_rank(np.concatenate(stacked), tol=1e-8)
    found = [coupling_tensor(degrees, inner).ravel() for inner in intermediates(degrees)]
    assert len(found) == dimension
    if found:
        found = np.array(found)
        np.testing.assert_allclose(found @ found.T, np.eye(len(found)), atol=1e-12)
        for part in stacked[1:]:
            np.testing.assert_allclose(found @ part, 0, atol=1e-10)


def random_coefficients(n_environments, l_max, n_channels, seed=0):
    size = (n_environments, (l_max + 1) ** 2, 1, n_channels)
    return np.random.default_rng(seed).normal(size=size)


def layout(**changes):
    parameters = {"n_max": 2, "l_max": 2, "n_channels": 1, "orders": (3,), "sketch": False,
                  "reduce": ("species", "radial")}
    return TensorReduced([6], **{**parameters, **changes})


@pytest.mark.parametrize(("order", "sketch"), [
    (1, False), (2, False), (3, False), (1, True), (2, True), (3, True), (4, True),
])
def test_full_products_are_rotational_averages(order, sketch):
    """Kernel of the unmixed products = integral over rotations of the overlap to that power."""
    rng = np.random.default_rng(1)
    l_max, n = 2, 2
    points = rng.normal(size=(2, 4, 3))
    points /= np.linalg.norm(points, axis=2, keepdims=True)
    radial = rng.normal(size=(2, 4, l_max + 1, n))
    degree = np.repeat(np.arange(l_max + 1), 2 * np.arange(l_max + 1) + 1)

    def expand(environment, matrix):
        y = real_harmonics(points[environment] @ matrix.T, l_max)
        return np.einsum("jx,jxn->xn", y, radial[environment][:, degree])

    first, second = expand(0, np.eye(3)), expand(1, np.eye(3))
    expected = 0.0
    for matrix, weight in zip(*rotations(order * l_max), strict=True):
        overlaps = [(first * expand(1, sign * matrix)).sum() for sign in (1, -1)]
        expected += weight * np.mean(np.power(overlaps, order))
    full = layout(reduce=("species",), orders=(order,), n_max=n, l_max=l_max, sketch=sketch)
    c = np.stack([first, second])[:, :, None]
    f = features(mix(c, np.ones((full.n_factors, 1, 1, 1, 1)), ("species",)), full.terms)
    assert f[0] @ f[1] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("sketch", [True, False])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_no_coupling_is_redundant(order, sketch):
    """One channel's invariants of random environments have full numerical rank."""
    l_max = 2 if order == 4 else 4
    some = layout(sketch=sketch, orders=(order,), l_max=l_max, n_max=3)
    c = random_coefficients(4 * len(some.terms), l_max, 3)
    rng = np.random.default_rng(2)
    f = features(mix(c, rng.normal(size=(some.n_factors, 1, 1, 3, 1)), some.reduce), some.terms)
    s = np.linalg.svd(f / np.linalg.norm(f, axis=0), compute_uv=False)
    assert s[-1] > 1e-3 * s[0]


@pytest.mark.parametrize("degrees", [(1, 1, 1, 1), (1, 1, 2, 2), (2, 2, 2, 2), (1, 1, 3, 3),
                                     (3, 3, 3, 3)])
def test_couplings_left_out_add_nothing(degrees):
    """With one tensor in every factor, all couplings span no more than those that are kept."""
    rng = np.random.default_rng(3)
    tensors = {l: rng.normal(size=(60, 2 * l + 1)) for l in set(degrees)}

    def evaluate(inner):
        return np.einsum("abcd,ea,eb,ec,ed->e", coupling_tensor(degrees, inner),
                         *(tensors[l] for l in degrees), optimize=True)

    kept = independent_intermediates(degrees, degrees)
    every = intermediates(degrees)
    assert 0 < len(kept) < len(every)
    basis = np.stack([evaluate(inner) for inner in kept], axis=1)
    for inner in every:
        value = evaluate(inner)
        rest = value - basis @ np.linalg.lstsq(basis, value, rcond=None)[0]
        assert np.abs(rest).max() < 1e-9 * np.abs(basis).max()


def test_numbers_of_couplings():
    """Sizes as counted by hand: (l l' l'') even and triangular, and their multiplicities."""
    triples = [d for d in combinations_with_replacement(range(5), 3) if intermediates(d)]
    assert len(triples) == 14
    assert sum(n_orderings(d) for d in triples) == 42
    assert intermediates((1, 1, 1, 1)) == [(0,), (1,), (2,)]
    assert len(independent_intermediates((1, 1, 1, 1), (1, 1, 1, 1))) == 1
    assert len(layout(orders=(2,), l_max=6, n_channels=64).names()) == 64 * 7


def test_too_many_products_are_refused():
    with pytest.raises(ValueError, match="products per channel; lower the order"):
        layout(orders=(4,), l_max=8, n_max=12, reduce=("species",))
