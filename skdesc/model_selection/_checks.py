"""Checks of single parameters."""

from __future__ import annotations

import numbers


def check_choice(name, value, choices, other=""):
    # an array compares entry by entry
    if not isinstance(value, str) or value not in choices:
        allowed = repr(choices[0]) if len(choices) == 1 else f"one of {choices}"
        raise ValueError(f"{name} is {value!r}, but must be {allowed}{other}")


def check_number(name, value, kind, least):
    if not isinstance(value, kind) or isinstance(value, bool) or not value >= least:
        what = "an integer" if kind is numbers.Integral else "a number"
        raise ValueError(f"{name} is {value!r}, but must be {what} of at least {least}")
