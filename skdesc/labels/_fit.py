"""Warnings of a fit about its data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._energies_of_atoms import warn_of_e0
from ._neighbors import warn_of_no_neighbors
from ._suspicious import (
    FEWEST_POINTS,
    warn_of_energies_per_atom,
    warn_of_missing_energies,
    warn_of_outliers,
    warn_of_placeholders,
    warn_of_steps,
    warn_of_wide_features,
)

# relative to total energies, smaller differences are none
_ROUNDING = 1e-9


def warn_of_data(
    regressor: Any, accumulator: Any, environments: Any, targets: Any,
    config_types: Sequence | None, expected: np.ndarray, rows_of: Callable, without: Callable,
) -> None:
    """Warn about data that look wrong, after a fit to them.

    Parameters
    ----------
    regressor : GAPRegressor
        The fit.
    accumulator : Accumulator
        What the fit has seen.
    environments : Environments
        The structures; there are no warnings about plain arrays.
    targets : Targets
        Their labels.
    config_types : sequence or None
        Kinds of the structures.
    expected : ndarray of shape (n_structures,)
        Standard deviations of leave-one-out errors.
    rows_of : callable
        Covariances of energies, forces and virials of some structures with the sparse points.
    without : callable
        Leave-one-out errors, and what is expected of them, of a fit without some energies.
    """
    if environments.features is None:
        return
    warn_of_more_data(environments, targets)
    composition = environments.composition(accumulator.elements)
    warn_of_e0(accumulator.atom_energies, targets.energies, composition)
    labels = targets.labels
    warn_of_energies_per_atom(labels.energies, composition)
    if labels.has_derivatives().any():
        warn_of_placeholders(
            environments, labels, accumulator.prior, np.ravel(regressor.energy_scale_), rows_of
        )
    if accumulator.prior.n_points < FEWEST_POINTS:  # too crude for single errors to tell
        return
    energies = targets.energies - composition @ accumulator.atom_energies.solve()
    deviations = energies / environments.n_atoms
    spread = 1.4826 * np.nanmedian(np.abs(deviations - np.nanmedian(deviations)))
    rounding = _ROUNDING * np.nanmax(np.abs(targets.energies / environments.n_atoms))
    warn_of_outliers(
        regressor.loo_, expected, environments.n_atoms, config_types, max(spread, rounding),
        without,
    )


def warn_of_more_data(environments: Any, targets: Any) -> None:
    """Run the checks that need no complete data set, as for batches of `partial_fit`.

    Parameters
    ----------
    environments : Environments
        The structures; there are no warnings about plain arrays.
    targets : Targets
        Their labels.
    """
    if environments.features is None:
        return
    warn_of_missing_energies(targets.energies)
    warn_of_wide_features(environments)
    warn_of_no_neighbors(environments)
    if targets.has_derivatives().any():
        warn_of_steps(environments)
