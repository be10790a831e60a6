"""Order and factor of the features of QUIP's power spectrum.

Channels (species, n) are numbered with n fastest. In pairs of channels, the larger number is the
slowest index; l is the fastest index of all. One further element follows, which is zero here.
QUIP's values lack our factor pi sqrt(8), which cancels on normalization.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

BASES = {
    "equispaced": "EQUISPACED_GAUSS",
    "quip_gto": "GTO",
    "quip_polynomial": "POLY",
}
"""Radial bases by our name."""

FACTOR = np.pi * np.sqrt(8.0)
"""Ratio of our values to those of QUIP, before normalisation."""

# older programs would compute other values from the same file
VERSIONS = {"equispaced": 1426512068, "quip_gto": 1675289491, "quip_polynomial": 1675289491}


def n_elements(n_species, n_max, l_max):
    """Length of QUIP's vector, the additional element included."""
    channels = n_species * n_max
    return (l_max + 1) * channels * (channels + 1) // 2 + 1


def places(order, n_max, l_max):
    """Positions of our features in QUIP's vector.

    Parameters
    ----------
    order : sequence of int
        Atomic numbers in the order of QUIP's channels.
    n_max, l_max : int
        Sizes.

    Returns
    -------
    ndarray of intp of shape (n_features,)
        Position in QUIP's vector of each of our features, which are in the order of pairs of
        ascending species, then l, then (n, n').
    """
    first_channel = {z: index * n_max for index, z in enumerate(order)}
    degrees = np.arange(l_max + 1)[:, None]
    result = []
    for first, second in combinations_with_replacement(sorted(order), 2):
        i, j = np.triu_indices(n_max) if first == second else np.indices((n_max, n_max))
        a, b = first_channel[first] + i.ravel(), first_channel[second] + j.ravel()
        mu, nu = np.maximum(a, b), np.minimum(a, b)
        result.append(((mu * (mu + 1) // 2 + nu) * (l_max + 1) + degrees).ravel())
    return np.concatenate(result)
