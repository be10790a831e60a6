"""Download of published files, their conversion, and a checksum of their content.

The checksum covers structures and results, not bytes. It is therefore the same for any copy of a
data set, whatever its compression and layout, and it verifies the conversion, too.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress

from ..structures import extract_targets
from ..utils.files import replace_file

_URL = "https://raw.githubusercontent.com/{repository}/{commit}/"
_TIMEOUT = 60  # seconds without an answer
_RETRIES = 2

# files have 8 decimals, and the last digit of a stress depends on how it was computed
_RESOLUTION = 1e-6


def parse_extxyz(text):
    """Read a file into memory first: given a path, ASE seeks back for each structure."""
    return ase.io.read(io.StringIO(text), ":", format="extxyz")


def content_digest(frames):
    """SHA-256 of structures and their results, in multiples of 1e-6 eV and angstrom.

    Parameters
    ----------
    frames : list of ase.Atoms
        Structures with a calculator that holds results.

    Returns
    -------
    digest : str
        The hexadecimal digest. It covers elements, positions, periodicity, cells, energies,
        forces and stresses, and the order of the structures.
    """
    digest = hashlib.sha256()
    for atoms in frames:
        values = {"numbers": atoms.numbers, "pbc": atoms.pbc}
        lengths = {"positions": atoms.positions, "cell": atoms.cell.array}
        results = {
            key: atoms.calc.results[key]
            for key in ("energy", "forces", "stress")
            if key in atoms.calc.results
        }
        for key, value in (lengths | results).items():
            values[key] = np.rint(np.asarray(value) / _RESOLUTION)
        for key, value in values.items():
            array = np.asarray(value).astype("<i8")
            digest.update(f"{key}{array.shape}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def download(file, data_set, path):
    """Create a file of the data home: download, convert, verify, then rename.

    Parameters
    ----------
    file : DataFile
        The file, with its sources and the digest of its content.
    data_set : DataSet
        The data set of the file.
    path : pathlib.Path
        Where to place it.
    """
    frames = []
    for source in file.sources:
        content = _get(data_set, source, path)
        try:
            frames += normalized(parse_extxyz(content.decode("utf-8")), file.forces_key)
        # ASE's reader raises exceptions of many kinds for malformed text
        except Exception as error:
            raise OSError(
                f"{source} of {data_set.source} is not extended xyz with the expected data "
                f"({error}); the download is discarded, place the file as {path}"
            ) from error
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    # verify the file as it will be read later
    found = content_digest(parse_extxyz(text.getvalue()))
    if found != file.content_sha256:
        raise OSError(
            f"{file.name}, made of {data_set.source}, has content with SHA-256 {found}, but "
            f"must have {file.content_sha256}; the download is discarded, try again later or "
            f"place the file as {path}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as target:
        target.write(lzma.compress(text.getvalue().encode("utf-8")))


def normalized(frames, forces_key):
    """Copy structures, with results as ASE stores them and without the cells of molecules.

    Parameters
    ----------
    frames : list of ase.Atoms
        Structures as published.
    forces_key : str
        Name of their array of forces. A virial may replace the stress.

    Returns
    -------
    copies : list of ase.Atoms
        Structures with a calculator that holds their results, and their configuration type.
    """
    energies, targets = extract_targets(frames, forces_key=forces_key)
    copies = []
    for index, atoms in enumerate(frames):
        copy = Atoms(atoms.numbers, atoms.positions, pbc=atoms.pbc)
        results = {"energy": energies[index]}
        if atoms.pbc.any():
            copy.set_cell(atoms.cell)
        if "forces" in targets and targets["forces"][index] is not None:
            results["forces"] = targets["forces"][index]
        if "virials" in targets and not np.isnan(targets["virials"][index]).any():
            stress = -targets["virials"][index] / atoms.get_volume()
            results["stress"] = full_3x3_to_voigt_6_stress(stress)
        if "config_type" in atoms.info:
            copy.info["config_type"] = atoms.info["config_type"]
        copy.calc = SinglePointCalculator(copy, **results)
        copies.append(copy)
    return copies


def _get(data_set, source, path):
    """Download a published file; failed connections are tried again."""
    try:
        import pooch
    except ImportError as error:
        raise ImportError(f"{path} is missing, and pooch, which downloads it, is not installed; "
                          "pip install pooch, or place the file there") from error
    base = _URL.format(repository=data_set.repository, commit=data_set.commit)
    with tempfile.TemporaryDirectory() as folder:
        # no checksum of the bytes, because the content is verified
        files = pooch.create(folder, base, registry={source: None}, retry_if_failed=_RETRIES)
        downloader = pooch.HTTPDownloader(timeout=_TIMEOUT)
        try:
            return Path(files.fetch(source, downloader=downloader)).read_bytes()
        except OSError as error:
            raise OSError(
                f"{base}{source} cannot be downloaded ({error}); connect to the network, or place "
                f"the file as {path}"
            ) from error
