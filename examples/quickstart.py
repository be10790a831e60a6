"""
A useful potential in a minute
===========================================

Ethanol comes with the package: 600 snapshots of molecular dynamics at 500 K (GFN2-xTB), 12 ps of
one molecule, to learn from, and 200 of other trajectories to test on. ``AutoPotential`` finds a
potential in half a minute. It is tested, drives molecular dynamics, and is saved with a report.

With so small a set the potential is valid only for a single molecule of ethanol near these
temperatures: the set contains no second molecule and no breaking bond.

Run it with ``python examples/quickstart.py [FOLDER]``; the folder for the results is ``results``
unless another is named.
"""

import sys
import time
from pathlib import Path

import ase.units
import numpy as np
from ase.md.verlet import VelocityVerlet
from matplotlib.figure import Figure

from skdesc import AutoPotential, extract_targets
from skdesc.datasets import load_ethanol_dynamics
from skdesc.io import save
from skdesc.plotting import ParityDisplay

SECONDS, STEPS = 30, 2000


def dynamics(atoms, calculator):
    """Molecular dynamics at constant energy: kinetic and potential energy of each step, in eV."""
    atoms = atoms.copy()
    atoms.calc = calculator
    widths = np.sqrt(atoms.get_masses() * ase.units.kB * 300)
    atoms.set_momenta(np.random.RandomState(0).normal(size=(len(atoms), 3)) * widths[:, None])
    verlet, energies = VelocityVerlet(atoms, 0.5 * ase.units.fs), []
    for _ in range(STEPS):
        energies.append((atoms.get_kinetic_energy(), atoms.get_potential_energy()))
        verlet.run(1)
    return np.array(energies).T


def draw(path, test, predicted, kinetic, potential):
    """Draw parity of forces, and energies along the dynamics."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    true = extract_targets(test)[1]["forces"]
    ParityDisplay.from_predictions(true, predicted, quantity="forces", ax=left)
    picoseconds = 0.5e-3 * np.arange(STEPS)
    lowest = potential.min()
    curves = {"kinetic": kinetic, "potential": potential - lowest,
              "total": kinetic + potential - lowest}
    for label, values in curves.items():
        right.plot(picoseconds, values, lw=1, label=label)
    right.set(xlabel="time (ps)", ylabel="energy (eV)", title="dynamics at constant energy")
    right.legend(loc="upper right", ncols=3)
    right.set_ylim(0, 1.2 * curves["total"].max())
    figure.savefig(path, dpi=120)


def main(folder):
    """Learn, test, run, save."""
    start = time.perf_counter()
    data = load_ethanol_dynamics()
    train, test = ([data.frames[i] for i in side] for side in (data.train, data.test))

    auto = AutoPotential(time_budget=SECONDS, random_state=0, verbose=1).fit(train)

    for kind in ("300 K", "500 K"):
        errors = auto.errors([data.frames[i] for i in data.test if data.kinds[i] == kind])
        print(f"test at {kind}: energy {9e3 * errors['energy_mae']:.2f} meV per molecule, forces "
              f"{1e3 * errors['forces_mae']:.1f} meV/angstrom (mean absolute errors)")
    kinetic, potential = dynamics(test[-1], auto.calculator())
    total = kinetic + potential
    drift = np.polyfit(np.arange(STEPS), total, 1)[0] * STEPS
    print(f"molecular dynamics, {STEPS} steps: the total energy fluctuates by "
          f"{1e3 * total.std():.2f} meV and drifts by {1e3 * drift:.2f} meV; the potential energy "
          f"fluctuates by {1e3 * potential.std():.0f} meV")

    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "quickstart.png", test, auto.predict(test, return_forces=True)[1], kinetic,
         potential)
    save(auto.pipeline_, folder / "ethanol.skd")
    auto.report(folder / "report.html", test=test, command="python examples/quickstart.py")
    print(f"model, picture and report saved in {folder}; {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results"))
