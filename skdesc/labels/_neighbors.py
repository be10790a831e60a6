"""Structures in which no atom sees another."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.neighborlist import neighbor_list

from ..exceptions import SuspiciousTargetsWarning
from ..utils.user_warnings import warn_user


def warn_of_no_neighbors(environments: Any) -> None:
    """Warn that there is no pair of atoms within the cutoff in any structure.

    Only where all atoms of an element have the same features are neighbors looked for, so that it
    costs nothing otherwise.

    Parameters
    ----------
    environments : Environments
        The structures.
    """
    cutoff = environments.features.descriptor.cutoff
    structures = environments.structures
    crowded = (structures.n_atoms > 1) | structures.pbc.any(axis=1)
    if not isinstance(cutoff, (int, float)) or not crowded.any() or _differ(environments):
        return
    for index in np.flatnonzero(crowded):
        if len(neighbor_list("i", structures[int(index)], cutoff)):
            return
    warn_user(
        f"no atom has a neighbor within the cutoff of {cutoff:g} angstrom in any of "
        f"{len(environments)} structures, so that nothing but e0 can be learned; are positions and "
        "cells in angstrom? Otherwise raise cutoff",
        SuspiciousTargetsWarning,
    )


def _differ(environments: Any) -> bool:
    """Whether two atoms of an element have different features."""
    for species in np.unique(environments.species):
        rows = environments.values[environments.species == species]
        if (np.abs(rows - rows[0]).max(axis=1) > 1e-9).any():
            return True
    return False
