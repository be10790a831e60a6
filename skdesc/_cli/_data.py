"""Structures in files, whole and compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from pathlib import Path

import ase.io
import numpy as np

from ..structures import extract_targets
from ..utils.files import replace_file

_OPENERS = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
_XYZ = (".xyz", ".extxyz")


def read_frames(paths):
    """Structures of several files, one after the other.

    Parameters
    ----------
    paths : sequence of str
        Extended xyz, plain or compressed, or other formats of ASE.

    Returns
    -------
    list of ase.Atoms
        At least one.
    """
    frames = []
    for path in map(Path, paths):
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist, or is no file")
        try:
            found = _read(path)
        # readers of ASE meet malformed files with exceptions of many kinds
        except Exception as error:
            detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise ValueError(
                f"{path} cannot be read as structures ({detail}); extended xyz is expected, or a "
                "format that ASE knows by the name of the file"
            ) from error
        if not found:
            raise ValueError(f"{path} has no structures")
        frames += found
    return frames


def _read(path):
    kind, opener = _kind(path)
    if kind not in _XYZ:
        return ase.io.read(path, ":")
    # ASE, given a compressed file, would decompress all that comes before for each structure
    with opener(path, "rt", encoding="utf-8") as file:
        return ase.io.read(io.StringIO(file.read()), ":", format="extxyz")


def _kind(path):
    """Ending without that of a compression, and how to open the file."""
    endings = [ending.lower() for ending in path.suffixes]
    opener = open
    if endings and endings[-1] in _OPENERS:
        opener = _OPENERS[endings.pop()]
    return endings[-1] if endings else "", opener


def write_frames(path, frames):
    """Write extended xyz at once or not at all, compressed if the name ends so.

    Parameters
    ----------
    path : str
        The file.
    frames : list of ase.Atoms
        The structures.
    """
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    content = text.getvalue().encode("utf-8")
    opener = _kind(Path(path))[1]
    with replace_file(path, "--output") as file:
        if opener is open:
            file.write(content)
        else:
            with opener(file, "wb") as packed:
                packed.write(content)


def read_targets(frames, args):
    """Energies, and what else there is to learn or to compare with.

    Parameters
    ----------
    frames : list of ase.Atoms
        The structures.
    args : argparse.Namespace
        Names of the data, and what to leave out.

    Returns
    -------
    y : ndarray of shape (n_structures,)
        Energies, in eV.
    targets : dict
        May have "forces" and "virials".
    """
    return extract_targets(
        frames,
        forces=False if args.no_forces else "auto",
        virials=False if args.no_virials else "auto",
        energy_key=args.energy_key,
        forces_key=args.forces_key,
        stress_key=args.stress_key,
        virial_key=args.virial_key,
    )


def config_types(frames):
    """Kinds of the structures; "default" where none is named."""
    return [str(atoms.info.get("config_type", "default")) for atoms in frames]


def count(targets):
    """Number of force components and of virials among targets."""
    forces = sum(int(np.isfinite(block).sum()) for block in targets.get("forces", ())
                 if block is not None)  # fmt: skip
    virials = int(np.isfinite(targets.get("virials", np.empty((0, 3, 3)))).all(axis=(1, 2)).sum())
    return forces, virials
