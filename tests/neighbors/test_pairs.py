import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list
from helpers.systems import zoo
from hypothesis import given, settings
from hypothesis import strategies as st

from skdesc.neighbors import _pairs, find_pairs
from skdesc.structures import Structures


def as_sets(pairs, centers):
    found = []
    for k, center in enumerate(centers):
        for pair in range(pairs.offsets[k], pairs.offsets[k + 1]):
            found.append((center, pairs.neighbor[pair], *pairs.displacement[pair]))
    return np.array(sorted(found, key=lambda row: tuple(np.round(row, 6)))).reshape(-1, 5)


def reference(frames, cutoff):
    rows, offset = [], 0
    for atoms in frames:
        i, j, d = neighbor_list("ijD", atoms, cutoff)
        rows += [(a + offset, b + offset, *v) for a, b, v in zip(i, j, d, strict=True)]
        offset += len(atoms)
    return np.array(sorted(rows, key=lambda row: tuple(np.round(row, 6)))).reshape(-1, 5)


def search(frames, cutoff, n_threads=1):
    structures = Structures.from_atoms(frames)
    centers = np.arange(len(structures.positions))
    species = np.unique(structures.numbers, return_inverse=True)[1].astype(np.intp)
    return find_pairs(structures, cutoff, centers, species, n_threads), centers, species


@pytest.mark.parametrize("cutoff", [1.3, 3.0, 6.5])
@pytest.mark.parametrize("limit", [_pairs.MAX_DIRECT_CANDIDATES, 40, 0])
def test_all_pairs_of_ase(monkeypatch, cutoff, limit):
    """Brute force, the cell list, and both side by side find the same."""
    monkeypatch.setattr(_pairs, "MAX_DIRECT_CANDIDATES", limit)
    frames = zoo()
    pairs, centers, species = search(frames, cutoff)
    np.testing.assert_allclose(as_sets(pairs, centers), reference(frames, cutoff), atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(pairs.displacement, axis=1), pairs.distance)
    for start, stop in zip(pairs.offsets[:-1], pairs.offsets[1:], strict=True):
        assert (np.diff(species[pairs.neighbor[start:stop]]) >= 0).all()


def test_atoms_far_outside_their_cell():
    atoms = bulk("NaCl", "rocksalt", 5.6)
    moved = atoms.copy()
    moved.positions += np.array([[7, -5, 3], [-40, 11, 2]]) @ atoms.cell.array
    for frames in ([atoms], [moved]):
        pairs, centers, _ = search(frames, 6.0)
        np.testing.assert_allclose(as_sets(pairs, centers), reference(frames, 6.0), atol=1e-9)


def test_threads_change_nothing(crowd):
    one, two = (search(crowd, 5.0, n_threads)[0] for n_threads in (1, 2))
    for name in ("offsets", "neighbor", "displacement", "distance"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@settings(max_examples=30, deadline=None)
@given(
    cell=st.lists(st.floats(-3, 3), min_size=9, max_size=9),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    seed=st.integers(0, 10**6),
    cutoff=st.floats(0.5, 7),
)
def test_random_cells(cell, pbc, seed, cutoff):
    cell = np.reshape(cell, (3, 3)) + 4 * np.eye(3)
    if abs(np.linalg.det(cell)) < 10:
        cell = 4 * np.eye(3)
    fractions = np.random.default_rng(seed).random((4, 3)) * 3 - 1
    atoms = Atoms("HCNO", positions=fractions @ cell, cell=cell, pbc=pbc)
    if neighbor_list("d", atoms, 0.2).size:
        return
    pairs, centers, _ = search([atoms], cutoff)
    np.testing.assert_allclose(as_sets(pairs, centers), reference([atoms], cutoff), atol=1e-9)


def test_unknown_species_are_no_neighbors():
    structures = Structures.from_atoms([molecule("H2O")])
    pairs = find_pairs(structures, 3.0, np.arange(3), np.array([-1, 0, 0]))
    assert np.diff(pairs.offsets).tolist() == [2, 1, 1]
    assert set(pairs.neighbor) == {1, 2}


@pytest.mark.parametrize("limit", [20_000, 0])
def test_coincident_atoms(monkeypatch, limit):
    monkeypatch.setattr(_pairs, "MAX_DIRECT_CANDIDATES", limit)
    frames = [molecule("H2O"), Atoms("HO", positions=[[1, 1, 1], [1, 1, 1 + 1e-5]])]
    with pytest.raises(ValueError, match="atoms 0 and 1 of structure 1"):
        search(frames, 3.0)


def test_absurd_cutoff():
    with pytest.raises(ValueError, match=r"cutoff=100000\.0 reaches"):
        search([bulk("Si")], 1e5)
