"""What fits of a search to the same data have in common.

Noise and energy scale act on finished triangles, so that fits that differ in them alone need one
pass over the data. Fits with different exponents still need the same sparse points.
"""

from __future__ import annotations

import numbers

import joblib

from ..utils.shared_work import is_sharing, shared
from ._posterior import KINDS
from ._sparse_points import select_points
from ._training import Training

_NOT_IN_PASS = (
    "energy_scale", "optimize", "baseline", "n_jobs", "sigma_energy", "sigma_forces",
    "sigma_virials",
)  # fmt: skip


def first_pass(regressor, environments, targets, config_types):
    """Go through data for the first time, unless an earlier fit of the same search has.

    Parameters
    ----------
    regressor : GAPRegressor
        Parameters.
    environments : Environments
        The structures.
    targets : Targets
        Their targets, without those of a baseline.
    config_types : sequence or None
        Kinds of the structures.

    Returns
    -------
    Training
        Not to be changed within a search.
    """
    noise = [getattr(regressor, f"sigma_{kind}") for kind in KINDS]

    def see(points=select_points):
        training = Training(environments, regressor, config_types, points)
        defaults = dict(zip(KINDS, noise, strict=True))
        training.absorb(environments, targets, defaults, regressor.memory_limit)
        return training

    if not is_sharing() or not _is_repeatable(regressor):
        return see()
    params = regressor.get_params(deep=False)
    data = joblib.hash([_content(environments), config_types])

    def shared_points(*args, zetas, **kwargs):
        return shared(
            lambda: select_points(*args, zetas=zetas, **kwargs),
            "points", data, [zeta == 1 for zeta in zetas],
            [params[name] for name in ("n_sparse", "sparse_method", "random_state")],
            n_bytes=lambda points: points.features.nbytes,
        )  # fmt: skip

    # one array is hashed faster than many
    forces = None if targets.forces is None else targets.flat_forces(environments.n_atoms)
    # relative to the defaults, which may differ from fit to fit
    relative = targets.sigmas / noise
    return shared(
        lambda: see(shared_points),
        "pass", data, [targets.energies, forces, targets.virials, relative],
        {name: value for name, value in params.items() if name not in _NOT_IN_PASS},
        n_bytes=_n_bytes,
    )  # fmt: skip


def _is_repeatable(regressor):
    """Whether another fit would choose the same sparse points."""
    seeded = isinstance(regressor.random_state, numbers.Integral)
    return seeded or regressor.sparse_method not in ("random", "kmeans")


def _content(environments):
    """All of environments that a fit depends on."""
    content = [environments.values, environments.offsets, environments.species]
    content += [environments.n_atoms, environments.blocks]
    if environments.features is not None:
        structures = environments.structures
        content += [structures.positions, structures.numbers, structures.cells, structures.pbc]
    return content


def _n_bytes(training):
    n_points = len(training.points)
    # each kind's triangle, the factors of the prior
    return 8 * n_points**2 * (1 + len(training.data.triangles)) + training.points.features.nbytes
