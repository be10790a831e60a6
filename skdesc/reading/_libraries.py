"""Formats that need an optional library, which is named if it is missing."""

from __future__ import annotations

import ast
import importlib
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import ase.db
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

# names of columns in the tables of ColabFit, OMat and the like, preferred names first
_COLUMNS = {
    "numbers": ("atomic_numbers", "numbers", "species"),
    "positions": ("positions", "pos", "cart_coords"),
    "cell": ("cell", "lattice"),
    "pbc": ("pbc",),
    "energy": ("energy", "total_energy", "potential_energy"),
    "forces": ("atomic_forces", "forces"),
    "stress": ("cauchy_stress", "stress"),
}
# meta page of LMDB on little-endian machines: magic number, page size, last page, transaction
_LMDB_META = struct.Struct("<16x4s20xI92xQQ")
_LMDB_MAGIC = b"\xde\xc0\xef\xbe"


def require(name: str, package: str, path: Any) -> ModuleType:
    """Import a library.

    Parameters
    ----------
    name, package : str
        Name of the module to import, and of the package to install.
    path : object
        The file that needs it.

    Returns
    -------
    module
        The library.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{path} needs the package {package} to be read, which is not "
                          f"installed: pip install {package}") from error


def is_deepmd(folder: Path) -> bool:
    """Whether a folder is one system of DeePMD.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    bool
        Whether there is a file of types.
    """
    return (folder / "type.raw").is_file()


def read_deepmd(folder: Path, elements: Sequence[str] | None) -> list[Atoms]:
    """Read the sets of one system.

    Parameters
    ----------
    folder : Path
        The system's folder, with ``type.raw``.
    elements : sequence of str or None
        Symbols of the types if there is no ``type_map.raw``.

    Returns
    -------
    list of ase.Atoms
        With those energies, forces and stresses that the sets have.
    """
    dpdata = require("dpdata", "dpdata", folder)
    if elements is None and not (folder / "type_map.raw").is_file():
        raise ValueError(f"elements is None, but {folder} has no type_map.raw; give the symbols of "
                         "the types 0, 1, ..., such as elements=['Cu', 'Au']")
    kind = "deepmd/npy" if any(folder.glob("set.*")) else "deepmd/raw"
    if any(folder.glob("set.*/real_atom_types.npy")):
        systems = dpdata.MultiSystems()
        systems.load_systems_from_file(str(folder), fmt="deepmd/npy/mixed")
    else:
        is_labeled = any(folder.glob("set.*/energy.npy")) or (folder / "energy.raw").is_file()
        maker = dpdata.LabeledSystem if is_labeled else dpdata.System
        more = {} if elements is None else {"type_map": list(elements)}
        systems = [maker(str(folder), fmt=kind, **more)]
    return [atoms for system in systems for atoms in system.to("ase/structure")]


def read_database(path: Path, selection: str) -> list[Atoms]:
    """Read rows of a database of ASE.

    Parameters
    ----------
    path : Path
        The file.
    selection : str
        Selection of rows in ASE's syntax; empty for all.

    Returns
    -------
    list of ase.Atoms
        Key-value pairs of the rows are in ``atoms.info``, and so are further data.
    """
    if path.stat().st_size == 0:  # it would be opened for writing
        raise ValueError("it is empty")
    kind = "extract_from_name"
    if path.suffix == ".aselmdb":
        require("ase_db_backends", "ase-db-backends", path)
        _check_lmdb(path)
        kind = "aselmdb"
    frames = []
    with ase.db.connect(str(path), type=kind, use_lock_file=False) as database:
        for row in database.select(selection or None):
            atoms = row.toatoms()
            atoms.info.update(row.key_value_pairs)
            for name, value in row.data.items():
                is_force = "force" in name and np.shape(value) == (len(atoms), 3)
                (atoms.arrays if is_force else atoms.info).setdefault(name, value)
            frames.append(atoms)
    return frames


def _check_lmdb(path: Path) -> None:
    """Refuse files on which LMDB, which maps them into memory, would crash or hang."""
    size, pages = path.stat().st_size, []
    with path.open("rb") as file:
        begin = file.read(_LMDB_META.size)
        if len(begin) < _LMDB_META.size or _LMDB_META.unpack(begin)[0] != _LMDB_MAGIC:
            raise ValueError("it is no LMDB file")
        pages.append(_LMDB_META.unpack(begin))
        page_size = pages[0][1]
        file.seek(page_size)
        begin = file.read(_LMDB_META.size)
        if len(begin) == _LMDB_META.size:
            pages.append(_LMDB_META.unpack(begin))
    *_, last, _ = max(pages, key=lambda meta: meta[3])
    needed = page_size * (last + 1)
    if size < needed:
        raise ValueError(f"it has {size} bytes, but must have {needed}: it is cut off; copy it "
                         "again, or by mdb_copy -c from where it is whole")


def read_table(path: Path) -> list[Atoms]:
    """Read a table with one structure per row.

    Parameters
    ----------
    path : Path
        A Parquet file with the columns of ColabFit, or of the same meaning.

    Returns
    -------
    list of ase.Atoms
        Columns of text and numbers are in ``atoms.info``.
    """
    parquet = require("pyarrow.parquet", "pyarrow", path)
    table = parquet.read_table(path)
    names = set(table.column_names)
    columns = {what: next((name for name in options if name in names), None)
               for what, options in _COLUMNS.items()}
    for what in ("numbers", "positions"):
        if columns[what] is None:
            raise ValueError(f"it has the columns {sorted(names)}, but none of "
                             f"{', '.join(_COLUMNS[what])}; rename the one of {what}")
    used = {name for name in columns.values() if name is not None}
    return [_row_to_atoms(row, columns, used, index) for index, row in enumerate(_rows(table))]


def _rows(table: Any) -> Iterator[dict]:
    for batch in table.to_batches(max_chunksize=1000):
        yield from batch.to_pylist()


def _row_to_atoms(row: Mapping, columns: Mapping, used: set[str], index: int) -> Atoms:
    def value(what):
        entry = None if columns[what] is None else row[columns[what]]
        return _parse(entry) if isinstance(entry, str) else entry

    numbers, positions, cell, pbc = map(value, ("numbers", "positions", "cell", "pbc"))
    try:
        positions = np.array(positions, dtype=np.float64).reshape(len(numbers), 3)
        atoms = Atoms(numbers, positions, cell=cell, pbc=cell is not None if pbc is None else pbc)
        results = {what: np.array(value(what), dtype=np.float64)
                   for what in ("energy", "forces", "stress") if value(what) is not None}
        if "forces" in results:
            results["forces"] = results["forces"].reshape(len(atoms), 3)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"row {index}: {error}") from error
    if "energy" in results:
        results["energy"] = float(results["energy"])
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    atoms.info.update({name: entry for name, entry in row.items()
                       if name not in used and isinstance(entry, (str, int, float))})
    return atoms


def _parse(text: str) -> Any:
    """Parse a value that older files of ColabFit store as text."""
    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text)
