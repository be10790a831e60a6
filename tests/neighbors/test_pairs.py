from unittest import mock

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list
from helpers.systems import zoo
from hypothesis import given, settings
from hypothesis import strategies as st
from vesin import NeighborList

from skdesc.neighbors import NeighborSearch, _pairs, find_pairs
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


@settings(max_examples=60, deadline=None)
@given(
    limit=st.sampled_from([10**9, 0]),
    n_atoms=st.integers(1, 12),
    cell=st.lists(st.floats(-3, 3), min_size=9, max_size=9),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    seed=st.integers(0, 10**6),
    cutoff=st.floats(0.5, 7),
)
def test_random_cells(limit, n_atoms, cell, pbc, seed, cutoff):
    cell = np.reshape(cell, (3, 3)) + 4 * np.eye(3)
    if abs(np.linalg.det(cell)) < 10:
        cell = 4 * np.eye(3)
    fractions = np.random.default_rng(seed).random((n_atoms, 3)) * 3 - 1
    numbers = np.arange(n_atoms) % 3 + 6
    atoms = Atoms(numbers, positions=fractions @ cell, cell=cell, pbc=pbc)
    if neighbor_list("d", atoms, 0.2).size:
        return
    with mock.patch.object(_pairs, "MAX_DIRECT_CANDIDATES", limit):
        pairs, centers, _ = search([atoms], cutoff)
    np.testing.assert_allclose(as_sets(pairs, centers), reference([atoms], cutoff), atol=1e-9)


@pytest.mark.parametrize("limit", [20_000, 0])
def test_unknown_species_are_no_neighbors(monkeypatch, limit):
    monkeypatch.setattr(_pairs, "MAX_DIRECT_CANDIDATES", limit)
    structures = Structures.from_atoms([molecule("H2O")])
    pairs = find_pairs(structures, 3.0, np.arange(3), np.array([-1, 0, 0]))
    assert np.diff(pairs.offsets).tolist() == [2, 1, 1]
    assert set(pairs.neighbor) == {1, 2}


def brute_force(frames, cutoff):
    """Open structures only: all distances."""
    rows, offset = [], 0
    for atoms in frames:
        vectors = atoms.positions - atoms.positions[:, None]
        squared = (vectors**2).sum(axis=2)
        np.fill_diagonal(squared, np.inf)
        i, j = np.nonzero(squared < cutoff**2)
        rows += [(a + offset, b + offset, *vectors[a, b]) for a, b in zip(i, j, strict=True)]
        offset += len(atoms)
    return np.array(sorted(rows, key=lambda row: tuple(np.round(row, 6)))).reshape(-1, 5)


def large_structures():
    """Shapes that boxes must cope with: open, long, flat, sparse and far from the origin."""
    rng = np.random.default_rng(0)
    n = 600
    line = np.linspace(0, 900, n)[:, None] * [1, 1, 1] + rng.normal(0, 0.2, (n, 3))
    yield "random", rng.random((n, 3)) * 25
    yield "far away", rng.random((n, 3)) * 25 + 1e7
    yield "diagonal chain", line
    yield "straight chain", np.linspace(0, 900, n)[:, None] * [0, 0, 1.0]
    yield "sheet", rng.random((n, 3)) * [60, 60, 0]
    yield "two clusters", np.where(np.arange(n)[:, None] % 2, 1e6, 0) + rng.random((n, 3)) * 15
    yield "dust", rng.random((n, 3)) * 1e5


@pytest.mark.parametrize("positions", [pytest.param(r, id=name) for name, r in large_structures()])
def test_shapes_of_large_structures(positions):
    atoms = Atoms("CHO" * 200, positions=positions)
    cutoff = 4.0
    with mock.patch.object(_pairs, "MAX_DIRECT_CANDIDATES", 0):
        pairs, centers, species = search([atoms], cutoff)
    np.testing.assert_allclose(as_sets(pairs, centers), brute_force([atoms], cutoff), atol=1e-8)
    kinds = species[pairs.neighbor]
    inside = np.repeat(np.arange(len(atoms)), np.diff(pairs.offsets))
    assert (np.diff(inside * 10 + kinds) >= 0).all()


def test_a_crystal_of_many_atoms_has_the_neighbors_of_vesin():
    atoms = bulk("ZnS", "zincblende", 5.4).repeat((8, 7, 9))
    atoms.rattle(0.1, seed=0)
    pairs, _, _ = search([atoms], 5.0)
    finder = NeighborList(cutoff=5.0, full_list=True)
    i, j, vectors = finder.compute(atoms.positions, atoms.cell.array, True, "ijD")
    order = np.lexsort([*np.round(vectors, 6).T[::-1], j, i])
    center = np.repeat(np.arange(len(atoms)), np.diff(pairs.offsets))
    mine = np.lexsort([*np.round(pairs.displacement, 6).T[::-1], pairs.neighbor, center])
    np.testing.assert_array_equal(center[mine], i[order])
    np.testing.assert_array_equal(pairs.neighbor[mine], j[order])
    np.testing.assert_allclose(pairs.displacement[mine], vectors[order], atol=1e-9)


def test_some_centers_of_a_prepared_structure():
    atoms = bulk("Si", cubic=True).repeat(5)
    atoms.rattle(0.1, seed=0)
    structures = Structures.from_atoms([molecule("H2O"), atoms, molecule("CH4")])
    species = (structures.numbers % 2).astype(np.intp)
    search = NeighborSearch(structures, 4.5, species)
    whole = search.pairs(np.arange(len(species)))
    for centers in ([0], [2, 3, 900, 1006, 1007], [500], []):
        some = search.pairs(np.array(centers, dtype=np.intp))
        for k, center in enumerate(centers):
            mine = slice(some.offsets[k], some.offsets[k + 1])
            all_ = slice(whole.offsets[center], whole.offsets[center + 1])
            for name in ("neighbor", "displacement", "distance"):
                np.testing.assert_array_equal(
                    getattr(some, name)[mine], getattr(whole, name)[all_]
                )
    with pytest.raises(ValueError, match="centers must ascend"):
        search.pairs(np.array([3, 2]))


@pytest.mark.parametrize("limit", [20_000, 0])
def test_coincident_atoms(monkeypatch, limit):
    monkeypatch.setattr(_pairs, "MAX_DIRECT_CANDIDATES", limit)
    frames = [molecule("H2O"), Atoms("HO", positions=[[1, 1, 1], [1, 1, 1 + 1e-5]])]
    with pytest.raises(ValueError, match="atoms 0 and 1 of structure 1"):
        search(frames, 3.0)


def test_absurd_cutoff():
    with pytest.raises(ValueError, match=r"cutoff=100000\.0 reaches"):
        search([bulk("Si")], 1e5)
