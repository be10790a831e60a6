"""The file itself: a zip archive of JSON and arrays, with a checksum over its content."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from io import BytesIO
from math import prod
from pathlib import Path

import numpy as np

from ..utils.files import check_regular, replace_file
from ._encode import ARRAY_KINDS

FORMAT = "skdesc model"
FORMAT_VERSION = 1

_HEADER, _CONTENT = "header.json", "content.json"
# a larger header than this is not one of ours
_HEADER_BYTES = 2**16


def write_container(path, content, arrays, versions):
    """Write a file, or replace one, at once or not at all.

    Parameters
    ----------
    path : str or path-like
        The file.
    content : object
        What JSON can express.
    arrays : list of ndarray
        Of numbers or strings.
    versions : dict of str to str
        Versions of packages, for error messages.
    """
    digest = hashlib.sha256()
    with replace_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        _write(archive, _CONTENT, digest, lambda member: member.write(text.encode("utf-8")))
        for index, array in enumerate(arrays):
            _write(
                archive, _array_name(index), digest,
                lambda member, array=array: np.lib.format.write_array(
                    member, array, version=(1, 0), allow_pickle=False
                ),
            )
        header = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "versions": versions,
            "n_arrays": len(arrays),
            "sha256": digest.hexdigest(),
        }
        archive.writestr(zipfile.ZipInfo(_HEADER), json.dumps(header, indent=1))


def read_container(path):
    """Read a file, trusting nothing in it.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    content : object
        As it was given.
    arrays : list of ndarray
        As they were given.
    versions : dict of str to str
        Versions of packages that wrote it.
    """
    path = Path(path)
    check_regular(path)
    with open(path, "rb") as file:
        start = file.read(64)
        if not start.startswith(b"PK"):
            raise ValueError(f"{path} is no model file: {_diagnose(start)}")
        try:
            with zipfile.ZipFile(file) as archive:
                header = _read_header(archive, path)
                members = _read_members(archive, header, os.path.getsize(path))
                content = _from_json(members[0])
                arrays = [_read_array(member) for member in members[1:]]
        except _ForeignFileError:
            raise
        # a damaged archive shows itself in many ways, by its length, a checksum, a name, and
        # zipfile and NumPy's reader of headers raise almost anything
        except Exception as error:
            raise ValueError(
                f"{path} is damaged: {error}; it was cut off or changed after it was saved, take "
                "another copy"
            ) from error
    return content, arrays, header["versions"]


class _ForeignFileError(ValueError):
    """Says by itself what is wrong with a file."""


class _Digesting:
    """Passes on what is written, and takes it into a checksum."""

    def __init__(self, target, digest):
        self._target, self._digest = target, digest

    def write(self, data):
        self._digest.update(data)
        return self._target.write(data)


def _array_name(index):
    return f"arrays/{index}.npy"


def _write(archive, name, digest, write):
    digest.update(name.encode("ascii"))
    # without dates: the same model gives the same bytes
    with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
        write(_Digesting(member, digest))


def _read_header(archive, path):
    names = archive.namelist()
    if _HEADER not in names:
        kind = "a skops file, read it with skops.io.load" if "schema.json" in names else "another"
        raise _ForeignFileError(f"{path} is no model file: it is a zip archive, but {kind}")
    header = None
    if archive.getinfo(_HEADER).file_size <= _HEADER_BYTES:
        header = _from_json(archive.read(_HEADER))
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _ForeignFileError(f"{path} is no model file: it is a zip archive of another kind")
    version = header.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise _ForeignFileError(
            f"{path} was saved by skdesc {header.get('versions', {}).get('skdesc')} in format "
            f"{version}, but this version reads formats up to {FORMAT_VERSION}; upgrade skdesc"
        )
    _check_header(header, len(names) - 2)
    return header


def _check_header(header, n_arrays):
    version = header.get("format_version")
    is_valid = type(version) is int and version >= 1 and isinstance(header["versions"], dict)
    if not (is_valid and type(header["n_arrays"]) is int):
        raise ValueError("its header makes no sense")
    if header["n_arrays"] != n_arrays:
        raise ValueError("it has other parts than its header says")


def _read_members(archive, header, file_size):
    """Bytes of the content and of each array, after all checks of the archive as a whole."""
    names = [_CONTENT, *(_array_name(index) for index in range(header["n_arrays"]))]
    if archive.namelist() != [*names, _HEADER]:
        raise ValueError("it has other parts than its header says")
    left, digest, members = file_size, hashlib.sha256(), []
    for name in names:
        info = archive.getinfo(name)
        # without compression a small file cannot turn into large arrays
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"its part {name} is not stored as it should be")
        left -= info.file_size
        # parts that lie on top of one another could be read again and again
        if left < 0:
            raise ValueError("its parts are larger than it is")
        member = archive.read(name)
        digest.update(name.encode("ascii"))
        digest.update(member)
        members.append(member)
    if digest.hexdigest() != header["sha256"]:
        raise ValueError("its content does not have the checksum in its header")
    return members


def _read_array(member):
    """Array of a part, whose header is checked before any memory is taken."""
    file = BytesIO(member)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array is in an unknown format")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    data = memoryview(member)[file.tell() :]
    # NumPy makes room for strings of no length
    good = dtype.kind in ARRAY_KINDS and dtype.itemsize and min(shape, default=0) >= 0
    if not good or len(data) != prod(shape) * dtype.itemsize or prod(n or 1 for n in shape) > 2**62:
        raise ValueError("an array does not have the size or type that it should have")
    array = np.empty(shape, dtype, order="F" if fortran_order else "C")
    array.ravel(order="K")[:] = np.frombuffer(data, dtype)
    return array


def _from_json(member):
    return json.loads(member.decode("utf-8"), parse_constant=_no_constant)


def _no_constant(text):
    raise ValueError(f"it has the number {text}")


def _diagnose(start):
    """Say what a file is, by its first bytes."""
    if not start:
        return "it is empty"
    if start.startswith((b"\x80", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")):
        return (
            "it is a pickle (perhaps of joblib), which runs code when it is loaded, and is not "
            "opened here; if you trust it, load it with joblib.load and save the model anew"
        )
    if start.lstrip().startswith(b"<"):
        return "it is XML; read potentials of QUIP with skdesc.io.read_quip_xml"
    return "it does not begin as one; save models with skdesc.io.save"
