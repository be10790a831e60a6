"""Cross-validation of candidates whose last step knows how to do it in one pass over the data.

Such a step has the method ``fit_folds(X, y, splits, **metadata)``, which returns the models of all
training parts. It may also find good values of some of its parameters by itself: then its class
has ``_self_tuning``, the parameters that make it do so, and ``_self_tuned``, the names of those
that it finds; the models have the values as parameters.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import check_scoring

from ..utils.folds import split_blocks

# each block that no training part cuts has triangles of its own, and all are kept at once
_MAX_BLOCKS = 32


def few_blocks(splits, n_samples):
    """Whether folds overlap little enough for one pass.

    Parameters
    ----------
    splits : list of (train, test)
        The folds.
    n_samples : int
        Number of samples.

    Returns
    -------
    bool
        True for up to 32 folds that do not overlap.
    """
    return len(split_blocks([train for train, _ in splits], n_samples)) <= _MAX_BLOCKS


def self_tuning(estimator, names):
    """Parameters that make the last step of a pipeline find others of its parameters by itself.

    Parameters
    ----------
    estimator : Pipeline
        The pipeline.
    names : iterable of str
        Parameters that are searched.

    Returns
    -------
    dict of str to object
        Empty if the step can't, or if nothing that it would find is searched.
    """
    name, last = estimator.steps[-1]
    found = {f"{name}__{parameter}" for parameter in getattr(last, "_self_tuned", ())}
    switch = {f"{name}__{key}": value for key, value in getattr(last, "_self_tuning", {}).items()}
    return switch if found & set(names) and not switch.keys() & set(names) else {}


def score_folds(estimator, Z, y, splits, scoring, fit_params, score_params):
    """Fit and score all folds.

    Parameters
    ----------
    estimator : estimator
        The last step, not fitted.
    Z, y : object
        Features and targets of all samples.
    splits : list of (train, test)
        The folds.
    scoring : object
        As for :func:`sklearn.model_selection.cross_validate`.
    fit_params, score_params : dict
        Metadata, by the names of arguments of the last step's fit and of the scorers.

    Returns
    -------
    folds : list of dict
        Scores by fold, named as by ``cross_validate``.
    model : estimator
        The first of the fitted models.
    """
    scorer = check_scoring(estimator, scoring=scoring)
    models = estimator.fit_folds(Z, y, splits, **fit_params)
    folds = []
    for model, (_, test) in zip(models, splits, strict=True):
        some = {name: _take(values, test) for name, values in score_params.items()}
        scores = scorer(model, Z[test], np.asarray(y)[test], **some)
        if not isinstance(scores, dict):
            scores = {"score": scores}
        folds.append({f"test_{name}": float(score) for name, score in scores.items()})
    return folds, models[0]


def tuned_values(model, name):
    """Values that a model has found for its parameters.

    Parameters
    ----------
    model : estimator
        From :func:`score_folds`.
    name : str
        Name of its step.

    Returns
    -------
    dict of str to float
        By the names of parameters of the pipeline.
    """
    return {f"{name}__{key}": getattr(model, key) for key in model._self_tuned}


def _take(values, index):
    if hasattr(values, "shape") or hasattr(values, "iloc"):
        return np.asarray(values)[index]
    return [values[i] for i in index]
