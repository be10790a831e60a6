"""TensorReducedTransformer against its NumPy twin; derivatives; what weights promise."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from helpers.derivatives import assert_second_order, displaced, strained
from helpers.lengths import LENGTHS
from helpers.systems import chain, distorted_gaas, skewed_slab, wire, zoo

from skdesc import SOAPTransformer, TensorReducedTransformer
from skdesc.density import make_radial_basis
from skdesc.density._reference import coefficients
from skdesc.invariants import TensorReduced
from skdesc.invariants import _tensor_reduced_reference as twin
from skdesc.neighbors import find_pairs
from skdesc.structures import Structures

SMALL = LENGTHS | {
    "cutoff": 3.7, "n_max": 3, "l_max": 2, "n_channels": 5, "random_state": 0,
}

VARIANTS = {
    "order 1": {"correlation_order": 1},
    "order 2": {},
    "order 2, one set of weights": {"scheme": "decomposition"},
    "order 2, weights per l": {"weights_per_l": True, "n_max": 4, "l_max": 3},
    "species only": {"reduce": ("species",), "n_channels": 3},
    "species only, one set of weights": {"reduce": ["species"], "scheme": "decomposition"},
    "radial only": {"reduce": ("radial",), "n_channels": 3},
    "radial only, one set of weights": {"reduce": "radial", "scheme": "decomposition"},
    "radial only, order 3": {"reduce": "radial", "correlation_order": 3, "n_channels": 2},
    "order 3": {"correlation_order": 3},
    "all orders": {"correlation_order": 4, "orders": (1, 2, 3, 4), "n_channels": 19},
    "order 4, one set of weights": {"correlation_order": 4, "orders": [4], "n_channels": 17,
                                    "scheme": "decomposition"},
}

variants = pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)


def fitted(frames, **changes):
    return TensorReducedTransformer(**{**SMALL, **changes}).fit(frames)


def reference(transformer, atoms):
    """Features of one structure by NumPy alone."""
    p = transformer.get_params()
    structures = Structures.from_atoms([atoms])
    index = np.searchsorted(transformer.species_, structures.numbers)
    pairs = find_pairs(structures, p["cutoff"], np.arange(len(atoms)), index)
    basis = make_radial_basis(
        p["radial_basis"], cutoff=p["cutoff"], n_max=p["n_max"], l_max=p["l_max"],
        atom_sigma=p["atom_sigma"],
    )
    found = coefficients(
        basis, pairs, index, cutoff=p["cutoff"], cutoff_width=p["cutoff_width"],
        atom_sigma=p["atom_sigma"], center_weight=p["center_weight"],
    )
    c = np.zeros((*found.shape[:2], len(transformer.species_), p["n_max"]))
    c[:, :, : found.shape[2]] = found
    reduce = [p["reduce"]] if isinstance(p["reduce"], str) else p["reduce"]
    order = p["correlation_order"]
    layout = TensorReduced(
        transformer.species_, n_max=p["n_max"], l_max=p["l_max"], n_channels=p["n_channels"],
        orders=p["orders"] or range(min(2, order), order + 1), sketch=p["scheme"] == "sketch",
        reduce=reduce,
    )
    weights = layout.with_all_axes(transformer.mixing_weights_, p["weights_per_l"])
    return twin.features(twin.mix(c, weights, reduce), layout.terms)


@variants
def test_values_agree_with_the_numpy_twin(changes):
    transformer = fitted(zoo(), normalize=False, **changes)
    for atoms in zoo():
        expected = reference(transformer, atoms)
        values = transformer.transform([atoms]).values
        np.testing.assert_allclose(values, expected, atol=1e-8 * np.abs(expected).max())
        unit = TensorReducedTransformer(**{**SMALL, **changes}).fit(zoo()).transform([atoms])
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(unit.values, expected, atol=1e-8)


@variants
@pytest.mark.parametrize("normalize", [True, False])
def test_derivatives_converge_to_second_order(changes, normalize):
    frames = [distorted_gaas()[:5], skewed_slab(), chain(), wire(), molecule("CH3OH")]
    transformer = fitted(frames, normalize=normalize, **changes)
    features = transformer.transform(frames)
    structures = features.structures
    rng = np.random.default_rng(1)
    g = rng.normal(size=features.values.shape)
    gradient, strain_gradient = features.vjp(g)

    def energies(structures):
        local = (transformer.transform(structures).values * g).sum(axis=1)
        return np.add.reduceat(local, structures.offsets[:-1])

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


@variants
def test_jacobian_and_gradient_rows_agree_with_the_adjoint(changes):
    frames = [distorted_gaas(), chain(), wire(), molecule("CH3OH")]
    features = fitted(frames, **changes).transform(frames)
    rng = np.random.default_rng(2)
    g = rng.normal(size=features.values.shape)
    gradient, strain_gradient = features.vjp(g)
    jacobian = features.jacobian(strain=True)
    np.testing.assert_allclose(jacobian.vjp(g), gradient, atol=1e-11 * np.abs(gradient).max())
    by_strain = np.einsum("iabf,if->iab", jacobian.strain, g)
    by_strain = np.add.reduceat(by_strain, features.offsets[:-1])
    scale = np.abs(strain_gradient).max()
    np.testing.assert_allclose(by_strain, strain_gradient, atol=1e-11 * scale)
    Q = rng.normal(size=(3, features.values.shape[1]))
    weights = rng.normal(size=(len(features.values), 3))
    rows, strain_rows = features.gradient_rows(Q, weights)
    for m in range(3):
        gradient, strain_gradient = features.vjp(weights[:, m : m + 1] * Q[m])
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(rows[..., m], gradient, atol=1e-11 * scale)
        np.testing.assert_allclose(strain_rows[..., m], strain_gradient, atol=1e-10 * scale)


@variants
def test_invariance(changes):
    atoms = distorted_gaas()
    transformer = fitted([atoms], **changes)
    values = transformer.transform([atoms]).values
    turned = atoms.copy()
    turned.rotate(37, (1, 2, -1), rotate_cell=True)
    inverted = atoms.copy()
    inverted.set_cell(-atoms.cell)
    inverted.positions *= -1
    moved = atoms.copy()
    moved.positions += [0.4, -1.1, 7.0]
    for other in (turned, inverted, moved):
        np.testing.assert_allclose(transformer.transform([other]).values, values, atol=1e-10)
    shuffled = np.random.default_rng(3).permutation(len(atoms))
    np.testing.assert_allclose(
        transformer.transform([atoms[shuffled]]).values, values[shuffled], atol=1e-10
    )


@variants
def test_sizes_and_names(changes):
    frames = zoo()
    transformer = fitted(frames, pooling="mean", **changes)
    names = transformer.get_feature_names_out()
    assert len(names) == len(set(names)) == transformer.n_features_out_
    assert transformer.transform(frames).shape == (len(frames), len(names))
    rows = fitted(frames, **changes).transform(frames)
    means = np.add.reduceat(rows.values, rows.offsets[:-1]) / rows.n_atoms[:, None]
    np.testing.assert_allclose(transformer.transform(frames), means, atol=1e-12)


@pytest.mark.parametrize("scheme", ["sketch", "decomposition"])
def test_lengths_are_those_of_the_papers_table(scheme):
    n, l, k = 4, 3, 6
    for elements in (["C", "H"], ["C", "H", "O", "N", "S"]):
        s = len(elements)
        half = scheme == "decomposition"
        expected = {
            ("species", "radial"): k * (l + 1),
            ("species",): k * (l + 1) * (n * (n + 1) // 2 if half else n**2),
            ("radial",): k * (l + 1) * (s * (s + 1) // 2 if half else s**2),
        }
        for reduce, length in expected.items():
            transformer = TensorReducedTransformer(
                elements, n_max=n, l_max=l, n_channels=k, reduce=reduce, scheme=scheme
            ).fit([molecule("CH4")])
            assert transformer.n_features_out_ == length


def test_names_tell_channel_degrees_and_intermediate():
    made = fitted(zoo(), correlation_order=4, pooling="sum")
    names = set(made.get_feature_names_out())
    assert {"tr2_k1_l0", "tr3_k5_l1_l1_l2", "tr4_k2_l1_l1_l2_l2_L1"} <= names
    made = fitted([molecule("CH4")], reduce="species", pooling="sum")
    assert "tr2_k1_n1_n3_l2" in made.get_feature_names_out()
    made = fitted([molecule("CH4")], reduce="radial", pooling="sum", correlation_order=1)
    assert list(made.get_feature_names_out()[[0, 5]]) == ["tr1_k1_H", "tr1_k1_C"]
    assert not hasattr(made, "feature_slice")  # every feature mixes elements


@pytest.mark.parametrize("kind", ["normal", "rademacher", "orthogonal"])
def test_weights_depend_on_seed_element_and_channel_alone(kind):
    water, alcohol = [molecule("H2O")], [molecule("CH3OH")]
    few = fitted(water, weights=kind)
    more_elements = fitted(alcohol, weights=kind)
    np.testing.assert_array_equal(
        few.mixing_weights_, more_elements.mixing_weights_[:, [0, 2]]
    )
    more_channels = fitted(water, weights=kind, n_channels=23)
    np.testing.assert_array_equal(few.mixing_weights_, more_channels.mixing_weights_[..., :5])
    higher = fitted(water, weights=kind, correlation_order=4)
    np.testing.assert_array_equal(few.mixing_weights_, higher.mixing_weights_[:2])
    # so no feature changes either, but for the common factor 1 / sqrt(n_channels)
    plain, more = (
        one.set_params(normalize=False).fit(water).transform(water).values
        for one in (few, more_channels)
    )
    more = more.reshape(-1, 3, 23)[:, :, :5].reshape(len(more), -1) * np.sqrt(23 / 5)
    np.testing.assert_allclose(more, plain, rtol=1e-12)
    with_carbon = more_elements.set_params(normalize=False).fit(alcohol).transform(water).values
    np.testing.assert_allclose(with_carbon, plain, rtol=1e-12)


@pytest.mark.parametrize("kind", ["normal", "rademacher", "orthogonal"])
def test_moments_of_weights(kind):
    # a descriptor with 1 / sqrt(K) needs E[w] = 0 and E[w w'] = 1
    w = fitted(zoo(), weights=kind, n_channels=6000).mixing_weights_
    w = w.reshape(-1, w.shape[-1])
    np.testing.assert_allclose(w.mean(axis=1), 0, atol=0.06)
    np.testing.assert_allclose(w @ w.T / w.shape[1], np.eye(len(w)), atol=0.08)
    if kind == "rademacher":
        assert set(np.unique(w)) == {-1.0, 1.0}
    if kind == "orthogonal":
        block = w[:3, :3]  # three radial functions of one element
        np.testing.assert_allclose(block @ block.T, 3 * np.eye(3), atol=1e-12)


def test_pickled_transformers_never_draw_again():
    frames = [molecule("CH3OH")]
    first = TensorReducedTransformer(n_channels=4).fit(frames)
    other = TensorReducedTransformer(n_channels=4).fit(frames)
    assert not np.array_equal(first.mixing_weights_, other.mixing_weights_)
    again = pickle.loads(pickle.dumps(first))
    features = first.transform(frames)
    np.testing.assert_array_equal(again.transform(frames).values, features.values)
    g = np.ones_like(features.values)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).vjp(g)[0],
                                  features.vjp(g)[0])
    given = TensorReducedTransformer(n_channels=4, weights=first.mixing_weights_).fit(frames)
    np.testing.assert_array_equal(given.transform(frames).values, features.values)


def test_unseen_elements_get_the_weights_they_would_have_had():
    water, alcohol = [molecule("H2O")], [molecule("CH3OH"), molecule("H2O")]
    expected = fitted(alcohol).transform(alcohol)
    transformer = fitted(water, handle_unknown="draw")
    features = transformer.transform(alcohol)
    np.testing.assert_array_equal(features.values, expected.values)
    g = np.random.default_rng(4).normal(size=features.values.shape)
    np.testing.assert_array_equal(features.vjp(g)[0], expected.vjp(g)[0])
    assert list(transformer.species_) == [1, 8]
    pair = [Atoms("OC", [[0, 0, 0], [1, 0, 0]])]
    ignored = fitted(water, handle_unknown="ignore").transform(pair)
    alone = fitted(water).transform([Atoms("O")])
    np.testing.assert_allclose(ignored.values[0], alone.values[0])
    with pytest.raises(ValueError, match=r"elements \['C'\], which are not among"):
        fitted(water).transform(alcohol)


def test_threads_change_no_bit(crowd):
    more = {"n_max": 8, "l_max": 4, "cutoff": 4.5, "correlation_order": 3}
    one, two = (fitted(crowd, n_jobs=n, **more).transform(crowd) for n in (1, 2))
    np.testing.assert_array_equal(one.values, two.values)
    g = np.random.default_rng(5).normal(size=one.values.shape)
    for first, second in zip(one.vjp(g), two.vjp(g), strict=True):
        np.testing.assert_array_equal(first, second)


def test_environments_of_nothing_stay_finite():
    lonely = [Atoms("CO", positions=[[0, 0, 0], [0, 0, 9.0]])]
    empty = fitted(lonely, center_weight=0.0).transform(lonely)
    assert (empty.values == 0).all()
    gradient, _ = empty.vjp(np.ones_like(empty.values))
    assert (gradient == 0).all()


def full_and_coefficients(frames, n_max=2, l_max=2):
    """Full packed spectra, and the same in reduced form, of the same environments."""
    parameters = {"cutoff": 3.5, "n_max": n_max, "l_max": l_max, "normalize": False}
    return SOAPTransformer(**parameters).fit_transform(frames).values, parameters


def test_enough_channels_hold_the_full_spectrum():
    """With K = D (D + 1) / 2 channels, the map from the full spectrum is invertible."""
    rng = np.random.default_rng(6)
    frames = [Atoms("CHHOC", rng.normal(size=(5, 3)) * 1.3) for _ in range(60)]
    full, parameters = full_and_coefficients(frames)
    size = 6 * 7 // 2
    reduced = TensorReducedTransformer(
        **parameters, n_channels=size, scheme="decomposition", random_state=1
    ).fit_transform(frames).values
    assert reduced.shape == full.shape
    for source, target in ((full, reduced), (reduced, full)):
        linear = np.linalg.lstsq(source, target, rcond=None)[0]
        np.testing.assert_allclose(source @ linear, target, atol=1e-7 * np.abs(target).max())
    fewer = reduced.reshape(len(full), 3, size)[:, :, :-1].reshape(len(full), -1)
    linear = np.linalg.lstsq(fewer, full, rcond=None)[0]
    assert np.abs(fewer @ linear - full).max() > 1e-5 * np.abs(full).max()


@pytest.mark.parametrize("kind", ["normal", "rademacher", "orthogonal"])
@pytest.mark.parametrize("elements", ["CHHO", "CHNOFSClBr"])
def test_sketches_estimate_the_full_kernel(elements, kind):
    """Unbiased, and the error falls as the square root of the number of channels."""
    rng = np.random.default_rng(7)
    symbols = Atoms(elements).get_chemical_symbols()
    atoms = Atoms(symbols, rng.normal(size=(len(symbols), 3)))
    full, parameters = full_and_coefficients([atoms])
    exact = np.array([full[0] @ full[1], full[0] @ full[0], full[1] @ full[1]])
    # the channels of one sketch are many independent sketches side by side
    n_channels, sizes = 2**17, 2 ** np.arange(3, 11)
    transformer = TensorReducedTransformer(
        **parameters, n_channels=n_channels, weights=kind, random_state=9
    )
    features = transformer.fit_transform([atoms]).values[:2].reshape(2, 3, n_channels)
    x, y = features * np.sqrt(n_channels)
    terms = np.stack([(x * y).sum(axis=0), (x * x).sum(axis=0), (y * y).sum(axis=0)], axis=1)
    standard_error = terms.std(axis=0) / np.sqrt(n_channels)
    assert (np.abs(terms.mean(axis=0) - exact) < 4 * standard_error).all()
    assert (standard_error < 0.02 * np.abs(exact)).all()
    rms = [
        np.sqrt(((terms.reshape(-1, size, 3).mean(axis=1) / exact - 1) ** 2).mean())
        for size in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(rms), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.05)


def test_one_set_of_weights_is_no_estimate_of_the_kernel():
    """Its expectation is 2 <P, P'> + tr P tr P', by the moments of the normal distribution."""
    rng = np.random.default_rng(8)
    frames = [Atoms("CHO", rng.normal(size=(3, 3)) * 1.3) for _ in range(2)]
    full, parameters = full_and_coefficients(frames, l_max=0)
    spectra = np.zeros((2, 6, 6))
    soap = SOAPTransformer(**parameters).fit(frames)
    channels = [(z, n) for z in ("H", "C", "O") for n in (1, 2)]
    place = {f"{z}{n}": index for index, (z, n) in enumerate(channels)}
    names = soap.set_params(pooling="sum").get_feature_names_out()
    for name, values in zip(names, full[[0, 3]].T, strict=True):
        i, j = (place[part] for part in name.split("_")[1:3])
        spectra[:, i, j] = spectra[:, j, i] = values / (1 if i == j else np.sqrt(2))
    p, q = spectra
    expected = 2 * (p * q).sum() + np.trace(p) * np.trace(q)
    f = TensorReducedTransformer(
        **parameters, n_channels=200_000, scheme="decomposition", random_state=2
    ).fit_transform(frames).values
    assert f[0] @ f[3] == pytest.approx(expected, rel=0.05)
    assert expected > 1.5 * (p * q).sum()
