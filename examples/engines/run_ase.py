"""
ASE: relaxation, barrier, vibrations, dynamics
==============================================

:class:`skdesc.calculator.SkdescCalculator` is a calculator like any other, so a fitted pipeline
can be used for everything that ASE does with calculators.
"""

import numpy as np
from ase import units
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.md.langevin import Langevin
from ase.mep import NEB
from ase.optimize import BFGS
from ase.vibrations import Vibrations
from copper import potential

from skdesc.calculator import SkdescCalculator


def relax(pipeline):
    """Return a crystal with its cell relaxed."""
    atoms = bulk("Cu", cubic=True, a=3.7) * (2, 2, 2)
    atoms.rattle(0.05, seed=1)
    atoms.calc = SkdescCalculator(pipeline)
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-3, steps=200)
    return atoms


def vacancy_barrier(pipeline, crystal, fmax=0.05):
    """Return the energies along the jump of an atom into a vacancy, in eV."""
    ends = []
    jumping = np.argmin(crystal.get_distances(0, range(1, len(crystal)), mic=True)) + 1
    for removed, other in ((0, jumping), (jumping, 0)):
        atoms = crystal.copy()
        if removed:  # the atom has jumped to where the vacancy was
            atoms.positions[other], atoms.positions[removed] = (
                atoms.positions[removed].copy(), atoms.positions[other].copy(),
            )
        del atoms[0]
        atoms.calc = SkdescCalculator(pipeline)
        BFGS(atoms, logfile=None).run(fmax=fmax, steps=100)
        ends.append(atoms)
    images = [ends[0], *(ends[0].copy() for _ in range(3)), ends[1]]
    band = NEB(images, method="improvedtangent")
    band.interpolate(mic=True)
    for image in images[1:-1]:
        image.calc = SkdescCalculator(pipeline)
    BFGS(band, logfile=None).run(fmax=fmax, steps=100)
    energies = np.array([image.get_potential_energy() for image in images])
    return energies - energies[0]


def vibrations(crystal, folder):
    """Return the energies of the vibrations of one atom of the crystal, in eV."""
    modes = Vibrations(crystal, indices=[0], name=str(folder))
    modes.clean()
    modes.run()
    energies = modes.get_energies()
    modes.clean()
    return energies


def heat(crystal, steps):
    """Return energies per atom, in eV, in a run at 300 K."""
    atoms = crystal.copy()
    atoms.calc = crystal.calc
    rng = np.random.RandomState(1)
    width = np.sqrt(atoms.get_masses()[:, np.newaxis] * units.kB * 600)
    atoms.set_momenta(width * rng.normal(size=(len(atoms), 3)))
    dynamics = Langevin(
        atoms, 2 * units.fs, temperature_K=300, friction=0.01 / units.fs, rng=rng, fixcm=False
    )
    energies = []
    dynamics.attach(lambda: energies.append(atoms.get_potential_energy() / len(atoms)))
    dynamics.run(steps)
    return energies


def main(steps=100, folder="vibrations"):
    """Do all of it; return the crystal and the energies along the jump."""
    pipeline = potential()
    crystal = relax(pipeline)
    print(f"lattice constant {crystal.cell.lengths().mean() / 2:.3f} angstrom")
    path = vacancy_barrier(pipeline, crystal)
    print(f"a vacancy jumps over {path.max():.2f} eV")
    print("vibrations of one atom, in meV:", np.round(1e3 * vibrations(crystal, folder).real, 1))
    print(f"300 K: {np.mean(heat(crystal, steps)):.3f} eV per atom")
    return crystal, path


if __name__ == "__main__":
    main()
