"""The regressor against dense Gaussian processes, its own derivatives, and itself."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from helpers.derivatives import assert_second_order, displaced, strained
from helpers.toy_data import make_frames, reference
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct
from threadpoolctl import threadpool_limits

from skdesc import GAPRegressor
from skdesc.gaussian_process._inputs import check_environments
from skdesc.gaussian_process._memory import bytes_beside_rows
from skdesc.gaussian_process._rows import derivative_rows


def relative(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def structure_kernel(A, B, zeta):
    """Covariances of total energies by the definition, one pair of structures at a time."""
    K = np.zeros((len(A), len(B)))
    for a in range(len(A)):
        for b in range(len(B)):
            left, right = (slice(*X.offsets[i : i + 2]) for X, i in ((A, a), (B, b)))
            same = A.species[left, None] == B.species[right]
            K[a, b] = (same * (A.values[left] @ B.values[right].T) ** zeta).sum()
    return K


class TestDenseLimit:
    """With every environment as a sparse point the subset of regressors is the full process."""

    def test_scikit_learns_gaussian_process(self):
        rng = np.random.RandomState(0)
        X = rng.normal(size=(60, 8))
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2]
        kernel = ConstantKernel(0.7**2, "fixed") * DotProduct(0.0, "fixed") ** 3
        dense = GaussianProcessRegressor(kernel, alpha=0.01**2, optimizer=None)
        dense.fit(X[:40], y[:40])
        gap = GAPRegressor(
            zeta=3, energy_scale=0.7, sigma_energy=0.01, e0=None, calibrate=False
        )
        gap.fit(X[:40], y[:40])
        expected, expected_std = dense.predict(X[40:], return_std=True)
        predicted, std = gap.predict(X[40:], return_std=True)
        assert relative(predicted, expected) < 1e-8
        assert relative(std, expected_std) < 1e-8
        likelihood = dense.log_marginal_likelihood_value_
        assert gap.log_marginal_likelihood_ == pytest.approx(likelihood, rel=1e-10)

    def test_energies_of_structures(self, toy, features, targets):
        y, zeta, delta, sigma = targets[0], 2, 0.5, 0.01
        gap = GAPRegressor(
            zeta=zeta, energy_scale=delta, sigma_energy=sigma, e0=None, calibrate=False
        )
        gap.fit(features, y)
        new = toy.transform(make_frames(5, seed=9))
        Ky = delta**2 * structure_kernel(features, features, zeta)
        Ky += np.diag(sigma**2 * features.n_atoms)
        Ks = delta**2 * structure_kernel(new, features, zeta)
        predicted, std = gap.predict(new, return_std=True)
        assert relative(predicted, Ks @ np.linalg.solve(Ky, y)) < 1e-8
        prior = delta**2 * structure_kernel(new, new, zeta).diagonal()
        variance = prior - (Ks * np.linalg.solve(Ky, Ks.T).T).sum(axis=1)
        np.testing.assert_allclose(std**2, variance, atol=1e-9 * prior.max())
        sign, logdet = np.linalg.slogdet(Ky)
        likelihood = -0.5 * (y @ np.linalg.solve(Ky, y) + logdet + len(y) * np.log(2 * np.pi))
        assert sign > 0
        assert gap.log_marginal_likelihood_ == pytest.approx(likelihood, rel=1e-8)


@pytest.fixture(scope="module")
def small_fit(features, targets):
    y, derivatives = targets
    gap = GAPRegressor(
        n_sparse=4, energy_scale=0.3, sigma_forces=0.2, sigma_virials=0.3, calibrate=False
    )
    return gap.fit(features, y, **derivatives)


@pytest.fixture(scope="module")
def system(small_fit, features, targets):
    """Rows, targets, noise variances and covariances among sparse points, for delta = 0.3."""
    y, derivatives = targets
    model = small_fit._model
    environments = small_fit._check_predict(features)
    e, f, v = derivative_rows(environments, model.points, model.covariances)
    K = 0.3**2 * np.concatenate([e, f, v.reshape(-1, v.shape[-1])])
    e0 = environments.composition(small_fit.elements_) @ list(small_fit.e0_.values())
    virials = derivatives["virials"]
    voigt = np.stack([virials[:, i, j] for i, j in
                      ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))], axis=1)
    t = np.concatenate([y - e0, np.concatenate(derivatives["forces"]).ravel(), voigt.ravel()])
    n = features.n_atoms
    noise = np.concatenate([0.001**2 * n, np.full(len(f), 0.2**2), np.repeat(0.3**2 * n, 6)])
    Q, z = small_fit.sparse_features_, small_fit.sparse_species_
    Kmm = 0.3**2 * (z[:, None] == z) * (Q @ Q.T) ** 4
    return K, t, noise, Kmm


class TestAgainstTheFormulas:
    """Few sparse points: weights, variance and evidence by textbook formulas."""

    def test_weights(self, small_fit, system):
        K, t, noise, Kmm = system
        A = Kmm + K.T @ (K / noise[:, None])
        expected = np.linalg.solve(A, K.T @ (t / noise))
        assert relative(small_fit.weights_, expected) < 1e-6
        assert relative(K @ small_fit.weights_, K @ expected) < 1e-9

    def test_marginal_likelihood(self, small_fit, system):
        K, t, noise, Kmm = system
        C = K @ np.linalg.solve(Kmm, K.T) + np.diag(noise)
        logdet = np.linalg.slogdet(C)[1]
        expected = -0.5 * (t @ np.linalg.solve(C, t) + logdet + len(t) * np.log(2 * np.pi))
        assert small_fit.log_marginal_likelihood_ == pytest.approx(expected, rel=1e-8)

    def test_variance(self, small_fit, system, toy):
        K, _, noise, Kmm = system
        new = toy.transform(make_frames(4, seed=8))
        model, structures = small_fit._model, small_fit._check_predict(new)
        u = 0.3**2 * derivative_rows(structures, model.points, model.covariances)[0]
        prior = 0.3**2 * structure_kernel(new, new, 4).diagonal()
        A = Kmm + K.T @ (K / noise[:, None])
        expected = prior - (u * np.linalg.solve(Kmm, u.T).T).sum(axis=1)
        expected += (u * np.linalg.solve(A, u.T).T).sum(axis=1)
        std = small_fit.predict(new, return_std=True)[1]
        np.testing.assert_allclose(std**2, expected, rtol=1e-7)


@pytest.fixture(scope="module", params=[2, 4, 2.5])
def fitted(request, features, targets):
    return GAPRegressor(zeta=request.param, n_sparse=8).fit(features, targets[0], **targets[1])


class TestDerivatives:
    STEPS = (4e-3, 2e-3, 1e-3)

    def test_forces_are_derivatives_of_the_energy(self, toy, features, fitted):
        structures = features.structures
        _, forces = fitted.predict(features, return_forces=True)
        directions = np.random.RandomState(0).normal(size=structures.positions.shape)
        along = (np.concatenate(forces) * directions).sum(axis=1)
        assert_second_order(
            -np.add.reduceat(along, structures.offsets[:-1]),
            lambda moved: fitted.predict(toy.transform(moved)),
            lambda step: displaced(structures, directions, step),
            self.STEPS,
        )

    def test_virials_are_derivatives_of_the_energy(self, toy, features, fitted):
        _, virials = fitted.predict(features, return_virials=True)
        strain = np.random.RandomState(1).normal(size=(3, 3))
        strain += strain.T
        assert_second_order(
            -np.einsum("sxy,xy->s", virials, strain),
            lambda moved: fitted.predict(toy.transform(moved)),
            lambda step: strained(features.structures, strain, step),
            tuple(0.2 * step for step in self.STEPS),
        )

    def test_forces_add_up_to_zero(self, features, fitted):
        for forces in fitted.predict(features, return_forces=True)[1]:
            assert np.abs(forces.sum(axis=0)).max() < 1e-9

    def test_predictions_equal_rows_times_weights(self, features, fitted):
        environments = fitted._check_predict(features)
        rows = derivative_rows(environments, fitted._model.points, fitted._model.covariances)
        weights = fitted.weights_ * fitted.energy_scale_**2
        energies, forces = fitted.predict(features, return_forces=True)
        e0 = environments.composition(fitted.elements_) @ list(fitted.e0_.values())
        assert relative(rows[0] @ weights + e0, energies) < 1e-12
        assert relative(rows[1] @ weights, np.concatenate(forces).ravel()) < 1e-9


def test_order_of_the_returned_tuple(features, fitted):
    y, std, forces, virials = fitted.predict(features, True, True, True)
    assert y.shape == std.shape == (len(features),)
    assert [block.shape for block in forces] == [(n, 3) for n in features.n_atoms]
    assert virials.shape == (len(features), 3, 3)
    np.testing.assert_array_equal(fitted.predict(features), y)
    np.testing.assert_array_equal(fitted.predict(features, return_virials=True)[1], virials)


def test_forces_improve_forces(toy, features, targets):
    new = make_frames(10, seed=4)
    derivatives = reference(new)[1]
    errors = []
    for given in ({}, {"forces": targets[1]["forces"]}, targets[1]):
        gap = GAPRegressor().fit(features, targets[0], **given)
        predicted = gap.predict(toy.transform(new), return_forces=True)[1]
        difference = np.concatenate(predicted) - np.concatenate(derivatives["forces"])
        errors.append(np.sqrt(np.mean(difference**2)))
    assert errors[1] < 0.6 * errors[0]
    assert errors[2] < errors[1]


@pytest.fixture(scope="module")
def once(features, targets):
    return GAPRegressor(n_sparse=6).fit(features, targets[0], **targets[1])


class TestSameWeights:
    def test_partial_fit_in_pieces(self, features, targets, once):
        y, derivatives = targets
        table = {z: once.sparse_features_[once.sparse_species_ == z] for z in (1, 8)}
        gap = GAPRegressor(sparse_method=table)
        for part in (slice(0, 3), slice(3, 4), slice(4, 12)):
            given = {name: values[part] for name, values in derivatives.items()}
            gap.partial_fit(features[part], y[part], **given)
        assert relative(gap.weights_, once.weights_) < 1e-8
        assert gap.energy_scale_ == pytest.approx(once.energy_scale_, rel=1e-10)
        assert gap.e0_ == pytest.approx(once.e0_, rel=1e-10)
        likelihood = once.log_marginal_likelihood_
        assert gap.log_marginal_likelihood_ == pytest.approx(likelihood, rel=1e-10)
        assert not hasattr(gap, "loo_")

    def test_partial_fit_continues_a_fit(self, features, targets, once):
        y, derivatives = targets
        halves = slice(0, 6), slice(6, 12)
        table = {z: once.sparse_features_[once.sparse_species_ == z] for z in (1, 8)}
        gap = GAPRegressor(sparse_method=table)
        first, second = (
            (features[h], y[h], {k: v[h] for k, v in derivatives.items()}) for h in halves
        )
        gap.fit(first[0], first[1], **first[2])
        gap.partial_fit(second[0], second[1], **second[2])
        assert relative(gap.weights_, once.weights_) < 1e-8

    def test_other_noise_without_another_pass(self, features, targets):
        y, derivatives = targets
        noise = {"sigma_energy": 2e-3, "sigma_forces": 0.03, "sigma_virials": 0.7}
        once = GAPRegressor(n_sparse=30, **noise).fit(features, y, **derivatives)
        again = GAPRegressor(n_sparse=30).fit(features, y, **derivatives)
        assert relative(again.weights_, once.weights_) > 0.01
        assert again.set_params(**noise).solve() is again
        assert relative(again.weights_, once.weights_) < 1e-8
        assert again.sigma_forces_ == 0.03
        assert not hasattr(again, "loo_")

    def test_solving_needs_a_fit(self, once):
        with pytest.raises(NotFittedError):
            GAPRegressor().solve()
        # what it has seen is kept too
        again = pickle.loads(pickle.dumps(once)).solve()
        assert relative(again.weights_, once.weights_) < 1e-8

    def test_elements_that_come_later(self, toy, features, targets):
        """Sparse points given for an element are enough to know of it."""
        table = {z: features.values[features.species == z][:4] for z in (1, 8)}
        hydrogen = toy.transform([molecule("H2")])
        gap = GAPRegressor(sparse_method=table, energy_scale=0.3, e0={"H": -13.6, "O": -430.0})
        gap.partial_fit(hydrogen, [-31.0]).partial_fit(features, targets[0])
        every = toy.transform([molecule("H2"), *(atoms for atoms in features.structures)])
        once = clone(gap).fit(every, np.append(-31.0, targets[0]))
        assert relative(gap.weights_, once.weights_) < 1e-8

    def test_points_of_a_fit_come_back_complete(self, toy, features, targets):
        """Given as they are, or nearly equal: only exact copies are left out."""
        near = features.values[:6] + 1e-9
        values = np.concatenate([features.values[:6], near, near])
        gap = GAPRegressor(sparse_method={1: values, 8: values}).fit(features, targets[0])
        assert len(gap.sparse_species_) == 24

    def test_batch_size(self, features, targets, once):
        environments = check_environments(features, GAPRegressor(), reset=True)
        fixed = max(bytes_beside_rows(environments, 12, 2, 3))
        for limit in (fixed + 10_000, 10 * fixed):
            gap = GAPRegressor(n_sparse=6, memory_limit=limit)
            gap.fit(features, targets[0], **targets[1])
            assert relative(gap.weights_, once.weights_) < 1e-8

    def test_threads(self, features, targets, once):
        for n_jobs in (1, 2, -1):
            gap = GAPRegressor(n_sparse=6, n_jobs=n_jobs)
            gap.fit(features, targets[0], **targets[1])
            assert relative(gap.weights_, once.weights_) < 1e-8
        with threadpool_limits(1):
            gap.set_params(n_jobs=None).fit(features, targets[0], **targets[1])
        assert relative(gap.weights_, once.weights_) < 1e-8

    def test_order_of_structures(self, features, targets, once):
        order = np.random.RandomState(0).permutation(len(features))
        table = {z: once.sparse_features_[once.sparse_species_ == z] for z in (1, 8)}
        gap = GAPRegressor(sparse_method=table).fit(
            features[order],
            targets[0][order],
            forces=[targets[1]["forces"][i] for i in order],
            virials=targets[1]["virials"][order],
        )
        assert relative(gap.weights_, once.weights_) < 1e-8

    def test_clone_and_pickle(self, features, targets, once):
        again = clone(once).fit(features, targets[0], **targets[1])
        np.testing.assert_array_equal(again.predict(features), once.predict(features))
        copy = pickle.loads(pickle.dumps(once))
        for a, b in zip(
            copy.predict(features, True, False, True),
            once.predict(features, True, False, True),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


def test_local_energies_add_up(features, targets):
    gap = GAPRegressor(n_sparse=5).fit(features, targets[0])
    local, std = gap.predict_local_energies(features, return_std=True)
    assert local.shape == std.shape == features.species.shape
    assert relative(np.add.reduceat(local, features.offsets[:-1]), gap.predict(features)) < 1e-12


class TestAtomEnergies:
    def test_least_squares(self, features, targets):
        gap = GAPRegressor(n_sparse=5).fit(features, targets[0])
        counts = np.array([[(block == z).sum() for z in (1, 8)] for block in
                           np.split(features.species, features.offsets[1:-1])], dtype=float)
        w = 1 / np.sqrt(features.n_atoms)
        expected = np.linalg.lstsq(counts * w[:, None], targets[0] * w, rcond=None)[0]
        np.testing.assert_allclose(list(gap.e0_.values()), expected, rtol=1e-10)

    def test_isolated_atoms(self, toy, frames, targets):
        more = [*frames, Atoms("H"), Atoms("H", cell=[9, 9, 9], pbc=True)]
        gap = GAPRegressor(n_sparse=5).fit(toy.transform(more), [*targets[0], -13.0, -13.5])
        assert gap.e0_["H"] == -13.5
        # oxygen has none: it gets what is left
        assert gap.e0_["O"] == pytest.approx(-430.0, abs=1.5)

    @pytest.mark.parametrize(
        "cell", [[2, 2, 2], [[9, 0, 0], [9, 2, 0], [0, 0, 9]]], ids=["cubic", "skewed"]
    )
    def test_periodic_single_atoms_are_not_isolated(self, toy, frames, targets, cell):
        more = [*frames, Atoms("H", cell=cell, pbc=True)]
        gap = GAPRegressor(n_sparse=5).fit(toy.transform(more), [*targets[0], -20.0])
        assert gap.e0_["H"] != -20.0

    def test_open_composition_gives_the_minimum_norm(self, toy, frames, targets):
        water = slice(1, None, 2)
        gap = GAPRegressor(n_sparse=5).fit(toy.transform(frames[water]), targets[0][water])
        assert gap.e0_["H"] == pytest.approx(2 * gap.e0_["O"], rel=1e-10)

    def test_dict_and_none(self, features, targets):
        gap = GAPRegressor(n_sparse=5, e0={"O": -430.0, 1: -13.6, "C": -1000.0})
        assert gap.fit(features, targets[0]).e0_ == {"H": -13.6, "O": -430.0}
        assert set(GAPRegressor(e0=None).fit(features, targets[0]).e0_.values()) == {0.0}

    def test_shifting_energies_shifts_predictions(self, features, targets):
        a = GAPRegressor(n_sparse=5).fit(features, targets[0])
        b = GAPRegressor(n_sparse=5).fit(features, targets[0] + 1e3 * features.n_atoms)
        shifted = a.predict(features) + 1e3 * features.n_atoms
        np.testing.assert_allclose(b.predict(features), shifted, rtol=0, atol=1e-6)


class TestPlainArrays:
    def test_list_of_arrays(self):
        rng = np.random.RandomState(0)
        blocks = [rng.normal(size=(n, 4)) for n in (2, 1, 3, 2)]
        y = np.array([2.0, 1.0, 3.5, 2.2])
        gap = GAPRegressor().fit(blocks, y)
        array = np.empty(4, dtype=object)
        array[:] = blocks
        np.testing.assert_array_equal(gap.predict(array), gap.predict(blocks))
        np.testing.assert_allclose(gap.predict(blocks), y, atol=0.01)
        assert gap.n_features_in_ == 4

    def test_rows_of_zeros_are_predicted_by_the_mean(self):
        rng = np.random.RandomState(0)
        X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
        X[3] = 0.0
        gap = GAPRegressor().fit(X, y)
        predicted, std = gap.predict(X, return_std=True)
        assert predicted[3] == pytest.approx(gap.e0_["X"])
        assert std[3] == 0.0

    def test_rows_may_be_of_any_length(self):
        rng = np.random.RandomState(0)
        X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
        gap = GAPRegressor().fit(X, y)
        scale = np.logspace(-200, 200, 20)[:, None]
        np.testing.assert_allclose(gap.predict(X * scale), gap.predict(X), rtol=1e-6)


def test_html_shows_the_model(features, targets):
    gap = GAPRegressor(n_sparse=5).fit(features, targets[0])
    caption = gap._caption()
    assert caption in gap._repr_html_()
    assert f"energy scale in eV: {gap.energy_scale_:.4g}; e0 in eV: H " in caption
