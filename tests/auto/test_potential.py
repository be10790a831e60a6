"""The estimator as a whole: never worse than the default, whatever the data."""

import pickle

import numpy as np
import pytest
import sklearn
from ase import Atoms
from auto.conftest import crystals, labeled, molecules
from scipy.stats import loguniform, uniform
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdesc import (
    AutoPotential,
    GAPRegressor,
    SOAPTransformer,
    TwoStagePSOSearchCV,
    extract_targets,
)
from skdesc.auto import _plan, _split
from skdesc.auto._trial import Trial
from skdesc.calculator import SkdescCalculator
from skdesc.exceptions import SuspiciousTargetsWarning, TimeBudgetWarning
from skdesc.io import load, save

QUANTITIES = ("energy", "forces", "virials")


def test_no_quantity_is_worse_than_the_default(fitted):
    assert set(fitted.improvement_) == {f"{q}_{m}" for q in QUANTITIES for m in ("mae", "rmse")}
    assert max(fitted.improvement_.values()) <= 1.02
    default = next(e for e in fitted.leaderboard_ if e["candidate"] == "default")
    chosen = fitted.leaderboard_[0]
    for name, ratio in fitted.improvement_.items():
        assert ratio == pytest.approx(chosen[name] / default[name])
    # five times 12 or 13 atoms of one element: the swarm of candidates has to gain something
    assert fitted.improvement_["forces_mae"] < 0.9


def test_leaderboard(fitted):
    assert [entry["chosen"] for entry in fitted.leaderboard_].count(True) == 1
    assert fitted.leaderboard_[0]["chosen"]
    scores = [entry["score"] for entry in fitted.leaderboard_[1:]]
    assert scores == sorted(scores, reverse=True)
    families = {entry["candidate"].split(":")[0] for entry in fitted.leaderboard_}
    assert len(families) >= 3
    for entry in fitted.leaderboard_:
        assert 0 < entry["share"] <= 1
        assert entry["time_per_atom"] > 0
        assert entry["seconds"] > 0
        assert entry["n_points"] > 0


def test_pipeline_is_an_ordinary_one(fitted, frames, tmp_path):
    assert isinstance(fitted.pipeline_, Pipeline)
    assert fitted.has_learned_all_
    again = clone(fitted.pipeline_)
    y, targets = extract_targets(frames)
    again.fit(frames, y, **{f"gap__{name}": values for name, values in targets.items()})
    np.testing.assert_allclose(again.predict(frames), fitted.predict(frames), atol=0.01)
    save(fitted.pipeline_, tmp_path / "model.skd")
    loaded = load(tmp_path / "model.skd")
    np.testing.assert_array_equal(loaded.predict(frames), fitted.predict(frames))


def test_predictions_are_those_of_the_pipeline(fitted, frames):
    got = fitted.predict(frames[:3], return_std=True, return_forces=True, return_virials=True)
    expected = fitted.pipeline_.predict(
        frames[:3], return_std=True, return_forces=True, return_virials=True
    )
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(np.concatenate(one) if isinstance(one, list) else one,
                                      np.concatenate(other) if isinstance(other, list) else other)
    assert fitted.score(frames) == fitted.score(frames, extract_targets(frames)[0]) > 0.99


def test_calculator(fitted, frames):
    atoms = frames[0].copy()
    atoms.calc = fitted.calculator()
    assert isinstance(atoms.calc, SkdescCalculator)
    assert atoms.get_potential_energy() == pytest.approx(fitted.predict([atoms])[0])


def test_front_trades_error_for_speed(fitted, frames):
    times = [entry["time_per_atom"] for entry in fitted.front_]
    scores = [entry["score"] for entry in fitted.front_]
    assert times == sorted(times)
    assert scores == sorted(scores)
    for entry in fitted.leaderboard_:
        assert not any(
            entry["score"] > front["score"] and entry["time_per_atom"] < front["time_per_atom"]
            for front in fitted.front_
        )
    other = pickle.loads(pickle.dumps(fitted)).select(0)
    expected = fitted.front_[0]["pipeline"].predict(frames)
    np.testing.assert_array_equal(other.predict(frames), expected)
    assert not other.has_learned_all_
    with pytest.raises(ValueError, match="index is 99, but must be an integer from 0 to"):
        fitted.select(99)


def test_pickle(fitted, frames):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(frames), fitted.predict(frames))


def test_targets_can_be_passed(frames, few_candidates):
    y, targets = extract_targets(frames)
    bare = [atoms.copy() for atoms in frames]
    auto = AutoPotential(time_budget=20, random_state=0).fit(bare, y, **targets)
    assert set(auto.improvement_) == {f"{q}_{m}" for q in QUANTITIES for m in ("mae", "rmse")}
    auto = AutoPotential(time_budget=20, random_state=0).fit(bare, y, forces=targets["forces"])
    assert set(auto.improvement_) == {f"{q}_{m}" for q in QUANTITIES[:2] for m in ("mae", "rmse")}


def test_missing_targets(frames, few_candidates):
    y, targets = extract_targets(frames)
    y, forces = y.copy(), list(targets["forces"])
    y[[0, 5]] = np.nan
    forces[3], forces[4] = None, np.full((4, 3), np.nan)
    with pytest.warns(SuspiciousTargetsWarning, match=r"y is NaN for 2 of 16 structures \(0, 5\)"):
        auto = AutoPotential(time_budget=20, random_state=0).fit(frames, y, forces=forces)
    assert max(auto.improvement_.values()) <= 1.02
    assert np.isfinite(auto.predict(frames)).all()


@pytest.mark.parametrize("elements", [
    ("Cu", "Cu", "Ag", "Au"), pytest.param(("Cu", "Ag", "Au", "Ni"), marks=pytest.mark.slow),
])
def test_several_elements(elements):
    auto = AutoPotential(time_budget=8, random_state=0).fit(crystals(elements=elements))
    assert max(auto.improvement_.values()) <= 1.02


def test_energies_of_molecules():
    frames = molecules()
    y = extract_targets(frames)[0]
    auto = AutoPotential(time_budget=20, random_state=0).fit(frames, y)
    assert set(auto.improvement_) == {"energy_mae", "energy_rmse"}
    assert max(auto.improvement_.values()) <= 1.02
    assert np.isfinite(auto.predict(frames)).all()


@pytest.mark.parametrize("count", [5, 8])
def test_few_structures_are_cross_validated(count, few_candidates):
    auto = AutoPotential(time_budget=20, random_state=0).fit(crystals(count))
    np.testing.assert_array_equal(auto.held_back_, np.arange(count))
    assert max(auto.improvement_.values()) <= 1.02


@pytest.mark.parametrize("count", [1, 4])
def test_too_few_structures_give_the_default(count):
    frames = crystals(count)
    with pytest.warns(UserWarning, match=f"X has {count} structures, but at least 5"):
        auto = AutoPotential(time_budget=1).fit(frames)
    y, targets = extract_targets(frames)
    features = SOAPTransformer().fit_transform(frames)
    expected = GAPRegressor().fit(features, y, **targets).predict(features)
    np.testing.assert_array_equal(auto.predict(frames), expected)
    assert auto.improvement_ == {}


def test_interrupt_returns_the_best_so_far(frames, few_candidates, monkeypatch):
    calls = []

    def fit(self):
        calls.append(self)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self)

    original = Trial.fit
    monkeypatch.setattr(Trial, "fit", fit)
    with pytest.warns(TimeBudgetWarning, match="the fit was interrupted"):
        auto = AutoPotential(time_budget=20, random_state=0).fit(frames)
    assert len(calls) == 3
    assert np.isfinite(auto.predict(frames)).all()
    assert not auto.has_learned_all_


def test_interrupt_while_the_rest_is_learned(few_candidates, monkeypatch):
    def learn(self, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trial, "learn_more", learn)
    with pytest.warns(TimeBudgetWarning, match="the fit was interrupted, so .* from 80 % of"):
        auto = AutoPotential(time_budget=20, random_state=0).fit(crystals(70))
    assert np.isfinite(auto.predict(crystals(2))).all()
    assert not auto.has_learned_all_


def test_a_fit_that_fails_keeps_what_was_fitted(frames, few_candidates, monkeypatch):
    auto = AutoPotential(time_budget=20, random_state=0).fit(frames)
    before, energies = set(vars(auto)), auto.predict(frames)

    def fit(self):
        raise MemoryError("features need 100 GB")

    monkeypatch.setattr(Trial, "fit", fit)
    with pytest.raises(ValueError, match="none of the candidates"):
        auto.fit(frames[:8])
    assert set(vars(auto)) == before
    np.testing.assert_array_equal(auto.predict(frames), energies)


@pytest.mark.parametrize("count", [16, 64])
def test_labels_are_told_of_by_their_places(count, few_candidates):
    frames = crystals(count)
    y, targets = extract_targets(frames)
    wrong = np.where(np.arange(count) == 7, y + 3.0, y)
    with pytest.warns(SuspiciousTargetsWarning, match=r"are far off .* structure 7"):
        auto = AutoPotential(time_budget=20, random_state=0).fit(frames, wrong, **targets)
    assert sum("far off" in text for text in auto.warnings_) == 1
    flipped = {**targets, "forces": [-block for block in targets["forces"]]}
    with pytest.warns(SuspiciousTargetsWarning, match="forces are about -1 times"):
        auto = AutoPotential(time_budget=20, random_state=0).fit(frames, y, **flipped)
    assert len(auto.warnings_) == 1


def test_few_points_where_predictions_have_to_be_fast(monkeypatch):
    def measure(self):
        points = sum(len(regressor.weights_) for regressor in self.regressors)
        self.time_per_atom = 1e-6 * points / len(self.regressors)
        return self.time_per_atom

    monkeypatch.setattr(Trial, "measure_time_per_atom", measure)
    auto = AutoPotential(time_budget=30, time_per_atom=1.5e-5, random_state=0).fit(crystals(8))
    assert auto.leaderboard_[0]["time_per_atom"] <= 1.5e-5


def test_energies_that_are_not_known_do_not_count(fitted, frames):
    y = extract_targets(frames)[0]
    some = np.where(np.arange(len(y)) % 3, y, np.nan)
    known = np.flatnonzero(np.isfinite(some))
    expected = fitted.score([frames[i] for i in known], y[known])
    assert fitted.score(frames, some) == expected
    weights = np.arange(1.0, 1.0 + len(y))
    assert fitted.score(frames, some, weights) == fitted.score(
        [frames[i] for i in known], y[known], weights[known]
    )


def test_selected_model_is_told_of_everywhere(fitted, frames, tmp_path):
    auto = pickle.loads(pickle.dumps(fitted)).select(0)
    entry, chosen = auto.front_[0], auto.leaderboard_[0]
    assert entry["chosen"]
    assert [row["chosen"] for row in auto.leaderboard_].count(True) == 1
    assert {**chosen, "pipeline": entry["pipeline"]} == entry
    default = next(row for row in auto.leaderboard_ if row["candidate"] == "default")
    for name, ratio in auto.improvement_.items():
        assert ratio == pytest.approx(chosen[name] / default[name])
    auto.report(tmp_path / "report.html")
    assert chosen["candidate"] in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_search_goes_on_from_the_pipeline(fitted, frames):
    y = extract_targets(frames)[0]
    name = next(name for name in fitted.pipeline_.get_params() if name.endswith("atom_sigma"))
    search = TwoStagePSOSearchCV(
        fitted.pipeline_, {name: uniform(0.3, 0.3)}, {"gap__sigma_energy": loguniform(1e-4, 1e-2)},
        n_particles=2, n_iterations=1, cv=2, random_state=0,
    )
    assert np.isfinite(search.fit(frames, y).predict(frames)).all()


def test_released_models_learn_all_anew(few_candidates, monkeypatch):
    frames = crystals(70)
    expected = AutoPotential(time_budget=20, random_state=0).fit(frames)
    original = _plan.Search.run

    def run(self):
        best = original(self)
        best.trial.release()
        return best

    monkeypatch.setattr(_plan.Search, "run", run)
    auto = AutoPotential(time_budget=20, random_state=0).fit(frames)
    assert auto.has_learned_all_
    errors, others = auto.errors(crystals(10, 5)), expected.errors(crystals(10, 5))
    assert errors["forces_rmse"] < 1.5 * others["forces_rmse"]


def test_interrupt_before_anything_is_fitted(frames, monkeypatch):
    def fit(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trial, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        AutoPotential(time_budget=30).fit(frames)


def test_default_that_cannot_be_fitted_is_reported(frames, few_candidates, monkeypatch):
    def fit(self):
        if self.candidate.is_default:
            raise MemoryError("features need 100 GB")
        return original(self)

    original = Trial.fit
    monkeypatch.setattr(Trial, "fit", fit)
    auto = AutoPotential(time_budget=20, random_state=0).fit(frames)
    assert auto.improvement_ == {}
    failed = [entry for entry in auto.leaderboard_ if "failure" in entry]
    assert [entry["candidate"] for entry in failed] == ["default"]
    assert failed[0]["failure"] == "features need 100 GB"


def test_nothing_can_be_fitted(frames, monkeypatch):
    def fit(self):
        raise MemoryError("features need 100 GB")

    monkeypatch.setattr(Trial, "fit", fit)
    with pytest.raises(ValueError, match=r"none of the candidates .* features need 100 GB"):
        AutoPotential(time_budget=30).fit(frames)


def test_time_per_atom_limits_the_choice(frames, few_candidates, monkeypatch):
    def measure(self):
        self.time_per_atom = 1e-4 if self.candidate.is_default else 1e-5
        return self.time_per_atom

    monkeypatch.setattr(Trial, "measure_time_per_atom", measure)
    bound = AutoPotential(time_budget=20, time_per_atom=5e-5, random_state=0).fit(frames)
    assert bound.leaderboard_[0]["candidate"] == "small SOAP: 4 A"
    # a limit that nothing keeps: the fastest is nearest to it
    with pytest.warns(UserWarning, match="time_per_atom is 1e-06 s, but the fastest model takes"):
        bound = AutoPotential(time_budget=20, time_per_atom=1e-6, random_state=0).fit(frames)
    assert bound.leaderboard_[0]["candidate"] == "small SOAP: 4 A"
    assert len(bound.front_) == (2 if bound.front_[0]["score"] < bound.front_[-1]["score"] else 1)


@pytest.mark.parametrize("name", ["time_budget", "time_per_atom"])
@pytest.mark.parametrize("value", [0, -1.0, np.inf, np.nan, "long", True])
def test_bad_times(frames, name, value):
    with pytest.raises(ValueError, match=f"{name} is {value!r}, but must be a positive number"):
        AutoPotential(**{name: value}).fit(frames)


def test_bad_targets(frames):
    y = extract_targets(frames)[0]
    with pytest.raises(ValueError, match="y has 15 entries, but there are 16"):
        AutoPotential().fit(frames, y[1:])
    with pytest.raises(ValueError, match="y is NaN for all structures"):
        AutoPotential().fit(frames, np.full(16, np.nan))
    with pytest.raises(ValueError, match=r"y\[2\] is infinite"):
        AutoPotential().fit(frames, np.where(np.arange(16) == 2, np.inf, y))
    with pytest.raises(ValueError, match="y is None, but must be given together with forces"):
        AutoPotential().fit(frames, forces=[np.zeros((4, 3))] * 16)
    with pytest.raises(TypeError, match="X is a single Atoms"):
        AutoPotential().fit(frames[0])


def test_parameters_and_clone():
    auto = AutoPotential(time_budget=7, time_per_atom=1e-4, n_jobs=2, random_state=3, verbose=1)
    assert clone(auto).get_params() == auto.get_params()
    assert auto.set_params(time_budget=9).time_budget == 9


def test_inside_scikit_learn(frames, few_candidates):
    y, targets = extract_targets(frames)
    auto = AutoPotential(time_budget=20, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(auto, frames, y, cv=2, params={"forces": targets["forces"]})
    assert (scores > 0.5).all()
    scores = cross_val_score(make_pipeline(FunctionTransformer(), auto), frames, y, cv=2)
    assert (scores > 0.5).all()
    search = GridSearchCV(auto, {"time_budget": [10, 20]}, cv=2, error_score="raise")
    assert search.fit(frames, y).best_score_ > 0.5


def test_equal_seeds_give_equal_models(few_candidates):
    frames = crystals(10)
    models = [AutoPotential(time_budget=20, random_state=seed).fit(frames) for seed in (0, 0, 1)]
    energies = [auto.predict(frames) for auto in models]
    np.testing.assert_array_equal(energies[0], energies[1])
    assert not np.array_equal(energies[0], energies[2])


def test_short_budgets_are_admitted(few_candidates, monkeypatch):
    monkeypatch.setattr(_split, "_LEVEL_ATOMS", (24,))
    monkeypatch.setattr(_split, "_FEWEST_ATOMS", 0)
    monkeypatch.setattr(_plan.Search, "_enlarge_default", lambda self, small, share: None)
    with pytest.warns(TimeBudgetWarning, match="it was compared after learning from 4 %"):
        AutoPotential(time_budget=20, random_state=0).fit(crystals(70))


def test_isolated_atoms_alone():
    frames = [labeled(Atoms("Cu", positions=[[0.0, 0.0, 0.0]])) for _ in range(6)]
    with pytest.warns(UserWarning, match="not isolated atoms"):
        auto = AutoPotential(time_budget=1).fit(frames, [-1.0] * 6)
    np.testing.assert_allclose(auto.predict(frames), -1.0)
