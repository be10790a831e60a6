"""
Phonons that are right, and what training data they need
=========================================================

Phonons are often the first check of a potential, and the most demanding one: frequencies are second
derivatives of the energy at a point where all forces vanish. A potential with small errors of
forces can still have imaginary modes. Here ASE's effective medium theory (EMT) stands for an
expensive calculation, so that the true phonons of copper are known.

Three potentials with the same descriptor and the same number of structures differ in what they
were fitted to, or how.
"""

# %%
# Training data
# -------------
# Cells of 32 atoms, strained by up to 3 %, with all atoms displaced at random. What matters is how
# far. In a phonon calculation atoms move by 0.01 angstrom, in a crystal at room temperature by 0.1.
# Frames of a hot run, displaced by 0.2 angstrom, have large forces, and tell little about small
# ones.

import itertools
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.phonons import Phonons
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc.calculator import SkdescCalculator


def distorted_cells(displacements, n_frames=24):
    """Return cells whose atoms are displaced by these standard deviations in turn."""
    rng = np.random.RandomState(0)
    frames = []
    for _, size in zip(range(n_frames), itertools.cycle(displacements)):
        atoms = bulk("Cu", cubic=True) * (2, 2, 2)
        strain = np.eye(3) + 0.03 * rng.uniform(-1, 1, (3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.positions += size * rng.normal(size=(len(atoms), 3))
        atoms.calc = EMT()
        atoms.get_stress()
        frames.append(atoms)
    return frames


def fit(frames, **noise):
    """Return a calculator of a potential fitted to energies, forces and virials."""
    y, targets = extract_targets(frames)
    pipeline = make_pipeline(
        SOAPTransformer(cutoff=5.0, cutoff_width=1.0, n_max=8, l_max=6, atom_sigma=0.5),
        GAPRegressor(n_sparse=500, **noise),
    )
    return SkdescCalculator(pipeline.fit(
        frames, y, gapregressor__forces=targets["forces"],
        gapregressor__virials=targets["virials"],
    ))


# %%
# Noise
# -----
# The noise parameters determine how closely the potential follows the targets. The defaults are
# cautious: 0.1 eV/angstrom for forces, and 0.1 eV for virials, are more than the forces of a small
# displacement. For well converged calculations use less, here a twentieth of it.

small = {"sigma_energy": 0.0005, "sigma_forces": 0.005, "sigma_virials": 0.01}
calculators = {
    "EMT": EMT(),
    "displaced by 0.02 to 0.1 A, small noise": fit(distorted_cells([0.02, 0.05, 0.1]), **small),
    "the same, default noise": fit(distorted_cells([0.02, 0.05, 0.1])),
    "displaced by 0.2 A, small noise": fit(distorted_cells([0.2]), **small),
}

# %%
# Phonons
# -------
# The path leads from the center of the Brillouin zone to X, K, and back, then to L. Two atoms
# interact through any neighbor that they share, so force constants reach up to twice the cutoff. A
# supercell that is too small folds the longest-ranged ones onto one another, which affects the slow
# modes near the center first: with ``(4, 4, 4)``, even the best of these potentials can have
# imaginary ones.

LATTICE = 3.59  # of EMT, in angstrom


def dispersion(calculator):
    """Return distances along the path and frequencies in THz; imaginary ones are negative."""
    crystal = bulk("Cu", a=LATTICE)
    path = crystal.cell.bandpath("GXKGL", npoints=80)
    with TemporaryDirectory() as folder:
        phonons = Phonons(crystal, calculator, supercell=(6, 6, 6), delta=0.01, name=f"{folder}/cu")
        phonons.run()
        phonons.read(acoustic=True)
    energies = phonons.band_structure(path.kpts, verbose=False)
    return path, energies * units._e / units._hplanck * 1e-12


results = {name: dispersion(calculator) for name, calculator in calculators.items()}
path, reference = results["EMT"]
for name, (_, frequencies) in results.items():
    error = np.sqrt(np.mean((frequencies - reference) ** 2))
    print(f"{name:42s} rms error {error:5.2f} THz, lowest {frequencies.min():6.2f} THz")

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True, layout="constrained")
x, ticks, labels = path.get_linear_kpoint_axis()
for axis, (name, (_, frequencies)) in zip(axes, list(results.items())[1:], strict=True):
    axis.plot(x, reference, color="0.75", linewidth=4)
    axis.plot(x, frequencies, color="C0")
    axis.axhline(0.0, color="black", linewidth=0.5)
    axis.set_xticks(ticks, [label.replace("G", "$\\Gamma$") for label in labels])
    axis.set_title(name, fontsize="medium")
axes[0].set_ylabel("frequency (THz)")
plt.show()

# %%
# The first potential follows EMT, the wide gray lines, to a few hundredths of a THz. For phonons,
#
# - include cells with displacements of 0.02 to 0.1 angstrom in the training data, and strained
#   cells with virials for the slopes at the center, which are elastic constants;
# - lower the noise to the accuracy of the calculations, or let a search find it;
# - use a supercell that is wider than twice the cutoff, or check whether a larger one makes a
#   difference;
# - relax the cell with the potential before phonons are computed, if its lattice constant differs.
