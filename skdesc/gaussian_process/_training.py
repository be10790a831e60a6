"""The pass over the data: batches of rows into triangles, and the memory it takes."""

from __future__ import annotations

import numpy as np

from ._posterior import KINDS
from ._rows import all_rows, batches, bytes_per_structure, energy_rows

# memory for the rows of a batch where no limit is given
_DEFAULT_BATCH_BYTES = 2**28
# Square arrays of the size of a triangle that exist at once when the triangles are combined:
# those of the prior and of the result, copies on their way, the factors of the prior.
_SQUARES_BESIDE_TRIANGLES = 5


def fixed_bytes(n_points, n_elements, n_features, n_kinds):
    """Memory of a fit that does not depend on the number of structures.

    Parameters
    ----------
    n_points, n_elements, n_features, n_kinds : int
        Numbers of sparse points, of elements, of features, of kinds of targets.

    Returns
    -------
    int
        In bytes.
    """
    side = n_points + n_elements + 1
    squares = 3 * n_kinds + _SQUARES_BESIDE_TRIANGLES
    return 8 * (squares * side**2 + n_points * n_features)


def batch_bytes(memory_limit, fixed, costs):
    """Memory left for the rows of a batch.

    Parameters
    ----------
    memory_limit : int or None
        Limit for the whole fit.
    fixed : int
        What does not depend on the structures, see :func:`fixed_bytes`.
    costs : ndarray of shape (n_structures,)
        Memory for the rows of each structure.

    Returns
    -------
    int
        In bytes.
    """
    if memory_limit is None:
        return _DEFAULT_BATCH_BYTES
    left = memory_limit - fixed
    if left < costs.max():
        raise ValueError(
            f"memory_limit is {memory_limit} bytes, but the solver needs {fixed} and the largest "
            f"structure {int(costs.max())} more; raise it or lower n_sparse"
        )
    return left


def absorb(environments, targets, points, zeta, elements, data, defaults, limit):
    """Fold the rows of structures into the triangles of their kinds.

    Parameters
    ----------
    environments : Environments
        The structures.
    targets : Targets
        Their energies, forces, virials.
    points : SparsePoints
        The sparse points.
    zeta : float
        Exponent.
    elements : ndarray of shape (n_elements,)
        Atomic numbers, ascending.
    data : Data
        Where to fold in.
    defaults : dict of str to float
        Noise of each kind.
    limit : float
        Memory for the rows of a batch, in bytes.
    """
    wanted = targets.has_derivatives()
    costs = bytes_per_structure(environments, len(points), wanted)
    default = np.array([defaults[kind] for kind in KINDS])
    for part in batches(costs, limit):
        batch, batch_targets = environments[part], targets[part]
        root = np.sqrt(batch.n_atoms)
        relative = batch_targets.sigmas / default
        targets_and_counts = np.column_stack(
            [batch.composition(elements), batch_targets.energies]
        )
        with_rows = np.flatnonzero(wanted[part])
        if len(with_rows) == len(batch):
            energies, forces, virials = all_rows(batch, points, zeta)
        else:
            energies = energy_rows(batch, points, zeta)
        data.add("energy", energies, targets_and_counts, relative[:, 0] * root)
        if len(with_rows) == 0:
            continue
        if len(with_rows) < len(batch):
            batch, batch_targets = batch.take(with_rows), batch_targets.take(with_rows)
            root, relative = root[with_rows], relative[with_rows]
            _, forces, virials = all_rows(batch, points, zeta)
        per_force = np.repeat(relative[:, 1], 3 * batch.n_atoms)
        _add_present(data, "forces", forces, batch_targets.flat_forces(batch.n_atoms), per_force)
        per_virial = np.repeat(relative[:, 2] * root, 6)
        virials = virials.reshape(-1, virials.shape[-1])
        _add_present(data, "virials", virials, batch_targets.flat_virials(), per_virial)


def _add_present(data, kind, rows, values, noise):
    """Fold in the rows whose target is not NaN."""
    present = np.isfinite(values)
    if not present.all():
        rows, values, noise = rows[present], values[present], noise[present]
    data.add(kind, rows, values[:, np.newaxis], noise)
