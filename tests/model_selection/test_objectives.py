from types import SimpleNamespace

import numpy as np
import pytest
from helpers.toy_data import SPECIES, make_frames, reference
from helpers.toy_descriptor import ToyDescriptor
from model_selection.toys import ForcesRidge
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.preprocessing import StandardScaler

from skdesc import GAPRegressor
from skdesc.features._search_objectives import alignment_with_forces
from skdesc.gaussian_process._inputs import check_environments
from skdesc.gaussian_process._rows import derivative_rows
from skdesc.gaussian_process._sparse_points import select_points
from skdesc.least_squares import PowerCovariance
from skdesc.model_selection._objectives import (
    compute_objective,
    kernel_target_alignment,
    leave_one_out_error,
    ridge_score,
)


def _alignment(K, y):
    """The definition: centered kernels, Frobenius products."""
    n = len(y)
    H = np.eye(n) - 1.0 / n
    K, L = H @ K @ H, H @ (y @ y.T) @ H
    return np.sum(K * L) / np.linalg.norm(K) / np.linalg.norm(L)


@pytest.mark.parametrize("shape", [(20, 5), (8, 30)])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_alignment_of_rows(shape, n_outputs):
    rng = np.random.RandomState(0)
    Z, y = rng.normal(size=shape), rng.normal(size=(shape[0], n_outputs))
    expected = _alignment(Z @ Z.T, y)
    assert kernel_target_alignment(Z, y) == pytest.approx(expected)
    assert kernel_target_alignment(sparse.csr_array(Z), y) == pytest.approx(expected)
    assert kernel_target_alignment(3 * Z + 1, 5 * y - 2) == pytest.approx(expected)


def test_alignment_is_one_for_the_target_itself():
    y = np.random.RandomState(0).normal(size=10)
    assert kernel_target_alignment(y[:, np.newaxis], y) == pytest.approx(1.0)
    assert kernel_target_alignment(np.ones((10, 3)), y) == 0.0


def test_alignment_of_classes():
    y = np.array(["a", "b", "c"] * 4)
    one_hot = (y[:, np.newaxis] == ["a", "b", "c"]).astype(float)
    assert kernel_target_alignment(one_hot, y, classes=True) == pytest.approx(1.0)


def _ragged(rng, with_species):
    counts = rng.randint(1, 5, size=12)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    features = SimpleNamespace(values=rng.normal(size=(offsets[-1], 3)), offsets=offsets)
    if with_species:
        features.species = rng.choice([1, 6], size=offsets[-1])
    return features, counts


@pytest.mark.parametrize("with_species", [False, True])
def test_alignment_of_ragged_features(with_species):
    rng = np.random.RandomState(1)
    Z, counts = _ragged(rng, with_species)
    y = rng.normal(size=12) * counts
    unit = Z.values / np.linalg.norm(Z.values, axis=1, keepdims=True)
    segments = [slice(*Z.offsets[i : i + 2]) for i in range(12)]
    pooled = np.array([unit[segment].mean(axis=0) for segment in segments])
    target = y
    if with_species:
        numbers = np.array([[np.sum(Z.species[s] == label) for label in (1, 6)] for s in segments])
        target = y - numbers @ np.linalg.lstsq(numbers, y)[0]
        # a target that the numbers of labels explain is of no interest
        shifted = y + numbers @ [-500.0, -1000.0]
        assert kernel_target_alignment(Z, shifted) == pytest.approx(kernel_target_alignment(Z, y))
    expected = _alignment(pooled @ pooled.T, (target / counts)[:, np.newaxis])
    assert kernel_target_alignment(Z, y) == pytest.approx(expected)


def test_leave_one_out_is_that_of_a_loop():
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(12, 2)), rng.normal(size=12)
    # standardised once for all, which the closed form takes for granted
    X = StandardScaler().fit_transform(X)
    closed = leave_one_out_error(ForcesRidge(alpha=1e-12), X, y, {})
    design = np.column_stack([np.ones(12), X])
    residuals = []
    for left_out in range(12):
        kept = np.arange(12) != left_out
        coef = np.linalg.lstsq(design[kept], y[kept])[0]
        residuals.append(y[left_out] - design[left_out] @ coef)
    assert closed == pytest.approx(np.sqrt(np.mean(np.square(residuals))), rel=1e-6)


@pytest.mark.parametrize("shape", [(25, 4), (12, 30)])
def test_ridge_score_is_that_of_the_best_ridge(shape):
    rng = np.random.RandomState(0)
    Z = rng.normal(size=shape)
    y = Z[:, :3].sum(axis=1) + rng.normal(size=shape[0]) + 5.0
    Zc = Z - Z.mean(axis=0)
    errors = []
    for ridge in np.linalg.eigvalsh(Zc @ Zc.T).max() * np.logspace(-13, 1, 29):
        predicted = cross_val_predict(Ridge(ridge, solver="svd"), Z, y, cv=LeaveOneOut())
        errors.append(np.sqrt(np.mean((predicted - y) ** 2)))
    assert ridge_score(Z, y) == pytest.approx(-min(errors) / y.std(), rel=1e-6)
    assert ridge_score(10 * Z + 3, 2 * y) == pytest.approx(ridge_score(Z, y))


def test_ridge_score_of_what_tells_nothing():
    y = np.random.RandomState(0).normal(size=10)
    assert ridge_score(np.ones((10, 3)), y) <= -1
    assert ridge_score(np.eye(10), y) <= -1
    assert ridge_score(y[:, np.newaxis], np.ones(10)) == 0.0
    Z, counts = _ragged(np.random.RandomState(1), with_species=True)
    assert -3 < ridge_score(Z, counts * 1.0 + np.arange(12)) < 0


@pytest.fixture(scope="module")
def potential():
    frames = make_frames(8)
    return ToyDescriptor(SPECIES).transform(frames), *reference(frames)


@pytest.mark.parametrize("unknown", [[], [2, 5]])
def test_alignment_with_forces_is_that_of_the_covariances_of_both(potential, unknown):
    Z, y, more = potential
    present = np.setdiff1d(np.arange(len(y)), unknown)
    given, y = np.where(np.isin(np.arange(len(y)), unknown), np.nan, y), y[present]
    forces = [None if index == 3 else block.copy() for index, block in enumerate(more["forces"])]
    forces[0][0, 1] = np.nan
    counts = np.diff(Z.offsets)[present]
    parts = np.split(Z.species, Z.offsets[1:-1])
    numbers = np.array([[np.sum(species == z) for z in SPECIES] for species in parts])[present]
    energies = (y - numbers @ np.linalg.lstsq(numbers, y)[0]) / counts
    energies -= energies.mean()
    flat = np.concatenate([np.full(3 * n, np.nan) if f is None else f.ravel()
                           for f, n in zip(forces, Z.n_atoms, strict=True)])
    known = np.isfinite(flat)
    flat = flat[known]
    scale = 1 / np.r_[np.full(len(y), np.linalg.norm(energies)),
                      np.full(len(flat), np.linalg.norm(flat))]
    found = []
    for zeta in (1, 2, 4):
        points = {z: Z.values[Z.species == z] for z in SPECIES}
        environments = check_environments(Z, GAPRegressor(), reset=True)
        points = select_points(environments, points, 1, linear=[zeta == 1])
        of_energies, of_forces, _ = derivative_rows(environments, points, [PowerCovariance(zeta)])
        of_energies = of_energies[present] / counts[:, None]
        of_energies -= of_energies.mean(axis=0)
        rows = np.concatenate([of_energies, of_forces[known]]) * scale[:, None]
        same = points.species[:, None] == points.species
        covariances = np.where(same, (points.features @ points.features.T) ** zeta, 0.0)
        K = rows @ np.linalg.pinv(covariances, rcond=1e-10, hermitian=True) @ rows.T
        target = np.r_[energies, flat] * scale
        found.append(target @ K @ target / (np.linalg.norm(K) * (target @ target)))
    assert alignment_with_forces(Z, given, forces) == pytest.approx(max(found), rel=1e-4)


@pytest.mark.parametrize("objective", ["alignment", "ridge"])
def test_unknown_energies_are_left_out(potential, objective):
    Z, y, _ = potential
    y = np.where(np.arange(len(y)) == 4, np.nan, y)
    known = np.isfinite(y)
    expected = compute_objective(objective, Ridge(), Z[known], y[known], {}, {})
    assert compute_objective(objective, Ridge(), Z, y, {}, {}) == expected != 0


def test_alignment_of_forces_alone(potential):
    Z, y, more = potential
    assert 0 < alignment_with_forces(Z, np.full(len(y), np.nan), more["forces"]) < 1


@pytest.mark.parametrize("name", ["forces", "gap__forces"])
def test_alignment_takes_forces_where_they_are_given(potential, name):
    Z, y, more = potential

    def score(forces):
        return compute_objective("alignment", Ridge(), Z, y, {}, {name: forces})

    assert score(more["forces"]) == alignment_with_forces(Z, y, more["forces"])
    assert score(None) == kernel_target_alignment(Z, y)
    shuffled = [np.random.RandomState(0).permutation(block) for block in more["forces"]]
    assert score(shuffled) < score(more["forces"])
