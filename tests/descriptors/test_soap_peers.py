"""SOAP with matched settings against dscribe, featomic and QUIP."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from helpers.lengths import LENGTHS
from helpers.systems import chain, distorted_gaas

from skdesc import SOAPTransformer

SIZES = LENGTHS | {"n_max": 4, "l_max": 3, "atom_sigma": 0.4, "normalize": False}


def off_diagonal_factors(soap):
    """The factors sqrt 2 that dscribe leaves out."""
    channels = [name.split("_")[1:3] for name in soap.get_atomic_feature_names()]
    rectangular = soap.compression == "mu1nu1"
    return np.array([1.0 if a == b or rectangular else np.sqrt(2) for a, b in channels])


def of_dscribe(frames, weighting=None, compression=None, average="off", **sizes):
    dscribe = pytest.importorskip("dscribe.descriptors")
    species = sorted({int(z) for atoms in frames for z in atoms.numbers})
    calculator = dscribe.SOAP(
        species=species, n_max=4, l_max=3, sigma=0.4, weighting=weighting, average=average,
        compression={"mode": compression or "off", "species_weighting": None},
        periodic=any(atoms.pbc.any() for atoms in frames), **sizes,
    )
    return np.vstack([calculator.create(atoms) for atoms in frames])


def of_us(frames, **parameters):
    soap = SOAPTransformer(**SIZES | {"cutoff_width": 0.0} | parameters).fit(frames)
    rows = soap.transform(frames)
    return (rows if soap.pooling else rows.values), off_diagonal_factors(soap)


# no atom is beyond the cutoff but so near that dscribe still sees its Gaussian
MOLECULES = [molecule("CH3OH"), molecule("H2CO")]


@pytest.mark.parametrize("compression", [None, "mu1nu1", "mu2", "crossover"])
def test_orbitals_of_dscribe(compression):
    """Every feature, in its order; not the kernels only."""
    theirs = of_dscribe(MOLECULES, r_cut=4.0, rbf="gto", compression=compression)
    ours, factors = of_us(MOLECULES, cutoff=4.0, radial_basis="gto-dscribe",
                          compression=compression)
    np.testing.assert_allclose(ours / factors, theirs, rtol=0, atol=1e-9 * theirs.max())


@pytest.mark.parametrize("compression", [None, "mu1nu1", "mu2", "crossover"])
def test_polynomials_of_dscribe(compression):
    """Made orthonormal in another order of scaling, they span the same space."""
    theirs = of_dscribe(MOLECULES, r_cut=4.0, rbf="polynomial", compression=compression)
    ours, factors = of_us(MOLECULES, cutoff=4.0, radial_basis="polynomial",
                          compression=compression)
    theirs *= factors
    expected = theirs @ theirs.T
    np.testing.assert_allclose(ours @ ours.T, expected, rtol=0, atol=1e-8 * expected.max())


@pytest.mark.parametrize("name", ["pow", "exp", "poly"])
@pytest.mark.parametrize("kind", ["molecules", "crystal"])
def test_weights_of_dscribe(name, kind):
    weighting = {"pow": {"c": 1.5, "d": 0.5, "r0": 2.0, "m": 3.0},
                 "exp": {"c": 1.5, "d": 0.5, "r0": 2.0},
                 "poly": {"c": 1.5, "r0": 4.0, "m": 2.0}}[name] | {"function": name}
    if kind == "molecules":
        frames, cutoff = MOLECULES, 4.0
    elif name == "poly":  # zero beyond the cutoff
        frames, cutoff = [distorted_gaas()], 4.0
    else:  # the second shell is farther than dscribe sees
        frames, cutoff = [bulk("Si")], 2.352
    theirs = of_dscribe(frames, r_cut=cutoff, rbf="gto", weighting={**weighting, "w0": 2.5})
    ours, factors = of_us(frames, cutoff=cutoff, radial_basis="gto-dscribe",
                          radial_scaling=weighting, center_weight=2.5)
    np.testing.assert_allclose(ours / factors, theirs, rtol=0, atol=1e-9 * theirs.max())


@pytest.mark.parametrize(("average", "pooling"), [("inner", "inner"), ("outer", "mean")])
def test_averages_of_dscribe(average, pooling):
    theirs = of_dscribe(MOLECULES, r_cut=4.0, rbf="gto", average=average)
    ours, factors = of_us(MOLECULES, cutoff=4.0, radial_basis="gto-dscribe", pooling=pooling)
    np.testing.assert_allclose(ours / factors, theirs, rtol=0, atol=1e-9 * theirs.max())


WILLATT = {"rate": 1.3, "scale": 2.0, "exponent": 4}


@pytest.mark.parametrize("scaling", [None, WILLATT], ids=["no scaling", "Willatt"])
@pytest.mark.parametrize(
    "frames", [MOLECULES, [distorted_gaas()], [chain()]], ids=["molecules", "GaAs", "tiny cell"]
)
def test_values_and_gradients_of_featomic(frames, scaling):
    """E = sum of p . s with s the sum of all p, held fixed in derivatives: free of any order."""
    featomic = pytest.importorskip("featomic")
    density = {"type": "Gaussian", "width": 0.4, "center_atom_weight": 1.7}
    if scaling:
        density["scaling"] = {"type": "Willatt2018", **WILLATT}
    calculator = featomic.SoapPowerSpectrum(
        cutoff={"radius": 4.5, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
        density=density,
        basis={"type": "TensorProduct", "max_angular": 3, "spline_accuracy": 1e-11,
               "radial": {"type": "Gto", "max_radial": 3}},
    )
    result = calculator.compute(frames, gradients=["positions", "strain"])
    starts = np.cumsum([0, *map(len, frames)])
    pairs = [(int(k["neighbor_1_type"]), int(k["neighbor_2_type"])) for k in result.keys]
    sums = {}
    for pair, (_, block) in zip(pairs, result.items(), strict=True):
        sums[pair] = sums.get(pair, 0.0) + block.values.sum(axis=0)
    energy = np.zeros(starts[-1])
    gradient, strain_gradient = np.zeros((starts[-1], 3)), np.zeros((len(frames), 3, 3))
    for pair, (_, block) in zip(pairs, result.items(), strict=True):
        system = np.asarray(block.samples["system"])
        np.add.at(energy, starts[system] + block.samples["atom"], block.values @ sums[pair])
        part = block.gradient("positions")
        rows = starts[np.asarray(part.samples["system"])] + part.samples["atom"]
        np.add.at(gradient, rows, part.values @ sums[pair])
        part = block.gradient("strain")
        np.add.at(strain_gradient, system[np.asarray(part.samples["sample"])],
                  part.values @ sums[pair])

    features = SOAPTransformer(
        **SIZES | {"cutoff": 4.5, "radial_scaling": scaling, "center_weight": 1.7}
    ).fit_transform(frames)
    s = features.values.sum(axis=0)
    ours, (slopes, strain_slopes) = features.values @ s, features.vjp(
        np.broadcast_to(s, features.values.shape)
    )
    factor = ours.sum() / energy.sum()
    np.testing.assert_allclose(ours, factor * energy, rtol=1e-8)
    for mine, theirs in ((slopes, gradient), (strain_slopes, strain_gradient)):
        scale = np.abs(mine).max()
        np.testing.assert_allclose(mine, factor * theirs, rtol=0, atol=1e-7 * scale)


def test_equispaced_gaussians_of_quip():
    descriptors = pytest.importorskip("quippy.descriptors")
    atoms = distorted_gaas()
    calculator = descriptors.Descriptor(
        "soap cutoff=4.2 n_max=5 l_max=4 atom_sigma=0.5 cutoff_transition_width=0.7 "
        "central_weight=1.0 radial_basis=EQUISPACED_GAUSS n_species=2 species_Z={31 33} n_Z=2 "
        "Z={31 33}"
    )
    theirs = np.asarray(calculator.calc(atoms)["data"])[:, :-1]
    ours = SOAPTransformer(
        **LENGTHS | {"cutoff": 4.2, "cutoff_width": 0.7, "n_max": 5, "l_max": 4},
        radial_basis="equispaced",
    ).fit_transform([atoms]).values
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, rtol=0, atol=1e-8)


def test_compression_of_one_element_is_none():
    """With one element all pairs of densities are the same."""
    frames = [Atoms("Cu4", np.random.default_rng(0).uniform(0, 3, (4, 3)))]
    full, factors = of_us(frames, cutoff=4.0)
    for compression in ("mu2", "crossover"):
        np.testing.assert_allclose(
            of_us(frames, cutoff=4.0, compression=compression)[0], full, atol=1e-13
        )
    square, _ = of_us(frames, cutoff=4.0, compression="mu1nu1")
    np.testing.assert_allclose(square @ square.T, full @ full.T, rtol=1e-12)
    assert factors.max() > 1
