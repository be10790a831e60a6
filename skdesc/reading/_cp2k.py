"""Outputs of CP2K: one structure per energy, with forces and stresses."""

from __future__ import annotations

import re

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator

_PRESSURES = {"gpa": units.GPa, "bar": 1e-4 * units.GPa}
_CELL = re.compile(r"CELL\| Vector ([abc]) \[angstrom\]:?((?:\s+\S+){3})")
_ATOM = re.compile(r"\s+\d+\s+\d+\s+[A-Z][a-z]?\s+(\d+)((?:\s+\S+){3})")
_ENERGY = re.compile(r"ENERGY\| Total FORCE_EVAL .* energy \S+\s+(\S+)\s*$")
# formats up to 2023, and of later versions, where each line begins with the name of the table
_FORCE = re.compile(r"(?:\s+\d+\s+\d+\s+[A-Z][a-z]?| FORCES\|\s+\d+)((?:\s+\S+){3})")
_STRESS = re.compile(r"(?: STRESS\||) +[xyzXYZ]((?:\s+\S+){3})\s*$")


def parse_cp2k(text: str) -> list[Atoms]:
    """Read the output of one run.

    Parameters
    ----------
    text : str
        The content of a file.

    Returns
    -------
    list of ase.Atoms
        One for each energy, with forces and stress where they were printed.

    Raises
    ------
    ValueError
        If the text is cut off, if a calculation has not converged, or if energies were printed
        without coordinates, as in molecular dynamics.
    """
    if "SCF run NOT converged" in text:
        raise ValueError("it says 'SCF run NOT converged', but all calculations must have "
                         "converged; raise MAX_SCF, or remove the output")
    run = _Run(text.splitlines())
    if len(run.energies) != len(run.structures):
        raise ValueError(
            f"it has {len(run.energies)} energies and the coordinates of {len(run.structures)} "
            "structures, but must have as many of both; let the calculation finish, or give the "
            "trajectory that it wrote (-pos-1.xyz) if it took several steps"
        )
    if not run.energies:
        raise ValueError("it has no energy: the calculation has not finished")
    return [run.to_atoms(index) for index in range(len(run.energies))]


class _Run:
    """Parser of an output, line by line."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.cell = np.zeros((3, 3))
        self.pbc = [True, True, True]
        self.structures: list[Atoms] = []
        self.energies: list[float] = []
        # keyed by the number of the structure
        self.forces: dict[int, np.ndarray] = {}
        self.stresses: dict[int, np.ndarray] = {}
        for number, line in enumerate(lines):
            try:
                self._read(number, line)
            except (ValueError, IndexError) as error:
                raise ValueError(f"line {number + 1}: {error}") from error

    def _read(self, number: int, line: str) -> None:
        if cell := _CELL.search(line):
            self.cell["abc".index(cell[1])] = _numbers(cell[2])
        elif "POISSON| Periodicity" in line:
            self.pbc = [axis in line.split()[-1] for axis in "XYZ"]
        elif "ATOMIC COORDINATES IN" in line.upper():
            rows = self._table(number, _ATOM)
            length = units.Bohr if "BOHR" in line.upper() else 1.0
            positions = length * np.array([_numbers(row[2]) for row in rows]).reshape(-1, 3)
            numbers = [int(row[1]) for row in rows]
            self.structures.append(Atoms(numbers, positions, cell=self.cell, pbc=self.pbc))
        elif energy := _ENERGY.search(line):
            self.energies.append(float(energy[1]) * units.Ha)
        else:
            self._read_derivatives(number, line)

    def _read_derivatives(self, number: int, line: str) -> None:
        latest = len(self.structures) - 1
        if "ATOMIC FORCES in [a.u.]" in line or "FORCES| Atomic forces [hartree/bohr]" in line:
            rows = [_numbers(row[1]) for row in self._table(number, _FORCE)]
            _check_count("forces", len(rows), len(self.structures[latest]))
            self.forces[latest] = np.array(rows) * units.Ha / units.Bohr
        elif pressure := re.search(r"stress tensor \[(.*)\]", line, re.IGNORECASE):
            rows = [_numbers(row[1]) for row in self._table(number, _STRESS)]
            _check_count("rows of the stress", len(rows), 3)
            self.stresses[latest] = np.array(rows) * _unit(pressure[1])

    def _table(self, number: int, pattern: re.Pattern) -> list[re.Match]:
        """Lines of a table, which begins a few lines below its title."""
        rows: list[re.Match] = []
        for line in self.lines[number + 1 :]:
            row = pattern.match(line)
            if row is not None:
                rows.append(row)
            elif rows or (len(line.split()) > 1 and "ENERGY|" in line):
                break
        return rows

    def to_atoms(self, index: int) -> Atoms:
        atoms = self.structures[index]
        results: dict = {"energy": self.energies[index]}
        if index in self.forces:
            results["forces"] = self.forces[index]
        if index in self.stresses:
            # CP2K's stress is the virial per volume
            results["stress"] = -self.stresses[index]
        atoms.calc = SinglePointCalculator(atoms, **results)
        return atoms


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


def _unit(name: str) -> float:
    if name.lower() not in _PRESSURES:
        raise ValueError(f"the unit of the stress is {name!r}, but must be GPa or bar; set "
                         "STRESS_UNIT in the input")
    return _PRESSURES[name.lower()]


def _check_count(name: str, count: int, expected: int) -> None:
    if count != expected:
        raise ValueError(f"there are {count} {name}, but must be {expected}: the output is cut off")
