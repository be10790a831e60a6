"""Configurations of moment tensor potentials: ``.cfg`` files of MLIP, without elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

BEGIN, END = "BEGIN_CFG", "END_CFG"
_VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
_FORCES = ("fx", "fy", "fz")


def parse_mtp(text: str, elements: Sequence[str] | None) -> list[Atoms]:
    """Read all configurations of a text.

    Parameters
    ----------
    text : str
        The content of a file.
    elements : sequence of str or None
        Chemical symbols of the types 0, 1, ...

    Returns
    -------
    list of ase.Atoms
        With energies, forces and stresses. ``PlusStress`` is the virial, in eV. Features are
        in ``atoms.info``.

    Raises
    ------
    ValueError
        If the text is cut off or malformed; the message names the line.
    """
    frames: list[Atoms] = []
    start = None
    lines = text.splitlines()
    for number, line in enumerate(lines):
        word = line.strip()
        if word == BEGIN:
            if start is not None:
                raise ValueError(f"line {number + 1} begins a configuration, but that of line "
                                 f"{start + 1} has not ended; correct the file")
            start = number
        elif word == END and start is not None:
            block = _Configuration(lines[start + 1 : number], start + 2)
            frames.append(block.to_atoms(elements))
            start = None
        elif word and start is None:
            raise ValueError(f"line {number + 1} is {word[:40]!r}, but must be {BEGIN}")
    if start is not None:
        raise ValueError(f"the configuration of line {start + 1} has no {END}: the file is cut off")
    return frames


class _Configuration:
    """Parser of one configuration, line by line."""

    def __init__(self, lines: list[str], first: int) -> None:
        self.lines, self.first, self.position = lines, first, 0
        self.size: int | None = None
        self.supercell: list[list[float]] = []
        self.columns: dict[str, np.ndarray] = {}
        self.results: dict = {}
        self.virial: list[float] | None = None
        self.info: dict[str, str] = {}

    def to_atoms(self, elements: Sequence[str] | None) -> Atoms:
        readers = {"Size": self._read_size, "Supercell": self._read_supercell,
                   "AtomData:": self._read_atoms, "Energy": self._read_energy,
                   "PlusStress:": self._read_virial, "Feature": self._read_feature}
        while self.position < len(self.lines):
            words = self.lines[self.position].split()
            self.position += 1
            if not words:
                continue
            if words[0] not in readers:
                self._refuse(f"begins with {words[0]!r}, but must be one of {', '.join(readers)}")
            readers[words[0]](words)
        return self._assemble(elements)

    def _refuse(self, what: str) -> None:
        raise ValueError(f"line {self.first + self.position - 1} {what}")

    def _numbers(self, count: int | None = None) -> list[float]:
        """Read the numbers of the next line."""
        self.position += 1
        if self.position > len(self.lines):
            self._refuse("ends the configuration where numbers are needed; it is cut off")
        words = self.lines[self.position - 1].split()
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if not values or len(values) != (count or len(values)) or not np.isfinite(values).all():
            self._refuse(f"is {' '.join(words)[:40]!r}, but must have "
                         f"{count or 'some'} finite numbers")
        return values

    def _read_size(self, words: list[str]) -> None:
        (size,) = self._numbers(1)
        if size != int(size) or size < 1 or size > len(self.lines):
            self._refuse(f"says {size:g} atoms, but the configuration has {len(self.lines)} lines; "
                         "it is cut off, or the count is wrong")
        self.size = int(size)

    def _read_supercell(self, words: list[str]) -> None:
        while self.position < len(self.lines) and _is_number(self.lines[self.position].split()[:1]):
            self.supercell.append(self._numbers(3))
        if len(self.supercell) > 3:
            self._refuse("is a fourth cell vector, but there must be at most 3")

    def _read_atoms(self, words: list[str]) -> None:
        if self.size is None:
            self._refuse("has atoms, but Size must come before")
        names = words[1:]
        rows = np.array([self._numbers(len(names)) for _ in range(self.size or 0)])
        self.columns = dict(zip(names, rows.T, strict=True))

    def _read_energy(self, words: list[str]) -> None:
        (self.results["energy"],) = self._numbers(1)

    def _read_virial(self, words: list[str]) -> None:
        if sorted(words[1:]) != sorted(_VOIGT):
            self._refuse(f"names {words[1:]}, but must name {', '.join(_VOIGT)}")
        values = dict(zip(words[1:], self._numbers(6), strict=True))
        self.virial = [values[name] for name in _VOIGT]

    def _read_feature(self, words: list[str]) -> None:
        if len(words) > 1:
            self.info[words[1]] = " ".join(words[2:])

    def _assemble(self, elements: Sequence[str] | None) -> Atoms:
        where = f"the configuration of line {self.first - 1}"
        cell = np.zeros((3, 3))
        cell[: len(self.supercell)] = self.supercell or np.zeros((0, 3))
        pbc = np.arange(3) < len(self.supercell)
        positions = self._positions(cell, where)
        symbols = _symbols(self.columns["type"], elements, where)
        atoms = Atoms(symbols, positions, cell=cell, pbc=pbc)
        if all(name in self.columns for name in _FORCES):
            self.results["forces"] = np.stack([self.columns[name] for name in _FORCES], axis=1)
        if self.virial is not None and atoms.cell.rank == 3:
            self.results["stress"] = -np.array(self.virial) / atoms.get_volume()
        if self.results:
            atoms.calc = SinglePointCalculator(atoms, **self.results)
        atoms.info.update(self.info)
        return atoms

    def _positions(self, cell: np.ndarray, where: str) -> np.ndarray:
        for kind in ("cartes", "direct"):
            names = [f"{kind}_{axis}" for axis in "xyz"]
            if {"type", *names} <= self.columns.keys():
                coordinates = np.stack([self.columns[name] for name in names], axis=1)
                return coordinates if kind == "cartes" else coordinates @ cell
        raise ValueError(f"{where} has the columns {sorted(self.columns)}, but needs type and "
                         "cartes_x, cartes_y, cartes_z, or direct_x, direct_y, direct_z")


def _is_number(words: list[str]) -> bool:
    try:
        return bool(words) and np.isfinite(float(words[0]))
    except ValueError:
        return False


def _symbols(types: np.ndarray, elements: Sequence[str] | None, where: str) -> list[str]:
    if elements is None:
        raise ValueError(
            f"elements is None, but {where} has types {sorted(set(types.astype(int).tolist()))} in "
            "place of elements, as all such files; give the symbols of the types 0, 1, ..., such "
            "as elements=['Cu', 'Au']"
        )
    known = range(len(elements))
    wrong = [kind for kind in np.unique(types).tolist() if kind not in known]
    if wrong:
        raise ValueError(f"elements has {len(elements)} symbols, but {where} has an atom of type "
                         f"{wrong[0]:g}; types count from 0")
    return [elements[int(kind)] for kind in types]
