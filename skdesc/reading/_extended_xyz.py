"""Extended xyz files, with checks that the reader of ASE does not make.

ASE trusts every count of atoms, stops at an empty line, and accepts a last number that lost digits
when its file was truncated. These faults are detected here before ASE parses the text.
"""

from __future__ import annotations

import io
import re

import ase.io
from ase import Atoms

# digits after the point, and an exponent if there is one
_NUMBER = re.compile(r"[-+]?\d*(\.\d*)?([eEdD][-+]?\d*)?")


def parse_extended_xyz(text: str) -> list[Atoms]:
    """Read all structures of a text.

    Parameters
    ----------
    text : str
        The content of a file.

    Returns
    -------
    list of ase.Atoms
        In the order of the text.

    Raises
    ------
    ValueError
        If the text is cut off or malformed; the message names the line and the structure.
    """
    lines = text.split("\n")
    is_ended = lines[-1].strip() == ""
    starts, kept = [], []
    position = _skip_empty(lines, 0)
    while position < len(lines):
        stop = _end_of_structure(lines, position, len(starts))
        starts.append(position)
        kept += lines[position:stop]
        position = _skip_empty(lines, stop)
    if starts and not is_ended:
        _check_last_number(lines, starts[-1])
    if not starts:
        return []
    try:
        return ase.io.read(io.StringIO("\n".join(kept) + "\n"), ":", format="extxyz")
    # ASE raises exceptions of many kinds for malformed text
    except Exception as error:
        raise ValueError(_locate_error(lines, starts, error)) from error


def _skip_empty(lines: list[str], position: int) -> int:
    while position < len(lines) and not lines[position].strip():
        position += 1
    return position


def _end_of_structure(lines: list[str], start: int, index: int) -> int:
    """Return the index of the line after a structure."""
    where = f"line {start + 1}, where structure {index} should begin,"
    try:
        n_atoms = int(lines[start])
    except ValueError:
        raise ValueError(f"{where} is {lines[start].strip()[:40]!r}, but must be a number of "
                         "atoms; is the count of the structure before it right?") from None
    n_lines = len(lines) - start - 2 - (lines[-1].strip() == "")
    if n_atoms < 1:
        raise ValueError(f"{where} says {n_atoms} atoms, but must be at least 1")
    if n_atoms > n_lines:
        raise ValueError(f"{where} says {n_atoms} atoms, but the file has only {max(n_lines, 0)} "
                         "more lines for them; it is cut off, or the count is wrong")
    stop = start + 2 + n_atoms
    while stop < len(lines) and lines[stop].lstrip().startswith("VEC"):  # cell vectors of ADF
        stop += 1
    return stop


def _check_last_number(lines: list[str], start: int) -> None:
    """Refuse a last number that may lack digits because the last line has no newline."""
    rows = [line.split() for line in lines[start + 2 :]]
    rows = [row for row in rows if row]
    last = rows[-1][-1]
    others = [row[-1] for row in rows[:-1] if len(row) == len(rows[-1])]
    if not others:
        others = [word for word in rows[-1][1:-1] if _NUMBER.fullmatch(word)]
    longest = max(map(_n_digits, others), default=(0, 0))
    if any(number < other for number, other in zip(_n_digits(last), longest, strict=True)):
        raise ValueError(
            f"the file ends with {last!r}, without the end of the line and with fewer digits than "
            "other numbers have: it is cut off; if it is complete, end its last line"
        )


def _n_digits(word: str) -> tuple[int, int]:
    """Number of characters after the point, and of an exponent."""
    match = _NUMBER.fullmatch(word)
    if match is None:
        return (0, 0)
    return (len(match[1] or ""), len(match[2] or ""))


def _locate_error(lines: list[str], starts: list[int], error: Exception) -> str:
    """Message with the structure that cannot be read."""
    detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    for index, (start, stop) in enumerate(zip(starts, [*starts[1:], len(lines)], strict=True)):
        try:
            ase.io.read(io.StringIO("\n".join(lines[start:stop]) + "\n"), 0, format="extxyz")
        except Exception:
            return f"structure {index}, from line {start + 1} on: {detail}"
    return detail
