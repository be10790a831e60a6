"""The model file: a zip archive of JSON and arrays, with a checksum over its content."""

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
# headers written by this package are smaller
_HEADER_BYTES = 2**16


def write_container(path, content, arrays, versions):
    """Write or replace a file atomically.

    Parameters
    ----------
    path : str or path-like
        The file.
    content : object
        Anything that JSON can express.
    arrays : list of ndarray
        Arrays of numbers or strings.
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
    """Read a file without trusting anything in it.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    content : object
        Content as it was written.
    arrays : list of ndarray
        Arrays as they were written.
    versions : dict of str to str
        Versions of the packages that wrote the file.
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
        # zipfile and NumPy's header parser raise exceptions of many types for damaged archives
        except Exception as error:
            raise ValueError(
                f"{path} is damaged: {error}; it was truncated or changed after it was saved, take "
                "another copy"
            ) from error
    return content, arrays, header["versions"]


class _ForeignFileError(ValueError):
    """The message of the error is meant for the user as it is."""


class _Digesting:
    """Stream that updates a checksum with everything that is written to it."""

    def __init__(self, target, digest):
        self._target, self._digest = target, digest

    def write(self, data):
        self._digest.update(data)
        return self._target.write(data)


def _array_name(index):
    return f"arrays/{index}.npy"


def _write(archive, name, digest, write):
    digest.update(name.encode("ascii"))
    # no dates, so that the same model gives the same bytes
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
        raise ValueError("its header is invalid")
    if header["n_arrays"] != n_arrays:
        raise ValueError("it has other parts than its header says")


def _read_members(archive, header, file_size):
    """Check the archive as a whole and return the bytes of the content and of each array."""
    names = [_CONTENT, *(_array_name(index) for index in range(header["n_arrays"]))]
    if archive.namelist() != [*names, _HEADER]:
        raise ValueError("it has other parts than its header says")
    left, digest, members = file_size, hashlib.sha256(), []
    for name in names:
        info = archive.getinfo(name)
        # parts are never compressed, so a small file cannot expand into large arrays
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"its part {name} is compressed or encrypted")
        left -= info.file_size
        # overlapping parts would be read many times
        if left < 0:
            raise ValueError("its parts are larger than the file")
        member = archive.read(name)
        digest.update(name.encode("ascii"))
        digest.update(member)
        members.append(member)
    if digest.hexdigest() != header["sha256"]:
        raise ValueError("its content does not have the checksum in its header")
    return members


def _read_array(member):
    """Read an array; its header is checked before any memory is allocated."""
    file = BytesIO(member)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array is in an unknown format")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    data = memoryview(member)[file.tell() :]
    # NumPy allocates memory for strings of length zero
    good = dtype.kind in ARRAY_KINDS and dtype.itemsize and min(shape, default=0) >= 0
    if not good or len(data) != prod(shape) * dtype.itemsize or prod(n or 1 for n in shape) > 2**62:
        raise ValueError("an array has another size or type than its header says")
    array = np.empty(shape, dtype, order="F" if fortran_order else "C")
    array.ravel(order="K")[:] = np.frombuffer(data, dtype)
    return array


def _from_json(member):
    return json.loads(member.decode("utf-8"), parse_constant=_no_constant)


def _no_constant(text):
    raise ValueError(f"it contains {text}, which is not a finite number")


def _diagnose(start):
    """Describe the kind of a file by its first bytes."""
    if not start:
        return "it is empty"
    if start.startswith((b"\x80", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")):
        return (
            "it is a pickle (perhaps of joblib), which can run code when it is loaded and is not "
            "opened here; if you trust it, load it with joblib.load and save the model again"
        )
    if start.lstrip().startswith(b"<"):
        return "it is XML; read potentials of QUIP with skdesc.io.read_quip_xml"
    return "it begins with other bytes; save models with skdesc.io.save"
