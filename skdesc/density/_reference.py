"""The density expansion in a few lines of NumPy, to test the compiled code against."""

from __future__ import annotations

import numpy as np
from scipy import special

from ._profiles import bessel_profiles
from ._spline import cutoff_parts, radial_functions


def real_harmonics(unit, l_max):
    """Real spherical harmonics without Condon-Shortley phase.

    Parameters
    ----------
    unit : ndarray of shape (n, 3)
        Unit vectors.
    l_max : int
        Largest degree.

    Returns
    -------
    ndarray of shape (n, (l_max + 1)^2)
        In the order l, then m from -l to l.
    """
    theta = np.arccos(np.clip(unit[:, 2], -1, 1))
    phi = np.arctan2(unit[:, 1], unit[:, 0])
    columns = []
    for l in range(l_max + 1):
        for m in range(-l, l + 1):
            y = (-1) ** m * _harmonic(l, abs(m), theta, phi)
            if m == 0:
                columns.append(y.real)
            else:
                columns.append(np.sqrt(2) * (y.real if m > 0 else y.imag))
    return np.stack(columns, axis=1)


def _harmonic(l, m, theta, phi):
    if hasattr(special, "sph_harm_y"):
        return special.sph_harm_y(l, m, theta, phi)
    return special.sph_harm(m, l, phi, theta)  # before SciPy 1.15


def coefficients(basis, pairs, species, *, cutoff, cutoff_width, atom_sigma, center_weight):
    """Density coefficients of all atoms of one structure.

    Parameters
    ----------
    basis : RadialBasis
        Nodes and projections.
    pairs : Pairs
        Neighbors of all atoms.
    species : ndarray of shape (n_atoms,)
        Species indices.
    cutoff, cutoff_width, atom_sigma, center_weight : float
        As for the transformer.

    Returns
    -------
    ndarray of shape (n_atoms, (l_max + 1)^2, n_species, n_max)
        The coefficients.
    """
    n_l, n_max, _ = basis.projection.shape
    degree = np.repeat(np.arange(n_l), 2 * np.arange(n_l) + 1)
    result = np.zeros((len(species), n_l**2, species.max() + 1, n_max))
    for start, stop, weight in cutoff_parts(cutoff, cutoff_width):
        mine = (pairs.distance >= start) & (pairs.distance < stop)
        radial = radial_functions(basis, pairs.distance[mine], atom_sigma, weight)[0]
        unit = pairs.displacement[mine] / pairs.distance[mine, None]
        terms = radial[:, degree] * real_harmonics(unit, n_l - 1)[:, :, None]
        centers = np.repeat(np.arange(len(species)), np.diff(pairs.offsets))[mine]
        np.add.at(result.transpose(0, 2, 1, 3), (centers, species[pairs.neighbor[mine]]), terms)
    profile = bessel_profiles(basis.nodes, np.zeros(1), atom_sigma, 0)[0, :, 0]
    own = center_weight * np.sqrt(1 / (4 * np.pi)) * (basis.projection[0] @ profile)
    result[np.arange(len(species)), 0, species] += own
    return result
