"""Fits to the training parts of folds that share one pass over the data."""

import itertools
import pickle

import numpy as np
import pytest
from helpers.toy_data import SPECIES, make_frames, reference
from helpers.toy_descriptor import ToyDescriptor
from sklearn.base import clone
from sklearn.model_selection import KFold, ShuffleSplit

from skdesc import GAPRegressor
from skdesc.gaussian_process import _fold_pass
from skdesc.metrics import make_energy_scorer, make_forces_scorer
from skdesc.utils.folds import split_blocks


@pytest.fixture(scope="module")
def data():
    frames = make_frames(12)
    return ToyDescriptor(SPECIES).transform(frames), *reference(frames)


@pytest.fixture
def shared_points(monkeypatch):
    """As if data were many: all folds share their sparse points."""
    monkeypatch.setattr(_fold_pass, "OWN_POINTS_BELOW", 0)


def _part(values, index):
    if isinstance(values, list):
        return [values[i] for i in index]
    return values[index]


def assert_same_models(model, own, X):
    assert model.e0_ == pytest.approx(own.e0_)
    assert model.energy_scale_ == pytest.approx(own.energy_scale_)
    assert model.log_marginal_likelihood_ == pytest.approx(own.log_marginal_likelihood_)
    pairs = zip(
        model.predict(X, return_std=True, return_forces=True),
        own.predict(X, return_std=True, return_forces=True),
        strict=True,
    )
    for first, second in pairs:
        np.testing.assert_allclose(np.vstack(first), np.vstack(second), atol=1e-7)


@pytest.mark.parametrize("quantities", [(), ("forces",), ("forces", "virials")])
@pytest.mark.parametrize("cv", [KFold(3), ShuffleSplit(2, test_size=0.4, random_state=0)])
@pytest.mark.parametrize(("zeta", "method"), [(1, "cur"), (3, "cur"), (2, "fps")])
def test_models_are_those_of_fits_to_the_training_parts(data, quantities, cv, zeta, method):
    X, y, more = data
    more = {quantity: more[quantity] for quantity in quantities}
    sigmas = np.full((len(y), 3), np.nan)
    sigmas[::3, 0] = 0.02
    more["sigmas"] = sigmas
    gap = GAPRegressor(zeta=zeta, n_sparse=5, sparse_method=method, sigma_energy=0.01)
    splits = list(cv.split(y))
    models = gap.fold_session(X, y, splits, **more).models()
    assert len(models) == len(splits)
    for model, (train, test) in zip(models, splits, strict=True):
        own = GAPRegressor(**gap.get_params()).fit(
            X[train], y[train], **{name: _part(values, train) for name, values in more.items()}
        )
        np.testing.assert_array_equal(model.sparse_features_, own.sparse_features_)
        assert_same_models(model, own, X[test])


@pytest.mark.parametrize("params", [
    {}, {"zeta": 2, "sigma_forces": 0.01}, {"sigma_energy": 1e-7, "sigma_forces": 1e-6},
    {"energy_scale": 3.0}, {"optimize": "marginal_likelihood"}, {"e0": None},
], ids=str)
def test_folds_of_many_data_share_their_points(data, shared_points, params):
    """Chosen from all structures; given these, the models are those of fits."""
    X, y, more = data
    splits = list(KFold(3).split(y))
    gap = GAPRegressor(n_sparse=5, sigma_energy=0.01)
    models = gap.fold_session(X, y, splits, **more).models(params)
    full = clone(gap).set_params(**params).fit(X, y, **more)
    points = {z: full.sparse_features_[full.sparse_species_ == z] for z in SPECIES}
    for model, (train, test) in zip(models, splits, strict=True):
        own = clone(gap).set_params(sparse_method=points, **params).fit(
            X[train], y[train], **{name: _part(values, train) for name, values in more.items()}
        )
        np.testing.assert_array_equal(model.sparse_features_, full.sparse_features_)
        assert_same_models(model, own, X[test])


@pytest.mark.parametrize("shared", [False, True])
def test_the_full_model_is_that_of_a_fit(data, monkeypatch, shared):
    if shared:
        monkeypatch.setattr(_fold_pass, "OWN_POINTS_BELOW", 0)
    X, y, more = data
    gap = GAPRegressor(n_sparse=5, sigma_energy=0.01)
    session = gap.fold_session(X, y, list(KFold(3).split(y)), **more)
    session.models()
    full = session.full_model({"sigma_forces": 0.3})
    own = clone(gap).set_params(sigma_forces=0.3).fit(X, y, **more)
    assert session.n_passes == (1 if shared else 2)
    assert_same_models(full, own, X)
    np.testing.assert_allclose(full.loo_, own.loo_, rtol=1e-6)
    pickle.loads(pickle.dumps(full)).partial_fit(X, y, **more)


def test_noise_by_kind_of_structure(data):
    X, y, _ = data
    kinds = ["odd"] + ["even"] * 11  # a block has one kind only
    splits = list(KFold(3).split(y))
    gap = GAPRegressor(n_sparse=5, sigma_energy=0.01)
    more = {"sigmas": {"odd": (0.5, np.nan, np.nan)}, "config_types": kinds}
    models = gap.fold_session(X, y, splits, **more).models({"sigma_energy": 0.02})
    train, test = splits[1]
    own = clone(gap).set_params(sigma_energy=0.02).fit(
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
        models = gap.fold_session(rows, y, splits).models()
        for model, (train, test) in zip(models, splits, strict=True):
            own = GAPRegressor(**gap.get_params()).fit(_part(rows, train), y[train])
            mine, theirs = (one.predict(_part(rows, test)) for one in (model, own))
            np.testing.assert_allclose(mine, theirs, atol=1e-7)


def test_elements_that_a_training_part_lacks(data, shared_points):
    """They are refused, as by a fit to this part."""
    frames = [atoms for atoms in make_frames(12) if len(set(atoms.numbers)) == 2][:4]
    alone = [atoms[[0]] for atoms in frames for _ in range(2)][:4]
    X = ToyDescriptor(SPECIES).transform([*frames, *alone])
    y = np.arange(8.0)
    known = set(alone[0].numbers.tolist())
    split = (np.flatnonzero([set(a.numbers) <= known for a in [*frames, *alone]]), np.arange(4))
    (model,) = GAPRegressor(n_sparse=3).fold_session(X, y, [split]).models()
    with pytest.raises(ValueError, match="X has atoms of"):
        model.predict(X[:1])


_BOUNDS = {f"sigma_{quantity}": (1e-4, 1.0) for quantity in ("energy", "forces", "virials")}


def _errors(gap, data, splits, quantity):
    """Mean of the errors of all folds, from models that were fitted one by one."""
    X, y, more = data
    errors = []
    for train, test in splits:
        part = {name: _part(values, train) for name, values in more.items()}
        model = GAPRegressor(**gap.get_params()).fit(X[train], y[train], **part)
        energies, forces = model.predict(X[test], return_forces=True)
        if quantity == "energy":
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
    session = gap.fold_session(X, y, splits, **more)
    errors = session.errors()
    for quantity in ("energy", "forces"):
        assert errors[quantity] == pytest.approx(_errors(gap, data, splits, quantity), rel=1e-6)
    assert session.errors({"sigma_forces": 3.0})["forces"] != errors["forces"]


@pytest.mark.parametrize(
    ("scorer", "quantity"), [(make_forces_scorer(), "forces"), (make_energy_scorer(), "energy")]
)
def test_noise_suits_the_metric(data, scorer, quantity):
    X, y, more = data
    splits = list(KFold(3).split(y))
    gap = GAPRegressor(n_sparse=6, random_state=0)
    session = gap.fold_session(X, y, splits, forces=more["forces"])
    tuned = session.tune({}, _BOUNDS, [scorer])
    assert list(tuned) == ["sigma_energy", "sigma_forces"]
    assert set(gap.self_tuned_parameters(["sigma_energy"])) == set(_BOUNDS)
    assert all(1e-4 * (1 - 1e-9) <= value <= 1.0 + 1e-9 for value in tuned.values())
    other_quantity = {"forces": "energy", "energy": "forces"}[quantity]

    def badness(params):
        # the quantity that the metric ignores counts a quarter
        errors = session.errors(params)
        return np.log(errors[quantity]) + 0.25 * np.log(errors[other_quantity])

    own_data, model = (X, y, {"forces": more["forces"]}), clone(gap).set_params(**tuned)
    for name, error in session.errors(tuned).items():
        assert error == pytest.approx(_errors(model, own_data, splits, name), rel=1e-6)
    least = badness(tuned)
    for energy, forces in itertools.product(np.logspace(-3.5, -0.5, 4), repeat=2):
        other = badness({"sigma_energy": energy, "sigma_forces": forces})
        assert least <= other + np.log(1.05)
    assert gap.self_tuned_parameters(["sigma_energy", "optimize"]) == ()
    assert GAPRegressor(optimize="marginal_likelihood").self_tuned_parameters([]) == ()
    assert gap.feature_bound_parameters([]) == ("zeta",)


def test_noise_that_is_not_searched_stays(data):
    X, y, more = data
    splits = [(np.arange(8), np.arange(8, len(y)))]  # what is held back is in no training part
    session = GAPRegressor(n_sparse=6).fold_session(X, y, splits, **more)
    tuned = session.tune({}, {"sigma_energy": (0.01, 0.02)})
    assert list(tuned) == ["sigma_energy"]
    assert tuned["sigma_energy"] * (1 + 1e-9) >= 0.01
    assert tuned["sigma_energy"] <= 0.02 * (1 + 1e-9)
    assert session.tune({}, {}) == {}


def test_one_pass_serves_all_noise(data, shared_points, monkeypatch):
    """One candidate checks and sees each structure once, folds, noise and the refit included."""
    X, y, more = data
    checked, seen = [], []
    check = _fold_pass.check_targets

    def counted(environments, *args, **kwargs):
        checked.append(len(environments))
        return check(environments, *args, **kwargs)

    class Counted(_fold_pass.Accumulator):
        def add(self, environments, *args):
            seen.append(len(environments))
            super().add(environments, *args)

    monkeypatch.setattr(_fold_pass, "check_targets", counted)
    monkeypatch.setattr(_fold_pass, "Accumulator", Counted)
    splits = list(KFold(3).split(y))
    session = GAPRegressor(n_sparse=6).fold_session(X, y, splits, **more)
    tuned = session.tune({}, _BOUNDS)
    models = session.models(tuned)
    session.models({"sigma_energy": 0.01, "energy_scale": 2.0})
    session.full_model(tuned)
    assert (sum(checked), sum(seen), session.n_passes) == (len(y), len(y), 1)
    again = GAPRegressor(n_sparse=6, **tuned).fold_session(X, y, splits, **more).models()
    for first, second in zip(models, again, strict=True):
        np.testing.assert_array_equal(first.weights_, second.weights_)


def test_other_exponents_share_the_sparse_points(data, shared_points, monkeypatch):
    X, y, _ = data
    count = []
    choose = _fold_pass.choose_points

    def counted(*args):
        count.append(None)
        return choose(*args)

    monkeypatch.setattr(_fold_pass, "choose_points", counted)
    gap = GAPRegressor(n_sparse=6, sparse_method="random")
    session = gap.fold_session(X, y, list(KFold(3).split(y)))
    for zeta in (2, 3, 2):
        models = session.models({"zeta": zeta})
        assert models[0].zeta == zeta
    assert len(count) == 1
    assert session.n_passes == 2
    session.models({"zeta": 1})  # the points of a linear covariance are others
    session.models({"n_sparse": 5})
    assert len(count) == 3


def test_old_passes_go_first(data, monkeypatch):
    X, y, _ = data
    session = GAPRegressor(n_sparse=6).fold_session(X, y, list(KFold(3).split(y)))
    monkeypatch.setattr(_fold_pass, "_KEPT_BYTES", 1)
    for zeta in (2, 3, 3, 2):
        session.models({"zeta": zeta})
    assert session.n_passes == 3


def test_what_one_pass_cannot_represent(data):
    X, y, _ = data
    gap = GAPRegressor(n_sparse=6)
    for split in (([0, 0, 1], [2]), ([0, 1], [])):
        with pytest.raises(ValueError, match="splits has an empty part, or one with a sample more"):
            gap.fold_session(X, y, [split])
    with pytest.raises(ValueError, match="y is NaN for all structures"):
        gap.fold_session(X, np.full(len(y), np.nan), [([0, 1], [2])]).models()


def test_blocks_are_never_cut():
    rng = np.random.RandomState(0)
    trains = [rng.choice(20, 11, replace=False) for _ in range(3)]
    blocks = split_blocks(trains, 20)
    assert sorted(np.concatenate(blocks)) == sorted(set(np.concatenate(trains)))
    for train in trains:
        shares = [np.isin(block, train).mean() for block in blocks]
        assert set(shares) <= {0.0, 1.0}
    assert len(split_blocks([train for train, _ in KFold(5).split(range(20))], 20)) == 5
