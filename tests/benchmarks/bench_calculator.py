"""A step of the ASE calculator: energy, forces and stress of atoms that have moved.

``python tests/benchmarks/bench_calculator.py [--other PATH]`` fits a potential to distorted copper
cells (energies and forces of EMT) and prints, for several sizes, the time of a step and that of
`Pipeline.predict` for the same structure. With the path of another checkout of this package, with
its extensions built in place, that one is measured in turn with this one, and the ratio is
printed. One thread; medians.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from sklearn.pipeline import make_pipeline
from systems import interleaved

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc.calculator import SkdescCalculator

SIZES = {4: (1, 1, 1), 32: (2, 2, 2), 108: (3, 3, 3), 256: (4, 4, 4)}


def potential(n_sparse, radial_basis="gto", **changes):
    """A pipeline for copper; `changes` are parameters of the regressor."""
    rng = np.random.RandomState(0)
    frames = []
    for _ in range(40):  # more environments than sparse points
        atoms = bulk("Cu", cubic=True) * (2, 2, 2)
        atoms.set_cell(atoms.cell * (1 + 0.03 * rng.uniform(-1, 1)), scale_atoms=True)
        atoms.positions += 0.1 * rng.normal(size=atoms.positions.shape)
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    y, targets = extract_targets(frames, virials=False)
    soap = SOAPTransformer(cutoff=5.0, cutoff_width=0.5, n_max=8, l_max=6, atom_sigma=0.5,
                           radial_basis=radial_basis, n_jobs=1)
    gap = GAPRegressor(n_sparse=n_sparse, sigma_forces=0.02, **changes)
    return make_pipeline(soap, gap).fit(frames, y, gapregressor__forces=targets["forces"])


def measure(n_sparse, rounds):
    """Print the seconds of each call, one line for each size."""
    pipeline = potential(n_sparse)
    for n_atoms, repeats in SIZES.items():
        atoms = bulk("Cu", cubic=True) * repeats
        atoms.rattle(0.05, seed=1)
        atoms.calc = SkdescCalculator(pipeline)

        def step(atoms=atoms):
            atoms.positions[0, 0] += 1e-6
            atoms.get_potential_energy()
            atoms.get_forces()
            atoms.get_stress()

        def predict(atoms=atoms):
            pipeline.predict([atoms], return_forces=True, return_virials=True)

        times = interleaved({"step": step, "predict": predict}, max(5, rounds // n_atoms))
        print(n_atoms, times["step"], times["predict"], flush=True)


def results(folder, n_sparse, rounds):
    """What `measure` prints, with the package of a folder: seconds by number of atoms."""
    command = [sys.executable, __file__, "--measure", "--n-sparse", str(n_sparse),
               "--rounds", str(rounds)]
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    lines = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return {int(n): (float(step), float(predict)) for n, step, predict in map(str.split, lines)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-sparse", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--other", type=Path, help="another checkout")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.n_sparse, arguments.rounds)
        return
    here = Path(__file__).parents[2]
    folders = {"here": here} | ({"other": arguments.other} if arguments.other else {})
    runs = {name: [] for name in folders}
    for _ in range(3):
        for name, folder in folders.items():
            runs[name].append(results(folder, arguments.n_sparse, arguments.rounds))
    print("microseconds       step             predict")
    for n_atoms in SIZES:
        row = f"{n_atoms:5d} atoms  "
        for which in (0, 1):
            times = [np.median([run[n_atoms][which] for run in runs[name]]) for name in folders]
            row += "  ".join(f"{1e6 * time:8.0f}" for time in times)
            row += f"  ratio {times[1] / times[0]:.2f}   " if len(times) > 1 else "   "
        print(row)


if __name__ == "__main__":
    main()
