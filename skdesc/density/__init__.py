"""Neighbor densities in a radial basis and spherical harmonics."""

from ._limits import check_limits
from ._make_spline import make_spline
from ._mixed_expansion_cy import MixedExpansion
from ._radial_basis import RADIAL_BASES, make_radial_basis
from ._radial_scaling import make_radial_scaling
from ._spline import RadialSpline

__all__ = [
    "RADIAL_BASES", "MixedExpansion", "RadialSpline", "check_limits", "make_radial_basis",
    "make_radial_scaling", "make_spline",
]
