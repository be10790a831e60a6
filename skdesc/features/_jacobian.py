"""``Jacobian``: explicit derivatives of atomic features, in sparse form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Blocks:
    """Derivatives with respect to atoms of one element, which all change the same features.

    Attributes
    ----------
    center : ndarray of shape (n_blocks,)
        Row of the features: whose derivative it is.
    atom : ndarray of shape (n_blocks,)
        By whose position, as an index among all atoms.
    columns : ndarray of shape (n_columns,)
        Features that depend on this kind of atom, before normalization.
    values : ndarray of shape (n_blocks, 3, n_columns)
        Derivatives of those features, in 1/angstrom.
    along : ndarray of shape (n_blocks, 3)
        What normalization takes away along the features, see `Jacobian`.
    """

    center: np.ndarray
    atom: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    along: np.ndarray


class Jacobian:
    r"""Derivatives of the features of centers with respect to positions of atoms.

    A neighbor of species s changes only features that have s in them. Normalization couples
    all features of a center again, but by an outer product only: for the feature vector p of
    unit length,

    .. math::

        \frac{\partial p_f}{\partial r_{ja}} = v_{jaf} - w_{ja}\, p_f

    where v is zero but for the columns of j's species. So v and w are kept, in blocks by
    species; :meth:`dense` puts them together.

    Parameters
    ----------
    features : ndarray of shape (n_centers, n_features)
        The features p.
    blocks : list of Blocks
        Every neighbor's derivatives, by groups, then those by the centers' own positions. A
        neighbor that is an image of the center has a block of its own; blocks of the same
        center and atom add up.
    n_atoms : int
        Number of atoms.
    strain : ndarray of shape (n_centers, 3, 3, n_features), default=None
        Derivatives by the strain of each center's structure, if asked for.

    Attributes
    ----------
    features, blocks, n_atoms, strain
        As given.
    """

    def __init__(
        self,
        features: np.ndarray,
        blocks: Sequence[Blocks],
        n_atoms: int,
        strain: np.ndarray | None = None,
    ) -> None:
        self.features = features
        self.blocks = blocks
        self.n_atoms = n_atoms
        self.strain = strain

    def __repr__(self):
        n_centers, n_features = self.features.shape
        n_blocks = sum(len(part.center) for part in self.blocks)
        return (f"Jacobian({n_centers} centers, {self.n_atoms} atoms, {n_features} features, "
                f"{n_blocks} blocks, {self.nbytes / 1e6:.1f} MB)")

    @property
    def nbytes(self) -> int:
        """Memory of the blocks, in bytes."""
        return sum(part.values.nbytes + part.along.nbytes for part in self.blocks)

    def dense(self) -> np.ndarray:
        """Derivatives as one array; for small systems.

        Returns
        -------
        ndarray of shape (n_centers, n_atoms, 3, n_features)
            Derivatives of every center's features by every atom's position.
        """
        n_centers, n_features = self.features.shape
        result = np.zeros((n_centers, self.n_atoms, 3, n_features))
        for part in self.blocks:
            values = np.zeros((len(part.center), 3, n_features))
            values[:, :, part.columns] = part.values
            values -= part.along[:, :, None] * self.features[part.center, None, :]
            np.add.at(result, (part.center, part.atom), values)
        return result

    def vjp(self, g: np.ndarray) -> np.ndarray:
        """Contract with a cotangent.

        Parameters
        ----------
        g : ndarray of shape (n_centers, n_features)
            dE/d(features).

        Returns
        -------
        ndarray of shape (n_atoms, 3)
            dE/dr; :meth:`skdesc.AtomicFeatures.vjp` gives the same without any Jacobian.
        """
        gradient = np.zeros((self.n_atoms, 3))
        weights = np.einsum("if,if->i", g, self.features)
        for part in self.blocks:
            rows = np.einsum("baf,bf->ba", part.values, g[part.center[:, None], part.columns])
            rows -= part.along * weights[part.center, None]
            np.add.at(gradient, part.atom, rows)
        return gradient
