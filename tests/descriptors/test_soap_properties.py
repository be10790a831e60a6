"""Properties of SOAP on random structures: any cell, any axes periodic, up to six elements."""

import numpy as np
import pytest
from ase import Atoms
from helpers.toy_descriptor import _lattice_shifts
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from skdesc import SOAPTransformer, Structures
from skdesc.density import make_radial_basis
from skdesc.density._reference import coefficients
from skdesc.neighbors import Pairs

SIZES = {"n_max": 3, "l_max": 3, "atom_sigma": 0.5}
ELEMENTS = np.array([1, 6, 8, 14, 29, 79])
quick = settings(max_examples=15, deadline=None, derandomize=True, database=None)


@st.composite
def structures(draw):
    """Skewed cells, often smaller than the cutoff; partly periodic; atoms outside of them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_atoms = draw(st.integers(1, 5))
    n_species = draw(st.integers(1, 6))
    pbc = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    size = draw(st.floats(1.3, 6.0))
    skew = draw(st.floats(0.0, 1.5))
    cell = size * (np.eye(3) + skew * np.tril(rng.uniform(-1, 1, (3, 3)), -1))
    cell = cell @ Rotation.random(random_state=rng.integers(2**31)).as_matrix()
    positions = rng.uniform(-1.5, 1.5, (n_atoms, 3)) @ cell
    if not any(pbc):
        cell = np.zeros((3, 3))
    numbers = rng.choice(ELEMENTS[:n_species], n_atoms)
    return Atoms(numbers, positions, cell=cell, pbc=pbc)


def brute_force(atoms, cutoff):
    """All pairs from all images in reach."""
    # the helper expects atoms near the cell
    reach = cutoff + 2 * np.abs(atoms.positions).sum(axis=1).max()
    shifts = np.array(_lattice_shifts(atoms.cell.array, atoms.pbc, reach))
    counts, neighbor, displacement = [], [], []
    for center in range(len(atoms)):
        vectors = atoms.positions[:, None] + shifts - atoms.positions[center]
        distance = np.linalg.norm(vectors, axis=2)
        distance[center, ~shifts.any(axis=1)] = np.inf
        atom, image = np.nonzero(distance < cutoff)
        order = np.argsort(atoms.numbers[atom], kind="stable")
        counts.append(len(atom))
        neighbor.append(atom[order])
        displacement.append(vectors[atom, image][order])
    displacement = np.concatenate(displacement).reshape(-1, 3)
    return Pairs(np.concatenate([[0], np.cumsum(counts)]), np.concatenate(neighbor), displacement,
                 np.linalg.norm(displacement, axis=1))


def kernels_by_definition(atoms, pairs, cutoff, width):
    """Scalar products of full power spectra, from expansion coefficients of NumPy."""
    basis = make_radial_basis("gto", cutoff=cutoff, **SIZES)
    species = np.unique(atoms.numbers, return_inverse=True)[1]
    c = coefficients(basis, pairs, species, cutoff=cutoff, cutoff_width=width, center_weight=1.0,
                     atom_sigma=SIZES["atom_sigma"])
    c = c.reshape(*c.shape[:2], -1)
    total = 0.0
    for l in range(SIZES["l_max"] + 1):
        part = c[:, l * l : (l + 1) ** 2]
        spectrum = np.einsum("ima,imb->iab", part, part).reshape(len(atoms), -1)
        total = total + 8 * np.pi**2 / (2 * l + 1) * spectrum @ spectrum.T
    return total


@quick
@given(structures(), st.floats(2.0, 4.5), st.sampled_from([0.0, 0.3, 1.0]))
def test_against_the_definition(atoms, cutoff, relative_width):
    width = relative_width * cutoff
    pairs = brute_force(atoms, cutoff)
    assume(pairs.distance.min(initial=9) > 0.2)
    assume(np.abs(pairs.distance - cutoff).min(initial=9) > 1e-6)
    soap = SOAPTransformer(
        **SIZES, cutoff=cutoff, cutoff_width=width, radial_scaling=None, normalize=False
    )
    rows = soap.fit_transform([atoms]).values
    expected = kernels_by_definition(atoms, pairs, cutoff, width)
    np.testing.assert_allclose(rows @ rows.T, expected, rtol=0, atol=1e-8 * expected.max())


@quick
@given(structures(), st.floats(2.0, 4.5), st.booleans(), st.sampled_from([0.0, 1.0]))
def test_nothing_is_ever_not_finite(atoms, cutoff, normalize, center_weight):
    assume(brute_force(atoms, cutoff).distance.min(initial=9) > 0.05)
    features = SOAPTransformer(
        **SIZES, cutoff=cutoff, normalize=normalize, center_weight=center_weight
    ).fit_transform([atoms])
    norms = np.linalg.norm(features.values, axis=1)
    assert np.isfinite(norms).all()
    assert not normalize or (np.isclose(norms, 1) | (norms == 0)).all()
    gradient, strain = features.vjp(np.ones_like(features.values))
    assert np.isfinite(gradient).all()
    assert np.isfinite(strain).all()
    jacobian = features.jacobian(strain=True)
    assert all(np.isfinite(part.values).all() for part in jacobian.blocks)


@quick
@given(structures(), st.integers(0, 2**31))
def test_invariance(atoms, seed):
    """Rotation, inversion, shift, order, choice of cell and of images."""
    assume(brute_force(atoms, 3.5).distance.min(initial=9) > 0.2)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(atoms))
    turned = atoms[order]
    turn = Rotation.random(random_state=rng.integers(2**31)).as_matrix() * rng.choice([-1, 1])
    # whole lattice vectors along periodic axes change nothing
    shift = rng.integers(-2, 3, (len(atoms), 3)) * atoms.pbc @ atoms.cell.array
    turned.positions = (turned.positions + shift + rng.normal(size=3)) @ turn
    cell = atoms.cell.array.copy()
    if atoms.pbc.all():
        cell = np.array([[1, 0, 0], [2, 1, 0], [-1, 1, 1]]) @ cell
    turned.set_cell(cell @ turn)
    soap = SOAPTransformer(**SIZES, cutoff=3.5).fit([atoms])
    np.testing.assert_allclose(
        soap.transform([turned]).values, soap.transform([atoms]).values[order], atol=1e-9
    )


@quick
@given(structures(), st.floats(0.05, 2.0))
def test_an_atom_crosses_the_cutoff(atoms, width):
    """At the distance of a pair as cutoff, values and derivatives are continuous in positions."""
    distances = brute_force(atoms, 4.0).distance
    assume(distances.min(initial=9) > 0.3)
    distances = distances[distances > 2.0]
    assume(distances.size)
    cutoff = float(distances[0])
    soap = SOAPTransformer(
        **SIZES, cutoff=cutoff, cutoff_width=width, radial_scaling=None, normalize=False
    )
    soap.fit([atoms])
    here = Structures.from_atoms([atoms])
    step = 1e-6
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(len(atoms), 3))
    strain = 0.1 * np.eye(3)  # images of an atom itself move with the cell only
    g = rng.normal(size=(len(atoms), soap.n_features_out_))

    def at(t):
        deformation = np.eye(3) + t * strain
        moved = here.with_positions((here.positions + t * direction) @ deformation,
                                    here.cells @ deformation)
        features = soap.transform(moved)
        return features.values, *features.vjp(g)

    # halving the step halves every difference: no jump is left over
    for far, near, zero in zip(at(step), at(step / 2), at(0.0), strict=True):
        scale = max(np.abs(zero).max(), 1.0)
        jump = np.abs(2 * (near - zero) - (far - zero)).max()
        assert jump < 1e-4 * scale * max(1.0, 0.1 / width**2) * 0.1


@pytest.mark.parametrize("value", [1e-4, 1e150, 1e300])
def test_absurd_but_finite_positions(value):
    """A clear error or a finite result, never NaN."""
    atoms = Atoms("CO", [[0, 0, 0], [value, 0, 0]])
    soap = SOAPTransformer(**SIZES, cutoff=3.0)
    if value < 1e-3:
        with pytest.raises(ValueError, match="angstrom apart"):
            soap.fit_transform([atoms])
    else:
        features = soap.fit_transform([atoms])
        assert np.isfinite(features.values).all()
        assert (features.vjp(np.ones_like(features.values))[0] == 0).all()
