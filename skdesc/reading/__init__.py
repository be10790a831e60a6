"""Reading of structures with reference data from files of many formats."""

from ._read import read_structures

__all__ = ["read_structures"]
