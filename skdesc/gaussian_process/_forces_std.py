r"""Uncertainty of forces.

Before any data, the variance of a force component with :math:`J_i = \partial p_i / \partial r` is

.. math::
    \delta^2 \sum_{ij} \left[\zeta D_{ij}^{\zeta - 1} J_i \cdot J_j
    + \zeta (\zeta - 1) D_{ij}^{\zeta - 2} (J_i \cdot p_j) (p_i \cdot J_j)\right], \qquad
    D_{ij} = p_i \cdot p_j,

over pairs of centers of the same species. It is the one place that needs derivatives of
descriptors explicitly, which leave out zeros.
"""

from __future__ import annotations

import numpy as np

from ._covariance import power
from ._rows import all_rows


def forces_std(model, environments):
    """Standard deviations of force components.

    Parameters
    ----------
    model : Model
        The fit.
    environments : Environments
        The structures; they know their derivatives.

    Returns
    -------
    list of ndarray of shape (n_atoms, 3)
        In eV/angstrom, without noise.
    """
    result = []
    for index in range(len(environments)):
        one = environments[slice(index, index + 1)]
        _, rows, _ = all_rows(one, model.points, model.zetas, virials=False)
        variance = model.posterior.variance(rows, prior_force_variances(one, model.zetas))
        result.append(np.sqrt(variance).reshape(-1, 3))
    return result


def prior_force_variances(environments, zeta):
    """Variances of the force components of one structure before any data.

    Parameters
    ----------
    environments : Environments
        One structure.
    zeta : float or sequence of float
        Exponent, or that of each block.

    Returns
    -------
    ndarray of shape (n_blocks, 3 * n_atoms)
        Those of each block, where the scale of energies is 1.
    """
    zetas = np.broadcast_to(zeta, len(environments.blocks))
    return np.array([
        _prior_force_variances(environments.features.block(block), zeta)
        for block, zeta in enumerate(zetas)
    ])


def _prior_force_variances(features, zeta):
    values = np.asarray(features.values, dtype=np.float64)
    dot = values @ values.T
    same = features.species[:, np.newaxis] == features.species
    first = same * zeta * power(dot, zeta - 1.0)
    # at zeta = 1 the second term is absent, and so is the power -1
    second = same * zeta * (zeta - 1.0) * power(dot, max(zeta - 2.0, 0.0))
    result = np.zeros((int(features.n_atoms[0]), 3))
    for atom, near, J in _jacobians_by_atom(features):
        pairs = np.ix_(near, near)
        for axis in range(3):
            gram = J[:, axis] @ J[:, axis].T
            across = J[:, axis] @ values[near].T
            result[atom, axis] = (first[pairs] * gram).sum()
            result[atom, axis] += (second[pairs] * across * across.T).sum()
    return result.reshape(-1)


def _jacobians_by_atom(features):
    """Yield each atom, the centers that see it, and derivatives of these by its position."""
    n_atoms, n_features = int(features.n_atoms[0]), features.values.shape[1]
    parts = features.jacobian().blocks
    orders = [np.argsort(part.atom, kind="stable") for part in parts]
    ends = [
        np.searchsorted(part.atom[order], np.arange(n_atoms + 1))
        for part, order in zip(parts, orders, strict=True)
    ]
    for atom in range(n_atoms):
        own = [order[end[atom] : end[atom + 1]] for order, end in zip(orders, ends, strict=True)]
        near = np.unique(
            np.concatenate([part.center[rows] for part, rows in zip(parts, own, strict=True)])
        )
        J = np.zeros((len(near), 3, n_features))
        for part, rows in zip(parts, own, strict=True):
            place = np.searchsorted(near, part.center[rows])
            values = np.zeros((len(rows), 3, n_features))
            values[:, :, part.columns] = part.values[rows]
            values -= part.along[rows, :, np.newaxis] * features.values[near[place], np.newaxis]
            np.add.at(J, place, values)  # several images of an atom may be near one center
        yield atom, near, J
