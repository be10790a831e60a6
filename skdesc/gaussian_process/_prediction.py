"""Predictions of a fit: energies, their derivatives, their uncertainty."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..least_squares import PowerCovariance, leave_one_out, leave_one_out_by_covariance
from ..utils.threads import ordered_map
from ._memory import bytes_per_structure
from ._rows import (
    LocalEnergies,
    derivative_rows,
    energy_rows,
    prior_force_variances,
    prior_variances,
    split_by_cost,
)
from ._targets import QUANTITIES, UNCALIBRATED

_BATCH_BYTES = 2**26


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
    sample : CalibrationSample, callable or None, default=None
        What variances are calibrated on when they are first needed, or what makes it.
    """

    def __init__(self, elements, e0, points, covariances, posterior, sample=None):
        self.elements, self.e0 = elements, e0
        self.points, self.covariances, self.posterior = points, covariances, posterior
        self.sample = sample

    @cached_property
    def calibration(self):
        """Factors of the parts of variances of each quantity, dict of str to ndarray."""
        if self.sample is None:
            return UNCALIBRATED
        return (self.sample() if callable(self.sample) else self.sample).calibrate(self)

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
            return factors @ self.posterior.variances(
                rows, prior_variances(plain[part], self.covariances)
            )

        plain, factors = environments.without_derivatives(), self.calibration[QUANTITIES[0]]
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
    noise = targets.noise_of_structures(environments.n_atoms)[:, 0]
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
    *factors, constant = model.calibration["forces"]
    result = []
    costs = bytes_per_structure(environments, model.points, True, False)
    for part in split_by_cost(costs, _BATCH_BYTES):
        batch = environments[part]
        _, rows, _ = derivative_rows(batch, model.points, model.covariances, virials=False)
        prior = np.concatenate([
            prior_force_variances(batch[slice(index, index + 1)], model.covariances)
            for index in range(len(batch))
        ], axis=1)
        variances = factors @ model.posterior.variances(rows, prior) + constant
        result += np.split(np.sqrt(variances).reshape(-1, 3), np.cumsum(batch.n_atoms)[:-1])
    return result
