"""Cross-validation by one pass over the data.

What a fit needs of the data are triangles. Those of different structures can be combined, and
columns of a triangle can be left out. So the data pass by once, in blocks that no part of a fold
cuts, with the sparse points of all training parts as columns; the model of each part follows from
the triangles of its blocks and its own points. It is the model of a fit to that part.
"""

from __future__ import annotations

from copy import copy

import numpy as np

from ..utils.folds import can_share_a_pass, check_folds, split_blocks, take
from ._environments import check_environments
from ._parameters import check_parameters
from ._sharing import select_shared, shared_blocks
from ._sparse_points import union
from ._targets import sigmas_of_kinds
from ._training import Training


def fit_folds(regressor, X, y, splits, metadata):
    """Models of all training parts.

    Parameters
    ----------
    regressor : GAPRegressor
        Parameters.
    X, y : object
        Descriptors and energies of all structures.
    splits : sequence of (train, test)
        Index arrays.
    metadata : dict
        Further arguments of fit.

    Returns
    -------
    list of GAPRegressor
        One per training part.
    """
    splits = _check_splits(splits, X)
    trains, members, parts, columns, blocks = _pass_by(regressor, X, y, splits, metadata)
    firsts = [index[0] for index in members]
    models = []
    for train, part, mine in zip(trains, parts, columns, strict=True):
        inside = [blocks[k] for k in np.flatnonzero(np.isin(firsts, train))]
        models.append(_merged(regressor, part, mine, inside))
    return models


def folds_of_blocks(regressor, X, y, splits, metadata):
    """Training part and test part of each fold, by the same pass.

    Parameters
    ----------
    regressor, X, y, splits, metadata : object
        As for :func:`fit_folds`.

    Yields
    ------
    training, test : Training
        With the sparse points of the training part.
    """
    splits = _check_splits(splits, X)
    trains, members, parts, columns, blocks = _pass_by(regressor, X, y, splits, metadata)
    firsts = [index[0] for index in members]
    for (_, test), train, part, mine in zip(splits, trains, parts, columns, strict=True):
        yield tuple(
            _chosen(part, mine, [blocks[k] for k in np.flatnonzero(np.isin(firsts, side))])
            for side in (train, test)
        )


def _check_splits(splits, X):
    splits = check_folds(splits, len(X))
    if not can_share_a_pass(splits):
        raise ValueError(
            "splits has an empty part, or one with a sample more than once, but one pass over the "
            "data sees each sample once; fit to each training part by itself"
        )
    return splits


def _pass_by(regressor, X, y, splits, metadata):
    """Training parts, blocks of structures, and what is known of both after the pass."""
    check_parameters(regressor)
    environments = check_environments(X, regressor, reset=True)
    if isinstance(metadata.get("sigmas"), dict):
        # a block may lack kinds that others have
        table = sigmas_of_kinds(metadata["sigmas"], metadata.get("config_types"), len(environments))
        metadata = {**metadata, "sigmas": np.array(table, dtype=np.float64)}
    trains = [np.asarray(train) for train, _ in splits]
    sides = [*trains, *(np.asarray(test) for _, test in splits)]
    members = split_blocks(sides, len(environments))

    def pass_by():
        parts = [_part(regressor, X, train, metadata) for train in trains]
        points, columns = union([part.points for part in parts])
        base = copy(parts[0])
        base.points, base.elements = points, environments.elements()
        base = base.empty()
        blocks = [base.empty() for _ in members]
        for block, index in zip(blocks, members, strict=True):
            some = {name: take(values, index) for name, values in metadata.items()}
            regressor._see(block, take(X, index), np.asarray(y)[index], **some)
        return parts, columns, blocks

    parts, columns, blocks = shared_blocks(regressor, environments, y, metadata, sides, pass_by)
    return trains, members, parts, columns, blocks


def _part(regressor, X, train, metadata):
    """Sparse points of a training part, of which nothing else is seen yet."""
    environments = check_environments(take(X, train), regressor, reset=False)
    config_types = take(metadata.get("config_types"), train)
    return Training(
        environments, regressor, config_types, select_shared(regressor, environments, config_types)
    )


def _merged(regressor, part, columns, blocks):
    """Model of several blocks, with some of the sparse points."""
    model = copy(regressor)
    model._solve(_chosen(part, columns, blocks))
    return model


def _chosen(part, columns, blocks):
    """Several blocks taken together, with some of the sparse points."""
    training = part.empty() if not blocks else blocks[0].empty()
    for block in blocks:
        training.merge(block)
    training.points, training.prior = part.points, part.prior
    if blocks:
        training.data = training.data.with_points(columns)
    return training
