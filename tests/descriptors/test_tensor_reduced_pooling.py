"""Pooled tensor-reduced features, their derivatives, chosen centers."""

import numpy as np
import pytest
from helpers.derivatives import assert_second_order, displaced, strained
from helpers.systems import distorted_gaas, skewed_slab, wire

from skdesc import TensorReducedTransformer

SMALL = {"cutoff": 3.7, "n_max": 3, "l_max": 2, "n_channels": 5, "random_state": 0}


def frames():
    return [distorted_gaas()[:5], skewed_slab(), wire()]


@pytest.mark.parametrize("pooling", ["mean", "sum", "inner"])
@pytest.mark.parametrize("changes", [{"correlation_order": 3}, {"reduce": "radial"}])
def test_derivatives_of_pooled_features(changes, pooling):
    transformer = TensorReducedTransformer(**SMALL, **changes, pooling=pooling).fit(frames())
    structures = TensorReducedTransformer(**SMALL).fit_transform(frames()).structures
    rng = np.random.default_rng(1)
    g = rng.normal(size=(3, transformer.n_features_out_))
    gradient, strain_gradient = transformer.pooled_vjp(frames(), g)

    def energies(structures):
        return (transformer.transform(structures) * g).sum(axis=1)

    direction = rng.normal(size=structures.positions.shape)
    assert_second_order(
        np.add.reduceat((gradient * direction).sum(axis=1), structures.offsets[:-1]), energies,
        lambda step: displaced(structures, direction, step), [2e-3, 1e-3],
    )
    strain = rng.normal(size=(3, 3))
    assert_second_order(
        np.einsum("sab,ba->s", strain_gradient, strain), energies,
        lambda step: strained(structures, strain, step), [1e-3, 5e-4],
    )


def test_inner_pooling_of_one_atom_is_that_atom():
    alone = frames()[0][:1]
    inner = TensorReducedTransformer(**SMALL, pooling="inner").fit_transform([alone])
    rows = TensorReducedTransformer(**SMALL).fit_transform([alone]).values
    np.testing.assert_allclose(inner, rows, atol=1e-14)


def test_inner_pooling_of_order_one_is_the_mean():
    """At order 1 features are linear in the coefficients, so both means are the same."""
    parameters = {**SMALL, "correlation_order": 1, "normalize": False}
    inner, mean = (
        TensorReducedTransformer(**parameters, pooling=pooling).fit_transform(frames())
        for pooling in ("inner", "mean")
    )
    np.testing.assert_allclose(inner, mean, atol=1e-12)


def test_centers_of_one_element():
    some = TensorReducedTransformer(**SMALL, centers=["As"]).fit_transform(frames()[:1])
    every = TensorReducedTransformer(**SMALL).fit_transform(frames()[:1])
    assert set(some.species) == {33}
    np.testing.assert_array_equal(some.values, every.values[every.species == 33])
