"""Cross-validation of candidates whose last step knows how to do it in one pass over the data.

Such a step has the method ``fit_folds(X, y, splits, **metadata)``, which returns the models that
fits to the training parts would give. It may also find good values of some of its parameters by
the same pass: then ``_findable(searched)`` are their names, given those of its parameters that
are searched, and ``_find(X, y, splits, scorers, bounds, **metadata)`` a dict of values, given the
metrics that the search looks at, and the least and largest value of each.
"""

from __future__ import annotations

import time

import numpy as np

from ..utils.folds import can_share_a_pass, split_blocks, take

# each block that no part of a fold cuts has triangles of its own, and all are kept at once
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
        True for up to 32 folds that do not overlap; no part may be empty or repeat a sample.
    """
    if not can_share_a_pass(splits):
        return False
    return len(split_blocks([part for split in splits for part in split], n_samples)) <= _MAX_BLOCKS


def named_by_last(estimator, method, names):
    """Parameters of the last step that are searched, and that it names itself.

    By ``_findable``, it names those that it can find by one pass; by ``_bound_to_features``, those
    that say how features are compared, as the exponent of a covariance does, so that they are
    searched together with the features.

    Parameters
    ----------
    estimator : Pipeline
        The pipeline.
    method : str
        Method of the last step that names them, given those that are searched; it may be missing.
    names : iterable of str
        Parameters of the last step that are searched.

    Returns
    -------
    list of str
        May be empty.
    """
    step, last = estimator.steps[-1]
    searched = [name.removeprefix(f"{step}__") for name in names]
    named = getattr(last, method, lambda _: ())(searched)
    return [f"{step}__{name}" for name in named if name in searched]


def score_folds(estimator, Z, y, splits, scorer, fit_params, score_params, train_scores=False):
    """Fit and score all folds.

    Parameters
    ----------
    estimator : estimator
        The last step, not fitted.
    Z, y : object
        Features and targets of all samples.
    splits : list of (train, test)
        The folds.
    scorer : callable
        As :func:`sklearn.metrics.check_scoring` gives it.
    fit_params, score_params : dict
        Metadata, by the names of arguments of the last step's fit and of the scorers.
    train_scores : bool, default=False
        Whether to score the training parts too.

    Returns
    -------
    list of dict
        Scores and times by fold, named as by ``cross_validate``; each has its share of the time
        to fit.
    """
    start = time.perf_counter()
    models = estimator.fit_folds(Z, y, splits, **fit_params)
    fit_time = (time.perf_counter() - start) / len(splits)
    folds = []
    for model, (train, test) in zip(models, splits, strict=True):
        fold = {"fit_time": fit_time}
        for kind, part in {"test": test, "train": train}.items():
            if kind == "train" and not train_scores:
                continue
            some = {name: take(values, part) for name, values in score_params.items()}
            start = time.perf_counter()
            scores = scorer(model, Z[part], np.asarray(y)[part], **some)
            fold.setdefault("score_time", time.perf_counter() - start)
            scores = scores if isinstance(scores, dict) else {"score": scores}
            fold |= {f"{kind}_{name}": float(score) for name, score in scores.items()}
        folds.append(fold)
    return folds
