"""Neighbor densities in a radial basis and spherical harmonics."""

from ._mixed_expansion_cy import MixedExpansion
from ._radial_basis import RADIAL_BASES, make_radial_basis
from ._spline import RadialSpline

__all__ = ["RADIAL_BASES", "MixedExpansion", "RadialSpline", "make_radial_basis"]
