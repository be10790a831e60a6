"""Models of cross-validation by one pass are those of fits to the training parts."""

import itertools

import numpy as np
import pytest
from helpers.toy_data import SPECIES, make_frames, reference
from helpers.toy_descriptor import ToyDescriptor
from sklearn.base import clone
from sklearn.model_selection import KFold, ShuffleSplit

from skdesc import GAPRegressor
from skdesc.gaussian_process import _folds, _held_out
from skdesc.metrics import make_energy_scorer, make_forces_scorer
from skdesc.utils.folds import split_blocks
from skdesc.utils.shared_work import forget, sharing


@pytest.fixture(scope="module")
def data():
    frames = make_frames(12)
    return ToyDescriptor(SPECIES).transform(frames), *reference(frames)


def _part(values, index):
    if isinstance(values, list):
        return [values[i] for i in index]
    return values[index]


@pytest.mark.parametrize("kinds", [(), ("forces",), ("forces", "virials")])
@pytest.mark.parametrize("cv", [KFold(3), ShuffleSplit(2, test_size=0.4, random_state=0)])
@pytest.mark.parametrize(("zeta", "method"), [(1, "cur"), (3, "cur"), (2, "fps")])
def test_models_are_those_of_fits_to_the_training_parts(data, kinds, cv, zeta, method):
    X, y, more = data
    more = {kind: more[kind] for kind in kinds}
    sigmas = np.full((len(y), 3), np.nan)
    sigmas[::3, 0] = 0.02
    more["sigmas"] = sigmas
    gap = GAPRegressor(zeta=zeta, n_sparse=5, sparse_method=method, sigma_energy=0.01)
    splits = list(cv.split(y))
    models = gap.fit_folds(X, y, splits, **more)
    assert len(models) == len(splits)
    for model, (train, test) in zip(models, splits, strict=True):
        own = GAPRegressor(**gap.get_params()).fit(
            X[train], y[train], **{name: _part(values, train) for name, values in more.items()}
        )
        np.testing.assert_array_equal(model.sparse_features_, own.sparse_features_)
        assert model.e0_ == pytest.approx(own.e0_)
        assert model.energy_scale_ == pytest.approx(own.energy_scale_)
        assert model.log_marginal_likelihood_ == pytest.approx(own.log_marginal_likelihood_)
        pairs = zip(
            model.predict(X[test], return_std=True, return_forces=True),
            own.predict(X[test], return_std=True, return_forces=True),
            strict=True,
        )
        for mine, theirs in pairs:
            np.testing.assert_allclose(np.vstack(mine), np.vstack(theirs), atol=1e-7)


def test_noise_by_kind_of_structure(data):
    X, y, _ = data
    kinds = ["odd"] + ["even"] * 11  # a block has one kind only
    splits = list(KFold(3).split(y))
    gap = GAPRegressor(n_sparse=5, sigma_energy=0.01)
    more = {"sigmas": {"odd": (0.5, np.nan, np.nan)}, "config_types": kinds}
    models = gap.fit_folds(X, y, splits, **more)
    train, test = splits[1]
    own = GAPRegressor(**gap.get_params()).fit(
        X[train], y[train], sigmas=more["sigmas"], config_types=_part(kinds, train)
    )
    np.testing.assert_allclose(models[1].predict(X[test]), own.predict(X[test]), atol=1e-7)


def test_plain_arrays_and_a_sequence_of_them():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(30, 4))
    y = np.sin(X).sum(axis=1)
    splits = list(KFold(3).split(X))
    gap = GAPRegressor(zeta=2, n_sparse=10)
    for rows in (X, list(X[:, None, :])):
        for model, (train, test) in zip(gap.fit_folds(rows, y, splits), splits, strict=True):
            own = GAPRegressor(**gap.get_params()).fit(_part(rows, train), y[train])
            mine, theirs = (one.predict(_part(rows, test)) for one in (model, own))
            np.testing.assert_allclose(mine, theirs, atol=1e-7)


_BOUNDS = {f"sigma_{kind}": (1e-4, 1.0) for kind in ("energy", "forces", "virials")}


def _errors(gap, data, splits, kind):
    """Mean of the errors of all folds, from models that were fitted one by one."""
    X, y, more = data
    errors = []
    for train, test in splits:
        part = {name: _part(values, train) for name, values in more.items()}
        model = GAPRegressor(**gap.get_params()).fit(X[train], y[train], **part)
        energies, forces = model.predict(X[test], return_forces=True)
        if kind == "energy":
            residuals = (energies - y[test]) / np.sqrt(X[test].n_atoms)
        else:
            true = [more["forces"][index] for index in test]
            residuals = np.concatenate([(a - b).ravel() for a, b in zip(forces, true, strict=True)])
        errors.append(np.sqrt(np.mean(np.square(residuals))))
    return np.mean(errors)


@pytest.mark.parametrize("energy_scale", ["auto", 2.0])
def test_errors_of_held_out_structures_are_known_without_predicting(data, energy_scale):
    X, y, more = data
    splits = list(KFold(3).split(y))
    gap = GAPRegressor(energy_scale=energy_scale, n_sparse=6, sigma_energy=0.02, sigma_forces=0.3)
    noise = {"energy": 0.02, "forces": 0.3, "virials": gap.sigma_virials}
    parts = _folds.folds_of_blocks(gap, X, y, splits, more)
    errors = [_held_out._Fold(*pair).errors(noise, energy_scale) for pair in parts]
    for kind in ("energy", "forces"):
        expected = _errors(gap, data, splits, kind)
        assert np.mean([e[kind] for e in errors]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("scorer", "kind"), [(make_forces_scorer(), "forces"), (make_energy_scorer(), "energy")]
)
def test_noise_suits_the_metric(data, scorer, kind):
    X, y, more = data
    data = X, y, {"forces": more["forces"]}
    more = data[2]
    splits = list(KFold(3).split(y))
    gap = GAPRegressor(n_sparse=6, random_state=0)
    found = gap._find(X, y, splits, [scorer], _BOUNDS, **more)
    assert list(found) == ["sigma_energy", "sigma_forces"]
    assert set(gap._findable(["sigma_energy"])) == set(_BOUNDS)
    assert all(1e-4 <= value <= 1.0 for value in found.values())
    other_kind = {"forces": "energy", "energy": "forces"}[kind]

    def badness(model):
        # what the metric does not look at counts a quarter
        error, unseen = (_errors(model, data, splits, one) for one in (kind, other_kind))
        return np.log(error) + 0.25 * np.log(unseen)

    least = badness(clone(gap).set_params(**found))
    others = itertools.product(np.logspace(-3.5, -0.5, 4), repeat=2)
    for energy, forces in others:
        other = clone(gap).set_params(**found | {"sigma_energy": energy, "sigma_forces": forces})
        assert least <= badness(other) + np.log(1.05)
    assert gap._findable(["sigma_energy", "optimize"]) == ()
    assert GAPRegressor(optimize="marginal_likelihood")._findable(["sigma_energy"]) == ()


def test_noise_that_is_not_searched_stays(data):
    X, y, more = data
    splits = [(np.arange(8), np.arange(8, len(y)))]  # what is held back is in no training part
    bounds = {"sigma_energy": (0.01, 0.02)}
    found = GAPRegressor(n_sparse=6)._find(X, y, splits, [], bounds, **more)
    assert list(found) == ["sigma_energy"]
    assert 0.01 <= found["sigma_energy"] <= 0.02 * (1 + 1e-12)
    assert GAPRegressor(n_sparse=6)._find(X, y, splits, [], {}, **more) == {}


def test_one_pass_serves_all_noise(data, monkeypatch):
    X, y, more = data
    count = []

    class Counted(_folds.Training):
        def absorb(self, environments, *args):
            count.extend(range(len(environments)))
            super().absorb(environments, *args)

    monkeypatch.setattr(_folds, "Training", Counted)
    splits = list(KFold(3).split(y))
    with sharing("search"):
        for sigma in (0.001, 0.01):
            gap = GAPRegressor(n_sparse=6, sigma_energy=sigma)
            models = gap.fit_folds(X, y, splits, **more)
        gap._find(X, y, splits, [], _BOUNDS, **more)
    assert len(count) == len(y)
    forget("search")
    alone = gap.fit_folds(X, y, splits, **more)
    for first, second in zip(models, alone, strict=True):
        np.testing.assert_array_equal(first.weights_, second.weights_)


def test_blocks_are_never_cut():
    rng = np.random.RandomState(0)
    trains = [rng.choice(20, 11, replace=False) for _ in range(3)]
    blocks = split_blocks(trains, 20)
    assert sorted(np.concatenate(blocks)) == sorted(set(np.concatenate(trains)))
    for train in trains:
        shares = [np.isin(block, train).mean() for block in blocks]
        assert set(shares) <= {0.0, 1.0}
    assert len(split_blocks([train for train, _ in KFold(5).split(range(20))], 20)) == 5
