r"""Predictions of a fit: energies, their derivatives, their uncertainty.

Before any data, the variance of a force component with :math:`J_i = \partial p_i / \partial r` is

.. math::
    \delta^2 \sum_{ij} \left[k'(D_{ij}) J_i \cdot J_j
    + k''(D_{ij}) (J_i \cdot p_j) (p_i \cdot J_j)\right], \qquad
    D_{ij} = p_i \cdot p_j, \quad k(D) = D^\zeta,

over pairs of centers of the same species. It is the one place that needs derivatives of
descriptors explicitly, which leave out zeros.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..least_squares import PowerCovariance, leave_one_out, leave_one_out_by_covariance
from ..utils.threads import ordered_map
from ._memory import bytes_per_structure
from ._rows import LocalEnergies, derivative_rows, energy_rows, split_by_cost
from ._targets import QUANTITIES

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
    covariances : list of Covariance
        That of each term.
    posterior : Posterior or Weights
        Weights and their covariance.
    """

    def __init__(self, elements, e0, points, covariances, posterior):
        self.elements, self.e0 = elements, e0
        self.points, self.covariances, self.posterior = points, covariances, posterior

    @property
    def zetas(self):
        """Exponent of each term, or its covariance where that is no power."""
        return [
            covariance.zeta if type(covariance) is PowerCovariance else covariance
            for covariance in self.covariances
        ]

    @cached_property
    def local(self):
        """Energies of environments as functions of their features."""
        return self.local_within(0.0)

    def local_within(self, tolerance):
        """Energies of environments, approximated for speed.

        Parameters
        ----------
        tolerance : float
            Error of each that is allowed, in eV.

        Returns
        -------
        LocalEnergies
            As functions of their features.
        """
        return LocalEnergies(self.points, self.posterior.weights, self.covariances, tolerance)

    def energies(self, environments, *, gradient=False, n_threads=1):
        """Energies of structures, and their derivatives by the descriptors.

        Parameters
        ----------
        environments : Environments
            The structures.
        gradient : bool, default=False
            Whether to return derivatives too.
        n_threads : int, default=1
            Threads that share out the environments.

        Returns
        -------
        energies : ndarray of shape (n_structures,)
            Total energies, in eV.
        gradient : ndarray of shape (n_centers, n_features) or None
            In eV.
        """
        local, g = self._local(environments, gradient, n_threads)
        # cumulative sums would mix up the digits of all structures
        energies = np.add.reduceat(np.append(local, 0.0), environments.offsets[:-1])
        energies[np.diff(environments.offsets) == 0] = 0.0
        return energies + environments.composition(self.elements) @ self.e0, g

    def energies_and_derivatives(
        self, environments, *, forces=False, virials=False, n_threads=1
    ):
        """Energies of structures, and forces and virials on demand.

        Parameters
        ----------
        environments : Environments
            The structures.
        forces, virials : bool, default=False
            Whether to return these as well.
        n_threads : int, default=1
            Threads that share out the environments.

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
            return self.energies(environments, n_threads=n_threads)[0], None, None
        environments.require_structures()
        energies, g = self.energies(environments, gradient=True, n_threads=n_threads)
        gradient, strain = environments.features.vjp(g)
        split = np.split(-gradient, environments.structures.offsets[1:-1])
        symmetric = -0.5 * (strain + strain.swapaxes(1, 2))
        return energies, split if forces else None, symmetric if virials else None

    def local_energies(self, environments, n_threads=1):
        """Energies of environments, those of single atoms included.

        Parameters
        ----------
        environments : Environments
            The environments.
        n_threads : int, default=1
            Threads that share them out.

        Returns
        -------
        ndarray of shape (n_centers,)
            In eV.
        """
        code = np.searchsorted(self.elements, environments.species)
        return self._local(environments, False, n_threads)[0] + self.e0[code]

    def _local(self, environments, gradient, n_threads):
        values = environments.values
        energies = np.zeros(len(values))
        g = np.zeros(values.shape) if gradient else None
        for block, columns in enumerate(environments.blocks):
            slopes = g[:, columns] if gradient else None
            self.local.add(
                block, values[:, columns], environments.species, energies, slopes, n_threads
            )
        return energies, g

    def std(self, environments, n_threads=1):
        """Standard deviations of total energies, covariances between atoms included.

        Parameters
        ----------
        environments : Environments
            The structures.
        n_threads : int, default=1
            Threads that share them out.

        Returns
        -------
        ndarray of shape (n_structures,)
            In eV, without noise.
        """

        def variance(part):
            rows = energy_rows(plain[part], self.points, self.covariances)
            return self.posterior.variance(rows, prior_variances(plain[part], self.covariances))

        plain = environments.without_derivatives()
        parts = self._parts(plain, _BATCH_BYTES)
        return np.sqrt(np.concatenate(list(ordered_map(variance, parts, n_threads))))

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
        for part in self._parts(plain, batch_bytes):
            yield part, plain[part], energy_rows(plain[part], self.points, self.covariances)

    def _parts(self, plain, batch_bytes):
        costs = bytes_per_structure(plain, self.points, False, False)
        # rows, and what variances take
        return split_by_cost(costs + 3 * 8.0 * len(self.points), batch_bytes)


def prior_variances(environments, covariances):
    """Variances of total energies before any data, covariances between atoms included.

    Parameters
    ----------
    environments : Environments
        The structures.
    covariances : sequence of Covariance
        That of each term.

    Returns
    -------
    ndarray of shape (n_terms, n_structures)
        Those of each term, for a scale of energies of 1.
    """
    return np.array([
        _prior_variances(environments, environments.values[:, columns], covariance)
        for columns, covariance in zip(environments.blocks, covariances, strict=True)
    ])


def _prior_variances(environments, values, covariance):
    if (np.diff(environments.offsets) == 1).all():
        return covariance.diagonal(values)
    result = np.zeros(len(environments))
    for index in range(len(environments)):
        rows = slice(environments.offsets[index], environments.offsets[index + 1])
        for z in np.unique(environments.species[rows]):
            block = values[rows][environments.species[rows] == z].astype(np.float64)
            for start in range(0, len(block), _CHUNK):
                part = block[start : start + _CHUNK]
                result[index] += covariance.matrix(part, block).sum()
    return result


def leave_one_out_energies(model, accumulator, environments, targets, batch_bytes):
    """Leave-one-out residuals of energies, in closed form.

    Parameters
    ----------
    model : Model
        The fit.
    accumulator : Accumulator
        What the model has seen: nothing but these structures.
    environments : Environments
        The structures.
    targets : Targets
        Their energies and relative noise.
    batch_bytes : float
        Memory for the rows of a batch.

    Returns
    -------
    residuals : ndarray of shape (n_structures,)
        Energy minus prediction, in eV; NaN where the energy is not known.
    expected : ndarray of shape (n_structures,)
        Their standard deviations, as the model expects them.
    """
    posterior, observations = model.posterior, accumulator.observations
    noise = targets.relative_noise[:, 0] * np.sqrt(environments.n_atoms)
    noise *= posterior.noise[QUANTITIES[0]]
    residuals = targets.energies - environments.composition(model.elements) @ model.e0
    batches = model.energy_rows_in_batches(environments, batch_bytes)
    if len(residuals) > len(model.points):
        rows = ((part, rows) for part, _, rows in batches)
        return leave_one_out(posterior, rows, residuals, noise)
    rows = np.concatenate([rows for _, _, rows in batches])
    known = np.isfinite(residuals)
    others = [name for name in observations.triangles if name != QUANTITIES[0]]
    expected = np.full_like(residuals, np.nan)
    residuals[known], expected[known] = leave_one_out_by_covariance(
        posterior, observations, observations.subtract_mean(model.e0, others),
        rows[known], residuals[known], noise[known],
    )
    return residuals, expected


def forces_std(model, environments):
    """Standard deviations of force components.

    Parameters
    ----------
    model : Model
        The fit.
    environments : Environments
        The structures; they know their derivatives.

    Returns
    -------
    list of ndarray of shape (n_atoms, 3)
        In eV/angstrom, without noise.
    """
    result = []
    for index in range(len(environments)):
        one = environments[slice(index, index + 1)]
        _, rows, _ = derivative_rows(one, model.points, model.covariances, virials=False)
        variance = model.posterior.variance(rows, prior_force_variances(one, model.covariances))
        result.append(np.sqrt(variance).reshape(-1, 3))
    return result


def prior_force_variances(environments, covariances):
    """Variances of the force components of one structure before any data.

    Parameters
    ----------
    environments : Environments
        One structure.
    covariances : sequence of Covariance
        That of each term.

    Returns
    -------
    ndarray of shape (n_terms, 3 * n_atoms)
        Those of each term, for a scale of energies of 1.
    """
    return np.array([
        _prior_force_variances(environments.features.block(term), covariance)
        for term, covariance in enumerate(covariances)
    ])


def _prior_force_variances(features, covariance):
    values = np.asarray(features.values, dtype=np.float64)
    dot = values @ values.T
    same = features.species[:, np.newaxis] == features.species
    first, second = same * covariance.slope(dot), same * covariance.curvature(dot)
    result = np.zeros((int(features.n_atoms[0]), 3))
    for atom, near, J in _jacobians_by_atom(features):
        pairs = np.ix_(near, near)
        for axis in range(3):
            gram = J[:, axis] @ J[:, axis].T
            across = J[:, axis] @ values[near].T
            result[atom, axis] = (first[pairs] * gram).sum()
            result[atom, axis] += (second[pairs] * across * across.T).sum()
    return result.reshape(-1)


def _jacobians_by_atom(features):
    """Yield each atom, the centers that see it, and derivatives of these by its position."""
    n_atoms, n_features = int(features.n_atoms[0]), features.values.shape[1]
    parts = features.jacobian().blocks
    orders = [np.argsort(part.atom, kind="stable") for part in parts]
    ends = [
        np.searchsorted(part.atom[order], np.arange(n_atoms + 1))
        for part, order in zip(parts, orders, strict=True)
    ]
    for atom in range(n_atoms):
        own = [order[end[atom] : end[atom + 1]] for order, end in zip(orders, ends, strict=True)]
        near = np.unique(
            np.concatenate([part.center[rows] for part, rows in zip(parts, own, strict=True)])
        )
        J = np.zeros((len(near), 3, n_features))
        for part, rows in zip(parts, own, strict=True):
            place = np.searchsorted(near, part.center[rows])
            values = np.zeros((len(rows), 3, n_features))
            values[:, :, part.columns] = part.values[rows]
            values -= part.along[rows, :, np.newaxis] * features.values[near[place], np.newaxis]
            np.add.at(J, place, values)  # several images of an atom may be near one center
        yield atom, near, J
