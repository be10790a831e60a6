"""One evaluation of a structure gives what `Pipeline.predict` gives, and what each atom has."""

import joblib
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.lj import LennardJones
from helpers.toy_data import make_frames, reference
from helpers.toy_descriptor import ToyTransformer
from sklearn.pipeline import Pipeline, make_pipeline, make_union

from skdesc import (
    CachedDescriptor,
    FeatureCache,
    GAPRegressor,
    SOAPTransformer,
    TensorReducedTransformer,
    TwoBodyTransformer,
)
from skdesc._potential import _simple_descriptors
from skdesc.calculator import SkdescCalculator, ZBLCalculator
from skdesc.utils import blas

SMALL = {"cutoff": 3.0, "n_max": 3, "l_max": 2}
DESCRIPTORS = {
    "soap": SOAPTransformer(**SMALL),
    "float32": SOAPTransformer(**SMALL, dtype="float32"),
    "mu1nu1": SOAPTransformer(**SMALL, compression="mu1nu1"),
    "tensor-reduced": TensorReducedTransformer(**SMALL, n_channels=8, random_state=0),
    "two-body": TwoBodyTransformer(cutoff=3.0, n_gaussians=8),
    "joined": make_union(TwoBodyTransformer(cutoff=4.0, n_gaussians=8), SOAPTransformer(**SMALL)),
    "some centers": SOAPTransformer(**SMALL, centers=["O"]),
    "marked centers": SOAPTransformer(**SMALL, centers="marked"),
    "cached": CachedDescriptor(SOAPTransformer(**SMALL), FeatureCache()),
    "toy": ToyTransformer(),
}


def mark(frames):
    for atoms in frames:
        atoms.set_array("marked", np.arange(len(atoms)) % 3 > 0)
    return frames


def fit(descriptor, **params):
    frames = mark(make_frames(12, seed=0))
    y, targets = reference(frames)
    return make_pipeline(descriptor, GAPRegressor(n_sparse=12, **params)).fit(
        frames, y, **{f"gapregressor__{kind}": target for kind, target in targets.items()}
    )


def with_calculator(pipeline, atoms=None):
    atoms = mark(make_frames(1, seed=5))[0] if atoms is None else atoms
    atoms.calc = SkdescCalculator(pipeline)
    return atoms


def strained(atoms, direction, step):
    result = atoms.copy()
    result.set_cell(atoms.cell.array @ (np.eye(3) + step * direction), scale_atoms=True)
    result.calc = atoms.calc
    return result


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_is_what_the_pipeline_predicts(name):
    pipeline = fit(DESCRIPTORS[name])
    assert (_simple_descriptors(pipeline) is None) == (name == "toy")
    for atoms in mark([*make_frames(3, seed=5), Atoms("OH", [[0, 0, 0], [0, 0, 1.0]])]):
        with_calculator(pipeline, atoms)
        energies, forces, virials = pipeline.predict(
            [atoms], return_forces=True, return_virials=True
        )
        assert atoms.get_potential_energy() == pytest.approx(energies[0], rel=1e-12)
        np.testing.assert_allclose(atoms.get_forces(), forces[0], rtol=1e-9, atol=1e-9)
        local = pipeline[-1]._energies_of_atoms(pipeline[:-1].transform([atoms]))
        np.testing.assert_allclose(atoms.get_potential_energies(), local, rtol=1e-10)
        if atoms.cell.rank == 3:
            stress = -virials[0][[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / atoms.get_volume()
            np.testing.assert_allclose(atoms.get_stress(), stress, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", DESCRIPTORS)
@pytest.mark.parametrize("baseline", [None, ZBLCalculator(3.0)], ids=["alone", "baseline"])
def test_an_atom_has_the_strain_derivative_of_its_energy(name, baseline):
    """Central differences, with their order; sums are those of the structure."""
    if name == "float32":
        pytest.skip("features are rounded")
    atoms = with_calculator(fit(DESCRIPTORS[name], baseline=baseline))
    direction = np.array([[0.3, 0.2, -0.1], [0.2, -0.4, 0.3], [-0.1, 0.3, 0.2]])
    expected = atoms.get_stresses(voigt=False) @ direction * atoms.get_volume()
    expected = np.trace(expected, axis1=1, axis2=2)

    def slope(step):
        ends = [strained(atoms, direction, sign * step).get_potential_energies()
                for sign in (1, -1)]
        return (ends[0] - ends[1]) / (2 * step)

    errors = [np.abs(slope(step) - expected).max() for step in (2e-3, 1e-3)]
    assert np.abs(expected).max() > 1e-2
    assert errors[0] < 0.02 * np.abs(expected).max()
    assert errors[1] == pytest.approx(errors[0] / 4, rel=0.1)
    np.testing.assert_allclose(atoms.get_stresses().sum(axis=0), atoms.get_stress(), atol=1e-12)
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy())


def test_baseline_of_ase():
    """Lennard-Jones has energies and stresses of atoms; without either, what is asked for is."""
    baseline = LennardJones(sigma=0.6, epsilon=0.1, rc=3.0)
    pipeline = fit(DESCRIPTORS["soap"], baseline=baseline)
    atoms = with_calculator(pipeline)
    energies, forces = pipeline.predict([atoms], return_forces=True)
    assert atoms.get_potential_energy() == pytest.approx(energies[0], rel=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), forces[0], atol=1e-10)
    assert atoms.get_potential_energies().sum() == pytest.approx(energies[0], rel=1e-12)
    np.testing.assert_allclose(atoms.get_stresses().sum(axis=0), atoms.get_stress(), atol=1e-10)
    baseline.implemented_properties = ["energy", "forces", "stress"]
    atoms.rattle(0.01, seed=1)
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(PropertyNotImplementedError, match="energies of atoms are asked for"):
        atoms.get_potential_energies()
    with pytest.raises(PropertyNotImplementedError, match="stresses of atoms are asked for"):
        atoms.get_stresses()


def test_molecules_have_no_stresses():
    atoms = with_calculator(fit(DESCRIPTORS["soap"]), Atoms("OH", [[0, 0, 0], [0, 0, 1.0]]))
    with pytest.raises(PropertyNotImplementedError, match="three-dimensional cell"):
        atoms.get_stresses()


def test_changes_are_noticed():
    """Of positions, of the array that marks centers, and of the potential itself."""
    pipeline = fit(DESCRIPTORS["marked centers"])
    atoms = with_calculator(pipeline)
    first = atoms.get_potential_energy()
    assert atoms.calc.check_state(atoms) == []
    assert atoms.calc.check_state(atoms, tol=1e-9) == []
    atoms.positions[0, 0] += 1e-6
    assert atoms.calc.check_state(atoms) == ["positions"]
    assert atoms.calc.check_state(atoms, tol=1e-5) == []
    atoms.positions[0, 0] -= 1e-6
    atoms.set_array("marked", np.zeros(len(atoms), dtype=bool))
    second = atoms.get_potential_energy()
    assert second != first
    atoms.set_array("marked", np.array([False, True]))
    second = atoms.get_potential_energy()
    assert second == first
    pipeline[-1].set_params(sigma_energy=1.0, sigma_forces=1.0).solve()
    third = atoms.get_potential_energy()
    assert third != second
    assert third == pytest.approx(pipeline.predict([atoms])[0], rel=1e-12)
    atoms.pbc = [True, True, False]
    assert atoms.calc.check_state(atoms) == ["pbc"]
    assert "numbers" in atoms.calc.check_state(atoms[:-1])
    atoms.calc.pipeline = fit(DESCRIPTORS["soap"])
    assert "positions" in atoms.calc.check_state(atoms)


def test_a_failed_call_leaves_nothing_behind():
    atoms = with_calculator(fit(DESCRIPTORS["soap"]))
    energy = atoms.get_potential_energy()
    positions = atoms.positions.copy()
    atoms.positions[1, 2] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite position"):
        atoms.get_forces()
    with pytest.raises(ValueError, match="NaN or infinite position"):
        atoms.get_forces()
    atoms.positions = positions
    assert atoms.get_potential_energy() == energy
    atoms.numbers[0] = 6
    with pytest.raises(ValueError, match="X has the elements"):
        atoms.get_potential_energy()


def test_more_atoms_than_one_batch():
    """Coefficients that are not kept are computed again."""
    pipeline = fit(DESCRIPTORS["soap"])
    small = with_calculator(pipeline)
    large = with_calculator(pipeline, small * (7, 7, 7))
    assert len(large) > 512
    n = len(small)
    assert large.get_potential_energy() == pytest.approx(343 * small.get_potential_energy())
    np.testing.assert_allclose(large.get_forces()[-n:], small.get_forces(), atol=1e-9)
    np.testing.assert_allclose(large.get_stress(), small.get_stress(), atol=1e-12)


def test_coefficients_are_kept_or_not(monkeypatch):
    from skdesc.invariants import _energy_derivatives

    for name in ("soap", "mu1nu1", "tensor-reduced"):
        atoms = with_calculator(fit(DESCRIPTORS[name]))
        kept = [atoms.get_forces(), atoms.get_stresses()]
        monkeypatch.setattr(_energy_derivatives, "KEPT_BYTES", 0)
        atoms.calc.reset()
        np.testing.assert_array_equal(atoms.get_forces(), kept[0])
        np.testing.assert_array_equal(atoms.get_stresses(), kept[1])
        monkeypatch.undo()


def test_a_step_does_nothing_that_takes_as_long_as_the_rest(monkeypatch):
    """No counting of cores, which reads files; no pipelines and tags of scikit-learn."""

    def refuse(*args, **kwargs):
        raise AssertionError("called in a step")

    atoms = with_calculator(fit(DESCRIPTORS["soap"]))
    atoms.get_forces()
    for module, name in ((joblib, "cpu_count"), (blas, "cpu_count"), (Pipeline, "transform"),
                         (GAPRegressor, "predict"), (GAPRegressor, "__sklearn_tags__")):
        monkeypatch.setattr(module, name, refuse)
    atoms.positions[0] += 0.01
    assert atoms.get_stress().shape == (6,)
    assert atoms.get_forces().shape == (2, 3)
