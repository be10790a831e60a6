"""``AtomicFeatures``: per-atom descriptors of many structures, with derivatives on request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.indexing import normalize_key, segments_to_indices
from ..utils.shapes import check_indices
from ..utils.typing import ArrayLike
from ._joined import JoinedDescriptor, join
from ._protocol import complete
from ._search_objectives import search_objectives

if TYPE_CHECKING:
    from ..structures import Structures
    from ._jacobian import Jacobian
    from ._protocol import AtomicDescriptor


class AtomicFeatures:
    """Descriptors of the atoms of many structures.

    Behaves as a sequence of structures: ``len`` and indexing count structures, so that
    scikit-learn can split it. Derivatives are not stored: they are computed when asked for,
    from the structures and the descriptor that are kept here.

    Parameters
    ----------
    values : ndarray of shape (n_centers, n_features)
        One row per center.
    structures : Structures
        The structures described.
    centers : ndarray of shape (n_centers,)
        Index of each center among all atoms of `structures`, ascending.
    offsets : ndarray of shape (n_structures + 1,)
        Structure `s` owns the rows ``offsets[s]`` to ``offsets[s + 1]``.
    descriptor : AtomicDescriptor
        Computes derivatives.

    Attributes
    ----------
    values, structures, centers, offsets, descriptor
        As given.
    species : ndarray of shape (n_centers,)
        Atomic number of each center.
    """

    def __init__(
        self,
        values: np.ndarray,
        structures: Structures,
        centers: ArrayLike,
        offsets: ArrayLike,
        descriptor: AtomicDescriptor,
    ) -> None:
        self.values = values
        self.structures = structures
        self.centers = np.asarray(centers, dtype=np.intp)
        self.offsets = np.asarray(offsets, dtype=np.intp)
        self.descriptor = complete(descriptor)
        check_indices("centers", self.centers, len(structures.numbers))
        self.species = structures.numbers[self.centers]

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_structures, n_features)``; scikit-learn slices what has a shape."""
        return (len(self), self.values.shape[1])

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    @property
    def n_atoms(self) -> np.ndarray:
        """Number of atoms of each structure, ndarray of shape (n_structures,)."""
        return self.structures.n_atoms

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    def __repr__(self):
        n_centers, n_features = self.values.shape
        return f"AtomicFeatures({len(self)} structures, {n_centers} centers, {n_features} features)"

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        key = normalize_key(key, len(self))
        if isinstance(key, int):
            return self.values[self.offsets[key] : self.offsets[key + 1]]
        if isinstance(key, slice):
            rows = slice(self.offsets[key.start], self.offsets[key.stop])
            offsets = self.offsets[key.start : key.stop + 1] - self.offsets[key.start]
            centers = self.centers[rows] - self.structures.offsets[key.start]
        else:
            rows, offsets = segments_to_indices(self.offsets, key)
            _, atom_offsets = segments_to_indices(self.structures.offsets, key)
            local = self.centers[rows] - np.repeat(
                self.structures.offsets[:-1][key], np.diff(offsets)
            )
            centers = local + np.repeat(atom_offsets[:-1], np.diff(offsets))
        return AtomicFeatures(
            self.values[rows], self.structures[key], centers, offsets, self.descriptor
        )

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "AtomicFeatures hold one block of rows per structure, which is no rectangular array; "
            "take .values for the rows of all centers, or pooling='mean' or 'sum' in the "
            "transformer for one row per structure"
        )

    def __array_function__(self, function, types, args, kwargs):
        side_by_side = function is np.hstack or (
            function is np.concatenate and (kwargs.get("axis") == 1 or args[1:] == (1,))
        )
        if not side_by_side:
            return NotImplemented
        return join(args[0])

    @property
    def blocks(self) -> tuple[slice, ...]:
        """Columns of each of the descriptors joined by ``np.hstack``, tuple of slices."""
        if isinstance(self.descriptor, JoinedDescriptor):
            return self.descriptor.blocks
        return (slice(0, self.values.shape[1]),)

    def block(self, index: int) -> AtomicFeatures:
        """Return the features of one of the descriptors that were joined.

        Parameters
        ----------
        index : int
            Its position among :attr:`blocks`.

        Returns
        -------
        AtomicFeatures
            Of the same structures; their values are a view.
        """
        if len(self.blocks) == 1:
            return self
        return AtomicFeatures(
            self.values[:, self.blocks[index]], self.structures, self.centers, self.offsets,
            self.descriptor.descriptors[index],
        )

    def search_objectives(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Objectives of a search for atomic features that train no model.

        Parameters
        ----------
        metadata : dict
            What fit is given besides the targets, such as ``forces``.

        Returns
        -------
        dict of str to callable
            From targets to a score, by the name of the objective.
        """
        return search_objectives(self, metadata)

    def vjp(self, g: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Contract the derivatives of the descriptors with a cotangent.

        Parameters
        ----------
        g : ndarray of shape (n_centers, n_features)
            Derivative of a scalar function E of the descriptors, dE/dp.

        Returns
        -------
        gradient : ndarray of shape (n_atoms, 3)
            dE/dr for every atom of `structures`; the forces are its negative.
        strain_gradient : ndarray of shape (n_structures, 3, 3)
            dE/d(strain), each structure's own; the virial is its negative.
        """
        return self.descriptor.vjp(self, g)

    def jacobian(self, strain: bool = False) -> Jacobian:
        """Derivatives of all features by the positions, explicitly.

        What only needs a contraction of them is far cheaper by :meth:`vjp`.

        Parameters
        ----------
        strain : bool, default=False
            Whether to compute derivatives by the strain too.

        Returns
        -------
        Jacobian
            Blocks (center, moved atom, 3, features) without the zeros.

        Raises
        ------
        ValueError
            If they would not fit into memory.
        """
        return self.descriptor.jacobian(self, strain)

    def gradient_rows(self, Q: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of many linear functions of the descriptors at once.

        For each m, the derivatives of ``sum_i weights[i, m] * (values[i] @ Q[m])`` with
        `weights` held fixed: the rows that forces and virials add to a sparse Gaussian
        process.

        Parameters
        ----------
        Q : ndarray of shape (n_rows, n_features)
            Coefficients of the linear functions, such as sparse points.
        weights : ndarray of shape (n_centers, n_rows)
            Weight of each center; a center whose weights are all zero costs nothing.

        Returns
        -------
        gradient : ndarray of shape (n_atoms, 3, n_rows)
            Derivatives with respect to the positions.
        strain_gradient : ndarray of shape (n_structures, 3, 3, n_rows)
            Derivatives with respect to each structure's strain.
        """
        return self.descriptor.gradient_rows(self, Q, weights)
