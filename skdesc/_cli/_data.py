"""Read structures and their targets from files, and write structures."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from ..reading import read_structures
from ..reading._paths import ending
from ..structures import extract_targets
from ..utils.files import replace_file

# formats that keep energies, forces and stresses
_OUTPUTS = {".xyz": "extxyz", ".extxyz": "extxyz", "": "extxyz", ".traj": "traj", ".json": "json",
            ".db": "db"}


def read_frames(args: Namespace) -> list[Atoms]:
    """Read the structures of several files.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments with the paths `files`; sets `origins`, the number of structures of each file.

    Returns
    -------
    list of ase.Atoms
        At least one.
    """
    frames, args.origins = [], []
    for path in args.files:
        found = read_structures(path, elements=_elements(args))
        args.origins.append((path, len(found)))
        frames += found
    return frames


def _elements(args: Namespace) -> list[str] | None:
    types = getattr(args, "types", None)
    return None if types is None else types.replace(",", " ").split()


def read_more(paths: list[str], args: Namespace) -> tuple[list[Atoms], np.ndarray, dict]:
    """Read the structures of further files, with their reference data.

    Parameters
    ----------
    paths : list of str
        The files.
    args : argparse.Namespace
        Arguments of the command.

    Returns
    -------
    frames : list of ase.Atoms
        The structures.
    y : ndarray of shape (n_structures,)
        Energies, in eV.
    targets : dict
        May have "forces" and "virials".
    """
    frames = read_frames(Namespace(files=paths, types=getattr(args, "types", None)))
    return frames, *read_targets(frames, args)


def output_format(path: str) -> str:
    """Determine ASE's format of an output from the ending of its name.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    str
        Name of the format.
    """
    kind, opener = ending(Path(path))
    known = _OUTPUTS if opener is open else {".xyz": "extxyz", ".extxyz": "extxyz"}
    if kind not in known:
        raise ValueError(
            f"--output is {str(path)!r}, but its name must end with .xyz or .extxyz (also "
            "compressed: .xz, .gz, .bz2), .traj, .json or .db: formats that keep energies and "
            "forces; rename it, and convert the output with ASE"
        )
    return known[kind]


def write_frames(path: str, frames: list[Atoms]) -> None:
    """Write structures atomically, in the format that the name implies.

    Parameters
    ----------
    path : str
        The file; extended xyz is compressed if the name says so.
    frames : list of ase.Atoms
        The structures.
    """
    kind, opener = output_format(path), ending(Path(path))[1]
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / f"structures.{kind}"
        ase.io.write(written, frames, format=kind)
        content = written.read_bytes()
    with replace_file(path, "--output") as file:
        if opener is open:
            file.write(content)
        else:
            with opener(file, "wb") as packed:
                packed.write(content)


def read_targets(frames: list[Atoms], args: Namespace) -> tuple[np.ndarray, dict]:
    """Read energies, forces and virials from structures.

    Parameters
    ----------
    frames : list of ase.Atoms
        The structures.
    args : argparse.Namespace
        Arguments, with the names of the data and of quantities to leave out.

    Returns
    -------
    y : ndarray of shape (n_structures,)
        Energies, in eV; NaN where one is missing and that is allowed.
    targets : dict
        May have "forces" and "virials".
    """
    return extract_targets(
        frames,
        energies="auto" if args.optional_energies else True,
        forces=False if args.no_forces else "auto",
        virials=False if args.no_virials else "auto",
        energy_key=args.energy_key,
        forces_key=args.forces_key,
        stress_key=args.stress_key,
        virial_key=args.virial_key,
    )


def config_types(frames: list[Atoms]) -> list[str]:
    """Return the config_type of each structure, "default" where it has none."""
    return [str(atoms.info.get("config_type", "default")) for atoms in frames]


def count(targets: dict) -> tuple[int, int]:
    """Count force components and virials."""
    forces = sum(int(np.isfinite(block).sum()) for block in targets.get("forces", ())
                 if block is not None)
    virials = int(np.isfinite(targets.get("virials", np.empty((0, 3, 3)))).all(axis=(1, 2)).sum())
    return forces, virials
