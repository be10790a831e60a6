"""Accumulation of data: batches of rows into triangles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from sys import getsizeof

import numpy as np

from ..labels import warn_of_contradictions, warn_of_rounding
from ..least_squares import (
    Observations,
    Posterior,
    Prior,
    as_covariance,
    maximize_evidence,
    moment_scales,
)
from ..neighbors import ShortestDistances
from ..utils.blas import one_thread
from ..utils.reduction import sum_in_parts
from ..utils.threads import effective_n_threads
from ..utils.validation import is_choice
from ._baseline import AtomEnergies
from ._inputs import check_elements
from ._memory import bytes_for_selecting, parallel_limits, parts_of_pass, row_limit
from ._rows import add_rows, derivative_rows, energy_rows, merge_rows, split_by_cost
from ._sparse_points import SparsePoints, one_per_term, select_points
from ._targets import QUANTITIES


@dataclass
class Accumulator:
    """Data accumulated by a fit so far, which can grow.

    Each call of BLAS or LAPACK that weights come from runs on one thread. More would change the
    order of sums, and so digits, which ill-conditioned covariances magnify. Threads share out
    batches of structures instead, whose bounds do not depend on their number.

    Parameters
    ----------
    elements : ndarray of shape (n_elements,)
        Atomic numbers, ascending.
    points : SparsePoints
        The sparse points.
    covariances : list of Covariance
        That of each term.
    prior : Prior or None
        Covariances among the points; None where nothing is to be solved.
    observations : Observations
        The data.
    atom_energies : AtomEnergies
        Energies of single atoms.
    distances : ShortestDistances or None
        Those of the structures; None where there are no structures, or a file does not tell.
    sample : CalibrationSample or None
        Some of the structures; None where none are to be calibrated on, or a file does not tell.
    """

    elements: np.ndarray
    points: SparsePoints
    covariances: list
    prior: Prior | None
    observations: Observations
    atom_energies: AtomEnergies
    distances: ShortestDistances | None = None
    sample: object = None

    @classmethod
    def start(cls, environments, regressor, config_types):
        """Choose sparse points and decompose their covariances, before any data.

        Parameters
        ----------
        environments : Environments
            The first structures: they decide on the elements, and on the sparse points.
        regressor : GAPRegressor
            Parameters.
        config_types : sequence or None
            Kinds of the structures.

        Returns
        -------
        Accumulator
            Has seen no data.
        """
        points = choose_points(environments, regressor, config_types)
        accumulator = cls.with_points(environments, regressor, points)
        with one_thread:
            prior = points.prior(accumulator.covariances, regressor.jitter)
        return replace(accumulator, prior=prior)

    @classmethod
    def with_points(cls, environments, regressor, points):
        """Accumulator for sparse points that have been chosen, without a prior.

        Parameters
        ----------
        environments : Environments
            They decide on the elements.
        regressor : GAPRegressor
            Parameters.
        points : SparsePoints
            The points.

        Returns
        -------
        Accumulator
            Has seen no data.
        """
        covariances = make_covariances(regressor, environments)
        # points that were given may be of elements that come later
        elements = np.union1d(environments.elements(), points.species)
        return cls(
            elements, points, covariances, None, Observations(len(points)),
            AtomEnergies(elements, regressor.e0),
            None if environments.features is None else ShortestDistances(),
        )

    def empty(self):
        """Return an empty accumulator with the same sparse points and elements."""
        return replace(
            self,
            observations=Observations(len(self.points)),
            atom_energies=AtomEnergies(self.elements, self.atom_energies.rule),
            distances=None if self.distances is None else ShortestDistances(),
            sample=None,
        )

    def copy(self):
        """Return a copy that can grow without changing this one."""
        return replace(
            self,
            observations=self.observations.copy(),
            atom_energies=self.atom_energies.copy(),
            distances=None if self.distances is None else self.distances.copy(),
        )

    def row_limit(self, environments, targets, memory_limit):
        """Memory for the rows of each structure, and for those of a batch.

        Parameters
        ----------
        environments, targets, memory_limit : object
            As for :meth:`add`.

        Returns
        -------
        costs : ndarray of shape (n_structures,)
            In bytes.
        limit : float
            In bytes.
        """
        return row_limit(environments, self.points, len(self.elements), targets, memory_limit)

    def add(self, environments, targets, memory_limit, n_jobs=1):
        """Fold the rows of structures into the triangles of their quantities.

        Parameters
        ----------
        environments : Environments
            The structures.
        targets : Targets
            Their energies, forces, virials.
        memory_limit : int or None
            For the whole fit, in bytes.
        n_jobs : int or None, default=1
            Threads that compute and fold rows. It makes no difference to the result.
        """
        check_elements(environments, self.elements)
        composition = environments.composition(self.elements)
        self.atom_energies.add(targets.energies, composition, environments.isolated())
        if self.distances is not None:
            self.distances.add(environments.structures)
        noise = targets.noise_of_structures(environments.n_atoms)
        costs, limit, n_threads = parallel_limits(
            environments, self.points, len(self.elements), targets, memory_limit,
            effective_n_threads(n_jobs),
        )
        parts = [
            [slice(part.start + batch.start, part.start + batch.stop)
             for batch in split_by_cost(costs[part], limit)]
            for part in parts_of_pass(
                targets.n_rows(), len(self.points) + len(self.elements) + 1, memory_limit
            )
        ]
        with one_thread:  # products of single environments are too small to be distributed
            seen = sum_in_parts(
                lambda batch: self._rows(batch, environments, targets, composition, noise),
                parts, lambda: self._start_part(len(parts)), add_rows, merge_rows, n_threads,
            )
            if seen is not self.observations:
                self.observations.merge(seen)

    def _start_part(self, n_parts):
        """What rows of a part are added to: what has been seen so far, if there is one part."""
        return self.observations if n_parts == 1 else Observations(len(self.points))

    def _rows(self, part, environments, targets, composition, noise):
        """Rows of a slice of structures, as arguments of :meth:`Observations.add`."""
        index = np.arange(part.start, part.stop)
        index = index[targets.has_derivatives()[part]]
        batch, rows = environments[part], []
        if len(index) == len(batch):
            energies = self._derivative_rows(batch, targets.take(index), noise[index], rows)
        else:
            if len(index):
                some = batch.take(index - part.start)
                self._derivative_rows(some, targets.take(index), noise[index], rows)
            energies = energy_rows(batch, self.points, self.covariances)
        rows.append(
            (QUANTITIES[0], energies, composition[part], targets.energies[part], noise[part, 0])
        )
        return rows

    def with_energies(self, environments, targets, memory_limit):
        """Return an accumulator with other energies of the same structures.

        Parameters
        ----------
        environments : Environments
            All structures that this one has seen.
        targets : Targets
            Their energies; NaN leaves one out.
        memory_limit : int or None
            For the whole fit, in bytes.

        Returns
        -------
        Accumulator
            It shares the triangles of forces and virials with this one.
        """
        observations = self.observations.select(QUANTITIES[1:])
        other = replace(self.empty(), observations=observations)
        composition = environments.composition(self.elements)
        other.atom_energies.add(targets.energies, composition, environments.isolated())
        noise = targets.noise_of_structures(environments.n_atoms)[:, 0]
        costs, limit = self.row_limit(environments, targets, memory_limit)
        for part in split_by_cost(costs, limit):
            rows = energy_rows(environments[part], self.points, self.covariances)
            observations.add(
                QUANTITIES[0], rows, composition[part], targets.energies[part], noise[part]
            )
        return other

    def derivative_rows(self, environments):
        """Covariances of energies, forces and virials of structures with the sparse points."""
        return derivative_rows(environments, self.points, self.covariances)

    def _derivative_rows(self, environments, targets, noise, rows):
        """Append rows of forces and virials; return those of energies, which cost nothing."""
        wants_virials = targets.virials is not None
        energies, forces, virials = derivative_rows(
            environments, self.points, self.covariances, virials=wants_virials
        )
        if targets.forces is not None:
            relative = np.repeat(noise[:, 1], 3 * environments.n_atoms)
            rows.append(("forces", forces, None, targets.forces.reshape(-1), relative))
        if wants_virials:
            virials = virials.reshape(-1, virials.shape[-1])
            relative = np.repeat(noise[:, 2], 6)
            rows.append(("virials", virials, None, targets.virials.reshape(-1), relative))
        return energies

    def merge(self, other):
        """Add the data of another pass with the same sparse points.

        Parameters
        ----------
        other : Accumulator
            It stays as it is.
        """
        self.atom_energies.merge(other.atom_energies)
        if self.distances is not None:
            self.distances.merge(other.distances)
        self.observations.merge(other.observations)

    def solve(self, energy_scale, noise, *, optimize=None, check_labels=True):
        """Solve for the weights.

        Parameters
        ----------
        energy_scale : float, "auto", or list of these
            Scale of the covariances, or that of each term.
        noise : dict of str to float
            Noise of each quantity.
        optimize : {None, "marginal_likelihood"}, default=None
            How to refine both.
        check_labels : bool, default=True
            Whether to compare each quantity with all others, which costs less than to solve.

        Returns
        -------
        e0 : ndarray of shape (n_elements,)
            Energies of single atoms.
        posterior : Posterior
            The weights and their covariance.
        """
        prior, observations = self.prior, self.observations
        self.require_energies()
        if is_choice(optimize, "held_out"):
            raise ValueError("optimize is 'held_out', but must be None or 'marginal_likelihood' "
                             "where data are seen part by part or solved for again; use fit, or "
                             "the noise that an earlier fit has found")
        with one_thread:
            e0 = self.atom_energies.solve()
            present = [name for name in QUANTITIES if name in observations.triangles]
            rows = observations.subtract_mean(e0, present)
            compared = {quantity: A for quantity, A in rows.items() if quantity != "virials"}
            scales, _ = resolve_scales(
                energy_scale, len(prior.terms),
                lambda: moment_scales(prior, observations, compared, noise[QUANTITIES[0]]),
            )
            if optimize is not None:
                scales, noise = maximize_evidence(prior, observations, rows, scales, noise)
            posterior = Posterior.solve(prior, observations, rows, scales, noise)
            warn_of_rounding(posterior)
            if check_labels:
                warn_of_contradictions(prior, observations, posterior.noise)
        return e0, posterior

    def require_energies(self):
        """Refuse data without any energy."""
        if QUANTITIES[0] not in self.observations.triangles:
            raise ValueError("y is NaN for all structures, but at least one energy must be known: "
                             "forces and virials leave a constant open")

    def __sizeof__(self):
        kept = self.points.features.nbytes + sum(L.nbytes for _, L in self.prior.factors)
        return object.__sizeof__(self) + kept + getsizeof(self.observations)


def make_covariances(regressor, environments):
    """Covariance of each term, list of Covariance."""
    zetas = one_per_term("zeta", regressor.zeta, len(environments.blocks))
    return [as_covariance(zeta) for zeta in zetas]


def choose_points(environments, regressor, config_types):
    """Sparse points as the parameters of a regressor say.

    Parameters
    ----------
    environments : Environments
        Candidates.
    regressor : GAPRegressor
        Parameters.
    config_types : sequence or None
        Kinds of the structures.

    Returns
    -------
    SparsePoints
        The points.
    """
    linear = [covariance.is_linear for covariance in make_covariances(regressor, environments)]
    if regressor.memory_limit is not None:
        bytes_for_selecting(
            regressor.memory_limit, environments, regressor.sparse_method, regressor.n_sparse,
            linear,
        )
    with one_thread:
        return select_points(
            environments,
            regressor.sparse_method,
            regressor.n_sparse,
            linear=linear,
            config_types=config_types,
            random_state=regressor.random_state,
        )


def resolve_scales(energy_scale, n_terms, moments):
    """Scale of each term, where "auto" is that of the targets.

    Parameters
    ----------
    energy_scale : float, "auto", or list of these
        The parameter.
    n_terms : int
        Number of terms.
    moments : callable
        Computes the scales of the targets, one for each term.

    Returns
    -------
    scales : list of float
        In eV.
    automatic : list of bool
        Whether each is that of the targets.
    """
    scales = one_per_term("energy_scale", energy_scale, n_terms)
    automatic = [is_choice(scale, "auto") for scale in scales]
    if any(automatic):
        scales = [
            moment if auto else scale
            for auto, scale, moment in zip(automatic, scales, moments(), strict=True)
        ]
    return scales, automatic
