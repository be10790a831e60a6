"""Uncertainty of forces against mixed differences of covariances of energies, and its limits."""

import numpy as np
import pytest
from helpers.toy_data import make_frames, reference

from skdesc import GAPRegressor
from skdesc.gaussian_process._prediction import prior_force_variances
from skdesc.gaussian_process._rows import derivative_rows


def energy_covariance(A, B, zeta):
    """Covariance of the energies of two structures."""
    same = A.species[:, None] == B.species
    return (same * (A.values @ B.values.T) ** zeta).sum()


@pytest.fixture(scope="module", params=[1, 2, 4, 1.5, 2.5])
def gap(request, features, targets):
    gap = GAPRegressor(zeta=request.param, n_sparse=6, energy_scale=0.5, calibrate=False)
    return gap.fit(features, targets[0], **targets[1])


@pytest.mark.parametrize("index", [0, 1])
def test_prior_variance(toy, features, gap, index):
    zeta = float(gap.zeta)
    one = features[index : index + 1]
    variances = prior_force_variances(gap._check_predict(one), gap._model.covariances)[0]
    errors = []
    for h in (4e-3, 2e-3):
        numeric = []
        for direction in np.eye(one.structures.positions.size):
            step = h * direction.reshape(-1, 3)
            moved = [
                toy.transform(one.structures.with_positions(one.structures.positions + s * step))
                for s in (1, -1)
            ]
            signs = (1, -1)
            numeric.append(sum(
                signs[a] * signs[b] * energy_covariance(moved[a], moved[b], zeta)
                for a in (0, 1) for b in (0, 1)
            ) / (4 * h * h))
        errors.append(np.abs(np.array(numeric) - variances).max())
    assert errors[1] < 2e-3 * variances.max()
    assert errors[0] / errors[1] > 2.0


def test_posterior_variance_is_the_dense_formula(features, toy, gap):
    new = toy.transform(make_frames(2, seed=33))
    scale, zeta = gap.energy_scale_**2, float(gap.zeta)
    training = gap._check_predict(features)
    e, f, v = derivative_rows(training, gap._model.points, gap._model.covariances)
    K = scale * np.concatenate([e, f, v.reshape(-1, v.shape[-1])])
    n = features.n_atoms
    noise = np.concatenate([1e-6 * n, np.full(len(f), 0.01), np.repeat(0.01 * n, 6)])
    Q, z = gap.sparse_features_, gap.sparse_species_
    Kmm = scale * (z[:, None] == z) * (Q @ Q.T) ** zeta
    for index, std in enumerate(gap.predict_forces_std(new)):
        one = gap._check_predict(new[index : index + 1])
        u = scale * derivative_rows(one, gap._model.points, gap._model.covariances)[1]
        expected = scale * prior_force_variances(one, gap._model.covariances)[0]
        expected -= (u * np.linalg.solve(Kmm, u.T).T).sum(axis=1)
        expected += (u * np.linalg.solve(Kmm + K.T @ (K / noise[:, None]), u.T).T).sum(axis=1)
        np.testing.assert_allclose(
            std.ravel() ** 2, expected, rtol=1e-4, atol=1e-7 * expected.max()
        )


def test_small_where_known_large_where_not(toy, features, targets):
    gap = GAPRegressor(energy_scale=0.5, calibrate=False).fit(features, targets[0], **targets[1])
    known = np.concatenate(gap.predict_forces_std(features))
    new = toy.transform(make_frames(12, seed=40))
    unknown = np.concatenate(gap.predict_forces_std(new))
    assert np.median(unknown) > 1.1 * np.median(known)
    errors = np.concatenate(gap.predict(new, return_forces=True)[1])
    errors -= np.concatenate(reference(make_frames(12, seed=40))[1]["forces"])
    assert 0.1 < np.sqrt(np.mean((errors / np.hypot(unknown, gap.sigma_forces_)) ** 2)) < 2.0


def test_plain_arrays_have_no_forces():
    X = np.random.RandomState(0).normal(size=(5, 3))
    gap = GAPRegressor().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="X is a plain array"):
        gap.predict_forces_std(X)
