"""Content of a report: predictions, errors and descriptions as plain tables."""

from __future__ import annotations

import platform
import warnings
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from ase import Atoms

from ..exceptions import SuspiciousTargetsWarning
from ._data import LabeledStructures
from ._errors import errors_of, predict_all, residuals

# predict at most this many atoms; more would take long and tell little
_MOST_ATOMS = 20_000
# standard deviations of forces are expensive
_ATOMS_WITH_STD = 300
_PROGRAMS = ("skdesc", "scikit-learn", "numpy", "scipy", "ase")
_WORST = 10
# distance at which two atoms do not interact, in angstrom
_APART = 100.0


@dataclass
class Part:
    """One set of structures in a report.

    Attributes
    ----------
    name : str
        "training", "held back", "validation" or "test".
    data : LabeledStructures
        The structures.
    index : ndarray
        Their indices among the structures that were passed.
    residuals : dict of str to list of ndarray
        Residuals, see :func:`skdesc.auto._errors.residuals`.
    std : ndarray or None
        Standard deviations of the energies, in eV.
    forces_z : ndarray or None
        Errors of some force components divided by their standard deviations.
    """

    name: str
    data: LabeledStructures
    index: np.ndarray
    residuals: dict
    std: np.ndarray | None = None
    forces_z: np.ndarray | None = None

    def energies_z(self) -> np.ndarray:
        """Errors of energies divided by their standard deviations."""
        if "energy" not in self.residuals:
            return np.empty(0)
        known = np.isfinite(self.data.y)
        errors = np.array([block[0] for block in self.residuals["energy"] if block.size])
        return errors * self.data.n_atoms[known] / self.std[known]


def predicted_part(name: str, model, data: LabeledStructures, index, *, with_std=False) -> Part:
    """Predict structures, or an evenly chosen part of them if there are too many.

    Parameters
    ----------
    name : str
        Name of the set.
    model : Pipeline
        Fitted model.
    data : LabeledStructures
        The structures.
    index : ndarray
        Their indices.
    with_std : bool, default=False
        Whether to predict standard deviations as well.

    Returns
    -------
    Part
        The structures with their residuals.
    """
    step = max(1, -(-int(data.n_atoms.sum()) // _MOST_ATOMS))
    chosen = np.arange(0, len(data), step)
    data, index = data.take(chosen), index[chosen]
    features = model[:-1].transform(data.frames)
    part = Part(name, data, index, residuals(data, predict_all(model[-1], data, features)))
    if with_std:
        part.std = model[-1].predict(features, return_std=True)[1]
        if "forces" in part.residuals:
            part.forces_z = _forces_z(model[-1], data, features, part.residuals["forces"])
    return part


def _forces_z(gap, data, features, errors) -> np.ndarray:
    ends = np.cumsum(data.n_atoms)
    some = np.arange(max(1, int(np.searchsorted(ends, _ATOMS_WITH_STD))))[: len(data)]
    std = gap.predict_forces_std(features[some])
    values = []
    for i, deviation in zip(some, std, strict=True):
        target = data.forces[i]
        if target is not None:
            values.append(errors[i] / deviation.ravel()[np.isfinite(np.ravel(target))])
    return np.concatenate([np.empty(0), *values])


def error_rows(part: Part) -> list[tuple[str, dict]]:
    """Compute errors of a set: of all structures, by config_type, and by element.

    Parameters
    ----------
    part : Part
        The set.

    Returns
    -------
    list of (label, errors)
        By quantity, the number of values, MAE and RMSE.
    """
    groups = [("all", part.residuals)]
    kinds = part.data.config_types
    if kinds is not None and len(set(kinds)) > 1:
        for kind in sorted(set(kinds)):
            index = [i for i, name in enumerate(kinds) if name == kind]
            groups.append((f"config_type {kind}", _some(part.residuals, index)))
    elements = part.data.elements
    if "forces" in part.residuals and len(elements) > 1:
        groups += [(f"atoms of {symbol}", {"forces": _of_element(part, symbol)})
                   for symbol in elements]
    return [
        (label, {q: _summary(blocks)[:3] for q, blocks in some.items() if _count(blocks)})
        for label, some in groups
    ]


def _count(blocks) -> int:
    return sum(block.size for block in blocks)


def _some(values: dict, index) -> dict:
    return {name: [blocks[i] for i in index] for name, blocks in values.items()}


def _of_element(part: Part, symbol: str) -> list[np.ndarray]:
    result = []
    for atoms, target, errors in zip(
        part.data.frames, part.data.forces, part.residuals["forces"], strict=True
    ):
        if target is not None:
            known = np.isfinite(np.ravel(target))
            is_element = np.repeat(np.array(atoms.get_chemical_symbols()) == symbol, 3)
            result.append(errors[is_element[known]])
    return result


def _summary(blocks) -> tuple[int, float, float, float]:
    values = np.concatenate(blocks)
    errors = errors_of({"x": blocks})
    return values.size, errors["x_mae"], errors["x_rmse"], float(np.abs(values).max())


def worst_rows(parts: list[Part]) -> list[tuple]:
    """Find the structures with the largest errors relative to the RMSE of each quantity."""
    rows = []
    for part in parts:
        typical = {q: _summary(blocks)[2] for q, blocks in part.residuals.items() if _count(blocks)}
        for k, atoms in enumerate(part.data.frames):
            largest = {
                name: float(np.abs(part.residuals[name][k]).max()) if part.residuals[name][k].size
                else np.nan
                for name in typical
            }
            relative = [largest[name] / max(typical[name], 1e-12) for name in ("energy", "forces")
                        if np.isfinite(largest.get(name, np.nan))]
            if relative:
                kind = part.data.config_types[k] if part.data.config_types else ""
                rows.append((max(relative), part.name, int(part.index[k]),
                             atoms.get_chemical_formula(), kind, largest))
    return [row[1:] for row in sorted(rows, key=lambda row: -row[0])[:_WORST]]


def describe_data(data: LabeledStructures) -> list[tuple[str, str]]:
    """Describe counts and ranges of the structures and targets."""
    n_atoms = data.n_atoms
    periodic = sum(bool(atoms.pbc.any()) for atoms in data.frames)
    known = np.isfinite(data.y)
    rows = [
        ("structures", f"{len(data)}, {periodic} of them periodic"),
        ("atoms", f"{n_atoms.sum()}, {n_atoms.min()} to {n_atoms.max()} per structure"),
        ("energies", f"{known.sum()}, {_range((data.y / n_atoms)[known])} eV/atom"),
    ]
    if "forces" in data.quantities:
        values = np.concatenate([np.ravel(block) for block in data.forces if block is not None])
        values = values[np.isfinite(values)]
        rows.append(("force components",
                     f"{values.size}, root mean square {np.sqrt(np.mean(values**2)):.3g}, "
                     f"largest {np.abs(values).max():.3g} eV/A"))
    if "virials" in data.quantities:
        whole = np.isfinite(data.virials).all(axis=(1, 2))
        rows.append(("virials", f"{whole.sum()}, components "
                     f"{_range((data.virials / n_atoms[:, None, None])[whole])} eV/atom"))
    if data.config_types is not None:
        kinds, counts = np.unique(data.config_types, return_counts=True)
        text = ", ".join(f"{kind} ({count})" for kind, count in zip(kinds, counts, strict=True))
        rows.append(("config_type", text))
    return rows


def _range(values) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"


def element_rows(data: LabeledStructures, e0: dict[str, float]) -> list[tuple]:
    """List, by element, numbers of atoms and structures, and the energy of a single atom."""
    isolated = {atoms.get_chemical_symbols()[0] for atoms, energy in
                zip(data.frames, data.y, strict=True)
                if len(atoms) == 1 and not atoms.pbc.any() and np.isfinite(energy)}
    counts: dict[str, list[int]] = {}
    for atoms in data.frames:
        symbols, numbers = np.unique(atoms.get_chemical_symbols(), return_counts=True)
        for symbol, number in zip(symbols, numbers, strict=True):
            entry = counts.setdefault(str(symbol), [0, 0])
            entry[0] += int(number)
            entry[1] += 1
    return [
        (symbol, *counts[symbol], e0.get(symbol, np.nan),
         "isolated atom" if symbol in isolated else "least-squares fit")
        for symbol in data.elements
    ]


def dimer_curves(model, elements: list[str], most: int = 10) -> dict[str, tuple]:
    """Predict energies of pairs of atoms in free space, from 0.4 to 6 angstrom.

    Parameters
    ----------
    model : Pipeline
        Fitted model.
    elements : list of str
        Chemical symbols.
    most : int, default=10
        Largest number of pairs.

    Returns
    -------
    dict of str to (distances, energies)
        Curve of each pair; energies relative to single atoms, in eV.
    """
    distances = np.linspace(0.4, 6.0, 113)
    pairs = [(a, b) for k, a in enumerate(elements) for b in elements[k:]][:most]
    curves = {}
    for a, b in pairs:
        frames = [Atoms([a, b], [[0, 0, 0], [0, 0, r]]) for r in (*distances, _APART)]
        with warnings.catch_warnings():
            # warnings about energies of single atoms do not affect the shape of the curves
            warnings.simplefilter("ignore", SuspiciousTargetsWarning)
            *energies, apart = model.predict(frames)
        curves[f"{a}-{b}"] = distances, np.array(energies) - apart
    return curves


def versions() -> list[tuple[str, str]]:
    """List versions of the software, and the machine."""
    rows = [("Python", platform.python_version())]
    for program in _PROGRAMS:
        if program == "skdesc":
            from .. import __version__

            rows.append((program, __version__))
        else:
            rows.append((program, version(program)))
    return [*rows, ("machine", f"{platform.system()} {platform.machine()}")]
