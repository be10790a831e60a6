"""Structures that tests of descriptors share: open, periodic, partly periodic, tiny, skewed."""

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule


def distorted_gaas():
    atoms = bulk("GaAs", "zincblende", 5.65, cubic=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def skewed_slab():
    """Periodic along two axes, cutoff far beyond the cell."""
    atoms = bulk("Si")
    shear = np.array([[1, 0.2, 0.1], [0, 1, 0.4], [0, 0, 1.0]])
    atoms.set_cell(atoms.cell @ shear, scale_atoms=True)
    atoms.rattle(0.05, seed=3)
    atoms.pbc = [True, True, False]
    return atoms


def chain():
    """One atom in a short skewed cell: every neighbor is an image of the center."""
    cell = [[1.9, 0.3, 0], [0, 2.2, 0.7], [0.4, 0, 2.0]]
    return Atoms("Cu", positions=[[0.1, 0.2, 0.3]], cell=cell, pbc=True)


def wire():
    return Atoms("CO", positions=[[0, 0, 9.0], [1.2, 0.1, -0.4]],
                 cell=[[3.1, 0, 0], [0, 0, 0], [0, 0, 0]], pbc=[True, False, False])


def zoo():
    """A list with one of each kind."""
    ethanol = molecule("CH3CH2OH")
    return [distorted_gaas(), ethanol, skewed_slab(), chain(), wire(), molecule("H2O")]


def crowded():
    """Two distorted crystals of two elements, 250 atoms each, with many neighbors."""
    crystals = []
    for seed in range(2):
        atoms = bulk("NaCl", "rocksalt", a=4.4).repeat(5)
        atoms.rattle(0.1, seed=seed)
        crystals.append(atoms)
    return crystals


def shaken_molecules(count=16):
    """Molecules of H, C, N and O, and energies that are nearly those of free atoms."""
    rng = np.random.default_rng(0)
    frames = [molecule(["H2O", "CH4", "NH3", "CH3OH"][k % 4]) for k in range(count)]
    for atoms in frames:
        atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
    return frames, np.array([-3.0 * len(atoms) for atoms in frames]) + rng.normal(0, 0.1, count)
