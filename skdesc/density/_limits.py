"""Limits of lengths and weights beyond which numbers overflow."""

from __future__ import annotations

_CUTOFFS = (1e-3, 1e3)
_SHARPEST = 1e-6
_LARGEST_WEIGHT = 1e6


def check_limits(*, cutoff, cutoff_width, center_weight=0.0, gaussian_width=None):
    """Refuse lengths out of physical range before tables are computed.

    Parameters
    ----------
    cutoff, cutoff_width : float
        In angstrom.
    center_weight : float, default=0.0
        Weight of the center's own density.
    gaussian_width : float, default=None
        Width of functions of the distance, in angstrom.

    Raises
    ------
    ValueError
        If one is out of range.
    """
    low, high = _CUTOFFS
    if not low <= cutoff <= high:
        raise ValueError(f"cutoff is {cutoff!r}, but must be from {low:g} to {high:g} angstrom; "
                         f"use a {'smaller' if cutoff > high else 'larger'} cutoff")
    shortest = _SHARPEST * cutoff
    if cutoff_width != 0 and cutoff_width < shortest:
        raise ValueError(f"cutoff_width is {cutoff_width!r}, but must be 0 or at least "
                         f"{shortest:g}, a millionth of the cutoff; use 0 for a step")
    if center_weight > _LARGEST_WEIGHT:
        raise ValueError(f"center_weight is {center_weight!r}, but must be at most "
                         f"{_LARGEST_WEIGHT:g}; 1 counts the center like a neighbor")
    if gaussian_width is not None and not shortest <= gaussian_width <= cutoff / _SHARPEST:
        raise ValueError(f"gaussian_width is {gaussian_width!r}, but must be from {shortest:g} to "
                         f"{cutoff / _SHARPEST:g} angstrom; use the distance of the Gaussians")
