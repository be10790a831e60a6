"""SOAPTransformer: invariances, peers, derivatives."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from helpers.derivatives import assert_second_order, displaced, strained
from helpers.lengths import LENGTHS
from helpers.systems import chain, distorted_gaas, skewed_slab, wire, zoo
from scipy.spatial.transform import Rotation

from skdesc import SOAPTransformer, Structures

SMALL = LENGTHS | {"n_max": 5, "l_max": 4, "cutoff": 4.0}
LARGE = LENGTHS | {"n_max": 8, "l_max": 6, "cutoff": 4.5}


def values(frames, **parameters):
    return SOAPTransformer(**{**SMALL, **parameters}).fit_transform(frames).values


@pytest.mark.parametrize("basis", ["gto", "polynomial", "laplacian", "equispaced"])
def test_rotation_inversion_translation(basis):
    rotation = Rotation.from_rotvec([0.3, -1.1, 0.8]).as_matrix()
    moved = []
    for atoms in zoo():
        turned = atoms.copy()
        turned.set_cell(-atoms.cell.array @ rotation.T)
        turned.positions = -atoms.positions @ rotation.T + [3.0, -20.0, 1.0]
        moved.append(turned)
    np.testing.assert_allclose(
        values(moved, radial_basis=basis), values(zoo(), radial_basis=basis), atol=1e-11
    )


def test_permutation():
    atoms = distorted_gaas()
    order = np.random.default_rng(0).permutation(len(atoms))
    np.testing.assert_allclose(values([atoms[order]]), values([atoms])[order], atol=1e-12)


@pytest.mark.parametrize("make", [distorted_gaas, skewed_slab, chain])
def test_supercell(make):
    atoms = make()
    factors = np.where(atoms.pbc, [2, 3, 2], 1)
    big = make_supercell(atoms, np.diag(factors), order="atom-major")
    np.testing.assert_allclose(
        values([big]), np.repeat(values([atoms]), factors.prod(), axis=0), atol=1e-11
    )


def test_sum_and_mean_over_atoms():
    atomic = SOAPTransformer(**SMALL).fit_transform(zoo())
    for pooling, pool in (("sum", np.sum), ("mean", np.mean)):
        pooled = SOAPTransformer(**SMALL, pooling=pooling).fit_transform(zoo())
        np.testing.assert_allclose(
            pooled, [pool(atomic[s], axis=0) for s in range(len(atomic))], atol=1e-13
        )


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def assert_same_kernels(ours, theirs):
    """Kernels of unit vectors agree, whatever the order of features."""
    expected = unit(theirs) @ unit(theirs).T
    np.testing.assert_allclose(ours @ ours.T, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "frames",
    [[molecule("CH3CH2OH"), molecule("H2O")], [distorted_gaas()],
     [bulk("Si", cubic=True), chain()]],
    ids=["molecules", "GaAs", "tiny cell"],
)
def test_kernels_of_featomic(frames):
    """The same basis, cutoff and prefactor: featomic keeps every pair of species as a block."""
    featomic = pytest.importorskip("featomic")
    n_max, l_max, cutoff = 6, 4, 4.5
    calculator = featomic.SoapPowerSpectrum(
        cutoff={"radius": cutoff, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
        density={"type": "Gaussian", "width": 0.5},
        basis={
            "type": "TensorProduct",
            "max_angular": l_max,
            "radial": {"type": "Gto", "max_radial": n_max - 1},
            "spline_accuracy": 1e-10,
        },
    )
    result = calculator.compute(frames)
    numbers = np.concatenate([atoms.numbers for atoms in frames])
    starts = np.cumsum([0, *map(len, frames)])
    columns = []
    for pair in {(int(k["neighbor_1_type"]), int(k["neighbor_2_type"])) for k in result.keys}:
        column = 0
        for key, block in result.items():
            if (int(key["neighbor_1_type"]), int(key["neighbor_2_type"])) != pair:
                continue
            n_features = len(block.properties)
            if np.isscalar(column):
                column = np.zeros((len(numbers), n_features))
            rows = starts[block.samples["system"]] + block.samples["atom"]
            # one half of the unequal pairs is stored, with the factor sqrt 2 already
            column[rows] = block.values
        columns.append(column)
    theirs = np.hstack(columns)
    ours = values(frames, n_max=n_max, l_max=l_max, cutoff=cutoff)
    assert_same_kernels(ours, theirs)


def test_derivatives_by_positions_and_strain():
    frames = zoo()
    soap = SOAPTransformer(**SMALL).fit(frames)
    features = soap.transform(frames)
    rng = np.random.default_rng(0)
    g = rng.normal(size=features.values.shape)
    gradient, strain_gradient = features.vjp(g)
    structures = features.structures
    direction = rng.normal(size=structures.positions.shape)
    deformation = rng.normal(size=(3, 3))

    def energies(structures):
        return np.add.reduceat((soap.transform(structures).values * g).sum(axis=1),
                               structures.offsets[:-1])

    steps = [4e-3, 2e-3, 1e-3]
    expected = np.add.reduceat((gradient * direction).sum(axis=1), structures.offsets[:-1])
    assert_second_order(
        expected, energies, lambda step: displaced(structures, direction, step), steps
    )
    # the helper multiplies rows of positions by the deformation: r -> r (1 + step strain)
    expected = np.einsum("sab,ba->s", strain_gradient, deformation)
    assert_second_order(
        expected, energies, lambda step: strained(structures, deformation, step),
        [2e-3, 1e-3, 5e-4],
    )


def test_gradients_sum_to_zero_and_exert_no_torque():
    features = SOAPTransformer(**SMALL).fit_transform([molecule("CH3CH2OH"), distorted_gaas()])
    g = np.random.default_rng(1).normal(size=features.values.shape)
    gradient, strain_gradient = features.vjp(g)
    offsets = features.structures.offsets
    np.testing.assert_allclose(np.add.reduceat(gradient, offsets[:-1]), 0, atol=1e-11)
    torque = np.cross(features.structures.positions[: offsets[1]], gradient[: offsets[1]])
    np.testing.assert_allclose(torque.sum(axis=0), 0, atol=1e-11)
    np.testing.assert_allclose(
        strain_gradient, strain_gradient.transpose(0, 2, 1), atol=1e-11
    )


def test_an_atom_crosses_the_cutoff_smoothly():
    def dimer(distance):
        return Atoms("CO", positions=[[0, 0, 0], [0, 0, distance]])

    soap = SOAPTransformer(species=["C", "O"], n_max=4, l_max=3, cutoff=3.0).fit([dimer(1)])
    g = np.random.default_rng(3).normal(size=(2, soap.n_features_out_))
    alone = soap.transform([dimer(5.0)]).values
    for distance, size in ((3.0 - 1e-4, 1e-6), (3.0 + 1e-9, 1e-12)):
        features = soap.transform([dimer(distance)])
        assert np.abs(features.values - alone).max() < size
        assert np.abs(features.vjp(g)[0]).max() < 1e3 * np.sqrt(size)


def test_environments_of_nothing_stay_finite():
    lonely = Atoms("CO", positions=[[0, 0, 0], [0, 0, 9.0]])
    features = SOAPTransformer(**SMALL).fit_transform([lonely])
    np.testing.assert_allclose(np.linalg.norm(features.values, axis=1), 1)
    empty = SOAPTransformer(**SMALL, center_weight=0.0).fit_transform([lonely])
    assert (empty.values == 0).all()
    gradient, _ = empty.vjp(np.ones_like(empty.values))
    assert (gradient == 0).all()


def test_threads_change_no_bit(crowd):
    one, two = (SOAPTransformer(**LARGE, n_jobs=n).fit_transform(crowd) for n in (1, 2))
    np.testing.assert_array_equal(one.values, two.values)
    g = np.random.default_rng(4).normal(size=one.values.shape)
    for first, second in zip(one.vjp(g), two.vjp(g), strict=True):
        np.testing.assert_array_equal(first, second)


def test_batches_change_nothing(monkeypatch):
    from skdesc.invariants import _environments

    whole = SOAPTransformer(**SMALL).fit_transform(zoo())
    monkeypatch.setattr(_environments, "BATCH_ATOMS", 4)
    parts = SOAPTransformer(**SMALL).fit_transform(zoo())
    np.testing.assert_array_equal(whole.values, parts.values)
    g = np.ones_like(whole.values)
    np.testing.assert_array_equal(whole.vjp(g)[0], parts.vjp(g)[0])


def test_unknown_elements_can_be_left_out():
    soap = SOAPTransformer(species=["O"], handle_unknown="ignore", **SMALL).fit([molecule("H2O")])
    features = soap.transform([molecule("H2O")])
    alone = soap.transform([Atoms("O")])
    np.testing.assert_allclose(features.values[0], alone.values[0])
    assert np.isfinite(features.values).all()


def test_names_and_slices():
    frames = [molecule("CH3CH2OH")]
    soap = SOAPTransformer(n_max=3, l_max=2, pooling="mean").fit(frames)
    names = soap.get_feature_names_out()
    assert len(names) == len(set(names)) == soap.n_features_out_
    part = soap.feature_slice("O", "C")
    assert part == soap.feature_slice(6, 8)
    assert list(names[part][:4]) == ["soap_C1_O1_l0", "soap_C1_O2_l0", "soap_C1_O3_l0",
                                     "soap_C2_O1_l0"]
    # without oxygen nearby these features vanish, and only they
    values = soap.transform([molecule("CH4")])[0]
    assert (values[part] == 0).all()
    assert (values[soap.feature_slice("C", "H")] != 0).any()


def test_single_precision_output():
    double = values(zoo())
    single = values(zoo(), dtype="float32")
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, atol=1e-7)


def test_features_are_indexed_by_structure():
    features = SOAPTransformer(**SMALL).fit_transform(zoo())
    g = np.random.default_rng(5).normal(size=features.values.shape)
    picked = features[[3, 0]]
    assert picked.shape == (2, features.shape[1])
    rows = [*range(features.offsets[3], features.offsets[4]), *range(features.offsets[1])]
    np.testing.assert_array_equal(picked.values, features.values[rows])
    whole, _ = features.vjp(g)
    part, _ = picked.vjp(g[rows])
    np.testing.assert_allclose(part, whole[rows], atol=1e-12)
    with pytest.raises(TypeError, match=r"take \.values"):
        np.asarray(features)


def test_nothing_is_modified():
    frames = zoo()
    structures = Structures.from_atoms(frames)
    SOAPTransformer(**SMALL).fit_transform(frames)
    assert frames == zoo()
    for array in (structures.positions, structures.cells, structures.numbers):
        array.flags.writeable = False
    SOAPTransformer(**SMALL).fit_transform(structures).vjp(
        np.ones((len(structures.positions), SOAPTransformer(**SMALL).fit(frames).n_features_out_))
    )


def test_wire_has_neighbors_along_its_axis_only():
    features = SOAPTransformer(**SMALL).fit_transform([wire()])
    wide = wire()
    wide.set_cell(np.diag([3.1, 50, 50]))
    wide.pbc = True
    np.testing.assert_allclose(
        features.values, SOAPTransformer(**SMALL).fit_transform([wide]).values, atol=1e-12
    )


COMPRESSIONS = [None, "mu1nu1", "mu2", "crossover"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("normalize", [True, False])
def test_compressions_are_contractions(compression, normalize):
    """Of the full spectrum without compression, rebuilt from its packed form."""
    n_max, l_max = 5, 4
    frames = zoo()
    full = SOAPTransformer(**SMALL, normalize=False).fit(frames)
    values = full.transform(frames).values
    species = full.species_
    n_l, n_s = l_max + 1, len(species)
    tensor = np.zeros((len(values), n_l, n_s, n_max, n_s, n_max))
    upper = np.triu_indices(n_max)
    for a in range(n_s):
        for b in range(a, n_s):
            block = values[:, full.feature_slice(int(species[a]), int(species[b]))]
            block = block.reshape(len(values), n_l, -1)
            if a == b:
                tensor[:, :, a, upper[0], b, upper[1]] = block / np.sqrt(2)
                tensor[:, :, a, upper[1], b, upper[0]] = block / np.sqrt(2)
                diagonal = np.arange(n_max)
                tensor[:, :, a, diagonal, b, diagonal] *= np.sqrt(2)
            else:
                square = block.reshape(len(values), n_l, n_max, n_max) / np.sqrt(2)
                tensor[:, :, a, :, b, :] = square
                tensor[:, :, b, :, a, :] = square.swapaxes(2, 3)
    expected = {
        None: tensor,
        "mu1nu1": tensor.sum(axis=4),
        "mu2": tensor.sum(axis=(2, 4)),
        "crossover": np.stack([tensor[:, :, s, :, s, :] for s in range(n_s)], axis=1),
    }[compression].reshape(len(values), -1)
    ours = SOAPTransformer(**SMALL, normalize=normalize, compression=compression)
    ours = ours.fit_transform(frames).values
    gram = expected @ expected.T
    if normalize:
        norms = np.sqrt(np.diag(gram))
        gram /= np.outer(norms, norms)
    np.testing.assert_allclose(ours @ ours.T, gram, rtol=1e-10, atol=1e-10 * gram.max())


@pytest.mark.parametrize("n_max", [4, 5, 12])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("normalize", [True, False])
def test_derivatives_agree(compression, normalize, n_max):
    """The adjoint by central differences; Jacobian and rows by the adjoint."""
    frames = [distorted_gaas()[:6], molecule("CH3CH2OH"), skewed_slab(), chain(), wire()]
    options = {"n_max": n_max, "l_max": 3, "cutoff": 3.7}
    soap = SOAPTransformer(**options, compression=compression, normalize=normalize).fit(frames)
    features = soap.transform(frames)
    structures, values = features.structures, features.values
    rng = np.random.default_rng(0)
    g = rng.normal(size=values.shape)
    gradient, strain_gradient = features.vjp(g)
    direction = rng.normal(size=structures.positions.shape)

    def energies(structures):
        return np.add.reduceat((soap.transform(structures).values * g).sum(axis=1),
                               structures.offsets[:-1])

    assert_second_order(
        np.add.reduceat((gradient * direction).sum(axis=1), structures.offsets[:-1]), energies,
        lambda step: displaced(structures, direction, step), [2e-3, 1e-3],
    )
    jacobian = features.jacobian(strain=True)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(jacobian.vjp(g), gradient, atol=1e-11 * scale)
    dense = jacobian.dense()
    np.testing.assert_allclose(np.einsum("ijaf,if->ja", dense, g), gradient, atol=1e-11 * scale)
    by_strain = np.einsum("iabf,if->iab", jacobian.strain, g)
    by_strain = np.add.reduceat(by_strain, features.offsets[:-1])
    np.testing.assert_allclose(by_strain, strain_gradient,
                               atol=1e-11 * np.abs(strain_gradient).max())
    Q, weights = rng.normal(size=(3, values.shape[1])), rng.normal(size=(len(values), 3))
    rows, strain_rows = features.gradient_rows(Q, weights)
    for m in range(3):
        expected, expected_strain = features.vjp(weights[:, m, None] * Q[m])
        np.testing.assert_allclose(rows[:, :, m], expected, atol=1e-10 * scale)
        np.testing.assert_allclose(strain_rows[..., m], expected_strain,
                                   atol=1e-10 * np.abs(expected_strain).max())


def test_jacobian_keeps_zeros():
    """A neighbor touches features of its own species only."""
    frames = [molecule("CH3CH2OH")]
    soap = SOAPTransformer(**SMALL).fit(frames)
    jacobian = soap.transform(frames).jacobian()
    names = soap.set_params(pooling="mean").get_feature_names_out()
    for part, symbol in zip(jacobian.blocks, "HCO", strict=False):
        assert all(f"_{symbol}" in name for name in names[part.columns])
        assert len(part.columns) < len(names)
        assert np.all(frames[0].symbols[part.atom] == symbol)
