"""Parts of the search: what is held back, errors, noise, predicted times."""

import numpy as np
import pytest
from ase import Atoms
from auto.conftest import crystals

from skdesc import SOAPTransformer
from skdesc.auto import _noise
from skdesc.auto._candidates import candidate_families
from skdesc.auto._cost import Size, Timing
from skdesc.auto._data import LabeledStructures, collect
from skdesc.auto._errors import (
    composition_residuals,
    errors_of,
    is_no_worse,
    residuals,
    score,
    tightest,
)
from skdesc.auto._noise import adjust_noise
from skdesc.auto._split import _molecule, growing_parts, make_split
from skdesc.datasets import load_ethanol_dynamics, load_organic_molecules


def unlabeled(frames, **options):
    return LabeledStructures(frames, np.zeros(len(frames)), **options)


class TestSplit:
    def test_blocks_of_a_trajectory(self):
        data = unlabeled([Atoms("Cu2", [[0, 0, 0], [0, 0, 2 + 0.001 * k]]) for k in range(500)])
        ((train, held),) = make_split(data, np.random.RandomState(0))
        assert not np.intersect1d(train, held).size
        assert len(train) + len(held) == 500
        assert 0.15 < len(held) / 500 < 0.25
        # consecutive structures stay together
        assert np.count_nonzero(np.diff(held) > 1) + 1 <= len(held) / 10

    def test_geometries_of_a_molecule_stay_together(self):
        data = load_organic_molecules()
        names = [atoms.get_chemical_formula() for atoms in data.frames]
        pairs = [make_split(unlabeled(data.frames), np.random.RandomState(seed))[0]
                 for seed in range(3)]
        for train, held in pairs:
            assert 0.1 < len(held) / len(train) < 0.4
            molecules = {_molecule(data.frames[i]) for i in held}
            assert len(molecules) < len(held) / 2
            assert not molecules & {_molecule(data.frames[i]) for i in train}
        assert len({names[i] for i in pairs[0][1]} - {names[i] for i in pairs[1][1]}) > 3

    def test_one_molecule_in_many_geometries_is_a_trajectory(self):
        frames = load_ethanol_dynamics().frames[:100]
        ((train, held),) = make_split(unlabeled(frames), np.random.RandomState(0))
        assert len(train) + len(held) == 100
        assert len(held) == 20
        for atoms in frames[::3]:  # a bond that breaks makes no molecule of its own
            atoms.positions[-1] += np.random.RandomState(len(atoms)).uniform(3, 4, 3)
        ((_, held),) = make_split(unlabeled(frames), np.random.RandomState(0))
        assert len(held) == 20

    def test_every_kind_is_held_back(self):
        kinds = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
        data = unlabeled(crystals(100), config_types=kinds)
        ((_, held),) = make_split(data, np.random.RandomState(1))
        assert {kinds[i] for i in held} == {"a", "b", "c"}

    def test_elements_without_their_like_are_learned(self):
        frames = [*crystals(80), *crystals(1, elements=("Cu", "Cu", "Ag", "Au"))]
        for seed in range(5):
            ((train, held),) = make_split(unlabeled(frames), np.random.RandomState(seed))
            assert 80 in train
            assert 80 not in held

    def test_isolated_atoms_are_learned(self):
        frames = [Atoms("Cu")] * 3 + crystals(80)
        for seed in range(3):
            ((train, _),) = make_split(unlabeled(frames), np.random.RandomState(seed))
            assert {0, 1, 2} <= set(train.tolist())

    def test_small_sets_are_cross_validated(self):
        pairs = make_split(unlabeled(crystals(12)), np.random.RandomState(0))
        assert len(pairs) == 5
        assert sorted(np.concatenate([held for _, held in pairs])) == list(range(12))
        for train, held in pairs:
            assert sorted([*train, *held]) == list(range(12))

    def test_short_budgets_hold_back_less_of_large_sets(self):
        large = crystals(1)[0].repeat((5, 5, 5))
        data = unlabeled([large] * 100)
        (full,), (short,) = (make_split(data, np.random.RandomState(0), budget)
                             for budget in (60.0, 6.0))
        assert 0 < len(short[1]) < len(full[1])
        np.testing.assert_array_equal(short[0], full[0])

    def test_parts_grow_and_have_all_elements(self):
        frames = [*crystals(400), *crystals(2, elements=("Cu", "Cu", "Ag", "Au"))]
        data = unlabeled(frames, forces=[np.zeros((4, 3))] * 402)
        split = make_split(data, np.random.RandomState(0))
        for budget, least in ((1.0, 2), (600.0, 1)):
            parts = growing_parts(data, split, budget)
            sizes = [len(train) for ((train, _),) in parts]
            assert sizes == sorted(set(sizes))
            assert len(sizes) >= least
            assert parts[-1] is split
            for ((train, held),) in parts:
                np.testing.assert_array_equal(held, split[0][1])
                assert {s for i in train for s in frames[i].symbols} == {"Cu", "Ag", "Au"}

    def test_large_sets_hold_back_no_more_than_is_needed(self):
        large = crystals(1)[0].repeat((5, 5, 5))
        ((train, held),) = make_split(unlabeled([large] * 100), np.random.RandomState(0))
        assert len(held) * 500 <= 6500
        assert len(train) == 80


class TestErrors:
    def test_residuals_leave_unknown_targets_out(self):
        frames = crystals(3)
        forces = [np.zeros((4, 3)), None, np.full((4, 3), np.nan)]
        data = LabeledStructures(frames, np.array([0.0, np.nan, 4.0]), forces)
        predicted = {"energy": np.array([4.0, 1.0, 0.0]), "forces": [np.full((4, 3), 2.0)] * 3}
        errors = errors_of(residuals(data, predicted))
        assert errors == {"energy_mae": 1.0, "energy_rmse": 1.0,
                          "forces_mae": 2.0, "forces_rmse": 2.0}

    def test_never_worse(self):
        reference = {"energy_mae": 1.0, "forces_mae": 1.0}
        assert is_no_worse({"energy_mae": 1.02, "forces_mae": 0.1}, reference)
        assert not is_no_worse({"energy_mae": 1.03, "forces_mae": 0.1}, reference)
        assert is_no_worse({"energy_mae": 9.0}, None)
        assert is_no_worse({"energy_mae": 1e-15}, {"energy_mae": 0.0})

    def test_energies_by_composition(self):
        frames = crystals(8, elements=("Cu", "Cu", "Ag", "Au"))
        frames += crystals(8, elements=("Cu", "Cu", "Cu", "Ag"))
        counts = np.array([[a.symbols.count(s) for s in ("Cu", "Ag", "Au")] for a in frames])
        y = counts @ [-3.0, -2.0, -1.0]
        y[5], y[0] = y[5] + 4.0, np.nan
        train = np.arange(16) != 5
        split = [(np.flatnonzero(train), np.array([0, 3, 5]))]
        data = LabeledStructures(frames, y)
        first, second, third = composition_residuals(data, split)["energy"]
        assert first.size == 0
        np.testing.assert_allclose([*second, *third], [0.0, -1.0], atol=1e-9)

    def test_tightest_of_several(self):
        models = [{"energy": [np.ones(1), np.full(1, 3.0)]}, {"energy": [np.full(1, 2.0)] * 2}]
        assert tightest(models)["energy_mae"] == 2.0
        assert tightest(models, step=2)["energy_mae"] == 1.0
        assert tightest([]) is None

    def test_score_counts_ratios_whatever_the_unit(self):
        errors = {"energy_mae": 1e-3, "forces_mae": 0.1}
        better = {"energy_mae": 0.5e-3, "forces_mae": 0.1}
        assert score(better) - score(errors) == pytest.approx(0.5 * np.log(2))
        assert score({**errors, "virials_mae": 5.0}) == score(errors)
        assert score({**errors, "virials_mae": 5.0}, {"virials_mae": 4.0}) < score(errors)
        assert score(better, errors) == score(better)


class TestNoise:
    START = {"sigma_energy": 1e-3, "sigma_forces": 0.1, "sigma_virials": 0.1}

    @pytest.mark.parametrize("best", [(1e-5, 0.01), (1e-2, 1.0), (1e-3, 2e-3)])
    def test_finds_the_best_of_a_smooth_score(self, best):
        def evaluate(noise):
            return -sum(
                np.log(noise[name] / value) ** 2
                for name, value in zip(("sigma_energy", "sigma_forces"), best, strict=True)
            )

        found = adjust_noise(self.START, ("energy", "forces"), (10.0, 3.0, 1.5), evaluate,
                             lambda: True)
        assert evaluate(found) > -0.3
        assert found["sigma_virials"] == 0.1

    def test_stays_within_bounds(self):
        found = adjust_noise(self.START, ("energy",), (10.0,), lambda n: -n["sigma_energy"],
                             lambda: True)
        assert found["sigma_energy"] <= self.START["sigma_energy"]
        found = adjust_noise(self.START, ("forces",), (10.0,), lambda n: -np.log(n["sigma_forces"]),
                             lambda: True)
        assert found["sigma_forces"] == pytest.approx(_noise.LEAST["sigma_forces"])

    def test_ends_in_time_and_refuses_what_must_not_be(self):
        left = iter([True, False] * 20)
        calls = []

        def evaluate(noise):
            calls.append(noise)
            return -np.inf if len(calls) > 1 else 0.0

        found = adjust_noise(self.START, ("energy", "forces", "virials"), (3.0,), evaluate,
                             lambda: next(left))
        assert found == self.START
        assert len(calls) <= 9


class TestCost:
    TIMING = Timing(Size(1000, 3000, 200, 100), describe=0.1, fit=2.0, solve=0.01, predict=0.2)

    def test_time_at_the_same_size(self):
        assert self.TIMING.learning(self.TIMING.size, 1e12) == pytest.approx(2.1, rel=0.01)

    def test_more_of_anything_takes_longer(self):
        base = self.TIMING.learning(self.TIMING.size, 1e10)
        for more in (Size(2000, 6000, 200, 100), Size(1000, 3000, 200, 200)):
            assert self.TIMING.learning(more, 1e10) > 1.5 * base
        assert self.TIMING.evaluation(Size(1000, 3000, 200, 300), 1e10) > 0.6

    def test_squares_count_where_points_are_many(self):
        large = Size(1000, 3000, 200, 3000)
        slow, fast = (self.TIMING.learning(large, rate) for rate in (1e9, 1e12))
        assert slow - fast > 0.9 * 2 * 3000 * 3000**2 / 1e9


class TestCandidates:
    def test_lengths_are_those_of_the_default_and_around(self):
        data = collect(crystals(5))
        default = SOAPTransformer().fit(data.frames)
        singles = [c.transformer for c in candidate_families(data, 0)[1]]
        ratios = [soap.cutoff / default.cutoff_ for soap in singles]
        np.testing.assert_allclose(ratios, [1.0, 0.85, 1.15])
        assert all(soap.radial_scaling == default.radial_scaling_ for soap in singles)

    @pytest.mark.parametrize("elements", [
        ("Cu",) * 4, pytest.param(("Cu", "Ag", "Au", "Ni"), marks=pytest.mark.slow),
    ])
    def test_families_differ(self, elements):
        data = collect(crystals(6, elements=elements))
        families = [list(family) for family in candidate_families(data, 0)]
        names = [candidate.name for family in families for candidate in family]
        assert len(names) == len(set(names)) == 3 * len(families)
        assert all(len({c.family for c in family}) == 1 for family in families)
