"""Warnings of a fit about its data, issued once for all structures of a search."""

from __future__ import annotations

import numpy as np

from ..gaussian_process._baseline import subtract_baseline
from ..gaussian_process._inputs import check_environments
from ..gaussian_process._prediction import leave_one_out_energies
from ..gaussian_process._targets import check_targets
from ..labels import (
    warn_of_contradictions,
    warn_of_data,
    warn_of_forces,
    warn_of_missing_energies,
    warn_of_rounding,
)
from ..structures._target_checks import flatten_forces
from ..utils.blas import one_thread, threads
from ._data import LabeledStructures


def warn_of_targets(data: LabeledStructures):
    """Warn of problems that need no fit: missing energies, huge forces.

    Parameters
    ----------
    data : LabeledStructures
        All structures.
    """
    warn_of_missing_energies(data.y)
    if data.forces is not None:
        offsets = np.concatenate([[0], np.cumsum(data.n_atoms)])
        warn_of_forces(flatten_forces(data.forces, data.n_atoms), offsets)


def warn_of_model(regressor):
    """Warn of rounding errors, and of quantities that contradict each other.

    Parameters
    ----------
    regressor : GAPRegressor
        Fitted regressor that still holds its data.
    """
    accumulator, posterior = regressor._training, regressor._model.posterior
    warn_of_rounding(posterior)
    with one_thread:
        warn_of_contradictions(accumulator.prior, accumulator.observations, posterior.noise)


def warn_of_labels(regressor, X, y, **metadata):
    """Warn of single labels that look wrong.

    Parameters
    ----------
    regressor : GAPRegressor
        Regressor fitted to exactly these data by :meth:`GAPRegressor.partial_fit`.
    X, y, **metadata : object
        Arguments of :meth:`GAPRegressor.fit`.
    """
    accumulator = regressor._training
    environments = check_environments(X, regressor, reset=False)
    targets = check_targets(environments, y, noise=regressor._noise(), **metadata)
    targets = subtract_baseline(regressor.baseline, environments, targets)
    _, limit = accumulator.row_limit(environments, targets, regressor.memory_limit)
    with threads(regressor.n_jobs):
        errors, expected = leave_one_out_energies(
            regressor._model, accumulator, environments, targets, limit
        )
        regressor.loo_ = errors
        warn_of_data(
            regressor, accumulator, environments, targets, metadata.get("config_types"), expected,
            accumulator.derivative_rows,
            lambda index: regressor._leave_one_out_without(
                index, accumulator, environments, targets
            ),
        )
