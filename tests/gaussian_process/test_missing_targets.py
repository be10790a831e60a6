"""Targets that are missing, noise of single structures, and leave-one-out residuals."""


import numpy as np
import pytest
from sklearn.base import clone

from skdesc import GAPRegressor
from skdesc.exceptions import SuspiciousTargetsWarning


def relative(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


class TestMissing:
    def test_structures_without_forces_are_left_out(self, features, targets):
        y, derivatives = targets
        forces = list(derivatives["forces"])
        virials = derivatives["virials"].copy()
        forces[1], forces[4], forces[5] = None, np.nan, np.full_like(forces[5], np.nan)
        virials[[0, 7]] = np.nan
        gap = GAPRegressor(n_sparse=5, energy_scale=0.2).fit(features, y, forces=forces,
                                                             virials=virials)
        counts = {kind: T.n_rows for kind, T in gap._training.observations.triangles.items()}
        n_forces = 3 * (features.n_atoms.sum() - features.n_atoms[[1, 4, 5]].sum())
        assert counts == {"energy": 12, "forces": n_forces, "virials": 6 * 10}

    def test_nothing_given_equals_none(self, features, targets):
        y = targets[0]
        forces = [None] * len(y)
        virials = np.full((len(y), 3, 3), np.nan)
        gap = GAPRegressor(n_sparse=5).fit(features, y, forces=forces, virials=virials)
        np.testing.assert_array_equal(
            gap.weights_, GAPRegressor(n_sparse=5).fit(features, y).weights_
        )

    def test_single_components(self, features, targets):
        """Leaving out a component equals giving it boundless noise."""
        y, derivatives = targets
        forces = [block.copy() for block in derivatives["forces"]]
        forces[2][0, 1] = np.nan
        gap = GAPRegressor(n_sparse=5).fit(features, y, forces=forces)
        triangle = gap._training.observations.triangles["forces"]
        assert triangle.n_rows == 3 * features.n_atoms.sum() - 1


class TestNoise:
    def test_sigmas_replace_the_defaults(self, features, targets):
        y, derivatives = targets
        sigmas = np.tile([0.02, 0.3, 0.4], (len(y), 1))
        a = GAPRegressor(n_sparse=5, energy_scale=0.3)
        a.fit(features, y, **derivatives, sigmas=sigmas)
        b = GAPRegressor(
            n_sparse=5, energy_scale=0.3, sigma_energy=0.02, sigma_forces=0.3, sigma_virials=0.4
        ).fit(features, y, **derivatives)
        assert relative(a.weights_, b.weights_) < 1e-7
        assert a.log_marginal_likelihood_ == pytest.approx(b.log_marginal_likelihood_, rel=1e-9)
        np.testing.assert_allclose(a.loo_, b.loo_, rtol=1e-6)

    def test_sigmas_by_kind(self, features, targets):
        kinds = ["cell", "molecule"] * 6
        array = np.tile([[0.02, np.nan, 0.3], [0.001, 0.1, 0.1]], (6, 1))
        a = GAPRegressor(n_sparse=5).fit(features, targets[0], **targets[1], sigmas=array)
        b = GAPRegressor(n_sparse=5).fit(
            features, targets[0], **targets[1], config_types=kinds,
            sigmas={"cell": (0.02, np.nan, 0.3), "surface": (1.0, 1.0, 1.0)},
        )
        np.testing.assert_array_equal(a.weights_, b.weights_)

    def test_large_noise_leaves_a_structure_out(self, features, targets):
        y, derivatives = targets
        sigmas = np.full((len(y), 3), np.nan)
        sigmas[-1] = 1e5
        with_noise = GAPRegressor(n_sparse=5, energy_scale=0.3, e0=None)
        with_noise.fit(features, y, **derivatives, sigmas=sigmas)
        table = {z: with_noise.sparse_features_[with_noise.sparse_species_ == z] for z in (1, 8)}
        without = clone(with_noise).set_params(sparse_method=table).fit(
            features[:-1], y[:-1], **{name: values[:-1] for name, values in derivatives.items()}
        )
        assert relative(with_noise.weights_, without.weights_) < 1e-5

    def test_energies_of_larger_structures_are_noisier(self):
        """n equal atoms with the mean energy e: shrinkage as of one energy with sigma/sqrt(n)."""
        X = [np.ones((4, 1))]
        gap = GAPRegressor(energy_scale=1.0, sigma_energy=0.5, e0=None).fit(X, [4.0])
        # prior variance 16, noise 4 * 0.25
        assert gap.predict(X)[0] == pytest.approx(4.0 * 16 / 17)


@pytest.mark.parametrize("n_sparse", [2, 5, 100])
@pytest.mark.parametrize("with_forces", [False, True])
def test_leave_one_out(features, targets, n_sparse, with_forces):
    """More, or fewer, energies than sparse points."""
    y, derivatives = targets[0], targets[1] if with_forces else {}
    gap = GAPRegressor(n_sparse=n_sparse, energy_scale=0.3, e0=None, sigma_energy=0.01)
    gap.fit(features, y, **derivatives)
    table = {z: gap.sparse_features_[gap.sparse_species_ == z] for z in (1, 8)}
    for left_out in (0, 5):
        sigmas = np.full((len(y), 3), np.nan)
        sigmas[left_out, 0] = 1e6
        other = clone(gap).set_params(sparse_method=table)
        other.fit(features, y, **derivatives, sigmas=sigmas)
        expected = y[left_out] - other.predict(features[left_out : left_out + 1])[0]
        assert gap.loo_[left_out] == pytest.approx(expected, rel=1e-4)


def test_leave_one_out_of_a_model_that_goes_through_the_energies(features, targets):
    loo = [
        GAPRegressor(energy_scale=0.3, sigma_energy=sigma).fit(features, targets[0]).loo_
        for sigma in (1e-5, 1e-7)
    ]
    np.testing.assert_allclose(loo[0], loo[1], rtol=0.05, atol=1e-3)


LEFT_OUT = "ignore:y is NaN for 4 of 12 structures:skdesc.exceptions.SuspiciousTargetsWarning"


def test_missing_energies_are_counted(features, targets):
    y = targets[0].copy()
    y[[2, 5]] = np.nan
    with pytest.warns(SuspiciousTargetsWarning, match=r"NaN for 2 of 12 structures \(2, 5\)"):
        GAPRegressor(n_sparse=5).fit(features, y)


@pytest.mark.filterwarnings(LEFT_OUT)
@pytest.mark.parametrize("n_sparse", [5, 500])
def test_structures_without_energies(features, targets, n_sparse):
    """An energy that is not known says what one says that is known to nothing."""
    y, derivatives = targets
    unknown = np.arange(len(y)) % 3 == 1
    left_out = np.where(unknown, np.nan, y)
    sigmas = np.full((len(y), 3), np.nan)
    sigmas[unknown, 0] = 1e4
    params = {"e0": {"H": -13.6, "O": -430.0}, "energy_scale": 0.5, "n_sparse": n_sparse}
    gap = GAPRegressor(**params).fit(features, left_out, **derivatives)
    vague = GAPRegressor(**params).fit(features, y, sigmas=sigmas, **derivatives)
    assert relative(gap.predict(features), vague.predict(features)) < 1e-8
    assert relative(gap.loo_[~unknown], vague.loo_[~unknown]) < 1e-3
    assert np.isnan(gap.loo_[unknown]).all()
    # free atoms' energies come from the other structures
    auto = GAPRegressor(n_sparse=n_sparse).fit(features, left_out, **derivatives)
    only = GAPRegressor(n_sparse=n_sparse).fit(features[~unknown], y[~unknown])
    assert auto.e0_ == pytest.approx(only.e0_)


@pytest.mark.filterwarnings(LEFT_OUT)
def test_energies_alone_may_lack_some(features, targets):
    y = targets[0]
    known = np.arange(len(y)) % 3 != 1
    params = {"e0": {"H": -13.6, "O": -430.0}, "energy_scale": 0.5}
    full = GAPRegressor(n_sparse=5, **params).fit(features, y)
    points = {z: full.sparse_features_[full.sparse_species_ == z] for z in (1, 8)}
    for left_out in (np.where(known, y, np.nan), list(np.where(known, y, None))):
        gap = GAPRegressor(sparse_method=points, **params).fit(features, left_out)
        only = GAPRegressor(sparse_method=points, **params).fit(features[known], y[known])
        assert relative(gap.predict(features), only.predict(features)) < 1e-8
        np.testing.assert_allclose(gap.loo_[known], only.loo_, rtol=1e-6, atol=1e-9)
        assert np.isnan(gap.loo_[~known]).all()
    with pytest.raises(ValueError, match="y contains NaN"):
        GAPRegressor().fit(features.values[: len(y)], np.where(known, y, np.nan))
