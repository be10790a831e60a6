"""Data sets to learn from: small ones that come along, larger ones found in a data home."""

from ._bundled import load_carbon_dimer, load_carbon_solids, load_organic_molecules

__all__ = ["load_carbon_dimer", "load_carbon_solids", "load_organic_molecules"]
