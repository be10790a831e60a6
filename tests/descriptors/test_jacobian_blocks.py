"""Explicit derivatives leave out what is zero, by neighbors and by the centers themselves."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from skdesc import SOAPTransformer, TensorReducedTransformer
from skdesc.invariants import _jacobian

FRAMES = [molecule("CH4"), Atoms("N"), molecule("H2O"), molecule("N2"), molecule("CH3OH")]
for number, atoms in enumerate(FRAMES):
    atoms.rattle(0.1, seed=number)


@pytest.mark.parametrize("strain", [False, True])
@pytest.mark.parametrize("transformer", [
    SOAPTransformer(n_max=3, l_max=2),
    SOAPTransformer(n_max=3, l_max=2, compression="mu1nu1", normalize=False),
    SOAPTransformer(n_max=3, l_max=2, compression="mu2"),
    SOAPTransformer(["H", "C", "O"], n_max=3, l_max=2, compression="crossover",
                    handle_unknown="ignore", centers=["C", "N", "H"]),
    SOAPTransformer(["He", "H", "C", "N", "O", "Cu"], n_max=3, l_max=2),
    TensorReducedTransformer(n_max=3, l_max=2, n_channels=5, random_state=0),
], ids=["full", "mu1nu1", "mu2", "crossover", "further species", "tensor-reduced"])
@pytest.mark.parametrize("buffer", [1, 4e6])
def test_blocks_hold_all_derivatives(transformer, strain, buffer, monkeypatch):
    """Whatever is left out, and in however many steps: the same as the adjoint."""
    monkeypatch.setattr(_jacobian, "BUFFER", buffer)
    features = transformer.fit_transform(FRAMES)
    g = np.random.default_rng(0).normal(size=features.values.shape)
    jacobian = features.jacobian(strain=strain)
    gradient, strain_gradient = features.vjp(g)
    np.testing.assert_allclose(jacobian.vjp(g), gradient, atol=1e-12)
    dense = np.einsum("if,iaxf->ax", g, jacobian.dense())
    np.testing.assert_allclose(dense, gradient, atol=1e-12)
    if strain:
        by_center = np.einsum("if,iabf->iab", g, jacobian.strain)
        sums = [by_center[a:b].sum(axis=0)
                for a, b in zip(features.offsets[:-1], features.offsets[1:], strict=True)]
        np.testing.assert_allclose(sums, strain_gradient, atol=1e-12)


def test_structures_of_fewer_elements_than_the_transformer_knows():
    soap = SOAPTransformer(["He", "H", "C"], n_max=3, l_max=2).fit(FRAMES[:1])
    features = soap.transform(FRAMES[:1] * 3)
    g = np.random.default_rng(0).normal(size=features.values.shape)
    jacobian = features.jacobian()
    np.testing.assert_allclose(jacobian.vjp(g), features.vjp(g)[0], atol=1e-12)
    assert jacobian.blocks[-1].values.shape[2] < features.values.shape[1]


def test_centers_among_few_elements_keep_few_features():
    features = SOAPTransformer(n_max=3, l_max=2).fit_transform(FRAMES)
    jacobian = features.jacobian()
    own = [part for part in jacobian.blocks if np.array_equal(part.atom, part.center)]
    kept = sum(part.values.size for part in own)
    assert sorted(np.concatenate([part.center for part in own])) == [*range(len(features.values))]
    assert kept < 0.5 * 3 * features.values.size


@pytest.mark.parametrize("strain", [False, True])
def test_structures_without_centers(strain):
    soap = SOAPTransformer(["H", "C", "O"], n_max=3, l_max=2, centers=["C"])
    features = soap.fit(FRAMES[:1]).transform([molecule("H2O")])
    jacobian = features.jacobian(strain=strain)
    assert jacobian.dense().shape == (0, 3, 3, features.shape[1])
    np.testing.assert_array_equal(jacobian.vjp(features.values), np.zeros((3, 3)))
