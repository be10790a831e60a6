"""Data sets in the package, computed by ``docs/make_datasets.py``."""

from __future__ import annotations

from importlib import resources

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from sklearn.utils import Bunch


def load_carbon_dimer() -> Bunch:
    """Load the energy curve of the carbon dimer.

    63 structures of two atoms, 0.9 to 4.0 angstrom apart, computed with GFN2-xTB. Every fourth
    point is for testing.

    Returns
    -------
    data : sklearn.utils.Bunch
        With the fields

        - ``frames``, list of ase.Atoms that carry their energy and forces;
        - ``energies``, ndarray of shape (n_frames,), in eV;
        - ``forces``, list of ndarrays (n_atoms, 3), in eV/angstrom;
        - ``train`` and ``test``, ndarrays of indices into the frames;
        - ``groups``, ndarray of shape (n_frames,), the same number for related frames;
        - ``kinds``, ndarray of shape (n_frames,), a name for each frame;
        - ``isolated_energies``, dict from element to the energy of one atom, in eV;
        - ``made_with``, list of the programs used and their versions;
        - ``DESCR``, str, how the numbers were made.

    See Also
    --------
    load_organic_molecules : Molecules of five elements.
    load_carbon_solids : Periodic carbon, with virials.

    Examples
    --------
    >>> from skdesc.datasets import load_carbon_dimer
    >>> data = load_carbon_dimer()
    >>> len(data.frames), len(data.train), len(data.test)
    (63, 47, 16)
    >>> distances = [atoms.get_distance(0, 1) for atoms in data.frames]
    >>> print(f"{distances[data.energies.argmin()]:.2f}")
    1.15
    """
    return _load("carbon_dimer")


def load_organic_molecules() -> Bunch:
    """Load perturbed small molecules of H, C, N, O and F.

    73 closed-shell molecules of the G2 set, four random displacements of each, computed with
    GFN2-xTB. All structures of one molecule are on the same side of the split.

    Returns
    -------
    data : sklearn.utils.Bunch
        With the fields of `load_carbon_dimer`. ``groups`` numbers the molecules and ``kinds``
        names them.

    See Also
    --------
    load_carbon_dimer : A system with one degree of freedom.
    load_carbon_solids : Periodic carbon, with virials.

    Examples
    --------
    >>> from skdesc.datasets import load_organic_molecules
    >>> data = load_organic_molecules()
    >>> len(data.frames), len(set(data.groups))
    (292, 73)
    >>> sorted(data.isolated_energies)
    ['C', 'F', 'H', 'N', 'O']
    """
    return _load("organic_molecules")


def load_ethanol_dynamics() -> Bunch:
    """Load molecular dynamics of a molecule of ethanol.

    800 structures of 9 atoms, 20 fs apart, computed with GFN2-xTB: three trajectories at 500 K
    for training, one at 500 K and one at 300 K for testing.

    Returns
    -------
    data : sklearn.utils.Bunch
        With the fields of `load_carbon_dimer`. ``groups`` numbers the trajectories and
        ``kinds`` names their temperature, "300 K" or "500 K".

    See Also
    --------
    load_organic_molecules : Many molecules, four structures of each.

    Examples
    --------
    >>> from skdesc.datasets import load_ethanol_dynamics
    >>> data = load_ethanol_dynamics()
    >>> len(data.train), len(data.test)
    (600, 200)
    >>> sorted(set(data.kinds[data.test].tolist()))
    ['300 K', '500 K']
    """
    return _load("ethanol_dynamics")


def load_carbon_solids() -> Bunch:
    """Load distorted diamond and graphite, and carbon quenched from the melt.

    Periodic cells of 8 to 64 atoms with energies, forces and stresses, computed with GFN1-xTB.
    Of a simulation, four snapshots in a row are always on the same side of the split.

    Returns
    -------
    data : sklearn.utils.Bunch
        With the fields of `load_carbon_dimer`, and ``virials``, ndarray of shape
        (n_frames, 3, 3), in eV: virial = -volume * stress. ``kinds`` is "diamond", "graphite" or
        "amorphous".

    See Also
    --------
    load_carbon_dimer : A system with one degree of freedom.
    load_organic_molecules : Molecules of five elements.

    Examples
    --------
    >>> from skdesc import extract_targets
    >>> from skdesc.datasets import load_carbon_solids
    >>> data = load_carbon_solids()
    >>> training = [data.frames[index] for index in data.train]
    >>> y, targets = extract_targets(training)
    >>> sorted(targets)
    ['forces', 'virials']
    """
    return _load("carbon_solids")


def _load(name):
    folder = resources.files(__package__)
    with (folder / "data" / f"{name}.npz").open("rb") as file, np.load(file) as stored:
        arrays = dict(stored)
    cuts = arrays["offsets"][1:-1]
    numbers = np.split(arrays["numbers"].astype(int), cuts)
    positions = np.split(arrays["positions"], cuts)
    forces = np.split(arrays["forces"], cuts)
    periodic = "cells" in arrays
    frames = []
    for index, energy in enumerate(arrays["energies"]):
        atoms = Atoms(numbers[index], positions[index])
        results = {"energy": float(energy), "forces": forces[index].copy()}
        if periodic:
            atoms.set_cell(arrays["cells"][index])
            atoms.pbc = True
            results["stress"] = arrays["stresses"][index].copy()
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    isolated = zip(arrays["isolated_numbers"], arrays["isolated_energies"], strict=True)
    data = Bunch(
        frames=frames,
        energies=arrays["energies"],
        forces=[part.copy() for part in forces],
        train=arrays["train"],
        test=arrays["test"],
        groups=arrays["groups"],
        kinds=arrays["kinds"],
        isolated_energies={chemical_symbols[z]: float(energy) for z, energy in isolated},
        made_with=arrays["made_with"].tolist(),
        DESCR=(folder / "descr" / f"{name}.rst").read_text(encoding="utf-8"),
    )
    if periodic:
        volumes = np.array([atoms.get_volume() for atoms in frames])
        data.virials = -volumes[:, None, None] * _voigt_to_matrix(arrays["stresses"])
    return data


def _voigt_to_matrix(stresses):
    """Symmetric matrices of stresses in ASE's order xx yy zz yz xz xy."""
    return stresses[:, [0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(-1, 3, 3)
