"""Noise that is found by errors in structures that are held back."""

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from helpers.memory import peak_of
from helpers.toy_data import SPECIES, make_frames, reference
from helpers.toy_descriptor import ToyDescriptor

from skdesc import GAPRegressor, distributed
from skdesc.exceptions import SuspiciousTargetsWarning
from skdesc.gaussian_process import _fold_pass
from skdesc.gaussian_process._fold_pass import deal_folds
from skdesc.gaussian_process._memory import N_FOLDS


@pytest.fixture(scope="module")
def data():
    frames = make_frames(40)
    y, more = reference(frames)
    rng = np.random.RandomState(0)
    more["forces"] = [f + 0.3 * rng.normal(size=f.shape) for f in more["forces"]]
    return ToyDescriptor(SPECIES).transform(frames), y, more


@pytest.fixture(scope="module")
def new():
    frames = make_frames(40, seed=77)
    return ToyDescriptor(SPECIES).transform(frames), *reference(frames)


def errors(gap, new):
    X, y, more = new
    energies, forces = gap.predict(X, return_forces=True)
    residuals = np.concatenate(forces) - np.concatenate(more["forces"])
    return np.sqrt(np.mean(((energies - y) / X.n_atoms) ** 2)), np.sqrt(np.mean(residuals**2))


def make_gap(**params):
    return GAPRegressor(n_sparse=30, sigma_energy=1.0, sigma_forces=1e-2, **params)


def test_noise_is_found_where_parameters_do_not_suit(data, new):
    X, y, more = data
    tuned = make_gap(optimize="held_out").fit(X, y, forces=more["forces"])
    plain = make_gap().fit(X, y, forces=more["forces"])
    for found, given in zip(errors(tuned, new), errors(plain, new), strict=True):
        assert found < 0.9 * given
    assert 0.1 < tuned.sigma_forces_ < 5.0
    assert tuned.sigma_forces == 1e-2
    again = GAPRegressor(
        n_sparse=30, sigma_energy=tuned.sigma_energy_, sigma_forces=tuned.sigma_forces_
    ).fit(X, y, forces=more["forces"])
    np.testing.assert_allclose(again.predict(X), tuned.predict(X), rtol=1e-8)
    np.testing.assert_allclose(again.loo_, tuned.loo_, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("spoil", [-1.0, 30.0])
def test_forces_of_another_kind_leave_energies_alone(data, new, spoil):
    """Energies are no worse than 1.1 of those of a fit without forces, whatever these are."""
    X, y, more = data
    wrong = [spoil * f for f in more["forces"]]
    alone = make_gap(optimize="held_out").fit(X, y)
    with pytest.warns(SuspiciousTargetsWarning, match="of the forces"):
        both = make_gap(optimize="held_out").fit(X, y, forces=wrong)
    assert errors(both, new)[0] < 1.15 * errors(alone, new)[0]


def test_noise_of_single_structures_keeps_its_ratio(data):
    X, y, _ = data
    sigmas = np.full((len(y), 3), np.nan)
    sigmas[:10, 0] = 2.0
    tuned = make_gap(optimize="held_out").fit(X, y, sigmas=sigmas)
    factor = tuned.sigma_energy_ / 1.0
    again = GAPRegressor(n_sparse=30, sigma_energy=tuned.sigma_energy_).fit(
        X, y, sigmas=factor * sigmas
    )
    np.testing.assert_allclose(again.predict(X), tuned.predict(X), rtol=1e-8)


def test_parameters_stay_the_users(data):
    X, y, _ = data
    rng, baseline = np.random.RandomState(0), LennardJones()
    gap = GAPRegressor(
        n_sparse=20, optimize="held_out", random_state=rng, baseline=baseline,
        sparse_method="random",
    )
    assert gap.fit(X, y) is gap
    assert gap.random_state is rng
    assert gap.baseline is baseline
    assert gap.n_features_in_ == X.shape[1]


def test_models_of_folds_are_fits_to_their_training_parts(data):
    X, y, _ = data
    gap = make_gap(optimize="held_out")
    train = np.arange(30)
    (model,) = gap.fold_session(X, y, [(train, np.arange(30, 40))]).models()
    own = make_gap(optimize="held_out").fit(X[train], y[train])
    np.testing.assert_allclose(model.predict(X), own.predict(X), rtol=1e-9)


def test_folds_have_structures_from_all_over_the_file():
    for n in (2, 5, 7, 20, 103):
        folds = deal_folds(n)
        assert len(folds) == min(N_FOLDS, n)
        assert sorted(np.concatenate([test for _, test in folds])) == list(range(n))
        for train, test in folds:
            assert len(np.intersect1d(train, test)) == 0
            assert len(train) + len(test) == n
    _, test = deal_folds(200)[0]
    runs = np.split(test, np.flatnonzero(np.diff(test) > 1) + 1)
    assert [len(run) for run in runs] == [10] * 4
    kinds = ["a", "b"] * 100
    for _, test in deal_folds(200, kinds):
        assert {kinds[i] for i in test} == {"a", "b"}


def test_what_takes_all_data_at_once(data):
    X, y, _ = data
    gap = make_gap(optimize="held_out")
    with pytest.raises(ValueError, match="optimize is 'held_out', but must be None or"):
        gap.partial_fit(X, y)
    with pytest.raises(ValueError, match="optimize is 'held_out', but must be None or"):
        gap.fit(X, y).solve()
    with pytest.raises(ValueError, match="needs at least 2; use optimize=None"):
        gap.fit(X[:1], y[:1])
    assert distributed.fit


def test_plain_arrays():
    rng = np.random.RandomState(0)
    angle, more = rng.uniform(0, 3, size=80), np.linspace(0, 3, 100)
    y = np.cos(2 * angle) + 0.3 * rng.normal(size=80)

    def circle(angle):
        return np.column_stack([np.cos(angle), np.sin(angle)])

    rest = [
        GAPRegressor(zeta=40, optimize=optimize).fit(circle(angle), y).predict(circle(more))
        - np.cos(2 * more)
        for optimize in (None, "held_out")
    ]
    assert np.square(rest[1]).sum() < 0.7 * np.square(rest[0]).sum()


def test_memory(data, monkeypatch):
    """What folds take is estimated, and refused where there is not as much."""
    monkeypatch.setattr(_fold_pass, "OWN_POINTS_BELOW", 0)
    X, y, more = data
    gap = GAPRegressor(n_sparse=200, optimize="held_out")
    gap.fit(X[:4], y[:4], forces=more["forces"][:4])
    peak = peak_of(lambda: gap.fit(X, y, forces=more["forces"]))
    estimate = gap.memory_estimate(X, virials=False)
    assert 0.3 < peak / estimate < 1.1
    plain = GAPRegressor(n_sparse=200).memory_estimate(X, virials=False)
    assert estimate > plain
    with pytest.raises(ValueError, match=r"memory_limit is .* but the folds need"):
        gap.set_params(memory_limit=plain).fit(X, y, forces=more["forces"])
