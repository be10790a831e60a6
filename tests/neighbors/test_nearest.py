"""Distances of nearest neighbors against brute force, and where there are none."""

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from helpers.systems import zoo

from skdesc.neighbors import FARTHEST_NEIGHBOR, find_pairs, nearest_distances
from skdesc.neighbors import _nearest as module
from skdesc.structures import check_structures


def brute_force(structures, considered):
    centers = np.flatnonzero(considered)
    species = np.where(considered, 0, -1).astype(np.intp)
    pairs = find_pairs(structures, FARTHEST_NEIGHBOR, centers, species)
    expected = np.full(len(considered), np.inf)
    for row, center in enumerate(centers):
        own = pairs.distance[pairs.offsets[row] : pairs.offsets[row + 1]]
        expected[center] = own.min(initial=np.inf)
    return expected


def test_against_all_pairs(monkeypatch):
    frames = [*zoo(), Atoms("He"), Atoms("He2", [[0, 0, 0], [0, 0, 6.0]]), bulk("Cs"), bulk("Al")]
    structures = check_structures(frames)
    for considered in (np.ones(len(structures.numbers), bool), structures.numbers != 1):
        expected = brute_force(structures, considered)
        assert np.isinf(expected).any()
        for batch in (1, 100, 10**9):
            monkeypatch.setattr(module, "_BATCH", batch)
            np.testing.assert_array_equal(nearest_distances(structures, considered), expected)


def test_images_are_neighbors():
    (distance,) = nearest_distances(check_structures([bulk("Cu")]))
    np.testing.assert_allclose(distance, 3.61 / np.sqrt(2))
    assert np.isinf(nearest_distances(check_structures([Atoms("Cu")]))).all()


def test_others_are_no_neighbors():
    water = check_structures([molecule("H2O")])
    assert np.isinf(nearest_distances(water, water.numbers != 1)).all()
    both = nearest_distances(water, water.numbers == 1)
    np.testing.assert_allclose(both[1:], water[0].get_distance(1, 2))
    assert np.isinf(both[0])
