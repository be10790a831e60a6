"""
phonopy and phono3py: harmonic and anharmonic force constants
=============================================================

Both displace atoms of supercells and take the forces from any calculator. Phonons are the most
sensitive test of a potential, see the guide, :doc:`/guide/run`.
"""

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from copper import potential
from phono3py import Phono3py
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from skdesc.calculator import SkdescCalculator


def relaxed(calculator):
    """Return the primitive cell at its lattice constant."""
    atoms = bulk("Cu")
    atoms.calc = calculator
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-5, steps=100)
    return atoms


def forces_of(cells, calculator):
    """Return the forces of cells of phonopy, each without the mean over its atoms."""
    result = []
    for cell in cells:
        atoms = Atoms(cell.symbols, cell.positions, cell=cell.cell, pbc=True, calculator=calculator)
        forces = atoms.get_forces()
        result.append(forces - forces.mean(axis=0))
    return result


def main(mesh=8):
    """Return frequencies on a mesh, in THz, and the third-order force constants."""
    calculator = SkdescCalculator(potential())
    atoms = relaxed(calculator)
    cell = PhonopyAtoms(symbols=list(atoms.symbols), positions=atoms.positions,
                        cell=atoms.cell.array)
    phonon = Phonopy(cell, supercell_matrix=[[6, 0, 0], [0, 6, 0], [0, 0, 6]])
    phonon.generate_displacements(distance=0.01)
    phonon.forces = forces_of(phonon.supercells_with_displacements, calculator)
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    phonon.run_mesh([mesh] * 3, is_gamma_center=True)
    frequencies = phonon.mesh.frequencies
    print(f"frequencies from {frequencies.min():.2f} to {frequencies.max():.2f} THz")

    anharmonic = Phono3py(cell, supercell_matrix=[[3, 0, 0], [0, 3, 0], [0, 0, 3]])
    anharmonic.generate_displacements(distance=0.03)
    displaced = anharmonic.supercells_with_displacements
    anharmonic.forces = np.array(forces_of(displaced, calculator))
    anharmonic.produce_fc3()
    print(f"third-order force constants up to {np.abs(anharmonic.fc3).max():.1f} eV/angstrom^3")
    return frequencies, anharmonic.fc3


if __name__ == "__main__":
    main()
