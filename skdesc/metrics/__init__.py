"""Errors of potentials: as functions of arrays, and as scorers for ``scoring=``."""

from ._errors import energy_mae_per_atom, energy_rmse_per_atom, forces_mae, forces_rmse
from ._relative_errors import potential_errors
from ._scorers import SCORERS, make_energy_scorer, make_forces_scorer, make_potential_scorer

__all__ = [
    "SCORERS",
    "energy_mae_per_atom",
    "energy_rmse_per_atom",
    "forces_mae",
    "forces_rmse",
    "make_energy_scorer",
    "make_forces_scorer",
    "make_potential_scorer",
    "potential_errors",
]
