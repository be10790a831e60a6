"""Standard deviations that agree with errors, on toys and on real structures."""

import copy
import pickle

import numpy as np
import pytest
from helpers.toy_data import make_frames, reference
from scipy.stats import spearmanr
from sklearn.base import clone

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc.datasets import load_carbon_solids, load_ethanol_dynamics
from skdesc.gaussian_process._fitting import CalibrationSample
from skdesc.gaussian_process._targets import UNCALIBRATED, check_targets


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.fixture(scope="module")
def toys(toy):
    """Descriptors, energies and metadata of structures."""
    frames = make_frames(60)
    return toy.transform(frames), *reference(frames)


@pytest.fixture(scope="module")
def fitted(toys):
    X, y, derivatives = toys
    return GAPRegressor(n_sparse=10).fit(X, y, **derivatives)


def left_out(gap, X, y, derivatives, index):
    """Errors of one structure of a fit without it: same other points, e0, scale and noise."""
    others = np.setdiff1d(np.arange(len(X)), [index])
    own = X.values[X.offsets[index] : X.offsets[index + 1]]
    points = gap.sparse_features_
    kept = ~(points[:, np.newaxis] == own).all(axis=2).any(axis=1)
    points, z = points[kept], gap.sparse_species_[kept]
    other = clone(gap).set_params(
        sparse_method={s: points[z == s] for s in np.unique(z)}, e0=gap.e0_, calibrate=False,
        energy_scale=gap.energy_scale_,
    )
    other.fit(
        X[others], y[others], forces=[derivatives["forces"][i] for i in others],
        virials=derivatives["virials"][others],
    )
    one = X[index : index + 1]
    energies, std, forces = other.predict(one, return_std=True, return_forces=True)
    return (
        y[index] - energies[0], std[0], derivatives["forces"][index] - forces[0],
        other.predict_forces_std(one)[0],
    )


def test_errors_are_those_of_fits_without_each_structure(toys, fitted):
    X, y, derivatives = toys
    found = list(fitted._training.sample.leave_out(fitted._model))
    members = [one for one, _ in fitted._training.sample.parts]
    chosen = np.linspace(0, 59, 16).astype(int)
    assert [len(one) for one in members] == [16]
    has_points = []
    for place in range(16):
        own = X.values[X.offsets[chosen[place]] : X.offsets[chosen[place] + 1]]
        has_points.append((fitted.sparse_features_[:, np.newaxis] == own).all(axis=2).any())
    assert 0 < sum(has_points) < 16
    for place in (has_points.index(True), has_points.index(False)):
        parts = found[place]
        energy, energy_std, forces, forces_std = left_out(
            fitted, X, y, derivatives, chosen[place]
        )
        error, inside, outside, _ = parts["energy"]
        assert error == pytest.approx(energy, rel=1e-5)
        assert np.sqrt(inside + outside) == pytest.approx(energy_std, rel=1e-5)
        errors, inside, outside, _ = parts["forces"]
        n_atoms = len(forces)
        atoms = np.linspace(0, n_atoms - 1, min(8, n_atoms)).astype(int)
        np.testing.assert_allclose(errors, forces[atoms].ravel(), rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(
            np.sqrt(inside + outside), forces_std[atoms].ravel(), rtol=1e-4, atol=1e-9
        )


def test_same_after_a_file_and_later_data(toys, fitted):
    X, y, derivatives = toys
    again = pickle.loads(pickle.dumps(fitted))
    for quantity, factors in fitted.calibration_.items():
        np.testing.assert_array_equal(again.calibration_[quantity], factors)
    np.testing.assert_array_equal(
        again.predict(X, return_std=True)[1], fitted.predict(X, return_std=True)[1]
    )
    parts = clone(fitted)
    for rows in (slice(0, 30), slice(30, 60)):
        parts.partial_fit(X[rows], y[rows], forces=derivatives["forces"][rows],
                          virials=derivatives["virials"][rows])
    assert [len(one) for one, _ in parts._training.sample.parts] == [8, 8]
    solved = clone(fitted).fit(X, y, **derivatives).set_params(sigma_energy=0.1).solve()
    assert solved.calibration_["energy"][0] != fitted.calibration_["energy"][0]


def test_copies_cost_nothing(toys, monkeypatch):
    X, y, _ = toys
    gap = GAPRegressor(n_sparse=10).fit(X, y)
    monkeypatch.setattr(CalibrationSample, "calibrate", None)
    other = copy.copy(gap)
    np.testing.assert_array_equal(other.predict(X), gap.predict(X))
    other.partial_fit(X[:3], y[:3] + 1.0)
    assert np.abs(other.predict(X) - gap.predict(X)).max() > 1e-3
    assert len(gap.loo_) == len(X)


def test_switched_off_or_too_few(toys):
    X, y, derivatives = toys
    plain = GAPRegressor(n_sparse=10, calibrate=False).fit(X, y, **derivatives)
    few = GAPRegressor(n_sparse=10).fit(X[:7], y[:7])
    switched = GAPRegressor(n_sparse=10).fit(X, y).set_params(calibrate=False).solve()
    for gap in (plain, few, switched):
        for quantity, factors in UNCALIBRATED.items():
            np.testing.assert_array_equal(gap.calibration_[quantity], factors)
    with pytest.raises(ValueError, match="calibrate is 1, but must be True or False"):
        GAPRegressor(calibrate=1).fit(X, y)


def test_what_is_like_nothing_known_is_uncertain(toy, toys):
    """However well the data are known, another kind of structure is not."""
    unknown = toy.transform(make_frames(10, seed=5))
    values = np.zeros_like(unknown.values)
    values[:, -1] = 1.0
    alien = np.split(values, unknown.offsets[1:-1])
    features, y, _ = toys
    X = np.split(features.values, features.offsets[1:-1])
    gap = GAPRegressor(n_sparse=10).fit(X, y)
    known, far = (np.median(gap.predict(Z, return_std=True)[1]) for Z in (X, alien))
    assert far > 5.0 * known


def test_structures_without_some_targets(toys):
    X, y, derivatives = toys
    forces = [None if i % 3 else f.copy() for i, f in enumerate(derivatives["forces"])]
    forces[0][0, 0] = np.nan
    y = y.copy()
    y[5] = np.nan
    with pytest.warns(UserWarning, match="NaN"):
        gap = GAPRegressor(n_sparse=10).fit(X, y, forces=forces)
    for factors in gap.calibration_.values():
        assert np.isfinite(factors).all()
        assert (factors > 0).all()


def test_choice(toys, fitted):
    X, y, _ = toys
    environments = fitted._check_predict(X)
    targets = check_targets(environments, y, noise=fitted._noise())
    sample = CalibrationSample.choose(environments, targets)
    assert [len(one) for one, _ in sample.parts] == [16]
    again = sample.extended(environments, targets)
    assert [len(one) for one, _ in again.parts] == [8, 8]
    few = CalibrationSample.choose(environments, targets, np.arange(5))
    assert few.parts[0][1].energies[3] == y[3]


REAL = {
    "ethanol": (lambda: load_ethanol_dynamics().frames, 120, 150, (0.75, 1.3)),
    "carbon": (lambda: load_carbon_solids().frames, 90, 60, (0.6, 1.5)),
}


@pytest.mark.parametrize("name", REAL)
def test_errors_of_new_structures(name):
    load, n_train, n_test, (low, high) = REAL[name]
    frames = load()
    order = np.random.RandomState(0).permutation(len(frames))
    train, test = ([frames[i] for i in part]
                   for part in (order[:n_train], order[n_train : n_train + n_test]))
    (y, targets), (y_test, expected) = (extract_targets(f, virials=False) for f in (train, test))
    soap = SOAPTransformer(n_max=5, l_max=3)
    X, Z = soap.fit_transform(train), soap.transform(test)
    gap = GAPRegressor(n_sparse=100).fit(X, y, forces=targets["forces"])
    energies, std, forces = gap.predict(Z, return_std=True, return_forces=True)
    assert low < rms((energies - y_test) / std) < high
    assert spearmanr(std / Z.n_atoms, np.abs(energies - y_test) / Z.n_atoms)[0] > 0.3
    errors = np.concatenate(forces[:60]) - np.concatenate(expected["forces"][:60])
    forces_std = np.concatenate(gap.predict_forces_std(Z[:60]))
    assert low < rms(errors / forces_std) < high
    assert spearmanr(forces_std.ravel(), np.abs(errors).ravel())[0] > 0.3
