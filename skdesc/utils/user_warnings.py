"""Warnings that point at the line of the user's code that led to them."""

from __future__ import annotations

import sys
import warnings

# code between the user and what warns
_INSIDE = (__name__.partition(".")[0], "sklearn", "joblib")


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, with the nearest caller outside of this package and scikit-learn as the place.

    Parameters
    ----------
    message : str
        What is wrong, with numbers, and the remedy.
    category : type of Warning, default=UserWarning
        Its class.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_inside(frame):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


def _is_inside(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE
