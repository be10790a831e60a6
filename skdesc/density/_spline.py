"""Radial functions, including the cutoff, as quintic Hermite splines of the distance."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np

from ..utils.memory import aligned
from ._profiles import bessel_profiles

TOLERANCE = 1e-10
"""Largest error of a spline, relative to the largest value of any radial function."""

MAX_INTERVALS = 2**14

LARGEST = 1e30
"""Products of radial functions beyond would overflow."""

WORKSPACE = 32e6
"""Bytes for profiles that are held at a time."""


def radial_functions(basis, distances, atom_sigma, weight):
    """Radial functions times the cutoff, with first and second derivatives.

    Parameters
    ----------
    basis : RadialBasis
        Nodes and projections.
    distances : ndarray of shape (n_distances,)
        Distances r, in angstrom.
    atom_sigma : float
        Width of the Gaussians, in angstrom.
    weight : callable
        Takes distances, returns the cutoff function and its first two derivatives.

    Returns
    -------
    ndarray of shape (3, n_distances, l_max + 1, n_max)
        Values and derivatives with respect to r.
    """
    n_l = len(basis.projection)
    per_chunk = max(1, int(WORKSPACE / (8 * (n_l + 2) * len(basis.nodes))))
    chunks = np.split(distances, range(per_chunk, len(distances), per_chunk))
    parts = np.concatenate([_derivatives(basis, chunk, atom_sigma) for chunk in chunks], axis=1)
    return np.stack(_product(parts, [part[:, None, None] for part in weight(distances)]))


def _derivatives(basis, distances, atom_sigma):
    """Radial functions without any weight, with first and second derivatives."""
    l_max = len(basis.projection) - 1
    x = basis.nodes[:, None]
    a = 1 / atom_sigma**2
    h = bessel_profiles(basis.nodes, distances, atom_sigma, l_max + 2)

    def derivative(h, count):
        # i_l' = (l i_(l-1) + (l + 1) i_(l+1)) / (2 l + 1); the Gaussian gives -a r
        l = np.arange(count)[:, None, None]
        result = (l + 1) / (2 * l + 1) * h[1 : count + 1]
        result[1:] += l[1:] / (2 * l[1:] + 1) * h[: count - 1]
        result *= x
        result -= distances * h[:count]
        result *= a
        return result

    first = derivative(h, l_max + 2)
    # d/dr of a (x M h - r h) is a (x M h' - r h' - h), M the recursion above
    second = derivative(first, l_max + 1) - a * h[: l_max + 1]
    return np.stack([
        (basis.projection @ part[: l_max + 1]).transpose(2, 0, 1) for part in (h, first, second)
    ])


def cutoff_parts(cutoff, width, breaks=()):
    """Shifted cosine: 1 up to cutoff - width, then falling smoothly to 0 at the cutoff.

    Parameters
    ----------
    cutoff, width : float
        In angstrom; a width of 0 is a step.
    breaks : sequence of float, default=()
        Further distances at which to begin another part.

    Returns
    -------
    list of tuple (start, stop, callable)
        Ranges in which the function is analytic; the callable takes distances and returns the
        function and its first two derivatives.
    """

    def constant(r):
        return np.ones_like(r), np.zeros_like(r), np.zeros_like(r)

    def falling(r):
        k = np.pi / width
        phase = k * (r - cutoff + width)
        return (
            0.5 + 0.5 * np.cos(phase),
            -0.5 * k * np.sin(phase),
            -0.5 * k**2 * np.cos(phase),
        )

    split = cutoff - width
    inner = {one for one in (split, *breaks) if 0 < one < cutoff}
    return [
        (start, stop, constant if stop <= split else falling)
        for start, stop in pairwise([0.0, *sorted(inner), cutoff])
    ]


def _product(first, second):
    """Value and two derivatives of a product."""
    (f, f1, f2), (g, g1, g2) = first, second
    return f * g, f1 * g + f * g1, f2 * g + 2 * f1 * g1 + f * g2


class RadialSpline:
    """Splines of all radial functions, each interval's two knots side by side in memory.

    The cutoff function has a kink in its second derivative where it begins to fall, so the
    range is split there: each part is smooth, and the accuracy is that of smooth functions.

    Parameters
    ----------
    basis : RadialBasis
        Nodes and projections.
    cutoff, cutoff_width : float
        Cutoff radius and the width over which the cutoff function falls, in angstrom.
    atom_sigma : float
        Width of the Gaussians, in angstrom.
    scaling : callable, default=None
        Further weight of a neighbor: takes distances, returns values and two derivatives;
        ``breaks`` are the distances at which it is not analytic.

    Attributes
    ----------
    table : ndarray of shape (n_knots, 3, width)
        f, h f' and h^2 f'' with the spacing h, flattened (l, n) with n padded to n_pad.
    breaks : list of tuple (start, stop, n_intervals, first_knot)
        The parts of the range.
    center : ndarray of shape (n_pad,)
        Coefficients of a Gaussian at the center itself (l = 0), without any cutoff.
    error : float
        Largest error found between the knots, relative to the largest value.
    """

    def __init__(self, basis, *, cutoff, cutoff_width, atom_sigma, scaling=None):
        self.l_max = len(basis.projection) - 1
        self.n_max = basis.projection.shape[1]
        self.n_pad = -(-self.n_max // 4) * 4
        self.width = -(-(self.l_max + 1) * self.n_pad // 8) * 8
        self.cutoff = cutoff

        def evaluate(r, start, stop, cut):
            def weight(r):
                if scaling is None:
                    return cut(r)
                # one-sided limits, from inside the part
                inside = np.clip(r, np.nextafter(start, np.inf), np.nextafter(stop, 0.0))
                return _product(cut(r), scaling(inside))

            return radial_functions(basis, r, atom_sigma, weight)

        parts = cutoff_parts(cutoff, cutoff_width, getattr(scaling, "breaks", ()))
        parts = [(start, stop, partial(evaluate, start=start, stop=stop, cut=cut))
                 for start, stop, cut in parts]
        coarse = [function(np.linspace(start, stop, 17)) for start, stop, function in parts]
        scale = np.max([np.abs(values[0]).max() for values in coarse])
        if not scale < LARGEST:
            raise ValueError(
                f"radial functions are as large as {scale:.3g}, but must be below {LARGEST:g}; "
                "change radial_scaling, cutoff, cutoff_width or atom_sigma"
            )
        self.breaks, errors, first, knots = [], [], 0, []
        for (start, stop, function), values in zip(parts, coarse, strict=True):
            values, error = self._fit(function, start, stop, values, TOLERANCE * scale)
            count = values.shape[1] - 1
            self.breaks.append((start, stop, count, first))
            errors.append(error / scale)
            first += count + 1
            step = (stop - start) / count
            knots.append(self._pad(values * step ** np.arange(3)[:, None, None, None]))
        self.error = max(errors)
        table = np.concatenate(knots, axis=1).transpose(1, 0, 2)
        self.table = aligned(table.shape)
        self.table[:] = table
        self.center = np.zeros(self.n_pad)
        profile = bessel_profiles(basis.nodes, np.zeros(1), atom_sigma, 0)[0, :, 0]
        self.center[: self.n_max] = basis.projection[0] @ profile

    def _fit(self, evaluate, start, stop, values, tolerance):
        """Halve the intervals until the function agrees with the spline between the knots."""
        count = values.shape[1] - 1
        while True:
            h = (stop - start) / count
            middle = evaluate(start + h * (np.arange(count) + 0.5))
            f, f1, f2 = values
            guess = (
                (f[:-1] + f[1:]) / 2 + h * 5 / 32 * (f1[:-1] - f1[1:])
                + h**2 / 64 * (f2[:-1] + f2[1:])
            )
            error = np.abs(guess - middle[0]).max()
            if not np.isfinite(error):
                raise ValueError(
                    f"radial functions are not finite between {start:.3g} and {stop:.3g} angstrom; "
                    "change radial_scaling, cutoff, cutoff_width or atom_sigma"
                )
            if error <= tolerance or count >= MAX_INTERVALS:
                return values, error
            merged = np.empty((3, 2 * count + 1, *values.shape[2:]))
            merged[:, ::2], merged[:, 1::2] = values, middle
            values, count = merged, 2 * count

    def _pad(self, values):
        """Pad n to n_pad and the row to the SIMD width."""
        padded = np.zeros((*values.shape[:2], self.width))
        view = padded[..., : (self.l_max + 1) * self.n_pad]
        view = view.reshape(*values.shape[:2], self.l_max + 1, self.n_pad)
        view[..., : self.n_max] = values
        return padded
