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
from ._memory import BATCH_BYTES, bytes_per_structure, n_sampled
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
_LEAST = {"energy": 8, "forces": 4}
# structures and atoms whose forces count, because variances of forces take time
_STRUCTURES_OF_FORCES, _ATOMS_OF_FORCES = 16, 128
# an environment like none of the data has at least so many times the standard deviation of others
_UNKNOWN = 10.0
# and at most so many times the variance before any data
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
        sizes = [len(one) for one, _ in parts]
        chosen = _evenly(sum(sizes), max(sum(sizes[:-1]), sizes[-1], _STRUCTURES_OF_FORCES))
        ends = np.cumsum([0, *sizes])
        rows = [chosen[(chosen >= a) & (chosen < b)] - a for a, b in pairwise(ends)]
        return CalibrationSample([
            tuple(side.take(own) for side in part)
            for part, own in zip(parts, rows, strict=True) if len(own)
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
            found = list(self.leave_out(model))
        parts = {
            quantity: [of_one[quantity] for of_one in found if of_one[quantity].size]
            for quantity in UNCALIBRATED
        }
        return {quantity: _factors(quantity, of_all) for quantity, of_all in parts.items()}

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
        known = [
            targets.has_derivatives() & (targets.forces is not None) for _, targets in self.parts
        ]
        known = np.flatnonzero(np.concatenate([[], *known]))
        chosen = known[_evenly(len(known), _STRUCTURES_OF_FORCES)].tolist()
        n_atoms = -(-_ATOMS_OF_FORCES // max(1, len(chosen)))
        place, places = 0, model.points.places()
        for environments, targets in self.parts:
            for index, rows in enumerate(_known_rows(environments, targets, model)):
                one = environments[slice(index, index + 1)]
                count = n_atoms if place in chosen else 0
                own = _own_points(one, places)
                yield _leave_out(model, one, rows, own, _evenly(int(one.n_atoms[0]), count))
                place += 1


def _own_points(structure, places):
    """Sparse points that are environments of a structure."""
    own = set()
    for block, columns in enumerate(structure.blocks):
        values = structure.values[:, columns].astype(np.float64)
        keys = zip(structure.species.tolist(), map(bytes, values), strict=True)
        own.update(places[block, *key] for key in keys if (block, *key) in places)
    return sorted(own)


def _leave_out(model, structure, rows, own_points, atoms):
    """Errors of one structure and parts of their variances, those of forces for some atoms."""
    K, y, noise = map(np.concatenate, zip(*rows.values(), strict=True))
    given = np.isfinite(y)
    errors, inside = np.full((2, len(y)), np.nan)
    errors[given], inside[given] = leave_group_out(
        model.posterior, K[given], (y - K @ model.posterior.weights)[given], noise[given],
        own_points,
    )

    def parts(own, prior):
        outside = model.posterior.variance_outside(K[own], prior, own_points)
        prior = model.posterior.scales**2 @ prior
        return np.array([errors[own], inside[own], outside, prior])[:, given[own]]

    result = {
        "energy": parts(np.array([0]), prior_variances(structure, model.covariances)),
        "forces": np.empty((4, 0)),
    }
    if len(atoms):
        components = (3 * atoms[:, np.newaxis] + np.arange(3)).ravel()
        prior = prior_force_variances(structure, model.covariances, atoms)
        result["forces"] = parts(1 + components, prior)
    return result


def _evenly(total, count):
    """Choose evenly from so many structures or atoms, ndarray of int."""
    return np.linspace(0, total - 1, min(count, total)).astype(np.intp)


def _known_rows(environments, targets, model):
    """Yield rows, targets and noise of each structure, by quantity."""
    noise, scale = model.posterior.noise, np.sqrt(environments.n_atoms)
    relative = targets.relative_noise * np.column_stack([scale, np.ones_like(scale), scale])
    energies = targets.energies - environments.composition(model.elements) @ model.e0
    for part, *rows in _rows_in_batches(environments, targets, model):
        start = targets.offsets[part.start]
        for index in range(part.start, part.stop):
            atoms = slice(*targets.offsets[index : index + 2])
            components = slice(3 * (atoms.start - start), 3 * (atoms.stop - start))
            own = slice(index - part.start, index - part.start + 1), components, index - part.start
            values = (
                energies[index : index + 1],
                None if targets.forces is None else targets.forces[atoms],
                None if targets.virials is None else targets.virials[index],
            )
            yield {
                quantity: (K[rows_of_it], y.ravel(), np.full(y.size, noise[quantity] * factor))
                for quantity, K, rows_of_it, y, factor in zip(
                    QUANTITIES, rows, own, values, relative[index], strict=True
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
        known, relative_noise = targets.energies, targets.relative_noise
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
        own_noise = noise[QUANTITIES[0]] * relative_noise[index, 0] * np.sqrt(left_out.n_atoms)
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
