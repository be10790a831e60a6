"""Models of cross-validation by one pass are those of fits to the training parts."""

import numpy as np
import pytest
from helpers.toy_data import SPECIES, make_frames, reference
from helpers.toy_descriptor import ToyDescriptor
from sklearn.model_selection import KFold, ShuffleSplit

from skdesc import GAPRegressor
from skdesc.gaussian_process import _folds
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


@pytest.mark.parametrize("energy_scale", ["auto", 2.0])
def test_noise_is_that_of_all_structures(data, energy_scale):
    X, y, more = data
    gap = GAPRegressor(energy_scale=energy_scale, n_sparse=6)
    splits = list(KFold(3).split(y))
    found = gap._find(X, y, splits, **more)
    # a fit with this noise predicts what the refined one does: the ratio to the scale is the same
    first = gap.fit_folds(X, y, splits, **more)[0]
    points = {z: first.sparse_features_[first.sparse_species_ == z] for z in SPECIES}
    changes = {"optimize": "marginal_likelihood"}, found
    whole, plain = (
        GAPRegressor(**{**gap.get_params(), **one, "sparse_method": points}).fit(X, y, **more)
        for one in changes
    )
    np.testing.assert_allclose(plain.predict(X), whole.predict(X), atol=1e-6)
    ratio = plain.energy_scale_ / whole.energy_scale_
    for name, value in found.items():
        assert value == pytest.approx(getattr(whole, f"{name}_") * ratio)
    assert gap._findable(["sigma_energy"]) == tuple(found)
    assert gap._findable(["sigma_energy", "optimize"]) == ()
    assert whole._findable(["sigma_energy"]) == ()


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
        gap._find(X, y, splits, **more)
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
