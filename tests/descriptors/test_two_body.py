"""TwoBodyTransformer: values, derivatives, manners of an estimator, errors."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from helpers.derivatives import assert_second_order, displaced, strained
from helpers.systems import zoo
from sklearn.base import clone
from sklearn.utils import estimator_checks

from skdesc import TwoBodyTransformer

SMALL = {"cutoff": 3.5, "cutoff_width": 1.0, "n_gaussians": 7, "shortest": 0.8}


@pytest.fixture(scope="module")
def transformer():
    return TwoBodyTransformer(**SMALL).fit(zoo())


@pytest.fixture(scope="module")
def features(transformer):
    return transformer.transform(zoo())


def test_values_by_the_definition(transformer, features):
    nodes = np.linspace(0.8, 3.5, 7)
    species, width = transformer.species_.tolist(), nodes[1] - nodes[0]
    for index, atoms in enumerate(zoo()):
        cells = [range(-4, 5) if periodic else [0] for periodic in atoms.pbc]
        shifts = np.stack(np.meshgrid(*cells), axis=-1).reshape(-1, 3) @ atoms.cell.array
        expected = np.zeros((len(atoms), len(species), 7))
        for i, j in np.ndindex(len(atoms), len(atoms)):
            r = np.linalg.norm(atoms.positions[j] + shifts - atoms.positions[i], axis=1)
            r = r[(r > 1e-9) & (r < 3.5)]
            weight = np.where(r < 2.5, 1.0, 0.5 + 0.5 * np.cos(np.pi * (r - 2.5)))
            gaussians = np.exp(-((r[:, None] - nodes) ** 2) / (2 * width**2))
            expected[i, species.index(atoms.numbers[j])] += weight @ gaussians
        np.testing.assert_allclose(features[index], expected.reshape(len(atoms), -1), atol=1e-12)


def test_adjoint_is_the_derivative(transformer, features):
    rng = np.random.RandomState(0)
    g = rng.normal(size=features.values.shape)
    gradient, strain_gradient = features.vjp(g)
    structures = features.structures

    def energy(moved):
        local = (transformer.transform(moved).values * g).sum(axis=1)
        return np.add.reduceat(local, features.offsets[:-1])

    directions = rng.normal(size=structures.positions.shape)
    along = np.add.reduceat((gradient * directions).sum(axis=1), structures.offsets[:-1])
    steps = (4e-4, 2e-4, 1e-4)
    assert_second_order(along, energy, lambda h: displaced(structures, directions, h), steps)
    strain = rng.normal(size=(3, 3))
    expected = np.einsum("sab,ba->s", strain_gradient, strain)
    steps = (2e-4, 1e-4, 5e-5)
    assert_second_order(expected, energy, lambda h: strained(structures, strain, h), steps)


def test_rows_are_adjoints(features):
    rng = np.random.RandomState(1)
    Q = rng.normal(size=(4, features.values.shape[1]))
    weights = rng.normal(size=(len(features.values), 4))
    gradient, strain = features.gradient_rows(Q, weights)
    for m in range(4):
        one_gradient, one_strain = features.vjp(weights[:, m : m + 1] * Q[m])
        np.testing.assert_allclose(gradient[..., m], one_gradient, atol=1e-12)
        np.testing.assert_allclose(strain[..., m], one_strain, atol=1e-11)


def test_jacobian_is_the_adjoint(features):
    g = np.random.RandomState(3).normal(size=features.values.shape)
    jacobian = features.jacobian(strain=True)
    gradient, strain = features.vjp(g)
    np.testing.assert_allclose(jacobian.vjp(g), gradient, atol=1e-12)
    np.testing.assert_allclose(np.einsum("iaxf,if->ax", jacobian.dense(), g), gradient, atol=1e-12)
    by_center = np.einsum("ixyf,if->ixy", jacobian.strain, g)
    sums = np.add.reduceat(by_center, features.offsets[:-1])
    np.testing.assert_allclose(sums, strain, atol=1e-11)


@pytest.mark.parametrize("strain", [False, True])
def test_jacobian_of_an_atom_alone(transformer, strain):
    jacobian = transformer.fit(zoo()).transform([Atoms("O")]).jacobian(strain=strain)
    assert jacobian.dense().shape == (1, 1, 3, transformer.n_features_out_)
    assert not jacobian.dense().any()


def test_batches_do_not_change_anything(features, monkeypatch):
    rng = np.random.RandomState(2)
    Q = rng.normal(size=(2, features.values.shape[1]))
    weights = rng.normal(size=(len(features.values), 2))
    whole = features.descriptor.describe(features.structures), *features.gradient_rows(Q, weights)
    monkeypatch.setattr("skdesc.descriptors._two_body._BATCH_BYTES", 1)
    parts = features.descriptor.describe(features.structures), *features.gradient_rows(Q, weights)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13)


def test_pooling_names_and_containers(features):
    for pooling, pool in (("sum", np.sum), ("mean", np.mean)):
        transformer = TwoBodyTransformer(**SMALL, pooling=pooling)
        pooled = transformer.fit_transform(zoo())
        expected = [pool(features[index], axis=0) for index in range(len(features))]
        np.testing.assert_allclose(pooled, expected, atol=1e-13)
    table = transformer.set_output(transform="pandas").fit_transform(zoo())
    assert table.columns[0] == "pair_H_1"
    assert len(table.columns) == transformer.n_features_out_


def test_clone_and_pickle(transformer, features):
    assert clone(transformer).get_params() == transformer.get_params()
    again = pickle.loads(pickle.dumps(features))
    np.testing.assert_array_equal(again.vjp(np.ones_like(again.values))[0],
                                  features.vjp(np.ones_like(features.values))[0])


@pytest.mark.parametrize("name", [
    "check_estimator_cloneable", "check_get_params_invariance", "check_mixin_order",
    "check_no_attributes_set_in_init", "check_parameters_default_constructible",
    "check_set_params", "check_valid_tag_types",
])
def test_checks_of_scikit_learn_without_arrays(name):
    getattr(estimator_checks, name)("TwoBodyTransformer", TwoBodyTransformer())


@pytest.mark.parametrize(("name", "value", "match"), [
    ("cutoff", -1.0, "cutoff must be a number above 0"),
    ("cutoff_width", 9.0, "cutoff_width must be a number above 0 and at most 5, got 9"),
    ("shortest", 5.0, "shortest is 5.0, but the Gaussians reach from there to cutoff=5.0"),
    ("n_gaussians", 1, "n_gaussians must be an integer above 1"),
    ("n_gaussians", 4.0, "n_gaussians must be an integer"),
    ("gaussian_width", np.nan, "gaussian_width must be a number above 0"),
    ("pooling", "max", "pooling must be None, 'mean' or 'sum'"),
    ("species", ["C"], r"elements \['H'\], which are not among species=\['C'\]"),
])
def test_bad_input(name, value, match):
    with pytest.raises(ValueError, match=match):
        TwoBodyTransformer(**{"cutoff": 5.0, name: value}).fit_transform([molecule("CH4")])
