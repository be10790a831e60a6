"""Checks of the regressor's parameters, before anything is computed."""

from __future__ import annotations

import numbers

import numpy as np

from ..structures._target_checks import LARGEST
from ..utils.threads import check_n_jobs
from ..utils.validation import is_choice
from ._baseline import check_baseline

_SMALLEST = 1e-30  # squares of ratios of numbers below it do not fit into floating point numbers


def check_parameters(regressor):
    """Refuse numbers out of range; what concerns the data is checked with them.

    Parameters
    ----------
    regressor : GAPRegressor
        The regressor.
    """
    _check_real(regressor, "zeta", at_least=1.0, remedy=", or a list of these")
    for name in ("sigma_energy", "sigma_forces", "sigma_virials"):
        _check_real(regressor, name, above=0.0, remedy="; to ignore a target, leave it out")
    _check_real(regressor, "energy_scale", above=0.0, remedy=", a list of these, or 'auto'")
    _check_real(regressor, "jitter", at_least=0.0, remedy=", or 'auto'")
    if not is_choice(regressor.optimize, None, "marginal_likelihood"):
        raise ValueError(f"optimize is {regressor.optimize!r}, but must be None or "
                         "'marginal_likelihood'")
    check_baseline(regressor.baseline)
    check_n_jobs(regressor.n_jobs)
    if regressor.memory_limit is not None:
        _check_real(regressor, "memory_limit", above=0.0, remedy=", or None")


def _check_real(regressor, name, *, above=None, at_least=None, remedy=""):
    value = getattr(regressor, name)
    rule = f"above {above:g}" if at_least is None else f"at least {at_least:g}"
    several = isinstance(value, (list, tuple, np.ndarray)) and "list" in remedy
    for number in value if several else (value,):
        if "'auto'" in remedy and is_choice(number, "auto"):
            continue
        if not isinstance(number, numbers.Real) or isinstance(number, bool):
            raise TypeError(f"{name} is {value!r}, but must be a number {rule}{remedy}")
        good = number > above if at_least is None else number >= at_least
        if not (good and np.isfinite(number)):
            raise ValueError(f"{name} is {value!r}, but must be finite and {rule}{remedy}")
        if number > LARGEST or 0 < number < _SMALLEST:
            raise ValueError(f"{name} is {value!r}, but must be between {_SMALLEST:g} and "
                             f"{LARGEST:g}")
