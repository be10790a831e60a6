"""Hostile and unlucky input: a clear error, a named warning, or a sound fit; never NaN."""

import warnings

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from helpers.toy_data import make_frames, reference

from skdesc import GAPRegressor, SOAPTransformer, check_structures, extract_targets
from skdesc.exceptions import (
    SuspiciousTargetsWarning,
    UntrustworthyFitError,
    UntrustworthyFitWarning,
)


@pytest.fixture
def gap():
    return GAPRegressor(n_sparse=6)


def assert_finite(gap, X, derivatives=True):
    for part in gap.predict(X, True, derivatives, derivatives):
        assert np.isfinite(np.concatenate([np.ravel(block) for block in part])).all()


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"zeta": 0.5}, ValueError, "zeta is 0.5, but must be finite and at least 1"),
        ({"zeta": "4"}, TypeError, "zeta is '4'"),
        ({"sigma_energy": 0}, ValueError, "sigma_energy is 0, .* leave it out"),
        ({"sigma_forces": -1.0}, ValueError, "sigma_forces is -1.0"),
        ({"sigma_virials": np.inf}, ValueError, "sigma_virials is inf"),
        ({"energy_scale": 0.0}, ValueError, "energy_scale is 0.0, .* or 'auto'"),
        ({"energy_scale": "best"}, TypeError, "energy_scale is 'best'"),
        ({"jitter": -1e-9}, ValueError, "jitter is -1e-09"),
        ({"sigma_forces": 1e-200}, ValueError, "sigma_forces is 1e-200, .* between 1e-30 and"),
        ({"energy_scale": 1e200}, ValueError, r"energy_scale is 1e\+200, .* between 1e-30 and"),
        ({"optimize": True}, ValueError, "optimize is True"),
        ({"n_jobs": 1.5}, ValueError, "n_jobs is 1.5, but must be an integer other than 0"),
        ({"sparse_method": None}, ValueError, "sparse_method is None, but must be one of"),
        ({"e0": {"H": None, "O": 1.0}}, TypeError, "e0 has None for 'H'"),
        ({"memory_limit": 100}, ValueError, "memory_limit is 100 bytes, but .* needs"),
        ({"e0": "mean"}, ValueError, "e0 is 'mean'"),
        ({"e0": {"H": -13.6}}, ValueError, r"no energy for the atomic numbers \[8\]"),
        ({"e0": {"H": -13.6, "O": np.nan}}, ValueError, "must be finite"),
    ],
)
def test_parameters(features, targets, params, error, match):
    with pytest.raises(error, match=match):
        GAPRegressor(**params).fit(features, targets[0])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda y, t: (y[:-1], t), "inconsistent numbers of samples"),
        (lambda y, t: (np.full_like(y, np.nan), t), "y is NaN for all structures"),
        (lambda y, t: (y, {"forces": t["forces"][:-1]}), "forces has 11 entries, .* 12 structures"),
        (lambda y, t: (y, {"forces": np.concatenate(t["forces"])}), "forces has 30 entries"),
        (lambda y, t: (y, {"forces": t["forces"][::-1]}), r"forces\[0\] has the shape \(3, 3\)"),
        (lambda y, t: (y, {"forces": 0.5}), "must be a sequence"),
        (lambda y, t: (y, {"forces": [f * np.inf for f in t["forces"]]}), "infinite"),
        (lambda y, t: (y * 1e200, t), "y has .* leave out what has not converged"),
        (lambda y, t: (y, {"virials": t["virials"][0]}), "virials has 3 entries"),
        (lambda y, t: (y, {"virials": t["virials"].reshape(12, 9)}), r"shape \(9,\)"),
        (
            lambda y, t: (y, {"virials": t["virials"].reshape(12, 9)[:, :6]}),
            r"shape \(6,\), .* as extract_targets makes them of a stress",
        ),
        (lambda y, t: (y, {"virials": np.triu(t["virials"])}), "not symmetric"),
        (
            lambda y, t: (y, {"virials": np.triu(t["virials"]) + np.diag([0, 0, np.nan])}),
            "not symmetric",
        ),
        (
            lambda y, t: (y, {"forces": [f.astype(complex) for f in t["forces"]]}),
            r"forces\[0\] is complex",
        ),
        (
            lambda y, t: (y, {"forces": [["no", "force"]] * 12}),
            r"forces\[0\] is not an array of numbers .* or None for what is missing",
        ),
        (
            lambda y, t: (y, {"sigmas": {"a": (1, 1, 1)}, "config_types": 5}),
            "no config types are given",
        ),
        (
            lambda y, t: (y, {"forces": ["none", *t["forces"][1:]]}),
            r"forces\[0\] is not an array of numbers",
        ),
        (
            lambda y, t: (y, {"sigmas": np.ones((12, 2))}),
            r"sigmas\[0\] has the shape \(2,\), but must have \(3,\); give that of energy per atom",
        ),
        (lambda y, t: (y, {"sigmas": [0.1] * 12}), r"sigmas\[0\] has the shape \(\)"),
        (
            lambda y, t: (y, {"sigmas": {"a": ("x", 1, 1)}, "config_types": ["a"] * 12}),
            r"sigmas\[0\] is not an array of numbers",
        ),
        (lambda y, t: (y, {"sigmas": np.zeros((12, 3))}), "sigmas has 0.0 for structure 0"),
        (lambda y, t: (y, {"sigmas": 1.0}), "sigmas is of type float"),
        (lambda y, t: (y, {"sigmas": {"a": (1, 1, 1)}}), "no config types are given"),
        (
            lambda y, t: (y, {"sigmas": {"a": 1.0}, "config_types": ["a"] * 12}),
            "three numbers are needed",
        ),
        (
            lambda y, t: (y, {"sigmas": {"a": (1, 1, 1)}, "config_types": ["a"] * 2}),
            "config_types has 2 entries",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_targets(gap, features, targets, change, match):
    y, derivatives = change(*targets)
    with pytest.raises(ValueError, match=match):
        gap.fit(features, y, **derivatives)


def test_kinds_in_sigmas_that_no_structure_is_of(gap, features, targets):
    """A fold or a batch may lack what is rare, but a name may also be wrong: a warning."""
    y, expected = targets[0], gap.fit(features, targets[0]).predict(features)
    kinds = {"sigmas": {"rare": (1.0, 1.0, 1.0)}, "config_types": ["common"] * len(y)}
    for fit in (gap.fit, GAPRegressor(n_sparse=6).partial_fit):
        with pytest.warns(SuspiciousTargetsWarning, match=r"\['rare'\], so that all have the"):
            fitted = fit(features, y, **kinds)
        np.testing.assert_array_equal(fitted.predict(features), expected)
    gap.fit(features, y, sigmas={}, config_types=kinds["config_types"])


def test_structures_instead_of_descriptors(gap, frames, targets):
    for X in (frames, tuple(frames), check_structures(frames)):
        with pytest.raises(TypeError, match="put a descriptor before it"):
            gap.fit(X, targets[0])


def test_derivatives_of_plain_arrays(gap, targets):
    X = np.random.RandomState(0).normal(size=(12, 4))
    with pytest.raises(ValueError, match="X is a plain array"):
        gap.fit(X, targets[0], forces=targets[1]["forces"])
    with pytest.raises(ValueError, match="X is a plain array"):
        gap.fit(X, targets[0]).predict(X, return_forces=True)


def test_features_of_another_descriptor(gap, features, targets):
    gap.fit(features, targets[0])
    with pytest.raises(ValueError, match="X has 4 features, but GAPRegressor is expecting 13"):
        gap.predict(np.ones((2, 4)))


def test_elements_not_seen_before(gap, toy, frames, targets):
    water = slice(1, None, 2)
    hydrogen = toy.transform([molecule("H2")])
    gap.fit(hydrogen, [-31.0])
    with pytest.raises(ValueError, match="X has atoms of O, but the first fit saw H only"):
        gap.predict(toy.transform(frames[water]))
    before = gap.predict(hydrogen)
    with pytest.raises(ValueError, match="X has atoms of O"):
        gap.partial_fit(toy.transform(frames[water]), targets[0][water])
    np.testing.assert_array_equal(gap.predict(hydrogen), before)


def test_descriptors_that_are_not_finite(gap, features, targets):
    broken = features[:]
    broken.values = features.values.copy()
    broken.values[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"X\.values contains NaN"):
        gap.fit(broken, targets[0])


class TestUnluckyData:
    def test_contradictory_energies(self, toy, gap):
        """Equal structures with different energies: the mean, as noise demands."""
        frames = make_frames(1) * 6
        X = toy.transform(frames)
        gap.fit(X, np.arange(6.0))
        assert_finite(gap, X)
        np.testing.assert_allclose(gap.predict(X), 2.5, atol=1e-6)
        assert len(gap.sparse_species_) == len(frames[0])

    def test_identical_structures(self, toy, gap, frames, targets):
        """Nothing differs, so that there is one point per species and one energy to learn."""
        X, y = toy.transform([frames[1]] * 6), np.full(6, targets[0][1])
        forces = [targets[1]["forces"][1]] * 6
        gap.fit(X, y, forces=forces)
        energies, std, predicted = gap.predict(X, return_std=True, return_forces=True)
        np.testing.assert_allclose(energies, y, atol=0.01)
        assert np.isfinite(std).all()
        assert np.isfinite(predicted).all()

    def test_contradictory_forces(self, toy, gap):
        X = toy.transform(make_frames(1) * 2)
        forces = np.random.RandomState(0).normal(size=(2, 2, 3))
        forces -= forces.mean(axis=1, keepdims=True)
        gap.fit(X, [1.0, 1.0], forces=forces)
        predicted = gap.predict(X, return_forces=True)[1]
        np.testing.assert_allclose(predicted[0], predicted[1], atol=1e-10)
        assert_finite(gap, X)

    def test_one_structure(self, toy, gap, frames, targets):
        X = toy.transform(frames[:1])
        gap.fit(X, targets[0][:1], **{name: value[:1] for name, value in targets[1].items()})
        assert_finite(gap, X)
        assert gap.predict(X)[0] == pytest.approx(targets[0][0], abs=0.01)
        assert np.isfinite(gap.loo_).all()

    def test_one_structure_with_an_energy_only(self, toy, gap, frames):
        X = toy.transform(frames[:1])
        gap.fit(X, [-440.0])
        assert gap.predict(X)[0] == pytest.approx(-440.0)
        assert_finite(gap, X)

    def test_more_sparse_points_than_environments(self, features, targets):
        gap = GAPRegressor(n_sparse=10**6).fit(features, targets[0], **targets[1])
        assert len(gap.weights_) == len(features.values)
        assert_finite(gap, features)

    def test_huge_forces(self, features, targets, gap):
        y, derivatives = targets
        forces = [block.copy() for block in derivatives["forces"]]
        forces[0] *= 1e8
        with pytest.warns(SuspiciousTargetsWarning, match=r"forces\[0\] has .* leave out what"):
            gap.fit(features, y, forces=forces)
        assert_finite(gap, features)

    def test_huge_and_tiny_energies(self, features, targets, gap):
        for factor in (1e-9, 1e6):
            gap.fit(features, targets[0] * factor)
            assert_finite(gap, features)

    def test_extreme_exponents(self, features, targets):
        for zeta in (1.0, 1.01, 1e4):
            gap = GAPRegressor(zeta=zeta).fit(features, targets[0], **targets[1])
            assert_finite(gap, features)

    def test_constant_energies(self, features, gap):
        gap.fit(features, np.zeros(len(features)))
        np.testing.assert_allclose(gap.predict(features), 0.0, atol=1e-12)
        assert_finite(gap, features)

    def test_nearly_equal_sparse_points(self, features, targets):
        near = features.values[:1] + 1e-5 * np.random.RandomState(0).normal(size=(30, 13))
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        table = {z: near for z in (1, 8)}
        gap = GAPRegressor(sparse_method=table).fit(features, targets[0], **targets[1])
        assert 0 < gap.jitter_ < 1e-7
        assert_finite(gap, features)
        assert gap.condition_number_ > 1e4

    def test_tiny_noise_is_fitted_or_warned_of(self, toy):
        frames = make_frames(40, seed=2)
        y, derivatives = reference(frames)
        X = toy.transform(frames)
        gap = GAPRegressor(sigma_energy=1e-14, sigma_forces=1e-14)
        with pytest.warns(UntrustworthyFitWarning, match="rounding errors of energies may reach"):
            gap.fit(X, y, forces=derivatives["forces"])
        assert_finite(gap, X)

    def test_a_jitter_that_does_not_suffice(self, features, targets):
        near = features.values[:1] + 1e-5 * np.random.RandomState(0).normal(size=(30, 13))
        gap = GAPRegressor(sparse_method={1: near, 8: near}, jitter=0.0)
        with pytest.raises(UntrustworthyFitError, match="raise jitter, lower n_sparse"):
            gap.fit(features, targets[0])


@pytest.fixture(scope="module")
def many(toy):
    """Descriptors, energies and virials of some more structures."""
    frames = make_frames(60, seed=3)
    y, derivatives = reference(frames)
    return toy.transform(frames), y, derivatives["virials"]


class TestVirialsOfAnotherKind:
    @pytest.mark.parametrize("factor", [-1.0, 0.006, 0.1, 10.0, 160.0])
    def test_wrong_sign_or_unit(self, features, targets, factor):
        y, derivatives = targets
        virials = factor * derivatives["virials"]
        gap = GAPRegressor()
        with pytest.warns(SuspiciousTargetsWarning, match=r"virials are about .* -dE/d\(strain\)"):
            gap.fit(features, y, forces=derivatives["forces"], virials=virials)

    @pytest.mark.parametrize("factor", [-1.0, 160.0])
    def test_without_forces(self, many, factor):
        X, y, virials = many
        with pytest.warns(SuspiciousTargetsWarning, match="virials are about"):
            GAPRegressor(n_sparse=50).fit(X, y, virials=factor * virials)

    def test_no_false_alarm_without_forces(self, many):
        X, y, virials = many
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            GAPRegressor(n_sparse=50).fit(X, y, virials=virials)
            for start in range(0, 60, 3):  # too few energies to be sure of anything
                part = slice(start, start + 3)
                GAPRegressor(n_sparse=50).fit(X[part], y[part], virials=virials[part])

    def test_no_false_alarm_of_few_alloys(self):
        """What energies and forces imply is of the other sign here, where they say nothing."""
        frames = []
        rng = np.random.RandomState(0)
        for _ in range(10):
            atoms = bulk("Cu", cubic=True) * (2, 2, 2)
            atoms.symbols[rng.rand(32) < rng.rand()] = "Ni"
            strain = np.eye(3) + 0.04 * rng.normal(size=(3, 3))
            atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            atoms.positions += 0.1 * rng.normal(size=atoms.positions.shape)
            atoms.calc = EMT()
            atoms.get_stress()
            frames.append(atoms)
        y, derivatives = extract_targets(frames)
        X = SOAPTransformer(cutoff=4.5, n_max=4, l_max=3, n_jobs=1).fit_transform(frames)
        k = np.array([2, 8, 4, 9, 1, 6])
        forces = [derivatives["forces"][i] for i in k]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            GAPRegressor(n_sparse=60).fit(
                X[k], y[k], forces=forces, virials=derivatives["virials"][k]
            )

    def test_no_false_alarm(self, features, targets):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            GAPRegressor(n_sparse=3).fit(features, targets[0], **targets[1])
