"""Checks of arguments of any type."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np


def is_choice(value, *choices):
    """Whether a value is one of some choices; False for arrays.

    Parameters
    ----------
    value : object
        Value from the user. ``value in choices`` would compare an array entry by entry.
    *choices : str, bool or None
        The choices.

    Returns
    -------
    bool
        Whether one matches; strings are compared by content, other choices by identity.
    """
    if isinstance(value, str):
        return any(isinstance(choice, str) and value == choice for choice in choices)
    return any(value is choice for choice in choices)


def is_auto(value):
    """Whether a value is the string "auto"."""
    return is_choice(value, "auto")


def is_number(value, kind=Real):
    """Whether a value is a number of the given kind; False for booleans."""
    return isinstance(value, kind) and not isinstance(value, bool)


def check_reals(
    name: str,
    value: Any,
    rule: str,
    magnitudes: tuple[float, float],
    remedy: str = "",
    is_other: Callable[[Any], bool] | None = None,
) -> None:
    """Refuse a value that is not a number within bounds.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        Value from the user, or several numbers if the remedy mentions a list.
    rule : str
        "above" or "at least", and a number.
    magnitudes : (float, float)
        Least and largest magnitude, except for zero.
    remedy : str, default=""
        Other accepted values, or advice.
    is_other : callable, default=None
        Whether a value is one of the other accepted values.

    Raises
    ------
    TypeError
        If the value is neither a number nor another accepted value.
    ValueError
        If the number is out of bounds.
    """
    word, _, bound = rule.rpartition(" ")
    several = isinstance(value, (list, tuple, np.ndarray)) and "list" in remedy
    for number in value if several else (value,):
        if is_other is not None and is_other(number):
            continue
        if not is_number(number):
            raise TypeError(f"{name} is {value!r}, but must be a number {rule}{remedy}")
        good = number > float(bound) if word == "above" else number >= float(bound)
        if not (good and np.isfinite(number)):
            raise ValueError(f"{name} is {value!r}, but must be finite and {rule}{remedy}")
        if number and not magnitudes[0] <= number <= magnitudes[1]:
            raise ValueError(f"{name} is {value!r}, but must be between {magnitudes[0]:g} and "
                             f"{magnitudes[1]:g}")
