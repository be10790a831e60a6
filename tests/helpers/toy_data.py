"""A smooth many-body potential with known derivatives, and structures to learn it from."""

import numpy as np
from ase.build import bulk, molecule
from helpers.toy_descriptor import ToyDescriptor

SPECIES = (1, 8)


def make_frames(n_frames=12, seed=0):
    """Water molecules, and small skewed periodic cells of oxygen with some hydrogen."""
    rng = np.random.RandomState(seed)
    frames = []
    for index in range(n_frames):
        if index % 2:
            atoms = molecule("H2O")
        else:
            atoms = bulk("Po", "sc", a=2.6).repeat((2, 1, 1))
            atoms.numbers[:] = (8, 1)
            strain = np.eye(3) + 0.05 * rng.normal(size=(3, 3))
            atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.positions += 0.1 * rng.normal(size=atoms.positions.shape)
        frames.append(atoms)
    return frames


def reference(frames):
    """Energies, forces and virials of a function of the toy descriptor, by its adjoint."""
    toy = ToyDescriptor(SPECIES, normalize=False, n_gaussians=4)
    features = toy.transform(frames)
    coefficients = np.random.RandomState(5).normal(size=features.values.shape[1])
    offsets = np.where(features.species == 1, -13.6, -430.0)
    local = np.sin(features.values @ coefficients) + offsets
    g = np.cos(features.values @ coefficients)[:, None] * coefficients
    gradient, strain = toy.vjp(features, g)
    y = np.add.reduceat(local, features.offsets[:-1])
    forces = np.split(-gradient, features.offsets[1:-1])
    return y, {"forces": forces, "virials": -strain}
