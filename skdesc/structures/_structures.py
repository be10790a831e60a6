"""``Structures``: many structures as a handful of flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Self

import numpy as np
from ase import Atoms

from ..utils.indexing import normalize_key, segments_to_indices

_NO_TABLE = (
    "Structures have one axis, that of the structures, and are not an array or table; for a tool "
    "that needs one, pass skdesc.as_column(structures), an object array of shape (n_structures, 1)"
)


class _OneAxis(tuple):
    """Shape with one axis; asking for a second one raises an error that names the remedy."""

    def __getitem__(self, key):
        try:
            return super().__getitem__(key)
        except IndexError:
            raise IndexError(_NO_TABLE) from None


class Structures:
    """A sequence of atomic structures, stored as flat arrays.

    A list of :class:`ase.Atoms` is slow to send to another process (pickling 2,000 molecules
    takes longer than computing their descriptors), and NumPy splits it into atoms. This container
    holds the same content in contiguous arrays. It is indexed as scikit-learn indexes its
    inputs: an integer gives an :class:`ase.Atoms`, a slice, mask or index array gives
    `Structures`.

    Arrays and info of the :class:`ase.Atoms`, such as charges or tags, are kept for baselines;
    calculators and constraints are not. Descriptors see only the arrays that `extra_arrays` of
    :meth:`from_atoms` names.

    Parameters
    ----------
    positions : ndarray of shape (n_atoms, 3)
        Positions of all atoms of all structures, in angstrom.
    numbers : ndarray of shape (n_atoms,)
        Atomic numbers.
    cells : ndarray of shape (n_structures, 3, 3)
        Cell vectors as rows, in angstrom.
    pbc : ndarray of shape (n_structures, 3)
        Periodic axes.
    offsets : ndarray of shape (n_structures + 1,)
        Structure `s` owns the atoms ``offsets[s]`` to ``offsets[s + 1]``.
    arrays : dict of str to ndarray, default=None
        Further per-atom arrays, with `n_atoms` rows each.
    extras : sequence of (dict, dict), default=None
        Further per-atom arrays and info of each structure: those that differ in name or shape
        among structures, or that descriptors must not see.

    Examples
    --------
    >>> from ase.build import bulk, molecule
    >>> from skdesc import Structures
    >>> structures = Structures.from_atoms([molecule("H2O"), bulk("Si")])
    >>> structures
    Structures(2 structures, 5 atoms)
    >>> structures[0].get_chemical_formula()
    'H2O'
    >>> structures[1:]
    Structures(1 structures, 2 atoms)
    """

    def __init__(
        self,
        positions: np.ndarray,
        numbers: np.ndarray,
        cells: np.ndarray,
        pbc: np.ndarray,
        offsets: np.ndarray,
        arrays: Mapping[str, np.ndarray] | None = None,
        extras: Sequence[tuple[dict, dict]] | None = None,
    ) -> None:
        self.positions = np.ascontiguousarray(positions, dtype=np.float64)
        self.numbers = np.ascontiguousarray(numbers, dtype=np.intp)
        self.cells = np.ascontiguousarray(cells, dtype=np.float64)
        self.pbc = np.ascontiguousarray(pbc, dtype=np.bool_)
        self.offsets = np.ascontiguousarray(offsets, dtype=np.intp)
        self.arrays = dict(arrays or {})
        self.extras = None if extras is None else list(extras)

    def __setstate__(self, state):
        # pickles of earlier versions have no extras
        self.__dict__.update({"extras": None} | state)

    @classmethod
    def from_atoms(cls, frames: Iterable[Atoms], extra_arrays: Iterable[str] = ()) -> Self:
        """Collect :class:`ase.Atoms` without any check of their content.

        Parameters
        ----------
        frames : sequence of ase.Atoms
            The structures; use :func:`check_structures` for unchecked input.
        extra_arrays : sequence of str, default=()
            Names of further per-atom arrays (in ``atoms.arrays``) to keep.

        Returns
        -------
        Structures
            The flat container.
        """
        offsets = np.array([0, *accumulate(map(len, frames))], dtype=np.intp)

        def concatenate(name, shape, dtype):
            if not frames:
                return np.empty(shape, dtype)
            return np.concatenate([atoms.arrays[name] for atoms in frames])

        return cls(
            concatenate("positions", (0, 3), np.float64),
            concatenate("numbers", (0,), np.intp),
            np.array([atoms.cell.array for atoms in frames]).reshape(-1, 3, 3),
            np.array([atoms.pbc for atoms in frames], dtype=np.bool_).reshape(-1, 3),
            offsets,
            {name: concatenate(name, (0,), np.float64) for name in extra_arrays},
            _collect_extras(frames, extra_arrays),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_structures,)``; scikit-learn slices objects with a shape and keeps their type."""
        return _OneAxis((len(self),))

    @property
    def ndim(self) -> int:
        """Always 1."""
        return 1

    @property
    def n_atoms(self) -> np.ndarray:
        """Number of atoms of each structure, ndarray of shape (n_structures,)."""
        return self.offsets[1:] - self.offsets[:-1]

    @property
    def structure_index(self) -> np.ndarray:
        """Structure of each atom, ndarray of shape (n_atoms,)."""
        return np.repeat(np.arange(len(self)), self.n_atoms)

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    def __repr__(self):
        return f"Structures({len(self)} structures, {self.positions.shape[0]} atoms)"

    def __iter__(self) -> Iterator[Atoms]:
        return (self._atoms(index) for index in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        key = normalize_key(key, len(self))
        if isinstance(key, int):
            return self._atoms(key)
        if isinstance(key, slice):
            return self._range(key.start, key.stop)
        atoms, offsets = segments_to_indices(self.offsets, key)
        return Structures(
            self.positions[atoms],
            self.numbers[atoms],
            self.cells[key],
            self.pbc[key],
            offsets,
            {name: array[atoms] for name, array in self.arrays.items()},
            None if self.extras is None else [self.extras[index] for index in key],
        )

    def __array__(self, dtype=None, copy=None):
        # an array of Atoms would be refused later, by errors without a remedy
        raise TypeError(_NO_TABLE)

    def with_positions(self, positions: np.ndarray, cells: np.ndarray | None = None) -> Structures:
        """Return the same structures at other positions and in other cells.

        Parameters
        ----------
        positions : ndarray of shape (n_atoms, 3)
            New positions, in angstrom.
        cells : ndarray of shape (n_structures, 3, 3), default=None
            New cells; the present ones by default.

        Returns
        -------
        Structures
            New container sharing all other arrays.
        """
        cells = self.cells if cells is None else cells
        return Structures(
            positions, self.numbers, cells, self.pbc, self.offsets, self.arrays, self.extras
        )

    def _atoms(self, index):
        start, stop = self.offsets[index], self.offsets[index + 1]
        atoms = Atoms(
            numbers=self.numbers[start:stop],
            positions=self.positions[start:stop],
            cell=self.cells[index],
            pbc=self.pbc[index],
        )
        for name, array in self.arrays.items():
            atoms.set_array(name, array[start:stop])
        if self.extras is not None:
            arrays, info = self.extras[index]
            for name, array in arrays.items():
                atoms.set_array(name, array)
            atoms.info = dict(info)
        return atoms

    def _range(self, start, stop):
        """Return the structures from start to stop as views."""
        atoms = slice(self.offsets[start], self.offsets[stop])
        return Structures(
            self.positions[atoms],
            self.numbers[atoms],
            self.cells[start:stop],
            self.pbc[start:stop],
            self.offsets[start : stop + 1] - self.offsets[start],
            {name: array[atoms] for name, array in self.arrays.items()},
            None if self.extras is None else self.extras[start:stop],
        )


def _collect_extras(
    frames: Iterable[Atoms], extra_arrays: Iterable[str]
) -> list[tuple[dict, dict]] | None:
    """Copy all arrays and info except positions, numbers and cells; None if there are none."""
    kept = {"positions", "numbers", *extra_arrays}
    if all(not atoms.info and atoms.arrays.keys() <= kept for atoms in frames):
        return None
    return [
        ({name: array.copy() for name, array in atoms.arrays.items() if name not in kept},
         dict(atoms.info))
        for atoms in frames
    ]
