"""Several descriptors at once: the covariance is a sum, each term with its own parameters."""

import numpy as np
import pytest
from helpers.derivatives import assert_second_order, displaced, strained
from helpers.toy_data import SPECIES, make_frames, reference
from helpers.toy_descriptor import ToyDescriptor
from scipy.optimize import approx_fprime
from sklearn.pipeline import make_pipeline, make_union

from skdesc import GAPRegressor, SOAPTransformer, TwoBodyTransformer
from skdesc.gaussian_process import select_batch
from skdesc.gaussian_process._rows import derivative_rows
from skdesc.gaussian_process._targets import QUANTITIES
from skdesc.least_squares import Posterior, evidence_and_gradient

ZETAS, SCALES = [2, 1], [0.5, 0.2]


@pytest.fixture(scope="module")
def union():
    """A many-body descriptor, and pairs that reach farther."""
    pairs = TwoBodyTransformer(species=SPECIES, cutoff=4.5, n_gaussians=6, n_jobs=1)
    pairs.fit(make_frames())
    toy = ToyDescriptor(SPECIES, cutoff=3.0)
    return lambda X: np.hstack([toy.transform(X), pairs.transform(X)])


@pytest.fixture(scope="module")
def joined(union, frames):
    return union(frames)


@pytest.fixture(scope="module")
def gap(joined, targets):
    gap = GAPRegressor(
        zeta=ZETAS, energy_scale=SCALES, n_sparse=[5, 100], sigma_forces=0.2, calibrate=False
    )
    return gap.fit(joined, targets[0], **targets[1])


def structure_kernel(A, B):
    """Covariances of total energies by the definition."""
    K = np.zeros((len(A), len(B)))
    for a, b in np.ndindex(K.shape):
        left, right = (slice(*X.offsets[i : i + 2]) for X, i in ((A, a), (B, b)))
        same = A.species[left, None] == B.species[right]
        for columns, zeta, scale in zip(A.blocks, ZETAS, SCALES, strict=True):
            dot = A.values[left, columns] @ B.values[right, columns].T
            K[a, b] += scale**2 * (same * dot**zeta).sum()
    return K


def test_dense_limit(union, joined, targets):
    y, sigma = targets[0], 0.01
    gap = GAPRegressor(
        zeta=ZETAS, energy_scale=SCALES, sigma_energy=sigma, e0=None, calibrate=False
    )
    gap.fit(joined, y)
    new = union(make_frames(5, seed=9))
    Ky = structure_kernel(joined, joined) + np.diag(sigma**2 * joined.n_atoms)
    Ks = structure_kernel(new, joined)
    predicted, std = gap.predict(new, return_std=True)
    expected = Ks @ np.linalg.solve(Ky, y)
    np.testing.assert_allclose(predicted, expected, atol=1e-8 * np.abs(expected).max())
    prior = structure_kernel(new, new).diagonal()
    variance = prior - (Ks * np.linalg.solve(Ky, Ks.T).T).sum(axis=1)
    np.testing.assert_allclose(std**2, variance, atol=1e-9 * prior.max())
    likelihood = -0.5 * (y @ np.linalg.solve(Ky, y) + np.linalg.slogdet(Ky)[1]
                         + len(y) * np.log(2 * np.pi))
    assert gap.log_marginal_likelihood_ == pytest.approx(likelihood, rel=1e-8)


def test_points_of_each_descriptor(gap, joined):
    """Environments where there are fewer than asked for; unit vectors of a linear covariance."""
    assert gap.sparse_blocks_.tolist() == [0] * 10 + [1] * 24
    assert gap.sparse_species_.tolist() == [1] * 5 + [8] * 5 + [1] * 12 + [8] * 12
    many_body, pairs = joined.blocks
    assert not gap.sparse_features_[:10, pairs].any()
    np.testing.assert_array_equal(gap.sparse_features_[10:22, pairs], np.eye(12))
    assert not gap.sparse_features_[10:, many_body].any()
    np.testing.assert_array_equal(gap.energy_scale_, SCALES)
    again = GAPRegressor(
        zeta=ZETAS, energy_scale=SCALES, sigma_forces=0.2,
        sparse_method={z: gap.sparse_features_[gap.sparse_species_ == z] for z in SPECIES},
    )
    rows = again.memory_estimate(joined)
    assert rows == gap.memory_estimate(joined)


def test_unit_vectors_stand_for_all_environments(joined, targets):
    pairs = joined.block(1)
    few = GAPRegressor(zeta=1, energy_scale=0.3, n_sparse=12, calibrate=False)
    few.fit(pairs, targets[0], **targets[1])
    every = {z: pairs.values[pairs.species == z] for z in SPECIES}
    many = GAPRegressor(zeta=1, energy_scale=0.3, sparse_method=every, jitter=1e-12,
                        calibrate=False)
    many.fit(pairs, targets[0], **targets[1])
    assert len(few.weights_) == 24
    for one, other in zip(few.predict(pairs, return_std=True), many.predict(pairs, return_std=True),
                          strict=True):
        np.testing.assert_allclose(one, other, rtol=5e-3)


def test_derivatives(gap, union, joined):
    structures = joined.structures
    energies, forces, virials = gap.predict(joined, return_forces=True, return_virials=True)
    np.testing.assert_allclose(energies, gap.predict(joined), rtol=1e-12)
    rng = np.random.RandomState(0)
    directions = rng.normal(size=structures.positions.shape)
    along = (np.concatenate(forces) * directions).sum(axis=1)
    predict = lambda moved: gap.predict(union(moved))  # noqa: E731
    # small steps: the cutoff function of pairs has a kink in its second derivative
    assert_second_order(
        -np.add.reduceat(along, structures.offsets[:-1]), predict,
        lambda h: displaced(structures, directions, h), (4e-4, 2e-4, 1e-4),
    )
    strain = rng.normal(size=(3, 3))
    strain += strain.T
    assert_second_order(
        -np.einsum("sxy,xy->s", virials, strain), predict,
        lambda h: strained(structures, strain, h), (2e-4, 1e-4, 5e-5),
    )


def test_predictions_equal_rows_times_weights(gap, joined):
    environments = gap._check_predict(joined)
    rows = derivative_rows(environments, gap._model.points, gap._model.covariances)
    scales = np.array(SCALES)[gap.sparse_blocks_]
    weights = gap.weights_ * scales**2
    energies, forces = gap.predict(joined, return_forces=True)
    e0 = environments.composition(gap.elements_) @ list(gap.e0_.values())
    np.testing.assert_allclose(rows[0] @ weights + e0, energies, rtol=1e-12)
    np.testing.assert_allclose(rows[1] @ weights, np.concatenate(forces).ravel(), atol=1e-9)


def test_gradient_of_the_evidence(gap):
    training = gap._training
    observations = training.observations
    rows = observations.subtract_mean(np.array(list(gap.e0_.values())), QUANTITIES)

    def posterior(x):
        noise = dict(zip(QUANTITIES, np.exp(x[2:]), strict=True))
        return Posterior.solve(training.prior, observations, rows, np.exp(x[:2]), noise)

    x = np.log([0.3, 0.5, 0.01, 0.2, 0.1])
    value, gradient = evidence_and_gradient(posterior(x), rows)
    numeric = approx_fprime(x, lambda x: posterior(x).log_marginal_likelihood, 1e-6)
    assert value == posterior(x).log_marginal_likelihood
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-3 * abs(gradient).max())


def test_evidence_weighs_the_descriptors(joined, targets):
    """Targets that are a sum over pairs leave little to the other term."""
    pairs = joined.block(1)
    y = np.add.reduceat(pairs.values @ np.sin(np.arange(12.0)), pairs.offsets[:-1])
    gap = GAPRegressor(zeta=ZETAS, n_sparse=[8, 100], optimize="marginal_likelihood", e0=None)
    gap.fit(joined, y)
    many_body = GAPRegressor(zeta=2, n_sparse=8).fit(joined.block(0), y)
    assert gap.energy_scale_[0] < 0.2 * many_body.energy_scale_
    assert np.abs(gap.loo_).max() < 0.1 * np.abs(many_body.loo_).max()


def test_partial_fit_and_batches(gap, joined, targets):
    y, derivatives = targets
    pieces = GAPRegressor(
        zeta=ZETAS, energy_scale=SCALES, sigma_forces=0.2,
        sparse_method={z: gap.sparse_features_[gap.sparse_species_ == z] for z in SPECIES},
    )
    for part in (slice(0, 5), slice(5, 12)):
        more = {kind: values[part] for kind, values in derivatives.items()}
        pieces.partial_fit(joined[part], y[part], **more)
    np.testing.assert_allclose(
        pieces.weights_, gap.weights_, rtol=1e-8, atol=1e-8 * np.abs(gap.weights_).max()
    )


def test_jacobian_is_the_adjoint(frames):
    union = make_union(
        TwoBodyTransformer(cutoff=4.0), SOAPTransformer(cutoff=3.0, n_max=4, l_max=3)
    )
    features = union.fit_transform(frames)
    g = np.random.RandomState(3).normal(size=features.values.shape)
    jacobian = features.jacobian(strain=True)
    gradient, strain = features.vjp(g)
    np.testing.assert_allclose(jacobian.vjp(g), gradient, atol=1e-11)
    by_center = np.einsum("ixyf,if->ixy", jacobian.strain, g)
    sums = np.add.reduceat(by_center, features.offsets[:-1])
    np.testing.assert_allclose(sums, strain, atol=1e-10)


def test_uncertainty_of_forces(gap, union):
    """Standard deviations of energies along a displacement grow as those of its forces say."""
    new = union(make_frames(1, seed=33))
    std = gap.predict_forces_std(new)[0]
    one = gap._check_predict(new)
    rows = derivative_rows(one, gap._model.points, gap._model.covariances)[1]
    H = gap._model.posterior.covariance_factor(rows)
    assert (std.ravel() >= np.sqrt(np.square(H).sum(axis=1))).all()


def test_batch_of_a_pool(gap, union, joined, targets):
    pool = union(make_frames(6, seed=5))
    chosen, std = select_batch(gap, pool, 3)
    np.testing.assert_allclose(std[0], gap.predict(pool, return_std=True)[1][chosen[0]])
    more = np.hstack([pool.block(0)[chosen[:1]], pool.block(1)[chosen[:1]]])
    gap_again = GAPRegressor(
        zeta=ZETAS, energy_scale=SCALES, sigma_forces=0.2, e0=gap.e0_, calibrate=False,
        sparse_method={z: gap.sparse_features_[gap.sparse_species_ == z] for z in SPECIES},
    ).partial_fit(joined, targets[0], **targets[1])
    gap_again.partial_fit(more, reference(make_frames(6, seed=5))[0][chosen[:1]])
    np.testing.assert_allclose(
        gap_again.predict(pool, return_std=True)[1][chosen[1]], std[1], rtol=1e-3
    )


def test_pipeline_with_a_union(frames, targets):
    union = make_union(
        TwoBodyTransformer(cutoff=4.0), SOAPTransformer(cutoff=3.0, n_max=4, l_max=3)
    )
    pipeline = make_pipeline(union, GAPRegressor(zeta=[1, 3], n_sparse=[50, 8]))
    prefix = "gapregressor__"
    pipeline.fit(frames, targets[0], **{prefix + kind: t for kind, t in targets[1].items()})
    energies, forces = pipeline.predict(frames, return_forces=True)
    assert np.abs(energies - targets[0]).max() < 0.05
    error = np.concatenate(forces) - np.concatenate(targets[1]["forces"])
    assert np.sqrt(np.mean(error**2)) < 0.2 * np.std(np.concatenate(targets[1]["forces"]))


def test_the_same_structures_are_needed(toy, frames, joined):
    with pytest.raises(ValueError, match="part 1 has other structures or centers"):
        np.hstack([toy.transform(frames[:3]), toy.transform(frames[3:6])])
    with pytest.raises(TypeError, match=r"part 1 is of type ndarray; use pooling"):
        np.hstack([joined, np.ones((len(joined), 2))])
    with pytest.raises(TypeError, match="no implementation"):
        np.vstack([joined, joined])


@pytest.mark.parametrize(("params", "match"), [
    ({"zeta": [2, 1, 1]}, r"zeta is \[2, 1, 1\] with 3 entries, but X joins 2"),
    ({"zeta": [2, 0.5]}, r"zeta is \[2, 0.5\], but must be finite and at least 1"),
    ({"energy_scale": ["auto"]}, r"energy_scale is \['auto'\] with 1 entries"),
    ({"energy_scale": ["auto", 0.0]}, r"energy_scale is .* above 0, a list of these, or 'auto'"),
    ({"n_sparse": [5, 0]}, "n_sparse is 0 for H"),
    ({"n_sparse": [5]}, r"n_sparse is \[5\] with 1 entries"),
    ({"sparse_method": {z: np.ones((2, 25)) for z in SPECIES}}, "not zero outside of one"),
])
def test_bad_input(joined, targets, params, match):
    with pytest.raises(ValueError, match=match):
        GAPRegressor(**params).fit(joined, targets[0])


def test_a_union_of_one_is_its_only_member(frames, targets):
    toy = ToyDescriptor(SPECIES, cutoff=3.0)
    alone = toy.transform(frames)
    joined = np.hstack([alone])
    np.testing.assert_array_equal(joined.values, alone.values)
    y, derivatives = targets
    gap = GAPRegressor(n_sparse=5).fit(joined, y, **derivatives)
    expected = GAPRegressor(n_sparse=5).fit(alone, y, **derivatives)
    np.testing.assert_array_equal(gap.weights_, expected.weights_)
