"""Warnings that point at a line of the user's code."""

from __future__ import annotations

import sys
import warnings

# packages between the user's code and the warning
_INSIDE = (__name__.partition(".")[0], "sklearn", "joblib")


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the nearest caller outside of this package and scikit-learn.

    Parameters
    ----------
    message : str
        Description of the problem, with numbers, and the remedy.
    category : type of Warning, default=UserWarning
        Class of the warning.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_inside(frame):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


def _is_inside(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE
