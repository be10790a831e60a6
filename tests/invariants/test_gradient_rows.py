"""Derivatives of many linear functions of the power spectrum, in both ways to compute them."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from helpers.systems import zoo

from skdesc import SOAPTransformer
from skdesc.invariants._gradient_rows import ByJacobian, Factorized


def of_one_species():
    dense, alone = bulk("Cu", cubic=True), Atoms("Cu")
    dense.rattle(0.1, seed=4)
    return [dense, alone, Atoms("Cu3", [[0, 0, 0], [0, 0, 2.5], [1.9, 0.2, 1.6]])]


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("frames", [zoo, of_one_species])
@pytest.mark.parametrize("compression", [None, "mu1nu1", "mu2", "crossover"])
def test_both_ways_to_gradient_rows_agree(compression, frames, normalize, monkeypatch):
    features = SOAPTransformer(
        n_max=4, l_max=3, cutoff=4.0, normalize=normalize, compression=compression
    ).fit_transform(frames())
    rng = np.random.default_rng(5)
    Q = rng.normal(size=(7, features.values.shape[1]))
    weights = rng.normal(size=(len(features.values), 7))
    results = []
    for way in (Factorized, ByJacobian):
        monkeypatch.setattr(features.descriptor, "contraction", way)
        results.append(features.gradient_rows(Q, weights))
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-12 * np.abs(second).max())


@pytest.mark.parametrize(
    ("frames", "l_max", "way"),
    [(of_one_species, 3, ByJacobian), (of_one_species, 1, Factorized), (zoo, 3, Factorized)],
)
def test_gradient_rows_go_the_way_of_fewer_products(frames, l_max, way):
    soap = SOAPTransformer(n_max=4, l_max=l_max, cutoff=4.0)
    assert soap.fit_transform(frames()).descriptor.contraction is way


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("n_max", [4, 5])
@pytest.mark.parametrize("frames", [zoo, of_one_species])
def test_gradient_rows_are_many_adjoints(frames, normalize, n_max):
    features = SOAPTransformer(
        n_max=n_max, l_max=3, cutoff=4.0, normalize=normalize
    ).fit_transform(frames())
    rng = np.random.default_rng(2)
    Q = rng.normal(size=(5, features.values.shape[1]))
    weights = rng.normal(size=(len(features.values), 5))
    weights[rng.random(len(weights)) < 0.3] = 0
    rows, strain_rows = features.gradient_rows(Q, weights)
    for m in range(5):
        gradient, strain_gradient = features.vjp(weights[:, m : m + 1] * Q[m])
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(rows[..., m], gradient, atol=1e-12 * scale)
        np.testing.assert_allclose(strain_rows[..., m], strain_gradient, atol=1e-11 * scale)
