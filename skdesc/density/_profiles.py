"""Radial profiles of a Gaussian away from the origin."""

from __future__ import annotations

import numpy as np


def bessel_profiles(nodes, distances, atom_sigma, l_max):
    r"""Profiles :math:`e^{-(x^2 + r^2) / 2 \sigma^2} i_l(x r / \sigma^2)` for l = 0 .. l_max.

    Ratios of successive i_l come from recursion: downward from a sharp bound, which is stable
    everywhere, or upward where the argument is so large that this is stable too and takes fewer
    steps. Exponentials are combined before they are taken.

    Parameters
    ----------
    nodes, distances : ndarray of shape (n_nodes,) and (n_distances,)
        Radii x and distances r, in angstrom.
    atom_sigma : float
        Width of the Gaussians, in angstrom.
    l_max : int
        Largest order.

    Returns
    -------
    ndarray of shape (l_max + 1, n_nodes, n_distances)
        The profiles.
    """
    z = nodes[:, None] * distances / atom_sigma**2
    ratios = np.empty((l_max + 1, *z.shape))
    # upward, an error grows like exp(l (l + 1) / z)
    low = z < max(1.0, l_max * (l_max + 1.0))
    ratios[1:, low] = _ratios_downward(z[low], l_max)
    ratios[1:, ~low] = _ratios_upward(z[~low], l_max)
    small = z < 1e-8
    safe = np.where(small, 1.0, z)
    ratios[0] = np.where(small, 1.0 - z, -np.expm1(-2 * safe) / (2 * safe))
    ratios[0] *= np.exp(-((nodes[:, None] - distances) ** 2) / (2 * atom_sigma**2))
    for l in range(l_max):  # faster than cumprod, which goes along the first axis
        ratios[l + 1] *= ratios[l]
    return ratios


def _ratios_downward(z, l_max):
    """i_l / i_(l-1) for l = 1 .. l_max."""
    # the error of the start falls like exp(-n^2 / z) over n steps of the recursion
    start = l_max + 16 + int(np.sqrt(36 * z.max(initial=0.0)))
    order = start + 0.5
    ratio = z / (order + 0.5 + np.sqrt((order + 0.5) ** 2 + z**2))
    ratios = np.empty((l_max, *z.shape))
    for l in range(start, 0, -1):
        # z / (2 l + 1 + z i_(l+1) / i_l), in place
        ratio *= z
        ratio += 2 * l + 1
        np.divide(z, ratio, out=ratio)
        if l <= l_max:
            ratios[l - 1] = ratio
    return ratios


def _ratios_upward(z, l_max):
    """The same for arguments above l_max (l_max + 1)."""
    ratios = np.empty((l_max, *z.shape))
    if l_max > 0:
        ratios[0] = 1.0 / np.tanh(z) - 1.0 / z
    for l in range(1, l_max):
        ratios[l] = 1.0 / ratios[l - 1] - (2 * l + 1) / z
    return ratios
