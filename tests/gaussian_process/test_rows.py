"""Rows of forces and virials are derivatives of rows of energies."""

import numpy as np
import pytest
from helpers.derivatives import assert_second_order, displaced, strained

from skdesc import GAPRegressor
from skdesc.gaussian_process._inputs import check_environments
from skdesc.gaussian_process._rows import (
    VOIGT,
    derivative_rows,
    energy_rows,
    segment_sum,
    split_by_cost,
)
from skdesc.gaussian_process._sparse_points import select_points
from skdesc.least_squares import PowerCovariance

STEPS = (4e-3, 2e-3, 1e-3)


@pytest.fixture(scope="module")
def environments(features):
    return check_environments(features, GAPRegressor(), reset=True)


@pytest.fixture(scope="module")
def points(environments):
    return select_points(environments, "cur", {"H": 3, "O": 4})


@pytest.fixture(scope="module", params=[1, 2, 4, 2.5])
def zeta(request):
    return request.param


def rows_at(toy, points, zeta):
    def rows(structures):
        features = toy.transform(structures)
        environments = check_environments(features, GAPRegressor(), reset=True)
        return energy_rows(environments, points, [PowerCovariance(zeta)])

    return rows


def test_energy_rows_are_sums_of_covariances(environments, points, zeta):
    rows = energy_rows(environments, points, [PowerCovariance(zeta)])
    for index in range(len(environments)):
        part = slice(environments.offsets[index], environments.offsets[index + 1])
        same = environments.species[part, None] == points.species
        expected = same * (environments.values[part] @ points.features.T) ** zeta
        np.testing.assert_allclose(rows[index], expected.sum(axis=0), rtol=1e-12)


def test_force_rows(toy, environments, points, zeta):
    structures = environments.features.structures
    energies, forces, _ = derivative_rows(environments, points, [PowerCovariance(zeta)])
    expected = energy_rows(environments, points, [PowerCovariance(zeta)])
    np.testing.assert_allclose(energies, expected, rtol=1e-12)
    directions = np.random.RandomState(0).normal(size=structures.positions.shape)
    along = (forces * directions.reshape(-1, 1)).reshape(len(directions), 3, -1).sum(axis=1)
    derivative = -np.add.reduceat(along, structures.offsets[:-1])
    assert_second_order(
        derivative,
        rows_at(toy, points, zeta),
        lambda step: displaced(structures, directions, step),
        STEPS,
    )


def test_virial_rows(toy, environments, points, zeta):
    structures = environments.features.structures
    virials = derivative_rows(environments, points, [PowerCovariance(zeta)])[2]
    strain = np.random.RandomState(0).normal(size=(3, 3))
    strain += strain.T
    # off-diagonal components appear twice in the double contraction
    weights = strain[VOIGT] * [1, 1, 1, 2, 2, 2]
    assert_second_order(
        -np.einsum("scm,c->sm", virials, weights),
        rows_at(toy, points, zeta),
        lambda step: strained(structures, strain, step),
        tuple(0.2 * step for step in STEPS),
    )


def test_segment_sum_with_empty_segments():
    rows = np.array([1, 2, 5])
    values = np.array([[1.0], [2.0], [4.0]])
    sums = segment_sum(rows, values, np.array([0, 1, 3, 3, 6]))
    np.testing.assert_array_equal(sums[:, 0], [0.0, 3.0, 0.0, 4.0])


def test_batches_respect_the_limit_and_cover_everything():
    costs = np.array([3.0, 3.0, 9.0, 1.0, 1.0, 1.0])
    found = [(part.start, part.stop) for part in split_by_cost(costs, 6.0)]
    assert found == [(0, 2), (2, 3), (3, 6)]
    assert [(p.start, p.stop) for p in split_by_cost(costs, 1e9)] == [(0, 6)]
