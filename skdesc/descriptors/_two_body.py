"""Sums of functions of the distances of pairs, with their derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import sparse

from ..density import check_limits
from ..features import AtomicDescriptor, Blocks, Jacobian
from ..invariants._scatter_cy import scatter
from ..neighbors import bound_neighbors, find_pairs
from ..utils.indexing import runs
from ..utils.memory import check_fits_memory
from ..utils.threads import effective_n_threads

# arrays of all pairs of a batch stay below this
_BATCH_BYTES = 2**22
# of a pair itself, and of the sparse matrices that add up pairs
_BYTES_PER_PAIR = 250


@dataclass(frozen=True)
class TwoBodyDescriptor(AtomicDescriptor):
    """Values and derivatives of the pair features, for one set of parameters.

    Parameters
    ----------
    species : ndarray of shape (n_species,)
        Atomic numbers, ascending.
    cutoff, cutoff_width, gaussian_width : float
        In angstrom.
    nodes : ndarray of shape (n_gaussians,)
        Centers of the Gaussians, in angstrom.
    n_jobs : int or None
        Threads of the neighbor search.
    """

    species: np.ndarray
    cutoff: float
    cutoff_width: float
    gaussian_width: float
    nodes: np.ndarray
    n_jobs: int | None = None

    def __post_init__(self):
        check_limits(
            cutoff=self.cutoff, cutoff_width=self.cutoff_width, gaussian_width=self.gaussian_width
        )

    _saved_with_estimator: ClassVar = True  # which looks at the arguments in a file first

    @property
    def n_features(self):
        """Length of a row."""
        return len(self.species) * len(self.nodes)

    def workspace_bytes(self, structures, n_rows):
        """Bound of what :meth:`gradient_rows` takes beside its result."""
        n_neighbors = bound_neighbors(structures, self.cutoff)[0]
        # no batch is smaller than a structure
        in_batch = max(_BATCH_BYTES / (16 * n_rows), n_neighbors * structures.n_atoms.max())
        n_pairs = min(in_batch, n_neighbors * len(structures.positions))
        of_pairs = n_pairs * (_BYTES_PER_PAIR + 8 * len(self.nodes))
        return int(of_pairs + min(2 * _BATCH_BYTES, 24 * n_pairs * n_rows))

    def describe(self, structures):
        """Features of all atoms, ndarray of shape (n_atoms, n_features)."""
        values = np.empty((len(structures.positions), self.n_features))
        for part, atoms in self._batches(structures, len(self.nodes)):
            pairs = _Pairs(self, structures[part])
            summed = pairs.sums_of_slots() @ self.radial(pairs.distance)[0]
            values[atoms] = summed.reshape(-1, self.n_features)
        return values

    def differentiate_energies(self, structures, centers, offsets, energy_slopes):
        """Values and derivatives in one go; see ``invariants.differentiate_energies``."""
        n_gaussians = len(self.nodes)
        gradient = np.zeros((len(structures.positions), 3))
        strain_gradient, shortest = np.zeros((len(centers), 3, 3)), np.inf
        for part, atoms in self._batches(structures, 2 * n_gaussians):
            pairs = _Pairs(self, structures[part])
            radial, slope = self.radial(pairs.distance)
            values = (pairs.sums_of_slots() @ radial).reshape(-1, self.n_features)
            slopes = energy_slopes(atoms, values).reshape(-1, n_gaussians)
            by_distance = np.einsum("pk,pk->p", slope, slopes[pairs.slot])
            own = np.arange(len(values))
            scatter(
                pairs.offsets, pairs.neighbor, pairs.displacement, own, own,
                (by_distance / pairs.distance)[:, np.newaxis] * pairs.displacement,
                gradient[atoms], strain_gradient[atoms],
            )
            shortest = np.minimum.reduce(pairs.distance, initial=shortest)
        return gradient, strain_gradient, shortest

    def vjp(self, features, g):
        """Contract the derivatives with a cotangent; see ``AtomicFeatures.vjp``."""
        structures, n_gaussians = features.structures, len(self.nodes)
        g = np.asarray(g, dtype=np.float64).reshape(-1, n_gaussians)
        gradient = np.empty_like(structures.positions)
        strain = np.empty((len(structures), 3, 3))
        for part, atoms in self._batches(structures, 2 * n_gaussians):
            pairs = _Pairs(self, structures[part])
            start = atoms.start * len(self.species)
            slopes = np.einsum("pk,pk->p", self.radial(pairs.distance)[1], g[start + pairs.slot])
            of_positions, of_strain = pairs.spread(slopes[:, np.newaxis])
            gradient[atoms], strain[part] = of_positions[..., 0], of_strain[..., 0]
        return gradient, strain

    def gradient_rows(self, features, Q, weights):
        """Derivatives of many functions; see ``AtomicFeatures.gradient_rows``."""
        structures, n_rows = features.structures, len(Q)
        by_species = np.asarray(Q, dtype=np.float64).reshape(n_rows, len(self.species), -1)
        gradient = np.empty((len(structures.positions), 3, n_rows))
        strain = np.empty((len(structures), 3, 3, n_rows))
        for part, atoms in self._batches(structures, 2 * n_rows):
            pairs = _Pairs(self, structures[part])
            derivatives = self.radial(pairs.distance)[1]
            # three arrays of pairs and functions; of a large structure, some functions at a time
            step = max(1, int(2 * _BATCH_BYTES / (24 * max(1, len(pairs.slot)))))
            for some in (slice(start, start + step) for start in range(0, n_rows, step)):
                slopes = weights[atoms, some][pairs.center]
                for index in range(len(self.species)):
                    mine = np.flatnonzero(pairs.slot % len(self.species) == index)
                    slopes[mine] *= derivatives[mine] @ by_species[some, index].T
                gradient[atoms, :, some], strain[part, :, :, some] = pairs.spread(slopes)
        return gradient, strain

    def jacobian(self, features, strain=False):
        """Explicit derivatives; see ``AtomicFeatures.jacobian``."""
        structures, n_gaussians = features.structures, len(self.nodes)
        n_atoms, n_species = len(structures.positions), len(self.species)
        pairs = _Pairs(self, structures)
        check_fits_memory(
            8 * n_gaussians * (3 * len(pairs.slot) + (12 if strain else 3) * n_atoms * n_species),
            f"the derivatives of {n_atoms} centers by {len(pairs.slot)} neighbors",
            "take AtomicFeatures.vjp, which forms no Jacobian, or fewer structures",
        )
        unit = pairs.displacement / pairs.distance[:, np.newaxis]
        values = unit[:, :, np.newaxis] * self.radial(pairs.distance)[1][:, np.newaxis]
        to_slots = pairs.sums_of_slots()
        itself = -_sum_pairs(to_slots, values, n_atoms)
        blocks = []
        for index in range(n_species):
            mine = np.flatnonzero(pairs.slot % n_species == index)
            columns = np.arange(index * n_gaussians, (index + 1) * n_gaussians)
            blocks.append(Blocks(pairs.center[mine], pairs.neighbor[mine], columns, values[mine],
                                 np.zeros((len(mine), 3))))
        every = np.arange(n_atoms)
        blocks.append(Blocks(every, every, np.arange(self.n_features), itself,
                             np.zeros((n_atoms, 3))))
        by_strain = None
        if strain:
            outer = values[:, :, np.newaxis] * pairs.displacement[:, np.newaxis, :, np.newaxis]
            by_strain = _sum_pairs(to_slots, outer, n_atoms)
        return Jacobian(features.values, blocks, n_atoms, by_strain)

    def radial(self, r):
        """Gaussians times cutoff of distances, and derivatives, both (n_pairs, n_gaussians)."""
        phase = np.pi / self.cutoff_width * np.maximum(r - self.cutoff + self.cutoff_width, 0.0)
        weight = (0.5 + 0.5 * np.cos(phase))[:, np.newaxis]
        slope = (-0.5 * np.pi / self.cutoff_width * np.sin(phase))[:, np.newaxis]
        offset = (r[:, np.newaxis] - self.nodes) / self.gaussian_width
        gaussian = np.exp(-0.5 * offset**2)
        value = gaussian * weight
        # in place: what pairs need most memory for
        offset *= value
        offset /= self.gaussian_width
        gaussian *= slope
        gaussian -= offset
        return value, gaussian

    def species_index(self, numbers):
        """Index of each atomic number among the species."""
        return np.searchsorted(self.species, numbers).astype(np.intp)

    def _batches(self, structures, numbers_per_pair):
        """Runs of structures whose pairs fit into the cache, and their atoms."""
        # as many neighbors as in a dense metal, at most
        neighbors = 0.1 * 4.0 / 3.0 * np.pi * self.cutoff**3
        limit = max(_BATCH_BYTES / (8.0 * numbers_per_pair * neighbors), 1.0)
        for part in runs(structures.offsets, limit):
            yield part, slice(structures.offsets[part.start], structures.offsets[part.stop])


def _sum_pairs(to_slots, values, n_atoms):
    """Sums (n_atoms, ..., n_features) over the pairs of each center and species."""
    # sizes are named where there may be no pairs: they do not follow from an array without numbers
    axes, n_gaussians = values.shape[1:-1], values.shape[-1]
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    sums = (to_slots @ flat).reshape(n_atoms, to_slots.shape[0] // n_atoms, *axes, n_gaussians)
    return np.moveaxis(sums, 1, -2).reshape(n_atoms, *axes, -1)


class _Pairs:
    """Pairs of a batch of structures, by center and then by species of the neighbor."""

    def __init__(self, descriptor, structures):
        self.structures, self.n_species = structures, len(descriptor.species)
        n_atoms = len(structures.positions)
        species = descriptor.species_index(structures.numbers)
        n_threads = effective_n_threads(descriptor.n_jobs)
        pairs = find_pairs(structures, descriptor.cutoff, np.arange(n_atoms), species, n_threads)
        self.distance, self.displacement = pairs.distance, pairs.displacement
        self.offsets = pairs.offsets
        self.center = np.repeat(np.arange(n_atoms), np.diff(pairs.offsets))
        self.neighbor = pairs.neighbor
        self.slot = self.center * self.n_species + species[pairs.neighbor]

    def sums_of_slots(self):
        """Sparse matrix that adds up the pairs of each center and species."""
        n_slots = self.n_species * len(self.structures.positions)
        ends = np.searchsorted(self.slot, np.arange(n_slots + 1))
        every = np.arange(len(self.slot))
        return sparse.csr_array((np.ones(len(every)), every, ends), shape=(n_slots, len(every)))

    def spread(self, slopes):
        """Derivatives by positions and strain from those by the distances, (n_pairs, n)."""
        n_rows = slopes.shape[1]
        to_atoms, to_strain = self._sums
        gradient, strain = to_atoms @ slopes, to_strain @ slopes
        return gradient.reshape(-1, 3, n_rows), strain.reshape(-1, 3, 3, n_rows)

    @cached_property
    def _sums(self):
        """Sparse matrices that add up pairs to derivatives by positions and by strain."""
        n_atoms, n_structures = len(self.structures.positions), len(self.structures)
        n_pairs = len(self.distance)
        unit = self.displacement / self.distance[:, np.newaxis]
        # a column for each pair
        ends, axes = np.arange(n_pairs + 1), np.arange(3)
        atoms = np.stack([self.neighbor, self.center], axis=1)
        rows = (3 * atoms[:, :, np.newaxis] + axes).ravel()
        entries = np.stack([unit, -unit], axis=1).ravel()
        to_atoms = sparse.csc_array((entries, rows, 6 * ends), shape=(3 * n_atoms, n_pairs))
        owner = self.structures.structure_index[self.center]
        rows = (9 * owner[:, np.newaxis] + np.arange(9)).ravel()
        entries = (unit[:, :, np.newaxis] * self.displacement[:, np.newaxis]).ravel()
        to_strain = sparse.csc_array((entries, rows, 9 * ends), shape=(9 * n_structures, n_pairs))
        return to_atoms, to_strain
