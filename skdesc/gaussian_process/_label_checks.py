"""Warnings about labels: what is missing in them, and where they contradict each other."""

from __future__ import annotations

import numpy as np

from ..exceptions import SuspiciousTargetsWarning
from ..utils.user_warnings import warn_user

N_NAMED = 5


def warn_of_missing_energies(y: np.ndarray) -> None:
    """Warn that energies are NaN and so are not learned.

    Parameters
    ----------
    y : ndarray of shape (n_structures,)
        Energies.
    """
    missing = np.flatnonzero(np.isnan(y))
    if len(missing) in (0, len(y)):  # a fit without any energy is refused elsewhere
        return
    first = ", ".join(map(str, missing[:N_NAMED])) + (", ..." if len(missing) > N_NAMED else "")
    warn_user(
        f"y is NaN for {len(missing)} of {len(y)} structures ({first}), whose energies are left "
        "out; if they should be known, look at their calculations and names of keys",
        SuspiciousTargetsWarning,
    )
