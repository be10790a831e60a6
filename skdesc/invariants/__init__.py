"""Rotation invariants of density expansions, with their adjoints."""

from ._environments import describe, pull_back
from ._power_spectrum import PowerSpectrum

__all__ = ["PowerSpectrum", "describe", "pull_back"]
