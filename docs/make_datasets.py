"""Compute the data sets bundled with skdesc: ``python docs/make_datasets.py OUTDIR``.

Needs tblite (``pip install skdesc[datasets]``) and takes about a quarter of an hour on one core.
The results in ``skdesc/datasets/data`` were made by this script with tblite 0.8.0 and ASE 3.29.0;
set ``OMP_NUM_THREADS=1`` to follow the same molecular dynamics.

Units are eV and angstrom throughout. Energies are electronic free energies at the electronic
temperature of each set, because these are what the forces are the derivatives of.
"""

from __future__ import annotations

import argparse
import math
from importlib.metadata import version
from pathlib import Path

import ase.units
import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.collections import g2
from ase.data import atomic_masses, chemical_symbols
from ase.md.langevin import Langevin
from tblite.ase import TBLite

DIMER = {"method": "GFN2-xTB", "electronic_temperature": 3000.0, "accuracy": 0.1}
ORGANIC = {"method": "GFN2-xTB", "electronic_temperature": 300.0, "accuracy": 0.1}
CARBON = {"method": "GFN1-xTB", "electronic_temperature": 5000.0, "accuracy": 0.1}

# tblite samples periodic cells at the gamma point only, so a crystal is computed as part of a
# supercell, which amounts to a grid of k-points. The supercell, in cells of 4 atoms, is the same
# for all crystals of a kind: otherwise their energies would differ by the error of the grid. That
# of graphite has to be a multiple of three, to sample the point where its bands meet.
SUPERCELLS = {"diamond": (4, 4, 3), "graphite": (6, 6, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--only", choices=["dimer", "organic", "solids", "ethanol"])
    options = parser.parse_args()
    options.outdir.mkdir(parents=True, exist_ok=True)
    makers = {"dimer": carbon_dimer, "organic": organic_molecules, "solids": carbon_solids,
              "ethanol": ethanol_dynamics}
    for name, make in makers.items():
        if options.only in (None, name):
            make(options.outdir)


def carbon_dimer(outdir):
    """Energies and forces of C2 from 0.9 to 4.0 angstrom."""
    distances = np.linspace(0.9, 4.0, 63)
    frames = [Atoms("C2", [[0, 0, 0], [0, 0, distance]]) for distance in distances]
    frames = [label(atoms, DIMER) for atoms in frames]
    check_forces(frames[::6], DIMER)
    # every fourth point is left for testing: the ends of the curve belong to training
    test = np.arange(2, len(frames), 4)
    save(outdir / "carbon_dimer.npz", frames, DIMER, np.arange(len(frames)), test,
         kinds=["dimer"] * len(frames))


def organic_molecules(outdir):
    """Four random displacements of each closed-shell molecule of the G2 set."""
    rng = np.random.default_rng(20240501)
    names = [name for name in g2.names if is_organic(molecule(name))]
    frames, groups, kinds = [], [], []
    for group, name in enumerate(names):
        for scale in (0.02, 0.04, 0.07, 0.1):
            atoms = molecule(name)
            atoms.positions += rng.normal(scale=scale, size=(len(atoms), 3))
            frames.append(label(atoms, ORGANIC))
            groups.append(group)
            kinds.append(name)
    check_forces(frames[::40], ORGANIC)
    test_groups = rng.permutation(len(names))[: len(names) // 5]
    test = np.flatnonzero(np.isin(groups, test_groups))
    save(outdir / "organic_molecules.npz", frames, ORGANIC, groups, test, kinds)


def ethanol_dynamics(outdir):
    """Snapshots of molecular dynamics of ethanol: five trajectories, two of them for testing."""
    frames, groups, kinds, test = [], [], [], []
    for number, (temperature, n_frames) in enumerate(
        [(500, 200), (500, 200), (500, 200), (500, 100), (300, 100)]
    ):
        rng = np.random.default_rng([20241126, number])
        snapshots = molecular_dynamics(
            molecule("CH3CH2OH"), temperature, n_frames, rng, n_warm_up=1500, every=40
        )
        if number >= 3:
            test.extend(range(len(frames), len(frames) + n_frames))
        frames += snapshots
        kinds += [f"{temperature} K"] * n_frames
        groups += [number] * n_frames
        print(f"{temperature} K: {n_frames} frames", flush=True)
    check_forces(frames[::100], ORGANIC)
    save(outdir / "ethanol_dynamics.npz", frames, ORGANIC, groups, np.array(test), kinds)


def molecular_dynamics(atoms, temperature, n_frames, rng, *, n_warm_up, every):
    """Snapshots of Langevin dynamics with steps of 0.5 fs, after so many steps to warm up."""
    atoms.rattle(0.02, rng=rng)
    atoms.calc = TBLite(**ORGANIC, verbosity=0)
    widths = np.sqrt(atoms.get_masses() * ase.units.kB * temperature)
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * widths[:, None])
    dynamics = Langevin(atoms, 0.5 * ase.units.fs, temperature_K=temperature,
                        friction=0.02 / ase.units.fs, fixcm=False, rng=rng)
    dynamics.run(n_warm_up)
    snapshots = []
    for _ in range(n_frames):
        dynamics.run(every)
        snapshots.append(label(atoms, ORGANIC))
    return snapshots


def is_organic(atoms):
    """Whether a molecule is made of H, C, N, O and F and has no unpaired electron."""
    return (
        len(atoms) > 1
        and set(atoms.get_chemical_symbols()) <= set("HCNOF")
        and atoms.numbers.sum() % 2 == 0
        and not atoms.get_initial_magnetic_moments().any()  # O2, NH and triplet CH2
    )


def carbon_solids(outdir):
    """Distorted diamond and graphite, and carbon quenched from the melt."""
    rng = np.random.default_rng(20240502)
    frames, kinds = [], []
    for _ in range(10):
        for repeats in ((2, 1, 1), (2, 2, 1), (4, 2, 1), (4, 4, 1)):
            unit = diamond(rng.uniform(3.40, 3.75))
            frames.append(label(distorted(unit, "diamond", repeats, rng), CARBON))
            kinds.append("diamond")
    for _ in range(8):
        for repeats in ((2, 1, 1), (2, 2, 1), (3, 2, 1), (6, 2, 1)):
            unit = graphite(rng.uniform(2.38, 2.55), rng.uniform(6.3, 7.4))
            frames.append(label(distorted(unit, "graphite", repeats, rng), CARBON))
            kinds.append("graphite")
    groups = list(range(len(frames)))
    check_forces([frames[0], frames[3], frames[41]], CARBON)
    check_stress([frames[0], frames[3], frames[41]], CARBON)
    for density in (2.0, 3.0):
        snapshots = melt_and_quench(density, rng)
        # neighbours in time are alike, so four in a row stay on the same side of the split
        groups += [groups[-1] + 1 + index // 4 for index in range(len(snapshots))]
        frames += snapshots
        kinds += ["amorphous"] * len(snapshots)
    check_forces(frames[-1:], CARBON)
    check_stress(frames[-1:], CARBON)
    groups = np.array(groups)
    rng = np.random.default_rng(20240503)
    test_groups = []
    for kind in ("diamond", "graphite", "amorphous"):
        members = np.unique(groups[np.array(kinds) == kind])
        test_groups.extend(rng.permutation(members)[: math.ceil(len(members) / 5)])
    test = np.flatnonzero(np.isin(groups, test_groups))
    save(outdir / "carbon_solids.npz", frames, CARBON, groups, test, kinds)


def diamond(a):
    """Tetragonal cell of diamond, 4 atoms, half as large as the cubic one of lattice constant a."""
    sites = [[0, 0, 0], [1 / 2, 0, 1 / 4], [1 / 2, 1 / 2, 1 / 2], [0, 1 / 2, 3 / 4]]
    return Atoms("C4", scaled_positions=sites, cell=[a / 2**0.5, a / 2**0.5, a], pbc=True)


def graphite(a, c):
    """Primitive cell of AB-stacked graphite, 4 atoms, with layers c / 2 apart."""
    sites = [[0, 0, 0], [1 / 3, 2 / 3, 0], [0, 0, 1 / 2], [2 / 3, 1 / 3, 1 / 2]]
    return Atoms("C4", scaled_positions=sites, cell=[a, a, c, 90, 90, 120], pbc=True)


def distorted(unit, kind, repeats, rng):
    """Repeated cell with a strain of up to 2 percent and displacements of 0.01 to 0.1 angstrom."""
    atoms = unit.repeat(repeats)
    strain = rng.uniform(-0.02, 0.02, size=(3, 3))
    atoms.set_cell(atoms.cell @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    atoms.positions += rng.normal(scale=rng.uniform(0.01, 0.10), size=(len(atoms), 3))
    # how often the structure is repeated when it is computed
    atoms.info["images"] = np.array(SUPERCELLS[kind]) // repeats
    return atoms


def melt_and_quench(density, rng, *, n_atoms=64, n_melt=90, n_quench=270, every=16):
    """Snapshots of 64 carbon atoms melted at 5000 K and cooled to 300 K, density in g/cm^3."""
    mass = n_atoms * atomic_masses[6] / ase.units.kg * 1e3
    length = (mass / density) ** (1 / 3) * 1e8
    atoms = Atoms(f"C{n_atoms}", random_packing(n_atoms, length, 1.35, rng),
                  cell=[length] * 3, pbc=True)
    atoms.calc = TBLite(**CARBON, verbosity=0)
    widths = np.sqrt(atoms.get_masses() * ase.units.kB * 5000)
    atoms.set_momenta(rng.normal(size=(n_atoms, 3)) * widths[:, None])
    dynamics = Langevin(atoms, 1.0 * ase.units.fs, temperature_K=5000,
                        friction=0.1 / ase.units.fs, fixcm=False, rng=rng)
    snapshots = []
    for step in range(1, n_melt + n_quench + 1):
        cooled = max(step - n_melt, 0) / n_quench
        dynamics.set_temperature(temperature_K=5000 - 4700 * cooled)
        dynamics.run(1)
        # the first steps only heal the random packing
        if step >= 32 and step % every == 0:
            snapshots.append(frozen(atoms))
            print(f"{density} g/cm^3, step {step}: {atoms.get_temperature():.0f} K, "
                  f"{atoms.get_potential_energy() / n_atoms:.3f} eV/atom", flush=True)
    return snapshots


def random_packing(n_atoms, length, min_distance, rng):
    """Random positions in a cubic cell, none closer to another than `min_distance`."""
    positions = np.empty((0, 3))
    while len(positions) < n_atoms:
        trial = rng.uniform(0, length, size=(1, 3))
        separations = positions - trial
        separations -= length * np.round(separations / length)
        if not (np.linalg.norm(separations, axis=1) < min_distance).any():
            positions = np.vstack([positions, trial])
    return positions


def label(atoms, method):
    """Copy of a structure with its energy, forces and, if periodic, stress."""
    images = np.array(atoms.info.get("images", (1, 1, 1)))
    large = atoms.repeat(images)
    large.calc = TBLite(**method, verbosity=0)
    results = {
        "energy": large.get_potential_energy() / images.prod(),
        "forces": large.get_forces()[: len(atoms)],
    }
    if atoms.pbc.all():
        results["stress"] = large.get_stress()
    return attach(atoms, results)


def frozen(atoms):
    """Copy of a structure with the results its calculator has at hand."""
    return attach(atoms, {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(),
                          "stress": atoms.get_stress()})


def attach(atoms, results):
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc,
                 info=atoms.info)
    copy.calc = SinglePointCalculator(copy, **results)
    return copy


def check_forces(frames, method, *, step=1e-3, tolerance=5e-3):
    """Compare a force of each frame with the central difference of the energy."""
    worst = 0.0
    for atoms in frames:
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[1, 2] += sign * step
            energies.append(label(moved, method).get_potential_energy())
        numeric = (energies[1] - energies[0]) / (2 * step)
        worst = max(worst, abs(numeric - atoms.get_forces()[1, 2]))
    print(f"forces agree with differences of the energy to {worst:.1e} eV/angstrom", flush=True)
    if worst > tolerance:
        raise RuntimeError(f"forces and energies differ by {worst} eV/angstrom")


def check_stress(frames, method, *, step=1e-3, tolerance=2e-4):
    """Compare the stress xx and yz of each frame with central differences of the energy."""
    worst = 0.0
    for atoms in frames:
        for voigt, (row, column) in {0: (0, 0), 3: (1, 2)}.items():
            energies = []
            for sign in (1, -1):
                strain = np.eye(3)
                strain[row, column] += sign * step / 2
                strain[column, row] += sign * step / 2
                moved = atoms.copy()
                moved.set_cell(atoms.cell @ strain, scale_atoms=True)
                energies.append(label(moved, method).get_potential_energy())
            numeric = (energies[0] - energies[1]) / (2 * step * atoms.get_volume())
            worst = max(worst, abs(numeric - atoms.get_stress()[voigt]))
    print(f"stress agrees with differences of the energy to {worst:.1e} eV/angstrom^3", flush=True)
    if worst > tolerance:
        raise RuntimeError(f"stress and energies differ by {worst} eV/angstrom^3")


def save(path, frames, method, groups, test, kinds):
    """Write frames as flat arrays: atoms of all frames in a row, and where each begins."""
    species = np.unique(np.concatenate([atoms.numbers for atoms in frames]))
    isolated = [label(Atoms(chemical_symbols[z]), method).get_potential_energy() for z in species]
    arrays = {
        "offsets": np.cumsum([0] + [len(atoms) for atoms in frames]),
        "numbers": np.concatenate([atoms.numbers for atoms in frames]).astype(np.int8),
        "positions": np.concatenate([atoms.positions for atoms in frames]),
        "energies": np.array([atoms.get_potential_energy() for atoms in frames]),
        "forces": np.concatenate([atoms.get_forces() for atoms in frames]),
        "groups": np.asarray(groups),
        "kinds": np.array(kinds),
        "train": np.setdiff1d(np.arange(len(frames)), test),
        "test": np.asarray(test),
        "isolated_numbers": species,
        "isolated_energies": np.array(isolated),
        "made_with": np.array([f"tblite {version('tblite')}", f"ase {version('ase')}"]),
    }
    if frames[0].pbc.all():
        arrays["cells"] = np.array([atoms.cell.array for atoms in frames])
        arrays["stresses"] = np.array([atoms.get_stress() for atoms in frames])
    np.savez_compressed(path, **arrays)
    print(f"{path}: {len(frames)} frames, {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
