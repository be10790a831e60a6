"""Names of files with selections of structures, and their compression."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_OPENERS: dict[str, Callable] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
DATABASES = (".db", ".json", ".aselmdb")
"""Endings of files whose structures may be selected by words."""

_INDEX = re.compile(r"-?\d+|-?\d*:-?\d*(:-?\d*)?")
_AS_ASE = "as ASE has it: file@3, file@-1, file@:100 or file@::2"


def split_index(path: str | Path) -> tuple[Path, int | slice | str]:
    """Separate the name of a file from its selection of structures.

    Parameters
    ----------
    path : str or path-like
        Such as ``train.xyz`` or ``train.xyz@::2``.

    Returns
    -------
    path : Path
        A file or folder that exists.
    index : int, slice or str
        Selected structures, all by default; a str selects rows of a database.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If the text after the last ``@`` is not an index.
    """
    whole = Path(path)
    if whole.exists() or "@" not in whole.name:
        if not whole.exists():
            raise FileNotFoundError(f"{whole} does not exist, or is not a file; correct the name")
        return whole, slice(None)
    name, _, text = str(whole).rpartition("@")
    if not Path(name).exists():
        raise FileNotFoundError(f"{name} (from {str(path)!r}) does not exist, or is not a file")
    if _INDEX.fullmatch(text):
        return Path(name), _parse_index(text, path)
    if ending(Path(name))[0] in DATABASES and text:
        return Path(name), text
    raise ValueError(f"{str(path)!r} ends with {text!r}, but must select structures {_AS_ASE}")


def source_of(path: str | Path) -> Path:
    """Name of a file without its selection of structures.

    Parameters
    ----------
    path : str or path-like
        Such as ``train.xyz`` or ``train.xyz@::2``.

    Returns
    -------
    Path
        It need not exist.
    """
    whole = Path(path)
    name, at, _ = str(whole).rpartition("@")
    return Path(name) if at and not whole.exists() else whole


def _parse_index(text: str, path: Any) -> int | slice:
    if ":" not in text:
        return int(text)
    bounds = [int(part) if part not in ("", "-") else None for part in text.split(":")]
    if len(bounds) == 3 and bounds[2] == 0:
        raise ValueError(f"{str(path)!r} has a step of 0, but it must select structures {_AS_ASE}")
    return slice(*bounds)


def select(frames: list, index: int | slice, path: Any) -> list:
    """Apply a selection.

    Parameters
    ----------
    frames : list
        All structures of a file.
    index : int or slice
        Which of them.
    path : object
        Name of the file in messages.

    Returns
    -------
    list
        At least one.
    """
    if not frames:
        raise ValueError(f"{path} has no structures")
    if isinstance(index, slice):
        chosen = frames[index]
        if not chosen:
            raise ValueError(f"{path} has {len(frames)} structures, of which "
                             f"{_shown(index)} selects none; select {_AS_ASE}")
        return chosen
    if not -len(frames) <= index < len(frames):
        raise ValueError(f"{path} has {len(frames)} structures, but number {index} is selected; "
                         f"count from 0, or from -1 backwards")
    return [frames[index]]


def _shown(index: slice) -> str:
    parts = (index.start, index.stop, index.step)
    return ":".join("" if part is None else str(part) for part in parts)


def ending(path: Path) -> tuple[str, Callable]:
    """Find the suffix of a file below that of its compression, and a function to open it.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    ending : str
        In lower case, with its dot; empty if there is none.
    opener : callable
        Like the built-in `open`.
    """
    endings = [text.lower() for text in path.suffixes]
    opener: Callable = open
    if endings and endings[-1] in _OPENERS:
        opener = _OPENERS[endings.pop()]
    return endings[-1] if endings else "", opener
