"""The ASE calculator against the pipeline it stands on, and against differences."""

import warnings

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from ase.stress import voigt_6_to_full_3x3_stress
from helpers.toy_data import make_frames, reference
from helpers.toy_descriptor import ToyTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline, make_union

from skdesc import (
    GAPRegressor,
    SOAPTransformer,
    TwoBodyTransformer,
    check_structures,
    extract_targets,
)
from skdesc.calculator import SkdescCalculator, ZBLCalculator
from skdesc.exceptions import SuspiciousTargetsWarning


@pytest.fixture(scope="module")
def pipeline():
    frames = make_frames(20, seed=0)
    y, targets = reference(frames)
    pipeline = make_pipeline(ToyTransformer(), GAPRegressor())
    return pipeline.fit(frames, y, **{f"gapregressor__{k}": v for k, v in targets.items()})


@pytest.fixture
def cell(pipeline):
    atoms = make_frames(1, seed=7)[0]
    atoms.calc = SkdescCalculator(pipeline)
    return atoms


def test_properties_are_the_pipelines(pipeline, cell):
    y, std, forces, virials = pipeline.predict(
        [cell], return_std=True, return_forces=True, return_virials=True
    )
    assert cell.get_potential_energy() == y[0]
    assert cell.get_potential_energy(force_consistent=True) == y[0]
    np.testing.assert_array_equal(cell.get_forces(), forces[0])
    stress = voigt_6_to_full_3x3_stress(cell.get_stress())
    np.testing.assert_allclose(-cell.get_volume() * stress, virials[0], rtol=1e-12)
    assert cell.calc.get_property("energy_std", cell) == std[0]
    np.testing.assert_array_equal(
        cell.calc.get_property("forces_std", cell),
        pipeline[-1].predict_forces_std(pipeline[:-1].transform([cell]))[0],
    )
    assert cell.get_potential_energies().sum() == pytest.approx(y[0], rel=1e-12)


def test_stress_is_the_derivative_of_the_energy(cell):
    def energy(step):
        atoms = cell.copy()
        atoms.calc = cell.calc
        strain = np.eye(3)
        strain[1, 2] = strain[2, 1] = step
        strain[0, 0] += step
        atoms.set_cell(cell.cell.array @ strain, scale_atoms=True)
        return atoms.get_potential_energy()

    xx, _, _, yz, _, _ = cell.get_stress() * cell.get_volume()
    numeric = (energy(1e-4) - energy(-1e-4)) / 2e-4
    assert xx + 2 * yz == pytest.approx(numeric, rel=1e-5)


def test_one_evaluation_serves_all(cell, monkeypatch):
    calls = []
    transform = ToyTransformer.transform
    monkeypatch.setattr(ToyTransformer, "transform",
                        lambda self, X: calls.append(1) or transform(self, X))
    cell.get_potential_energy()
    cell.get_forces()
    cell.get_stress()
    assert len(calls) == 1
    cell.positions[0] += 0.01
    cell.get_forces()
    assert len(calls) == 2


@pytest.mark.parametrize(
    "transformer",
    [
        SOAPTransformer(n_max=4, l_max=3),
        SOAPTransformer(["O"], n_max=4, l_max=3, handle_unknown="ignore"),
        make_union(TwoBodyTransformer(), SOAPTransformer(n_max=3, l_max=2)),
    ],
    ids=["all elements", "without hydrogen", "two descriptors"],
)
def test_near_atoms_repel_as_in_predictions(transformer):
    """The repulsion is skipped only where no atoms are near."""
    frames = make_frames(10)
    y, targets = reference(frames)
    pipeline = make_pipeline(transformer, GAPRegressor(n_sparse=20))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuspiciousTargetsWarning)
        pipeline.fit(frames, y, gapregressor__forces=targets["forces"])
    near = [Atoms(symbols, [[0, 0, 0], [0.5, 0, 0]]) for symbols in ("OH", "H2")]
    baseline = pipeline[-1].baseline_
    assert baseline.evaluate_atoms(check_structures(near))[0].min() > 1.0
    for atoms in (*near, Atoms("O"), frames[0]):
        atoms.calc = SkdescCalculator(pipeline)
        energies, forces = pipeline.predict([atoms], return_forces=True)
        assert atoms.get_potential_energy() == pytest.approx(energies[0], rel=1e-10)
        np.testing.assert_allclose(atoms.get_forces(), forces[0], rtol=1e-8, atol=1e-10)


def test_nothing_is_left_of_another_structure(pipeline, cell):
    """Some call ``calculate`` without asking first what has changed."""
    other = make_frames(1, seed=8)[0]
    calc = cell.calc
    expected = [calc.get_property(name, other) for name in ("energy_std", "energies")]
    cell.get_potential_energies()
    calc.get_property("energy_std", cell)
    calc.calculate(other)
    assert calc.get_property("energy_std", other) == expected[0]
    np.testing.assert_array_equal(calc.get_property("energies", other), expected[1])


def test_properties_of_ase(cell):
    """ASE has no name for standard deviations."""
    energy, forces = cell.get_potential_energy(), cell.get_forces()
    cell.calc.get_property("energy_std", cell)
    assert cell.calc.export_properties()["energy"] == energy
    np.testing.assert_array_equal(cell.get_properties(["forces"])["forces"], forces)


def test_energies_of_atoms_add_up():
    """Atoms that are no centers have the energy of single atoms, and a baseline's."""
    frames = make_frames(6)
    y = np.arange(6.0)
    pipeline = make_pipeline(
        SOAPTransformer(cutoff=3.0, n_max=2, l_max=1, centers=["O"]),
        GAPRegressor(n_sparse=5, e0={"H": -1.0, "O": -2.0}, baseline=ZBLCalculator(2.0)),
    ).fit(frames, y)
    atoms = frames[0]
    atoms.calc = SkdescCalculator(pipeline)
    local = atoms.get_potential_energies()
    assert local.sum() == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    atoms.calc = ZBLCalculator(2.0)
    hydrogen = atoms.numbers == 1
    np.testing.assert_allclose(local[hydrogen], atoms.get_potential_energies()[hydrogen] - 1.0)


def test_tolerance_trades_accuracy_for_speed():
    frames = []
    for seed in range(10):
        atoms = bulk("Cu", cubic=True) * 2
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    y, targets = extract_targets(frames, virials=False)
    pipeline = make_pipeline(SOAPTransformer(cutoff=4.5), GAPRegressor(n_sparse=200))
    pipeline.fit(frames, y, gapregressor__forces=targets["forces"])
    tolerance, atoms = 1e-4, frames[0].copy()
    exact, fast = SkdescCalculator(pipeline), SkdescCalculator(pipeline, tolerance=tolerance)
    difference = fast.get_potential_energy(atoms) - exact.get_potential_energy(atoms)
    assert 0 < abs(difference) < len(atoms) * tolerance
    forces = fast.get_forces(atoms)
    np.testing.assert_allclose(forces, exact.get_forces(atoms), atol=100 * tolerance)
    atoms.calc = fast
    numeric = calculate_numerical_forces(atoms, eps=1e-3, iatoms=[0])
    np.testing.assert_allclose(forces[:1], numeric, atol=1e-4)

    pipeline[-1].partial_fit(pipeline[:-1].transform(frames), y)  # another model
    assert abs(fast.get_potential_energy(atoms) - pipeline.predict([atoms])[0]) < 0.01
    with pytest.raises(ValueError, match="tolerance is -1, but must be finite and at least 0"):
        SkdescCalculator(pipeline, tolerance=-1)


def test_molecules_have_no_stress(pipeline):
    atoms = molecule("H2O")
    atoms.calc = SkdescCalculator(pipeline)
    assert atoms.get_forces().shape == (3, 3)
    with pytest.raises(PropertyNotImplementedError, match="three-dimensional cell"):
        atoms.get_stress()


def test_relaxation(cell):
    before, forces = cell.get_potential_energy(), cell.get_forces()
    fmax = 0.1 * np.linalg.norm(forces, axis=1).max()
    BFGS(cell, logfile=None).run(fmax=fmax, steps=50)
    assert cell.get_potential_energy() < before
    assert np.linalg.norm(cell.get_forces(), axis=1).max() < fmax


@pytest.mark.slow
def test_energy_is_conserved():
    """Ten picoseconds of 64 copper atoms at 300 K without a thermostat."""
    rng = np.random.RandomState(0)
    frames = []
    for k in range(24):
        atoms = bulk("Cu", cubic=True) * (2, 2, 2)
        atoms.set_cell(atoms.cell * (1 + 0.02 * rng.uniform(-1, 1)), scale_atoms=True)
        atoms.positions += (0.04 + 0.05 * (k % 3)) * rng.normal(size=atoms.positions.shape)
        atoms.calc = EMT()
        atoms.get_stress()
        frames.append(atoms)
    y, targets = extract_targets(frames)
    pipeline = make_pipeline(
        SOAPTransformer(cutoff=4.5, cutoff_width=1.0, n_max=6, l_max=5, n_jobs=1),
        GAPRegressor(n_sparse=150, sigma_forces=0.02),
    ).fit(frames, y, **{f"gapregressor__{kind}": target for kind, target in targets.items()})
    atoms = bulk("Cu").repeat((4, 4, 4))
    atoms.calc = SkdescCalculator(pipeline)
    # half of it goes into the potential energy
    momenta = np.sqrt(atoms.get_masses()[:, None] * units.kB * 600) * rng.normal(size=(64, 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    totals, temperatures = [], []
    dynamics = VelocityVerlet(atoms, 2.0 * units.fs)
    for _ in range(100):
        dynamics.run(50)
        totals.append(atoms.get_total_energy() / len(atoms))
        temperatures.append(atoms.get_temperature())
    assert 200 < np.mean(temperatures[20:]) < 400
    drift = np.mean(totals[-10:]) - np.mean(totals[:10])
    print(f"drift {1e3 * drift:.4f} meV/atom in 10 ps at {np.mean(temperatures[20:]):.0f} K")
    assert abs(drift) < 1e-3
    assert np.ptp(totals) < 1e-3


def test_what_is_not_a_potential(pipeline):
    with pytest.raises(TypeError, match="must be a Pipeline that ends in a GAPRegressor"):
        SkdescCalculator(make_pipeline(ToyTransformer(), Ridge()))
    with pytest.raises(ValueError, match="not fitted"):
        SkdescCalculator(make_pipeline(ToyTransformer(), GAPRegressor()))
    with pytest.raises(ValueError, match="no step but its GAPRegressor"):
        SkdescCalculator(make_pipeline(pipeline[-1]))
    atoms = Atoms("C")
    atoms.calc = SkdescCalculator(pipeline)
    with pytest.raises(ValueError, match="X has atoms of C"):
        atoms.get_potential_energy()


class TestZBL:
    def test_is_the_published_potential(self):
        """Two nuclei inside half of the range, by the formula."""
        atoms = Atoms("SiC", [[0, 0, 0], [0.4, 0, 0]])
        atoms.calc = ZBLCalculator()
        x = 0.4 / (0.4685 / (14**0.23 + 6**0.23))
        weights, rates = (0.18175, 0.50986, 0.28022, 0.02817), (3.1998, 0.94229, 0.4029, 0.20162)
        screening = sum(w * np.exp(-k * x) for w, k in zip(weights, rates, strict=True))
        expected = 14.399645 * 14 * 6 / 0.4 * screening
        assert atoms.get_potential_energy() == pytest.approx(expected, rel=1e-12)

    def test_ends_at_the_bond(self):
        atoms = Atoms("SiC", [[0, 0, 0], [1.11 + 0.76, 0, 0]])
        atoms.calc = ZBLCalculator()
        assert atoms.get_potential_energy() == 0.0
        atoms.positions[1, 0] -= 0.1
        assert 0.0 < atoms.get_potential_energy() < 0.1
        atoms.positions[1, 0] += 0.2
        atoms.calc = ZBLCalculator(scale=1.2)
        assert atoms.get_potential_energy() > 0.0

    @pytest.mark.parametrize("scale", [0, -1.0, np.inf, np.nan, None, "1"])
    def test_scale(self, scale):
        with pytest.raises(ValueError, match=r"scale is .*, but must be a positive number"):
            ZBLCalculator(scale=scale)

    def test_derivatives(self):
        atoms = make_frames(1, seed=2)[0]
        atoms.calc = ZBLCalculator(scale=3.0)
        forces, stress = atoms.get_forces(), atoms.get_stress()
        assert np.abs(forces).max() > 1e-3
        np.testing.assert_allclose(forces, calculate_numerical_forces(atoms, 1e-5), atol=1e-7)
        np.testing.assert_allclose(stress, calculate_numerical_stress(atoms, 1e-6), atol=1e-7)
        assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy())
