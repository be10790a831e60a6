"""Validate collections of Atoms: every container that users pass is checked here, once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ase import Atoms

from ..utils.typing import Samples
from ._content_cy import first_bad_cell, sound
from ._conversion import convert, is_convertible
from ._structures import Structures


def check_structures(
    X: Samples, *, name: str = "X", extra_arrays: Iterable[str] = ()
) -> Structures:
    """Check a collection of atomic structures and return it as `Structures`.

    Parameters
    ----------
    X : sequence of ase.Atoms
        A list, a tuple, a 1-D or (n, 1) object array, a pandas Series, a one-column
        DataFrame, or `Structures`. Objects with a method ``to_ase_atoms()`` or ``toatoms()``,
        such as pymatgen's structures and molecules or rows of an ASE database, are converted.
    name : str, default="X"
        Name of the argument in error messages.
    extra_arrays : sequence of str, default=()
        Names of per-atom arrays that every structure must have and that are kept.

    Returns
    -------
    Structures
        The same structures, with finite positions and cells and at least one atom each.

    Raises
    ------
    TypeError
        If `X` is a single `Atoms`, is not a sequence, or holds objects that are not `Atoms` and
        cannot be converted.
    ValueError
        If `X` or one of its structures is empty, positions or cells are not finite, a
        periodic axis has a zero cell vector, or periodic cell vectors are coplanar.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skdesc import check_structures
    >>> check_structures([molecule("H2O"), molecule("CH4")])
    Structures(2 structures, 8 atoms)
    """
    if isinstance(X, Structures):
        structures = X
        for key in extra_arrays:
            if key not in structures.arrays:
                raise ValueError(
                    f"{name} has no per-atom array {key!r}; build it with "
                    f"Structures.from_atoms(frames, extra_arrays=[{key!r}])"
                )
    else:
        frames = _as_list(X, name)
        for index, atoms in enumerate(frames):
            for key in extra_arrays:
                if key not in atoms.arrays:
                    raise ValueError(f"{name}[{index}] has no per-atom array {key!r}; "
                                     f"set it with atoms.set_array({key!r}, ...)")
        structures = Structures.from_atoms(frames, extra_arrays)
    _check_content(structures, name)
    return structures


def as_column(frames: Samples) -> np.ndarray:
    """Put structures into an object array of shape (n, 1).

    Some tools around scikit-learn (TPOT, FLAML, ColumnTransformer) insist on two axes.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        Any container that :func:`check_structures` takes.

    Returns
    -------
    ndarray of shape (n_structures, 1)
        Object array with one Atoms per row.
    """
    frames = list(frames) if isinstance(frames, Structures) else _as_list(frames, "frames")
    column = np.empty((len(frames), 1), dtype=object)
    for index, atoms in enumerate(frames):
        column[index, 0] = atoms
    return column


def _as_list(X, name):
    """Return a list of Atoms from any accepted container, without np.asarray."""
    if isinstance(X, Atoms):
        raise TypeError(
            f"{name} is a single Atoms of {len(X)} atoms, but a sequence of structures is "
            f"needed; pass [{name}]"
        )
    if is_convertible(X):
        raise TypeError(f"{name} is a single {type(X).__name__}, but a sequence of structures is "
                        f"needed; pass [{name}]")
    if hasattr(X, "iloc"):  # pandas
        if X.ndim == 2 and X.shape[1] != 1:
            raise TypeError(
                f"{name} is a DataFrame of {X.shape[1]} columns, {_first_names(X)}, but one of "
                f"structures is needed; choose it: {_how_to_choose(X, name)}"
            )
        X = X.to_numpy(dtype=object)
    if isinstance(X, np.ndarray):
        X = _only_column(X, name)
    elif not isinstance(X, (list, tuple)):
        raise TypeError(
            f"{name} is of type {type(X).__name__}, but a sequence of ase.Atoms is needed: a "
            "list, tuple, object array, Series, one-column DataFrame or skdesc.Structures"
        )
    return [atoms if isinstance(atoms, Atoms) else convert(atoms, f"{name}[{index}]")
            for index, atoms in enumerate(X)]


def _only_column(X, name):
    """Return a one-dimensional array; drop a second axis of length one."""
    if X.ndim == 2 and X.shape[1] == 1:
        X = X[:, 0]
    if X.ndim != 1:
        raise TypeError(
            f"{name} has shape {X.shape}, but one structure per row is needed; "
            "np.asarray takes Atoms apart, so pass the list itself or skdesc.as_column(list)"
        )
    return X


def _first_names(table):
    names = [repr(column) for column in table.columns[:5]]
    return ", ".join(names) + (", ..." if table.shape[1] > 5 else "")


def _how_to_choose(table, name):
    if table.columns.is_unique:
        return f"{name}[[column]]"
    # indexing by a repeated name gives all columns of that name
    repeated = table.columns[table.columns.duplicated()][0]
    return f"{name}.iloc[:, [position]], as several have the name {repeated!r}"


def _check_content(structures, name):
    """Refuse structures that later stages cannot handle, and name the first fault."""
    if sound(structures.positions, structures.cells, structures.pbc, structures.offsets):
        return
    if len(structures) == 0:
        raise ValueError(f"{name} holds 0 structures, but a minimum of 1 is required")
    n_atoms = structures.n_atoms
    if not n_atoms.all():
        empty = np.flatnonzero(n_atoms == 0)
        raise ValueError(f"{name}[{empty[0]}] has no atoms; remove empty structures")
    _check_positions(structures, name)
    _check_cells(structures, name)


def _check_positions(structures, name):
    bad = ~np.isfinite(structures.positions).all(axis=1)
    if bad.any():
        atom = int(np.flatnonzero(bad)[0])
        index = int(np.searchsorted(structures.offsets, atom, side="right")) - 1
        raise ValueError(
            f"{name}[{index}] has a NaN or infinite position at atom "
            f"{atom - structures.offsets[index]}: {structures.positions[atom]}; "
            "remove the structure or mend the position"
        )
    bad = ~np.isfinite(structures.cells).all(axis=(1, 2))
    if bad.any():
        index = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{name}[{index}] has a NaN or infinite cell: "
                         f"{structures.cells[index].tolist()}")


def _check_cells(structures, name):
    index, axis = first_bad_cell(structures.cells, structures.pbc)
    if index < 0:
        return
    if axis >= 0:
        raise ValueError(
            f"{name}[{index}] is periodic along axis {axis}, but its cell vector there is zero; "
            "set the cell, or pbc=False along that axis"
        )
    raise ValueError(
        f"{name}[{index}] has linearly dependent periodic cell vectors "
        f"{structures.cells[index][structures.pbc[index]].tolist()}; mend the cell"
    )
