"""Public data sets in a data home; ``_registry`` lists them."""

from __future__ import annotations

import lzma
import os
from pathlib import Path

import numpy as np
from ase.io.extxyz import XYZError
from ase.io.formats import UnknownFileTypeError
from sklearn.utils import Bunch

from ..structures import extract_targets
from ..utils.typing import PathName
from ._download import content_digest, download, parse_extxyz
from ._registry import REGISTRY

_RETURNS = """
    Parameters
    ----------{parameters}
    data_home : path-like or None, default=None
        Folder of the files, see `get_data_home`.

    Returns
    -------
    data : sklearn.utils.Bunch
        With the fields

        - ``frames``, list of ase.Atoms that carry their results, see `extract_targets`;
        - ``energies``, ndarray of shape (n_frames,), in eV;
        - ``forces``, list of ndarrays (n_atoms, 3), in eV/angstrom, if the set has forces;
        - ``virials``, ndarray of shape (n_frames, 3, 3), in eV, if it has stresses; NaN where a
          frame has none;
        - ``train`` and ``test``, ndarrays of indices into the frames: the published split, or
          one drawn with a fixed seed;
        - ``subsets``, dict from the name of each file's part to its indices;
        - ``kinds``, ndarray of shape (n_frames,), the configuration type, or "" if unknown;
        - ``isolated_energies``, dict from element to the energy of one atom, in eV, empty if
          unknown;
        - ``DESCR``, str, where the data come from.

    Raises
    ------
    FileNotFoundError
        If a file is not in the data home, and the set is not downloaded.
    OSError
        If a download fails or has unexpected content, or a file is damaged.
    """


def get_data_home(data_home: PathName | None = None) -> Path:
    """Folder in which the fetchers look for files.

    Parameters
    ----------
    data_home : path-like or None, default=None
        The folder. If None, the environment variable ``SKDESC_DATA``, and without that
        ``~/skdesc_data``.

    Returns
    -------
    path : pathlib.Path
        The absolute path, which the fetchers create when they download.

    Examples
    --------
    >>> from skdesc.datasets import get_data_home
    >>> get_data_home("/data/atoms").name
    'atoms'
    """
    if data_home is None:
        data_home = os.environ.get("SKDESC_DATA") or "~/skdesc_data"
    return Path(data_home).expanduser().absolute()


def _documented(parameters=""):
    def document(function):
        if function.__doc__:  # None under python -OO
            returns = _RETURNS.format(parameters=parameters)
            function.__doc__ = f"{function.__doc__.rstrip()}\n{returns}"
        return function

    return document


@_documented("""
    element : {"Cu", "Li", "Si"}
        The element.""")
def fetch_mlearn(element: str, *, data_home: PathName | None = None) -> Bunch:
    """Copper, lithium or silicon of the comparison of potentials by Zuo et al. (2020)."""
    known = [name.removeprefix("mlearn_") for name in REGISTRY if name.startswith("mlearn_")]
    if element not in known:
        raise ValueError(f"element must be one of {known}, got {element!r}")
    return _fetch(f"mlearn_{element}", data_home)


@_documented()
def fetch_monbtaw(*, data_home: PathName | None = None) -> Bunch:
    """Alloys of Mo, Nb, Ta and W: energies, forces, stresses."""
    return _fetch("monbtaw", data_home)


@_documented()
def fetch_ethanol(*, data_home: PathName | None = None) -> Bunch:
    """Molecular dynamics of ethanol: energies, forces.

    Missing files are downloaded.
    """
    return _fetch("ethanol", data_home)


@_documented()
def fetch_acetylacetone(*, data_home: PathName | None = None) -> Bunch:
    """Molecular dynamics of acetylacetone at 300 K and, for testing, 600 K.

    Missing files are downloaded.
    """
    return _fetch("acetylacetone", data_home)


@_documented()
def fetch_qm7(*, data_home: PathName | None = None) -> Bunch:
    """Atomisation energies of 7101 molecules of H, C, N, O and S."""
    return _fetch("qm7", data_home)


@_documented()
def fetch_qm9_500(*, data_home: PathName | None = None) -> Bunch:
    """Energies of 500 molecules of QM9."""
    return _fetch("qm9_500", data_home)


@_documented()
def fetch_carbon_gap17(*, data_home: PathName | None = None) -> Bunch:
    """Carbon: crystals, melt and the dimer of C-GAP-17, energies and forces."""
    return _fetch("carbon_gap17", data_home)


@_documented()
def fetch_iron_gap22(*, data_home: PathName | None = None) -> Bunch:
    """Iron of Fe-GAP22: energies, forces and some stresses.

    Missing files are downloaded.
    """
    return _fetch("iron_gap22", data_home)


@_documented()
def fetch_hea25(*, data_home: PathName | None = None) -> Bunch:
    """100 alloys of 25 elements, less those with a force above 20 eV/angstrom."""
    return _fetch("hea25", data_home)


@_documented()
def fetch_jarvis_vacancy(*, data_home: PathName | None = None) -> Bunch:
    """Energies of bulk and defective cells of 78 elements."""
    return _fetch("jarvis_vacancy", data_home)


@_documented()
def fetch_perov5(*, data_home: PathName | None = None) -> Bunch:
    """Formation energies of perovskites of 56 elements, per cell of five atoms."""
    return _fetch("perov5", data_home)


@_documented()
def fetch_batio3(*, data_home: PathName | None = None) -> Bunch:
    """Barium titanate: energies and forces."""
    return _fetch("batio3", data_home)


@_documented()
def fetch_gaas(*, data_home: PathName | None = None) -> Bunch:
    """Gallium arsenide of several compositions: energies and forces.

    Missing files are downloaded.
    """
    return _fetch("gaas", data_home)


def _fetch(name, data_home):
    entry = REGISTRY[name]
    home = get_data_home(data_home)
    # find all files before reading the first
    paths = [_locate(file, entry, home) for file in entry.files]
    frames, labels = [], []
    for path, file in zip(paths, entry.files, strict=True):
        read = _read(path)
        _verify(read, path, file, entry)
        found = [atoms for atoms in read if _is_wanted(atoms, entry)]
        frames += found
        labels += [file.subset] * len(found)
    labels = np.array(labels)
    energies, targets = extract_targets(frames)
    if entry.test:
        train = np.flatnonzero(np.isin(labels, entry.train))
        test = np.flatnonzero(np.isin(labels, entry.test))
    else:
        order = np.random.default_rng(0).permutation(len(frames))
        test = np.sort(order[: len(frames) // 5])
        train = np.sort(order[len(frames) // 5 :])
    return Bunch(
        frames=frames,
        energies=energies,
        **targets,
        train=train,
        test=test,
        subsets={file.subset: np.flatnonzero(labels == file.subset) for file in entry.files},
        kinds=np.array([atoms.info.get("config_type", "") for atoms in frames]),
        isolated_energies=dict(entry.isolated_energies),
        DESCR=_describe(entry),
    )


def _is_wanted(atoms, entry):
    if entry.max_force is None:
        return True
    return np.abs(atoms.get_forces()).max() <= entry.max_force


def _describe(entry):
    lines = [entry.title, "-" * len(entry.title), "", entry.notes, ""]
    if entry.max_force is not None:
        lines += [f"Frames with a force component above {entry.max_force} eV/angstrom are left "
                  "out.", ""]
    if not entry.test:
        lines += ["No split is published: a fifth of the frames, drawn at random with a fixed "
                  "seed, is for testing.", ""]
    lines += [f"Published at {entry.source}.", f"Licence: {entry.licence or 'see there'}.", ""]
    return "\n".join(lines)


def _locate(file, entry, home):
    """Path of a file in the data home, downloaded if it is missing and can be verified."""
    path = home / file.name
    if path.is_file():
        return path
    if file.content_sha256:
        download(file, entry, path)
        return path
    upstream = f"{file.upstream} of " if file.upstream else ""
    raise FileNotFoundError(
        f"{file.name} is not in the data home {home}, and this set is not downloaded. Place the "
        f"file there, as extended xyz compressed by xz with the keys energy, forces and stress "
        f"in eV and angstrom; the data are published as {upstream}{entry.source}. Another folder "
        "is chosen with data_home= or SKDESC_DATA"
    )


def _verify(frames, path, file, entry):
    """Compare the content of a file, downloaded or placed there, with what was published."""
    if file.content_sha256 is None:
        return
    digest = content_digest(frames)
    if digest != file.content_sha256:
        raise OSError(
            f"{path} has content with SHA-256 {digest}, but must have {file.content_sha256} of "
            f"{entry.source}; remove it, and it is downloaded again"
        )


def _read(path):
    try:
        frames = parse_extxyz(lzma.decompress(path.read_bytes()).decode("utf-8"))
    except (lzma.LZMAError, ValueError, UnknownFileTypeError, XYZError) as error:
        raise OSError(
            f"{path} is damaged, or not extended xyz compressed by xz ({error}); remove it and "
            "place or download it again"
        ) from error
    if not frames:
        raise OSError(f"{path} holds no structures; remove it and place or download it again")
    return frames
