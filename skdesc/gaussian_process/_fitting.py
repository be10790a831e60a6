"""The steps of a fit, from data to the model of a regressor and to calibrated variances."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..labels import e0_sources, undetermined_compositions, warn_of_forces
from ..least_squares import fit_variance_factors, leave_group_out
from ..utils.blas import one_thread
from ._accumulation import Accumulator
from ._baseline import fitted_baseline, subtract_baseline
from ._checks import check_parameters
from ._inputs import check_environments
from ._memory import BATCH_BYTES, LEAST_OF_MANY, LEAST_SAMPLED, bytes_per_structure, n_sampled
from ._prediction import Model, leave_one_out_energies
from ._rows import (
    derivative_rows,
    energy_rows,
    prior_force_variances,
    prior_variances,
    split_by_cost,
)
from ._targets import QUANTITIES, UNCALIBRATED, check_targets

# fewer structures tell nothing about variances
_LEAST = {"energy": LEAST_SAMPLED, "forces": 4}
# structures and atoms whose forces count, because variances of forces take time
_STRUCTURES_OF_FORCES, _ATOMS_OF_FORCES = 16, 128
# an environment like none of the data has at least so many times the standard deviation of others
_UNKNOWN = 10.0
# largest factor of the variance outside the span of the sparse points
_LARGEST_OUTSIDE = 100.0
# factors below this, and above its inverse, would be rounding errors
_SMALL = 1e-12
# least standard deviation of forces, relative to the root mean square of errors: symmetry makes
# some forces certain, but not their labels
_LEAST_OF_FORCES = 0.01
# median of the squares of normally distributed numbers of variance 1
_MEDIAN_SQUARE = 0.4549


@dataclass(frozen=True)
class CalibrationSample:
    """Some structures of a fit, on which variances are calibrated when they are first needed.

    Each structure is left out of the fit in closed form, with all its targets and the sparse points
    that are its environments. All else, `e0`, scale and noise, stays as it is.

    Parameters
    ----------
    parts : list of (Environments, Targets)
        Structures, and their targets without the baseline.
    """

    parts: list

    @classmethod
    def choose(cls, environments, targets, among=None):
        """Choose structures evenly.

        Parameters
        ----------
        environments : Environments
            The structures.
        targets : Targets
            Their targets, without the baseline.
        among : ndarray of int, default=None
            Those that the fit has seen; None stands for all.

        Returns
        -------
        CalibrationSample
            The sample.
        """
        known = np.isfinite(targets.energies) & (np.diff(environments.offsets) > 0)
        index = np.flatnonzero(known) if among is None else among[known[among]]
        if len(index):
            size = environments.values.nbytes / len(environments)
            index = index[_evenly(len(index), n_sampled(environments.n_atoms[index], size))]
        return cls([(environments.take(index), targets.take(index))] if len(index) else [])

    def extended(self, environments, targets):
        """Return a sample of these structures and of others, no larger than the larger sample."""
        parts = self.parts + self.choose(environments, targets).parts
        if len(parts) < 2:
            return CalibrationSample(parts)
        sizes = [len(part_environments) for part_environments, _ in parts]
        wanted = max(sum(sizes[:-1]), sizes[-1], LEAST_OF_MANY)
        chosen = _evenly(sum(sizes), wanted)
        bounds = pairwise(np.cumsum([0, *sizes]))
        kept = [chosen[(chosen >= start) & (chosen < stop)] - start for start, stop in bounds]
        return CalibrationSample([
            (part_environments.take(index), part_targets.take(index))
            for (part_environments, part_targets), index in zip(parts, kept, strict=True)
            if len(index)
        ])

    def calibrate(self, model):
        """Compute factors of the parts of variances.

        Parameters
        ----------
        model : Model
            A fit to data that these structures are part of.

        Returns
        -------
        dict of str to ndarray
            For each quantity.
        """
        with one_thread:
            structures = list(self.leave_out(model))
        return {
            quantity: _factors(quantity, [
                parts[quantity] for parts in structures if parts[quantity].size
            ])
            for quantity in UNCALIBRATED
        }

    def leave_out(self, model):
        """Leave each structure out of a fit.

        Parameters
        ----------
        model : Model
            The fit.

        Yields
        ------
        dict of str to ndarray of shape (4, n)
            For each quantity, errors, their variances within the span of the sparse points and
            outside, and those before any data.
        """
        has_forces = [
            targets.has_derivatives() & (targets.forces is not None) for _, targets in self.parts
        ]
        has_forces = np.flatnonzero(np.concatenate([[], *has_forces]))
        wanted = has_forces[_evenly(len(has_forces), _STRUCTURES_OF_FORCES)].tolist()
        n_atoms = -(-_ATOMS_OF_FORCES // max(1, len(wanted)))
        place, point_by_features = 0, model.points.places()
        for environments, targets in self.parts:
            for index, rows in enumerate(_known_rows(environments, targets, model)):
                structure = environments[slice(index, index + 1)]
                atoms = _evenly(int(structure.n_atoms[0]), n_atoms if place in wanted else 0)
                points = _points_of(structure, point_by_features)
                yield _leave_out(model, structure, rows, points, atoms)
                place += 1


def _points_of(structure, point_by_features):
    """Sparse points that are environments of a structure, ascending."""
    points = set()
    for block, columns in enumerate(structure.blocks):
        values = structure.values[:, columns].astype(np.float64)
        for species, features in zip(structure.species.tolist(), values, strict=True):
            points.add(point_by_features.get((block, species, features.tobytes())))
    return sorted(points - {None})


def _leave_out(model, structure, rows, points, atoms):
    """Errors of one structure and parts of their variances, those of forces for some atoms."""
    K, y, noise = map(np.concatenate, zip(*rows.values(), strict=True))
    is_known = np.isfinite(y)
    errors, inside = np.full((2, len(y)), np.nan)
    errors[is_known], inside[is_known] = leave_group_out(
        model.posterior, K[is_known], (y - K @ model.posterior.weights)[is_known],
        noise[is_known], points,
    )
    # the row of the energy is the first, and those of forces follow
    components = (3 * atoms[:, np.newaxis] + np.arange(3)).ravel()
    chosen = np.append(0, 1 + components)
    prior = prior_variances(structure, model.covariances)
    if len(atoms):
        of_forces = prior_force_variances(structure, model.covariances, atoms)
        prior = np.hstack([prior, of_forces])
    outside = model.posterior.variance_outside(K[chosen], prior, points)
    parts = np.array(
        [errors[chosen], inside[chosen], outside, model.posterior.scales**2 @ prior]
    )
    return {"energy": parts[:, :1], "forces": parts[:, 1:][:, is_known[1 + components]]}


def _evenly(total, count):
    """Choose evenly from so many structures or atoms, ndarray of int."""
    return np.linspace(0, total - 1, min(count, total)).astype(np.intp)


def _known_rows(environments, targets, model):
    """Yield rows, targets and noise of each structure, by quantity."""
    noise = targets.noise_of_structures(environments.n_atoms)
    energies = targets.energies - environments.composition(model.elements) @ model.e0
    for part, *rows in _rows_in_batches(environments, targets, model):
        first_atom = targets.offsets[part.start]
        for index in range(part.start, part.stop):
            atoms = slice(*targets.offsets[index : index + 2])
            place = index - part.start
            places = (
                slice(place, place + 1),
                slice(3 * (atoms.start - first_atom), 3 * (atoms.stop - first_atom)),
                place,
            )
            values = (
                energies[index : index + 1],
                None if targets.forces is None else targets.forces[atoms],
                None if targets.virials is None else targets.virials[index],
            )
            yield {
                quantity: (
                    K[rows_of_structure], y.ravel(),
                    np.full(y.size, model.posterior.noise[quantity] * relative),
                )
                for quantity, K, rows_of_structure, y, relative in zip(
                    QUANTITIES, rows, places, values, noise[index], strict=True
                )
                if K is not None and y is not None
            }


def _rows_in_batches(environments, targets, model):
    """Yield structures of each batch, and rows of energies, forces and virials, or None."""
    wanted, virials = targets.has_derivatives(), targets.virials is not None
    costs = bytes_per_structure(environments, model.points, wanted, virials)
    for part in split_by_cost(costs, max(BATCH_BYTES, costs.max())):
        batch = environments[part]
        if wanted[part].any():
            yield part, *derivative_rows(batch, model.points, model.covariances, virials=virials)
        else:
            yield part, energy_rows(batch, model.points, model.covariances), None, None


def _factors(quantity, structures):
    """Factors of the parts of variances of one quantity.

    Parameters
    ----------
    quantity : str
        Name of the quantity.
    structures : list of ndarray of shape (4, n)
        For each structure, errors, their variances within the span of the sparse points and
        outside, and those before any data.

    Returns
    -------
    ndarray
        Factors of what lies within, of what lies outside, and of forces a constant variance.
    """
    if len(structures) < _LEAST[quantity]:
        return UNCALIBRATED[quantity]
    errors, *parts, prior = np.concatenate(structures, axis=1)
    squares = np.square(errors)
    # a few exploded structures would dominate the mean of the squares
    typical, of_prior = np.median(squares) / _MEDIAN_SQUARE, prior.mean()
    unknown = _UNKNOWN**2 * typical / of_prior if of_prior > 0 else 0.0
    outside = min(max(unknown, _SMALL), _LARGEST_OUTSIDE)
    bounds = [(_SMALL, 1.0 / _SMALL), (outside, _LARGEST_OUTSIDE)]
    if quantity == "forces":
        parts.append(np.ones_like(errors))
        constant = max(_LEAST_OF_FORCES**2 * squares.mean(), _SMALL)
        bounds.append((constant, constant / _LEAST_OF_FORCES**2))
    return fit_variance_factors(errors, parts, bounds)


class Fitting:
    """Mixin of `GAPRegressor`: the steps that its fits are made of."""

    def _check_and_accumulate(self, accumulator, X, y, **metadata):
        """Check data and add them to an accumulator, or to a new one if it is None."""
        check_parameters(self)
        environments = check_environments(X, self, reset=accumulator is None)
        targets = check_targets(environments, y, noise=self._noise(), **metadata)
        targets = subtract_baseline(self.baseline, environments, targets)
        warn_of_forces(targets.forces, targets.offsets)
        with one_thread:
            if accumulator is None:
                accumulator = Accumulator.start(environments, self, metadata.get("config_types"))
            accumulator.add(environments, targets, self.memory_limit, self.n_jobs)
        return accumulator, environments, targets

    def _finish(self, accumulator, environments, targets, noise=None):
        """Become the model of an accumulator that has seen these data and no others.

        Returns the standard deviations that the model expects of leave-one-out errors.
        """
        accumulator = self._with_sample(accumulator, environments, targets)
        self._solve(accumulator, noise=noise)
        _, limit = accumulator.row_limit(environments, targets, self.memory_limit)
        with one_thread:
            self.loo_, expected = leave_one_out_energies(
                self._model, accumulator, environments, targets, limit
            )
        return expected

    def _leave_one_out_without(self, index, accumulator, environments, targets):
        """Errors of energies, and what is expected of them, in a fit without some of them.

        Of energies that are part of the fit, these are leave-one-out errors.
        """
        known = targets.energies
        noise_of_energies = targets.noise_of_structures(environments.n_atoms)[:, 0]
        energies = known.copy()
        energies[index] = np.nan
        targets = replace(targets, energies=energies)
        other = accumulator.with_energies(environments, targets, self.memory_limit)
        scales, noise = self._model.posterior.scales, self._model.posterior.noise
        e0, posterior = other.solve(list(scales), noise, check_labels=False)
        model = Model(
            accumulator.elements, e0, accumulator.points, accumulator.covariances, posterior
        )
        _, limit = accumulator.row_limit(environments, targets, self.memory_limit)
        left_out = environments.take(index)
        own_noise = noise[QUANTITIES[0]] * noise_of_energies[index]
        with one_thread:
            errors, expected = leave_one_out_energies(model, other, environments, targets, limit)
            errors[index] = known[index] - model.energies(left_out)[0]
            expected[index] = np.hypot(model.std(left_out), own_noise)
        return errors, expected

    def _with_sample(self, accumulator, environments, targets):
        """Return an accumulator that knows some structures to calibrate variances on."""
        if not self.calibrate:
            return replace(accumulator, sample=None)
        earlier = accumulator.sample or CalibrationSample([])
        return replace(accumulator, sample=earlier.extended(environments, targets))

    def _solve(self, accumulator, *, check_labels=True, noise=None):
        """Adopt the model of an accumulator, with noise that is given or refined."""
        e0, posterior = accumulator.solve(
            self.energy_scale, noise or self._noise(),
            optimize=self.optimize if noise is None else None, check_labels=check_labels,
        )
        model = Model(
            accumulator.elements, e0, accumulator.points, accumulator.covariances, posterior,
            accumulator.sample if self.calibrate else None,
        )
        self._become(model, fitted_baseline(self.baseline, [accumulator]), accumulator)
        self.e0_source_ = e0_sources(accumulator.atom_energies)
        self.e0_open_ = undetermined_compositions(accumulator.atom_energies)

    def _noise(self):
        return {quantity: getattr(self, f"sigma_{quantity}") for quantity in QUANTITIES}
