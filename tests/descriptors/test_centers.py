"""Descriptors of some atoms only, and one row per structure."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from helpers.derivatives import assert_second_order, displaced, strained
from helpers.systems import zoo
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from skdesc import (
    CachedDescriptor,
    FeatureCache,
    GAPRegressor,
    SOAPTransformer,
    Structures,
    TensorReducedTransformer,
)

SMALL = {"n_max": 3, "l_max": 2, "cutoff": 4.0}
ELEMENTS = ["H", "C", "O"]


def marked(frames):
    """Mark every second atom, and none of the last structure."""
    frames = [atoms.copy() for atoms in frames]
    for index, atoms in enumerate(frames):
        mask = np.arange(len(atoms)) % 2 == index % 2
        atoms.set_array("core", mask & (index < len(frames) - 1))
    return frames


def indices(frames):
    return [np.flatnonzero(atoms.arrays["core"]).tolist() for atoms in frames]


def test_three_ways_to_name_the_same_centers():
    frames = marked(zoo())
    everything = SOAPTransformer(**SMALL).fit_transform(frames)
    masked = SOAPTransformer(**SMALL, centers="core").fit_transform(frames)
    listed = SOAPTransformer(**SMALL, centers=indices(frames)).fit_transform(frames)
    chosen = np.flatnonzero(np.concatenate([atoms.arrays["core"] for atoms in frames]))
    for features in (masked, listed):
        np.testing.assert_array_equal(features.centers, chosen)
        np.testing.assert_array_equal(features.values, everything.values[chosen])
        np.testing.assert_array_equal(np.diff(features.offsets), [*map(len, indices(frames))])
    oxygen = SOAPTransformer(**SMALL, centers=["O"]).fit_transform(frames)
    np.testing.assert_array_equal(oxygen.values, everything.values[everything.species == 8])
    assert (oxygen.species == 8).all()


@pytest.mark.parametrize("centers", [None, ["O", "C"], "core"])
@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_pooling_of_what_is_described(centers, pooling):
    frames = marked(zoo())
    atomic = SOAPTransformer(**SMALL, centers=centers).fit_transform(frames)
    pooled = SOAPTransformer(**SMALL, centers=centers, pooling=pooling).fit_transform(frames)
    for s in range(len(frames)):
        rows = atomic[s]
        expected = getattr(np, pooling)(rows, axis=0) if len(rows) else 0.0
        np.testing.assert_allclose(pooled[s], expected, atol=1e-13)


def test_inner_pooling_of_one_center_and_of_equal_centers():
    """The mean of one environment, or of equal ones in equal orientation, is that one."""
    frames = [molecule("H2O"), Atoms("Cu", cell=np.eye(3) * 2.6 + 0.2, pbc=True).repeat(2)]
    for transformer in (SOAPTransformer, TensorReducedTransformer):
        seed = {"random_state": 0} if transformer is TensorReducedTransformer else {}
        inner = transformer(**SMALL, **seed, centers=[[0], range(8)], pooling="inner")
        rows = transformer(**SMALL, **seed, centers=[[0], [3]]).fit_transform(frames).values
        np.testing.assert_allclose(inner.fit_transform(frames), rows, atol=1e-12)


def test_batches_change_no_pooled_row(monkeypatch):
    from skdesc.invariants import _environments

    frames = marked(zoo())
    for pooling in ("mean", "sum", "inner"):
        soap = SOAPTransformer(**SMALL, centers="core", pooling=pooling).fit(frames)
        g = np.random.default_rng(0).normal(size=(len(frames), soap.n_features_out_))
        with monkeypatch.context() as patch:
            whole, (slopes, strain) = soap.transform(frames), soap.pooled_vjp(frames, g)
            patch.setattr(_environments, "BATCH_ATOMS", 4)
            patch.setattr(_environments, "centers_per_batch", lambda n: 2)
            np.testing.assert_allclose(soap.transform(frames), whole, atol=1e-14)
            again = soap.pooled_vjp(frames, g)
        np.testing.assert_allclose(again[0], slopes, atol=1e-13)
        np.testing.assert_allclose(again[1], strain, atol=1e-13)


@pytest.mark.parametrize("centers", [None, ["O", "C"]])
@pytest.mark.parametrize("pooling", ["mean", "sum", "inner"])
@pytest.mark.parametrize("transformer", [SOAPTransformer, TensorReducedTransformer])
def test_derivatives_of_pooled_features(transformer, pooling, centers):
    frames = zoo()
    seed = {"random_state": 0} if transformer is TensorReducedTransformer else {}
    soap = transformer(**SMALL, **seed, pooling=pooling, centers=centers).fit(frames)
    structures = Structures.from_atoms(frames)
    rng = np.random.default_rng(0)
    g = rng.normal(size=(len(frames), soap.n_features_out_))
    gradient, strain_gradient = soap.pooled_vjp(frames, g)
    direction, deformation = rng.normal(size=structures.positions.shape), rng.normal(size=(3, 3))

    def energy(structures):
        return (soap.transform(structures) * g).sum(axis=1)

    expected = np.add.reduceat((gradient * direction).sum(axis=1), structures.offsets[:-1])
    assert_second_order(
        expected, energy, lambda step: displaced(structures, direction, step), [2e-3, 1e-3]
    )
    expected = np.einsum("sab,ba->s", strain_gradient, deformation)
    assert_second_order(
        expected, energy, lambda step: strained(structures, deformation, step), [1e-3, 5e-4]
    )


@pytest.mark.parametrize("centers", [["O", "C"], "core"])
def test_atomic_derivatives_of_some_centers(centers):
    """By the adjoint, by the Jacobian, and as rows: the same as of all, others weighing nothing."""
    frames = marked(zoo())
    everything = SOAPTransformer(**SMALL).fit_transform(frames)
    features = SOAPTransformer(**SMALL, centers=centers).fit_transform(frames)
    assert 0 in np.diff(features.offsets)
    g = np.random.default_rng(0).normal(size=features.values.shape)
    spread = np.zeros_like(everything.values)
    spread[features.centers] = g
    expected, expected_strain = everything.vjp(spread)
    gradient, strain_gradient = features.vjp(g)
    np.testing.assert_allclose(gradient, expected, atol=1e-12)
    np.testing.assert_allclose(strain_gradient, expected_strain, atol=1e-12)
    np.testing.assert_allclose(features.jacobian().vjp(g), expected, atol=1e-12)
    part = features[[5, 2, 0]]
    rows = np.concatenate([np.arange(features.offsets[s], features.offsets[s + 1])
                           for s in (5, 2, 0)])
    again, _ = part.vjp(g[rows])
    mine = np.concatenate([np.arange(everything.offsets[s], everything.offsets[s + 1])
                           for s in (5, 2, 0)])
    np.testing.assert_allclose(again, expected[mine], atol=1e-12)
    weights = np.ones((len(g), 2))
    slopes, _ = features.gradient_rows(g[:2], weights)
    np.testing.assert_allclose(slopes[..., 1], features.vjp(weights[:, 1:] * g[1])[0], atol=1e-12)


def test_potential_of_some_centers():
    """Energies of structures with and without centers, and forces as their slopes."""
    rng = np.random.default_rng(0)
    frames = [molecule(name) for name in ("H2O", "CH3OH", "CH4", "H2CO") * 3]
    for atoms in frames:
        atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
    soap = SOAPTransformer(**SMALL, centers=["O"])
    features = soap.fit_transform(frames)
    y = rng.normal(size=len(frames)) - 10.0 * features.n_atoms
    forces = [rng.normal(size=(n, 3)) for n in features.n_atoms]
    model = GAPRegressor(n_sparse=5, random_state=0).fit(features, y, forces=forces)
    energies, predicted = model.predict(features, return_forces=True)
    assert np.isfinite(energies).all()
    methane = [k for k, atoms in enumerate(frames) if "O" not in atoms.symbols]
    assert all((predicted[k] == 0).all() for k in methane)
    structures = Structures.from_atoms(frames)
    direction = rng.normal(size=structures.positions.shape)
    slope = -np.add.reduceat((np.concatenate(predicted) * direction).sum(axis=1),
                             structures.offsets[:-1])
    assert_second_order(
        slope, lambda moved: model.predict(soap.transform(moved)),
        lambda step: displaced(structures, direction, step), [2e-3, 1e-3],
    )


def test_marks_survive_splits_and_indices_do_not():
    frames = marked([molecule(name) for name in ("H2O", "CH3OH", "CH4", "H2CO")] * 2)
    y = np.arange(8.0)
    soap = SOAPTransformer(**SMALL, species=ELEMENTS, centers="core")
    model = make_pipeline(soap, GAPRegressor(n_sparse=4))
    for X in (frames, Structures.from_atoms(frames, extra_arrays=["core"])):
        scores = cross_val_score(model, X, y, cv=KFold(2), error_score="raise")
        assert np.isfinite(scores).all()
    cached = CachedDescriptor(soap, FeatureCache()).fit(frames)
    np.testing.assert_array_equal(
        cached.transform(frames).values, soap.fit_transform(frames).values
    )
    model.set_params(soaptransformer__centers=indices(frames)).fit(frames, y)
    with pytest.raises(ValueError, match="split, as in cross-validation"):
        cross_val_score(model, frames, y, cv=KFold(2), error_score="raise")
    with pytest.raises(TypeError, match="mark centers in a per-atom array"):
        CachedDescriptor(model[0], FeatureCache()).fit(frames)


def test_no_center_at_all():
    frames = [molecule("CH4"), molecule("C2H6")]
    soap = SOAPTransformer(**SMALL, species=ELEMENTS, centers=["O"]).fit(frames)
    features = soap.transform(frames)
    assert features.values.shape == (0, soap.n_features_out_)
    assert len(features) == 2
    gradient, strain = features.vjp(np.zeros((0, soap.n_features_out_)))
    assert not gradient.any()
    assert not strain.any()
    for pooling in ("mean", "sum", "inner"):
        pooled = soap.set_params(pooling=pooling).transform(frames)
        np.testing.assert_array_equal(pooled, np.zeros((2, soap.n_features_out_)))


class Masks:
    """Frames whose per-atom array is no mask."""

    @staticmethod
    def frames(values):
        atoms = molecule("H2O")
        atoms.set_array("core", np.asarray(values))
        return [atoms]


BAD = [
    ([], [molecule("H2O")], "got \\[\\]"),
    (3, [molecule("H2O")], "got 3"),
    ([1.5], [molecule("H2O")], "got \\[1.5\\]"),
    (["Xy"], [molecule("H2O")], "neither a chemical symbol"),
    ([[0], [1]], [molecule("H2O")], "for 2 structures, but there are 1"),
    ([[3]], [molecule("H2O")], "names atom 3, but structure 0 has 3 atoms"),
    ([[-1]], [molecule("H2O")], "no list of integers from 0"),
    ([[0.5]], [molecule("H2O")], "no list of integers from 0"),
    ([[0, 0]], [molecule("H2O")], "names an atom twice"),
    ("core", [molecule("H2O")], "no per-atom array 'core'"),
    ("core", Masks.frames([0, 1, 2]), "must hold True and False"),
    ("core", Masks.frames([0, 1, np.nan]), "must hold True and False"),
    ("core", Masks.frames(["a", "b", "c"]), "must hold True and False"),
    ("core", Masks.frames(np.ones((3, 2))), "must hold True and False"),
]


@pytest.mark.parametrize(("centers", "frames", "match"), BAD)
def test_centers_that_cannot_be(centers, frames, match):
    with pytest.raises(ValueError, match=match):
        SOAPTransformer(**SMALL, centers=centers).fit_transform(frames)


def test_cotangents_of_pooled_features_are_checked():
    frames = [molecule("H2O")]
    soap = SOAPTransformer(**SMALL, pooling="mean").fit(frames)
    with pytest.raises(ValueError, match="g has shape"):
        soap.pooled_vjp(frames, np.ones(3))
    with pytest.raises(ValueError, match="NaN or infinite"):
        soap.pooled_vjp(frames, np.full((1, soap.n_features_out_), np.nan))
    with pytest.raises(ValueError, match=r"use AtomicFeatures\.vjp"):
        soap.set_params(pooling=None).pooled_vjp(frames, np.ones((1, soap.n_features_out_)))
