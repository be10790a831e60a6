"""
A potential of copper for the scripts of this folder
====================================================

Distorted cells of copper with energies, forces and stresses of ASE's effective medium theory,
which stands for an expensive calculation, and a potential that is fitted to them in some seconds.
"""

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, extract_targets


def distorted_cells(n_frames=24, seed=0):
    """Return strained and rattled cells of 32 atoms with their results."""
    rng = np.random.RandomState(seed)
    frames = []
    for k in range(n_frames):
        atoms = bulk("Cu", cubic=True) * (2, 2, 2)
        strain = np.eye(3) + 0.03 * rng.uniform(-1, 1, (3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        # as far as atoms move in a phonon, and as far as they move in a hot crystal
        atoms.positions += (0.02, 0.05, 0.1)[k % 3] * rng.normal(size=(len(atoms), 3))
        atoms.calc = EMT()
        atoms.get_stress()
        frames.append(atoms)
    return frames


def potential(n_sparse=200):
    """Return a fitted pipeline.

    The noise is the part of EMT that the potential cannot represent, as EMT itself is exact.
    """
    frames = distorted_cells()
    y, targets = extract_targets(frames)
    pipeline = make_pipeline(
        SOAPTransformer(cutoff=5.0, cutoff_width=1.0, n_max=8, l_max=6, atom_sigma=0.5),
        GAPRegressor(
            n_sparse=n_sparse, sigma_energy=0.0005, sigma_forces=0.005, sigma_virials=0.01
        ),
    )
    return pipeline.fit(
        frames, y, gapregressor__forces=targets["forces"],
        gapregressor__virials=targets["virials"],
    )


if __name__ == "__main__":
    from skdesc.io import save

    save(potential(), "copper.skd")
