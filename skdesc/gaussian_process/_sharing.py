"""What fits of a search to the same data have in common.

Noise and energy scale act on finished triangles, so that fits that differ in them alone need one
pass over the data. Fits with different exponents still need the same sparse points.
"""

from __future__ import annotations

import numbers

from ..structures._target_checks import check_forces, flatten_forces
from ..utils.shared_work import content_hash, is_sharing, shared
from ..utils.validation import is_choice
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
    data = content_hash([_content(environments), config_types])
    points = select_shared(regressor, environments, config_types, data)

    # one array is hashed faster than many
    forces = None if targets.forces is None else targets.flat_forces(environments.n_atoms)
    # relative to the defaults, which may differ from fit to fit
    relative = targets.sigmas / noise
    return shared(
        lambda: see(points),
        "pass", data, [targets.energies, forces, targets.virials, relative],
        {name: value for name, value in params.items() if name not in _NOT_IN_PASS},
        n_bytes=_n_bytes,
    )  # fmt: skip


def shared_blocks(regressor, environments, y, metadata, sides, pass_by):
    """Go through data in blocks, unless an earlier cross-validation of the same search has.

    Parameters
    ----------
    regressor : GAPRegressor
        Parameters.
    environments : Environments
        All structures.
    y : array-like
        Their energies.
    metadata : dict
        Further arguments of fit.
    sides : list of ndarray
        Training and test parts.
    pass_by : callable
        Called without arguments.

    Returns
    -------
    parts : list of Training
        Know the sparse points of each part.
    columns : list of ndarray
        Where these are among those of all parts.
    blocks : list of Training
        Each has seen a block. Not to be changed within a search.
    """
    # the noise of single structures is relative to parameters, and a baseline may not be hashable
    simple = metadata.get("sigmas") is None and regressor.baseline is None
    if not is_sharing() or not simple or not _is_repeatable(regressor):
        return pass_by()
    if environments.features is not None and metadata.get("forces") is not None:
        # one array is hashed faster than many
        forces = check_forces(metadata["forces"], environments.n_atoms)
        metadata = {**metadata, "forces": flatten_forces(forces, environments.n_atoms)}
    params = regressor.get_params(deep=False)
    return shared(
        pass_by, "blocks", content_hash(_content(environments)), [y, metadata, sides],
        {name: value for name, value in params.items() if name not in _NOT_IN_PASS},
        n_bytes=lambda result: sum(_n_bytes(training) for training in result[2]),
    )  # fmt: skip


def select_shared(regressor, environments, config_types, data=None):
    """Choice of sparse points that fits of the same search with other exponents share.

    Parameters
    ----------
    regressor : GAPRegressor
        Parameters.
    environments : Environments
        The structures.
    config_types : sequence or None
        Kinds of the structures.
    data : str, default=None
        Hash of both.

    Returns
    -------
    callable
        In place of :func:`select_points`.
    """
    if not is_sharing() or not _is_repeatable(regressor):
        return select_points
    data = data or content_hash([_content(environments), config_types])

    def choose(*args, zetas, **kwargs):
        return shared(
            lambda: select_points(*args, zetas=zetas, **kwargs),
            "points", data, [zeta == 1 for zeta in zetas],
            [getattr(regressor, name) for name in ("n_sparse", "sparse_method", "random_state")],
            n_bytes=lambda points: points.features.nbytes,
        )  # fmt: skip

    return choose


def _is_repeatable(regressor):
    """Whether another fit would choose the same sparse points."""
    seeded = isinstance(regressor.random_state, numbers.Integral)
    return seeded or not is_choice(regressor.sparse_method, "random", "kmeans")


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
