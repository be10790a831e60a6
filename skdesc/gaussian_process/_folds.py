"""Cross-validation by one pass over the data.

What a fit needs of the data are triangles, and triangles of different structures can be
combined. So the data pass by once, in blocks that no training part cuts, and the model of each
training part follows from the triangles of its blocks. It is the model of its own fit but for
the sparse points, which are chosen among all structures.
"""

from __future__ import annotations

from copy import copy

import numpy as np

from ..utils.folds import split_blocks
from ._environments import check_environments
from ._parameters import check_parameters
from ._posterior import KINDS
from ._sharing import shared_blocks


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
    check_parameters(regressor)
    environments = check_environments(X, regressor, reset=True)
    members = split_blocks([train for train, _ in splits], len(environments))

    def see(training, index):
        some = {name: _take(values, index) for name, values in metadata.items()}
        regressor._see(training, _take(X, index), np.asarray(y)[index], **some)

    base, blocks = shared_blocks(regressor, environments, y, metadata, members, see)
    if regressor.optimize is not None:
        regressor = _tuned(regressor, base, blocks)
    firsts = [index[0] for index in members]
    return [
        _merged(regressor, base, [blocks[k] for k in np.flatnonzero(np.isin(firsts, train))])
        for train, _ in splits
    ]


def _tuned(regressor, base, blocks):
    """The regressor with the noise that makes the data most probable.

    The energy scale stays what it is: predictions depend on its ratio to the noise alone (if
    there are several, on their ratios to one another too, which are then not refined).
    """
    refined = _merged(regressor, base, blocks)
    regressor = copy(regressor)
    regressor.optimize = None
    plain = _merged(regressor, base, blocks)
    ratio = np.exp(np.mean(np.log(plain.energy_scale_) - np.log(refined.energy_scale_)))
    for kind in KINDS:
        setattr(regressor, f"sigma_{kind}", float(getattr(refined, f"sigma_{kind}_") * ratio))
    return regressor


def _merged(regressor, base, blocks):
    """Model of several blocks."""
    training = base.empty()
    for block in blocks:
        training.merge(block)
    model = copy(regressor)
    model._solve(training)
    return model


def _take(values, index):
    if values is None or isinstance(values, dict):
        return values
    if isinstance(values, (list, tuple)):
        return [values[i] for i in index]
    return values[index]
