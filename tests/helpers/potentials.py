"""Small fitted models that tests of files share; run it to write the stored file anew."""

from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from helpers.lengths import LENGTHS
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, extract_targets

STORED = Path(__file__).parents[1] / "io" / "data" / "format_1.skd"


def crystals(count, seed=0, symbols=("Cu", "Au")):
    """Distorted crystals of eight atoms with energies, forces and stresses of EMT."""
    frames = []
    for k in range(count):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        atoms.set_chemical_symbols([*symbols] * (8 // len(symbols)))
        atoms.set_cell(atoms.cell * (1.03 + 0.02 * k / count), scale_atoms=True)
        atoms.rattle(0.08, seed=seed + k)
        atoms.calc = EMT()
        atoms.get_stress()
        frames.append(atoms)
    return frames


def fit_potential(frames=None, *, n_sparse=20, baseline=None, zeta=2, sigma_forces=0.05, **soap):
    """Small potential."""
    frames = crystals(8) if frames is None else frames
    y, targets = extract_targets(frames)
    soap = LENGTHS | {"n_max": 4, "l_max": 3, "cutoff": 4.2, "cutoff_width": 1.0} | soap
    pipeline = make_pipeline(
        SOAPTransformer(**soap),
        GAPRegressor(
            n_sparse=n_sparse, zeta=zeta, baseline=baseline, sigma_forces=sigma_forces,
            sigma_energy=0.002, jitter=1e-8,
        ),
    )
    return pipeline.fit(
        frames, y, gapregressor__forces=targets["forces"],
        gapregressor__virials=targets["virials"],
    )


def everything(pipeline, frames):
    """All that a potential predicts."""
    energies, std, forces, virials = pipeline.predict(
        frames, return_std=True, return_forces=True, return_virials=True
    )
    return [energies, std, np.concatenate(forces), virials]


def stored_structure():
    """Structure for the stored model, from numbers that no other package decides on."""
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.positions += np.cos(np.arange(12.0)).reshape(4, 3) * 0.05
    return atoms


if __name__ == "__main__":
    from skdesc.io import save

    model = fit_potential(crystals(6, symbols=["Cu"]), n_sparse=3, n_max=2, l_max=1)
    STORED.parent.mkdir(exist_ok=True)
    save(model, STORED)
    energies, std, forces, virials = everything(model, [stored_structure()])
    print(f"ENERGY, STD = {float(energies[0])!r}, {float(std[0])!r}")
    print(f"FORCE = {forces[1].tolist()}\nVIRIAL = {virials[0, 0].tolist()}")


def small_potential():
    return fit_potential(crystals(4, symbols=["Cu"]), n_sparse=3, n_max=2, l_max=1)
