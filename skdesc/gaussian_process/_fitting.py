"""The steps of a fit, from data to the model of a regressor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..labels import e0_sources, undetermined_compositions, warn_of_forces
from ..utils.blas import one_thread
from ._accumulation import Accumulator
from ._baseline import fitted_baseline, subtract_baseline
from ._checks import check_parameters
from ._inputs import check_environments
from ._prediction import Model, leave_one_out_energies
from ._targets import QUANTITIES, check_targets


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

    def _solve(self, accumulator, *, check_labels=True, noise=None):
        """Adopt the model of an accumulator, with noise that is given or refined."""
        e0, posterior = accumulator.solve(
            self.energy_scale, noise or self._noise(),
            optimize=self.optimize if noise is None else None, check_labels=check_labels,
        )
        model = Model(
            accumulator.elements, e0, accumulator.points, accumulator.covariances, posterior
        )
        self._become(model, fitted_baseline(self.baseline, [accumulator]), accumulator)
        self.e0_source_ = e0_sources(accumulator.atom_energies)
        self.e0_open_ = undetermined_compositions(accumulator.atom_energies)

    def _noise(self):
        return {quantity: getattr(self, f"sigma_{quantity}") for quantity in QUANTITIES}
