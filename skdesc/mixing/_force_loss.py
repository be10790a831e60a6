r"""Errors of forces as a function of the mixing weights.

With the coefficients a of a linear model, E = sum_i p_i . a, forces are -dE/dr and what they lack
is a displacement of all atoms, rho. For a held fixed, the derivative of |f + dE/dr|^2 / N by the
weights is 2/N that of rho . dE/dr, the change of E along rho. A displacement changes the density
coefficients by dc, weights mix both c and dc, and so one pass over centers, with the adjoint of
the invariants and its change, gives the derivative: no mixed second derivatives are formed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..features import AtomicFeatures
from ..invariants import gradient_rows, pull_back
from ..invariants._environments import neighborhoods
from ..structures import Structures
from ..utils.indexing import runs, segments_to_indices
from ..utils.threads import ordered_map

BATCH_BYTES = 64e6
"""Bytes of derivatives of features that are held at a time, unless one structure needs more."""


class _Part(NamedTuple):
    """Structures with forces, for training or validation."""

    structures: Structures
    atoms: np.ndarray
    """Their atoms among those of all structures."""
    forces: np.ndarray
    """(n_atoms, 3), NaN where they are not known."""

    @property
    def n_known(self):
        """Number of force components."""
        return int(np.isfinite(self.forces).sum())


class ForceTerm:
    """Errors of forces for changing weights.

    Parameters
    ----------
    descriptor : TensorReducedDescriptor
        The descriptor, with any weights.
    packed : PackedCoefficients
        Density coefficients of all atoms.
    structures : Structures
        The structures.
    forces : ndarray of shape (n_atoms, 3)
        The forces; NaN where they are not known.
    validation : ndarray of bool of shape (n_structures,)
        Structures that are not trained on.

    Attributes
    ----------
    mean_square : float
        Of the forces of the training structures.
    """

    def __init__(self, descriptor, packed, structures, forces, validation):
        self.descriptor, self.packed = descriptor, packed
        self.expansion = descriptor.density_expansion
        known = np.logical_or.reduceat(np.isfinite(forces).any(axis=1), structures.offsets[:-1])
        self.parts = []
        for mask in (~validation & known, validation & known):
            index = np.flatnonzero(mask)
            atoms, _ = segments_to_indices(structures.offsets, index)
            self.parts.append(_Part(structures[index], atoms, forces[atoms]))
        self.train = self.parts[0]
        if not self.train.n_known:
            raise ValueError(
                "weights='learned' got no finite forces of any structure that it learns from; "
                "give forces of more structures, or none at all"
            )
        self.mean_square = np.nanmean(self.train.forces**2)
        self.changes = np.zeros((
            len(packed.species), self.expansion.n_lm, self.expansion.n_max
        ))
        self.is_displaced = np.zeros(packed.n_centers, dtype=bool)
        self.is_displaced[self.train.atoms] = True

    def set_weights(self, columns, rows):
        """Change the weights.

        Parameters
        ----------
        columns : ndarray
            The weights as the expansion takes them.
        rows : ndarray of shape (n_centers, n_features)
            Features of all centers with these.
        """
        self.descriptor = self.descriptor.with_weights(columns)
        self.rows = rows

    def normal_equations(self):
        """Matrix and right-hand side of the least squares fit of the training forces, over N."""
        n_features = self.rows.shape[1]
        matrix, target = np.zeros((n_features, n_features)), np.zeros(n_features)
        structures = self.train.structures
        for part in runs(structures.offsets, int(BATCH_BYTES / (24 * n_features))):
            atoms = slice(structures.offsets[part.start], structures.offsets[part.stop])
            batch = structures[part]
            features = AtomicFeatures(
                self.rows[self.train.atoms[atoms]], batch, np.arange(len(batch.positions)),
                batch.offsets, self.descriptor,
            )
            gradient, _ = gradient_rows(
                self.descriptor, features, None, np.ones((len(batch.positions), n_features))
            )
            forces = self.train.forces[atoms].ravel()
            known = np.isfinite(forces)
            G = -gradient.reshape(-1, n_features)[known]
            matrix += G.T @ G
            target += G.T @ forces[known]
        return matrix / self.train.n_known, target / self.train.n_known

    def residuals(self, a):
        """Residuals of the training forces in a linear model, and root mean square errors.

        Parameters
        ----------
        a : ndarray of shape (n_features,)
            Coefficients of the model.

        Returns
        -------
        left : ndarray of shape (n_atoms, 3)
            Of the training structures; 0 where forces are not known.
        errors : list of float
            Root mean squares, of training and validation structures.
        """
        residuals, errors = [], []
        for part in self.parts:
            cotangents = np.broadcast_to(a, (len(part.atoms), len(a)))
            left = part.forces
            if len(part.atoms):
                gradient, _ = pull_back(
                    self.descriptor, part.structures, np.arange(len(part.atoms)),
                    part.structures.offsets, cotangents,
                )
                left = np.nan_to_num(part.forces + gradient)
            residuals.append(left)
            errors.append(np.sqrt((left**2).sum() / max(part.n_known, 1)))
        return residuals[0], errors

    def coefficient_change(self, left, factor):
        """Change of the density coefficients along the residuals of the training forces.

        Parameters
        ----------
        left : ndarray of shape (n_atoms, 3)
            As `residuals` gives it.
        factor : float
            Factor of the displacement.

        Returns
        -------
        change : ndarray of shape (n_blocks, (l_max + 1)^2, n_max)
            Laid out as the packed coefficients.
        is_displaced : ndarray of bool of shape (n_centers,)
            Centers whose coefficients change.
        """
        displacement = factor / self.train.n_known * left
        structures = self.train.structures
        offsets, species = np.asarray(self.packed.offsets), np.asarray(self.packed.species)
        n_extra = 3 * self.expansion.n_lm * self.expansion.n_pad

        def compute(batch):
            pairs, part = batch.pairs(), batch.part
            of_batch = displacement[structures.offsets[part.start] : structures.offsets[part.stop]]
            moves = of_batch[pairs.neighbor]
            moves -= np.repeat(of_batch[batch.centers], np.diff(pairs.offsets), axis=0)
            centers = self.train.atoms[batch.rows]
            batch.environments(pairs, True, n_extra, self.expansion).changes_of_coefficients(
                moves, offsets[centers], offsets[centers + 1], species, self.changes
            )

        batches = neighborhoods(
            self.descriptor, structures, np.arange(len(left)), structures.offsets
        )
        for _ in ordered_map(compute, batches, self.descriptor.n_threads):
            pass
        return self.changes, self.is_displaced
