"""What a fit predicts: energies, their derivatives, their uncertainty."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ._covariance import covariance_matrix, dot_power
from ._local_energies import LocalEnergies
from ._rows import batches, bytes_per_structure, energy_rows

_BATCH_BYTES = 2**26
_CHUNK = 1024


class Model:
    """A sparse Gaussian process after its fit.

    Parameters
    ----------
    elements : ndarray of shape (n_elements,)
        Atomic numbers, ascending.
    e0 : ndarray of shape (n_elements,)
        Energies of single atoms.
    points : SparsePoints
        The sparse points.
    posterior : Posterior
        Weights and their covariance.
    """

    def __init__(self, elements, e0, points, posterior):
        self.elements, self.e0 = elements, e0
        self.points, self.posterior = points, posterior
        self.zetas = posterior.prior.zetas

    @cached_property
    def local(self):
        """Energies of environments as functions of their features."""
        return LocalEnergies(self.points, self.posterior.weights, self.zetas)

    def energies(self, environments, *, gradient=False):
        """Energies of structures, and their derivatives by the descriptors.

        Parameters
        ----------
        environments : Environments
            The structures.
        gradient : bool, default=False
            Whether to return derivatives too.

        Returns
        -------
        energies : ndarray of shape (n_structures,)
            Total energies, in eV.
        gradient : ndarray of shape (n_centers, n_features) or None
            In eV.
        """
        local, g = self._local(environments, gradient)
        # cumulative sums would mix up the digits of all structures
        energies = np.add.reduceat(np.append(local, 0.0), environments.offsets[:-1])
        energies[np.diff(environments.offsets) == 0] = 0.0
        return energies + environments.composition(self.elements) @ self.e0, g

    def energies_and_derivatives(self, environments, *, forces=False, virials=False):
        """Energies of structures, and forces and virials on demand.

        Parameters
        ----------
        environments : Environments
            The structures.
        forces, virials : bool, default=False
            Whether to return these as well.

        Returns
        -------
        energies : ndarray of shape (n_structures,)
            Total energies, in eV.
        forces : list of ndarray of shape (n_atoms, 3) or None
            In eV/angstrom.
        virials : ndarray of shape (n_structures, 3, 3) or None
            -dE/d(strain), in eV.
        """
        if not (forces or virials):
            return self.energies(environments)[0], None, None
        environments.require_structures()
        energies, g = self.energies(environments, gradient=True)
        gradient, strain = environments.features.vjp(g)
        split = np.split(-gradient, environments.structures.offsets[1:-1])
        symmetric = -0.5 * (strain + strain.swapaxes(1, 2))
        return energies, split if forces else None, symmetric if virials else None

    def local_energies(self, environments):
        """Energies of environments, those of single atoms included.

        Parameters
        ----------
        environments : Environments
            The environments.

        Returns
        -------
        ndarray of shape (n_centers,)
            In eV.
        """
        code = np.searchsorted(self.elements, environments.species)
        return self._local(environments, False)[0] + self.e0[code]

    def _local(self, environments, gradient):
        values = environments.values
        energies = np.zeros(len(values))
        g = np.zeros(values.shape) if gradient else None
        for block, columns in enumerate(environments.blocks):
            slopes = g[:, columns] if gradient else None
            self.local.add(block, values[:, columns], environments.species, energies, slopes)
        return energies, g

    def std(self, environments):
        """Standard deviations of total energies, covariances between atoms included.

        Parameters
        ----------
        environments : Environments
            The structures.

        Returns
        -------
        ndarray of shape (n_structures,)
            In eV, without noise.
        """
        variance = np.empty(len(environments))
        for part, batch, rows in self.energy_rows_in_batches(environments):
            before = prior_variances(batch, self.zetas)
            variance[part] = self.posterior.variance(rows, before)
        return np.sqrt(variance)

    def energy_rows_in_batches(self, environments, batch_bytes=_BATCH_BYTES):
        """Covariances of total energies with the sparse points, batch by batch.

        Parameters
        ----------
        environments : Environments
            The structures.
        batch_bytes : int
            Memory for the rows of a batch and variances from them.

        Yields
        ------
        part : slice
            Structures of the batch.
        batch : Environments
            They themselves, without derivatives.
        rows : ndarray of shape (n_batch, n_points)
            Where the scale of energies is 1.
        """
        plain = environments.without_derivatives()
        costs = bytes_per_structure(plain, self.points, False, False)
        # rows, and what variances take
        costs += 3 * 8.0 * len(self.points)
        for part in batches(costs, batch_bytes):
            yield part, plain[part], energy_rows(plain[part], self.points, self.zetas)


def prior_variances(environments, zeta):
    """Variances of total energies before any data, covariances between atoms included.

    Parameters
    ----------
    environments : Environments
        The structures.
    zeta : float or sequence of float
        Exponent, or that of each block.

    Returns
    -------
    ndarray of shape (n_blocks, n_structures)
        Those of each block, where the scale of energies is 1.
    """
    zetas = np.broadcast_to(zeta, len(environments.blocks))
    return np.array([
        _prior_variances(environments, environments.values[:, columns], zeta)
        for columns, zeta in zip(environments.blocks, zetas, strict=True)
    ])


def _prior_variances(environments, values, zeta):
    if (np.diff(environments.offsets) == 1).all():
        return dot_power(np.einsum("ij,ij->i", values, values, dtype=np.float64), zeta)
    result = np.zeros(len(environments))
    for index in range(len(environments)):
        rows = slice(environments.offsets[index], environments.offsets[index + 1])
        for z in np.unique(environments.species[rows]):
            block = values[rows][environments.species[rows] == z].astype(np.float64)
            for start in range(0, len(block), _CHUNK):
                part = block[start : start + _CHUNK]
                result[index] += covariance_matrix(part, block, zeta).sum()
    return result
