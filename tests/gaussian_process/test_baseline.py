"""Learning the difference to a calculator."""

import pickle

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from helpers.toy_data import make_frames, reference
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, check_structures
from skdesc.calculator import SkdescCalculator, ZBLCalculator
from skdesc.gaussian_process._baseline import evaluate_baseline
from skdesc.utils.packing import pack


@pytest.fixture(scope="module", params=["zbl", "one-by-one"])
def baseline(request):
    if request.param == "zbl":
        # far-reaching, for there to be something to subtract
        return ZBLCalculator(scale=2.0)
    return LennardJones(sigma=1.0, epsilon=0.05, rc=4.0, smooth=True)


def test_a_baseline_is_subtracted_and_added(baseline, features, frames, targets):
    y, derivatives = targets
    energies, forces, virials = evaluate_baseline(
        baseline, features.structures, forces=True, virials=True
    )
    shifted = {
        "forces": [f + b for f, b in zip(derivatives["forces"], forces, strict=True)],
        "virials": derivatives["virials"] + virials,
    }
    shifted["forces"][3] = None
    plain = GAPRegressor(n_sparse=6).fit(
        features, y, forces=[*derivatives["forces"][:3], None, *derivatives["forces"][4:]],
        virials=derivatives["virials"],
    )
    gap = GAPRegressor(n_sparse=6, baseline=baseline).fit(features, y + energies, **shifted)
    np.testing.assert_allclose(gap.weights_, plain.weights_, rtol=1e-5)
    expected = plain.predict(features, True, True, True)
    got = gap.predict(features, True, True, True)
    np.testing.assert_allclose(got[0], expected[0] + energies, rtol=1e-9)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-5)
    np.testing.assert_allclose(
        np.concatenate(got[2]), np.concatenate(expected[2]) + np.concatenate(forces), atol=1e-7
    )
    np.testing.assert_allclose(got[3], expected[3] + virials, atol=1e-7)
    np.testing.assert_array_equal(gap.predict(features), got[0])
    local = gap.predict_local_energies(features)
    np.testing.assert_allclose(np.add.reduceat(local, features.offsets[:-1]), got[0], rtol=1e-9)


def test_virials_of_molecules(baseline):
    """Derivatives by strain, whether or not the calculator has a stress for molecules."""
    structures = check_structures(make_frames(4, seed=1))
    virials = evaluate_baseline(baseline, structures, virials=True)[2]
    strain = np.random.RandomState(0).normal(size=(3, 3))
    strain += strain.T

    def energies(step):
        F = np.eye(3) + step * strain
        moved = structures.with_positions(structures.positions @ F, structures.cells @ F)
        return evaluate_baseline(baseline, moved)[0]

    numeric = -(energies(1e-5) - energies(-1e-5)) / 2e-5
    np.testing.assert_allclose(
        np.einsum("sxy,xy->s", virials, strain), numeric, rtol=1e-5, atol=1e-6
    )


def test_repulsion_where_there_are_no_data(toy):
    """Far inside the core the model knows nothing; the baseline still repels."""
    frames = make_frames(20, seed=3)
    y, derivatives = reference(frames)
    near = frames[1].copy()
    near.set_distance(0, 1, 0.15, fix=0)
    X = toy.transform([near])
    pushed = {}
    for baseline in (None, ZBLCalculator()):
        gap = GAPRegressor(baseline=baseline).fit(toy.transform(frames), y, **derivatives)
        pushed[baseline is None] = gap.predict(X, return_forces=True)[0][0]
    assert pushed[False] > pushed[True] + 100.0


def test_what_is_no_baseline(features, targets):
    for baseline in (ZBLCalculator, "zbl"):
        with pytest.raises(TypeError, match="an instance, not a class"):
            GAPRegressor(baseline=baseline).fit(features, targets[0])
    X = np.random.RandomState(0).normal(size=(5, 3))
    with pytest.raises(ValueError, match="X is a plain array"):
        GAPRegressor(baseline=ZBLCalculator()).fit(X, X[:, 0])


class PointCharges(Calculator):
    """Energy of charges, which depends on all that a structure may carry."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        charges = atoms.get_initial_charges() + atoms.get_initial_magnetic_moments()
        charges = charges + 0.1 * atoms.get_tags() + atoms.info["charge"] / len(atoms)
        charges = charges + atoms.arrays["hardness"]
        vectors = atoms.get_all_distances(vector=True)
        distances = np.linalg.norm(vectors, axis=-1) + np.eye(len(atoms))
        products = np.outer(charges, charges) * (1.0 - np.eye(len(atoms)))
        energy = 0.5 * (products / distances).sum()
        forces = -((products / distances**3)[..., None] * vectors).sum(axis=1)
        self.results = {"energy": energy, "forces": forces, "stress": np.zeros(6)}


@pytest.fixture
def charged():
    """Molecules with all that ASE keeps of atoms."""
    frames = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        atoms = molecule("H2O" if seed % 2 else "NH3")
        atoms.rattle(0.05, rng=rng)
        atoms.set_initial_charges(rng.normal(size=len(atoms)))
        atoms.set_initial_magnetic_moments(rng.normal(size=len(atoms)))
        atoms.set_tags(rng.integers(3, size=len(atoms)))
        atoms.set_array("hardness", rng.normal(size=len(atoms)))
        atoms.info["charge"] = float(seed)
        frames.append(atoms)
    return frames


def test_baselines_see_what_users_attach(charged):
    expected = [PointCharges().get_potential_energy(atoms) for atoms in charged]
    forces = [PointCharges().get_forces(atoms) for atoms in charged]
    assert np.ptp(expected) > 1.0
    soap = SOAPTransformer(cutoff=3.0, n_max=3, l_max=2, species=["H", "N", "O"])
    pipeline = make_pipeline(soap, GAPRegressor(n_sparse=3, baseline=PointCharges(), e0=None))
    # nothing is left to learn
    pipeline.fit(charged, expected)
    got, got_forces = pipeline.predict(charged, return_forces=True)
    np.testing.assert_allclose(got, expected, atol=1e-10)
    np.testing.assert_allclose(np.concatenate(got_forces), np.concatenate(forces), atol=1e-10)
    features = soap.fit_transform(charged)
    for part in (features, pickle.loads(pickle.dumps(features)), features[::-1][::-1]):
        np.testing.assert_allclose(pipeline[-1].predict(part), expected, atol=1e-10)
    packed = soap.transform(pack(charged))
    np.testing.assert_allclose(pipeline[-1].predict(packed), expected, atol=1e-10)
    one = charged[3].copy()
    one.calc = SkdescCalculator(pipeline)
    assert one.get_potential_energy() == pytest.approx(expected[3], abs=1e-10)


def test_extras_are_copies(charged):
    structures = check_structures(charged)
    charged[0].info["charge"] = 77.0
    charged[0].arrays["tags"][:] = 9
    assert structures[0].info["charge"] == 0.0
    assert structures[0].get_tags().max() < 3
    assert structures[[2, 4]][1].info["charge"] == structures[1:][3].info["charge"] == 4.0
    moved = structures.with_positions(structures.positions + 1.0)
    np.testing.assert_array_equal(moved[5].get_initial_charges(), charged[5].get_initial_charges())
