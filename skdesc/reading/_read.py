"""``read_structures``: from paths to structures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import ase.io
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype

from ._extended_xyz import parse_extended_xyz
from ._paths import ending, select, split_index

_XYZ = (".xyz", ".extxyz", ".exyz")


def read_structures(paths: str | Path | Iterable[str | Path]) -> list[Atoms]:
    """Read structures, with their reference data, from one or several files.

    Parameters
    ----------
    paths : str, path-like or iterable of these
        Files, with ASE's syntax for some of the structures, such as ``train.xyz@::2``.

    Returns
    -------
    list of ase.Atoms
        At least one; results lie where the format has them, see
        :func:`~skdesc.extract_targets`.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ValueError
        If a file cannot be read, is cut off, or has no structures.

    Examples
    --------
    >>> import tempfile, ase.io
    >>> from ase.build import bulk
    >>> from skdesc.reading import read_structures
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ase.io.write(f"{folder}/some.xyz", [bulk("Cu"), bulk("Ag"), bulk("Au")])
    ...     [atoms.get_chemical_formula() for atoms in read_structures(f"{folder}/some.xyz@::2")]
    ['Cu', 'Au']
    """
    if isinstance(paths, (str, Path)) or hasattr(paths, "__fspath__"):
        paths = [paths]
    frames = []
    for path in paths:
        frames += _read(*split_index(path))
    if not frames:
        raise ValueError("paths is empty, but must have at least one file")
    return frames


def _read(path: Path, index: int | slice | str) -> list[Atoms]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist, or is no file")
    try:
        if _is_extended_xyz(path):
            found = _read_extended_xyz(path)
        elif isinstance(index, str):
            return ase.io.read(str(path), index, do_not_split_by_at_sign=True)
        else:
            found = ase.io.read(str(path), ":", do_not_split_by_at_sign=True)
    except OSError as error:
        if error.filename is not None:
            raise
        raise ValueError(f"{path} cannot be read as structures ({error})") from error
    # readers of ASE meet malformed files with exceptions of many kinds
    except Exception as error:
        detail = str(error)
        if not isinstance(error, ValueError) or not detail:
            detail = f"{type(error).__name__}: {detail}" if detail else type(error).__name__
        raise ValueError(
            f"{path} cannot be read as structures ({detail}); extended xyz is expected, or a "
            "format that ASE knows by the name of the file"
        ) from error
    return select(found, index, path)


def _is_extended_xyz(path: Path) -> bool:
    kind = ending(path)[0]
    if kind in _XYZ:
        return True
    try:
        return filetype(str(path), read=True) == "extxyz"
    except UnknownFileTypeError:
        return False


def _read_extended_xyz(path: Path) -> list[Atoms]:
    # ASE, given a compressed file, would decompress all that comes before for each structure
    with ending(path)[1](path, "rt", encoding="utf-8") as file:
        return parse_extended_xyz(file.read())
