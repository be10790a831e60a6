"""Choice of sparse points."""

import numpy as np
import pytest

from skdesc import GAPRegressor
from skdesc.gaussian_process._inputs import check_environments
from skdesc.gaussian_process._sparse_points import (
    METHODS,
    SparsePoints,
    expected_counts,
    select_points,
)
from skdesc.utils.subset_selection import distinct_rows, leading_coordinates


@pytest.fixture(scope="module")
def environments(features):
    return check_environments(features, GAPRegressor(), reset=True)


def plain(rows):
    return check_environments(rows, GAPRegressor(), reset=True)


def select(environments, method, n_sparse, **kwargs):
    if method == "config":
        kwargs["config_types"] = ["cell", "molecule"] * (len(environments) // 2)
    return select_points(environments, method, n_sparse, **kwargs)


@pytest.mark.parametrize("method", METHODS)
def test_points_are_environments_of_their_species(environments, method):
    points = select(environments, method, {"H": 4, 8: 3}, random_state=0)
    assert points.species.tolist() == [1] * 4 + [8] * 3
    for feature, z in zip(points.features, points.species, strict=True):
        assert (environments.values[environments.species == z] == feature).all(axis=1).any()
    assert len(np.unique(points.features, axis=0)) == 7
    again = select(environments, method, {"H": 4, 8: 3}, random_state=0)
    np.testing.assert_array_equal(points.features, again.features)


@pytest.mark.parametrize("method", METHODS)
def test_as_many_as_there_are(environments, method):
    points = select(environments, method, 1000)
    assert len(points) == len(environments.values)
    assert expected_counts(environments, method, 1000) == points.sizes()


def test_repetitions_and_zeros_are_left_out():
    rng = np.random.RandomState(0)
    distinct = rng.normal(size=(5, 4))
    rows = np.concatenate([distinct, np.zeros((2, 4)), distinct[[3, 1, 3]] + 1e-12])
    np.testing.assert_array_equal(distinct_rows(rows, np.arange(len(rows))), np.arange(5))
    assert len(select_points(plain(rows), "cur", 100)) == 5


def test_equal_projections_are_not_taken_for_equal_rows():
    """Rows that differ only along a direction that the projection does not see."""
    direction = np.random.RandomState(0).normal(size=3)
    across = np.cross(direction, [1.0, 0.0, 0.0])
    rows = np.array([direction, direction + across, direction - across])
    assert len(distinct_rows(rows, np.arange(3))) == 3


@pytest.mark.parametrize("rank", [2, 6, 10])
@pytest.mark.parametrize("shape", [(30, 6), (8, 40), (8, 9000)])
def test_leading_coordinates_are_the_singular_vectors(shape, rank):
    rows = np.random.RandomState(0).normal(size=shape)
    U = np.linalg.svd(rows, full_matrices=False)[0][:, :rank]
    found = leading_coordinates(rows, np.arange(len(rows)), rank)(slice(0, len(rows)))
    np.testing.assert_allclose(found @ found.T, U @ U.T, atol=1e-12)


def test_coordinates_of_long_rows_are_sketched():
    rng = np.random.RandomState(0)
    rows = rng.normal(size=(1100, 5)) @ rng.normal(size=(5, 1500))
    U = np.linalg.svd(rows, full_matrices=False)[0][:, :5]
    found = leading_coordinates(rows, np.arange(1100), 5)(slice(0, 1100))
    np.testing.assert_allclose(found @ found.T, U @ U.T, atol=1e-6)


def test_highest_leverage_comes_first_and_near_copies_do_not_follow():
    rng = np.random.RandomState(0)
    rows = np.abs(rng.normal(size=(50, 8)))
    rows[:, 7] = 0.0
    rows[10:14] = np.eye(8)[7] + 1e-3 * rng.normal(size=(4, 8))
    points = select_points(plain(rows), "cur", 6)
    assert (points.features[:, 7] > 0.9).sum() == 1


@pytest.mark.parametrize("n_features", [2, 3, 30])
@pytest.mark.parametrize("spread", [1.0, 1e-3])
def test_more_points_than_directions(n_features, spread):
    """In several rounds; with little spread, one direction is all there is."""
    rows = 1.0 + spread * np.random.RandomState(0).normal(size=(300, n_features))
    points = select_points(plain(rows), "cur", 200)
    assert len(np.unique(points.features, axis=0)) == len(points) == 200


def test_farthest_points_first():
    angle = np.deg2rad([0.0, 1.0, 2.0, 45.0, 46.0, 90.0])
    rows = np.column_stack([np.cos(angle), np.sin(angle)])
    points = select_points(plain(rows), "fps", 3)
    chosen = np.rad2deg(np.arctan2(points.features[:, 1], points.features[:, 0]))
    assert np.abs(np.sort(chosen)[[0, 2]] - [0.0, 90.0]).max() < 1e-6
    assert 44.0 < np.sort(chosen)[1] < 47.0


def test_config_types_get_equal_shares():
    rng = np.random.RandomState(0)
    rows = rng.normal(size=(40, 5))
    kinds = ["rare"] * 2 + ["common"] * 38
    points = select_points(plain(rows), "config", 10, config_types=kinds)
    rare = plain(rows).values[:2]
    assert sum((points.features == row).all(axis=1).any() for row in rare) == 2
    assert len(points) == 10


def test_given_points(environments):
    of_hydrogen = environments.values[environments.species == 1][:2]
    of_oxygen = environments.values[environments.species == 8][:3]
    table = {"O": of_oxygen, "H": np.concatenate([of_hydrogen, of_hydrogen])}
    points = select_points(environments, table, 500)
    assert points.species.tolist() == [1, 1, 8, 8, 8]
    np.testing.assert_array_equal(points.features, np.concatenate([of_hydrogen, of_oxygen]))


def test_dot_products_are_within_species(environments):
    points = select_points(environments, "fps", 3)
    assert isinstance(points, SparsePoints)
    for group, rows, dot in points.dot_products(environments):
        assert set(environments.species[rows]) == set(points.species[group.points])
        expected = environments.values[rows] @ points.features_of(group).T
        np.testing.assert_allclose(dot, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("method", "n_sparse", "match"),
    [
        ("best", 5, "sparse_method is 'best'"),
        ("cur", 0, "n_sparse is 0 for H"),
        ("cur", 2.5, "n_sparse is 2.5"),
        ("cur", {"H": 3}, "no entry for O"),
        ("cur", {"Xy": 3}, "key 'Xy'"),
        ("config", 5, "no config types are given"),
        (np.ones((2, 3)), 5, "centers of 2 species"),
        ({"H": np.ones((2, 3))}, 5, "no points for O"),
        ({"H": np.ones((2, 3)), "O": np.ones((2, 13))}, 5, r"shape \(2, 3\) for species 1"),
        ({1: np.zeros((2, 13)), 8: np.zeros((1, 13))}, 5, "no point other than zero vectors"),
    ],
)
def test_errors(environments, method, n_sparse, match):
    with pytest.raises(ValueError, match=match):
        select_points(environments, method, n_sparse)


def test_nothing_but_zeros():
    with pytest.raises(ValueError, match="every environment in X is a zero vector"):
        select_points(plain(np.zeros((4, 3))), "cur", 5)
