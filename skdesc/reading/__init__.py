"""Structures with reference data out of files of any format."""

from ._read import read_structures

__all__ = ["read_structures"]
