"""Cross-validation of candidates whose last step shares work between the fits to several folds.

Such a step offers a ``FoldSession`` (see ``_protocols``) of features, targets and folds. One
session evaluates all candidates that differ in parameters of that step alone.
"""

from __future__ import annotations

import threading
import time
from functools import wraps

import numpy as np

from ..utils.folds import can_share_a_pass, split_blocks, take

# largest number of blocks of samples that no fold divides; the triangles of all are kept at once
_MAX_BLOCKS = 32
# sessions of this process by key; a search removes those that it has begun
_sessions = {}
_lock = threading.Lock()


def is_one_pass_cheap(splits, n_samples):
    """Whether folds are suitable for one pass over the data.

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


def parameters_declared_by_last_step(estimator, method, names):
    """Return searched parameters of the last step that one of its methods names.

    Parameters
    ----------
    estimator : Pipeline
        The pipeline.
    method : {"self_tuned_parameters", "feature_bound_parameters"}
        Method of the last step, which may be missing.
    names : iterable of str
        Searched parameters of the last step.

    Returns
    -------
    list of str
        Names of the parameters; may be empty.
    """
    step, last = estimator.steps[-1]
    searched = [name.removeprefix(f"{step}__") for name in names]
    declare = getattr(last, method, None)
    declared = declare(searched) if declare else ()
    return [f"{step}__{name}" for name in declared if name in searched]


def open_session(estimator, Z, y, splits, metadata, key=None):
    """Open a session for features, targets and folds.

    Parameters
    ----------
    estimator : estimator
        The last step of a pipeline.
    Z, y : object
        Features and targets of all samples.
    splits : list of (train, test)
        The folds.
    metadata : dict
        Further arguments of fit.
    key : str, default=None
        Key that is equal for equal data, for which this process keeps one session.

    Returns
    -------
    FoldSession
        A new session, or that of an earlier candidate.
    """
    with _lock:
        session = _sessions.get(key)
    if session is None:
        session = estimator.fold_session(Z, y, splits, **metadata)
        if key is not None:
            with _lock:
                session = _sessions.setdefault(key, session)
    return session


def close_session(key):
    """Drop the session that this process keeps for a key.

    Parameters
    ----------
    key : str
        Key that was passed to :func:`open_session`.
    """
    with _lock:
        _sessions.pop(key, None)


def score_folds(
    fit, Z, y, splits, scorer, score_params, train_scores=False, report=None
):
    """Fit and score all folds.

    Parameters
    ----------
    fit : callable
        Returns a model for each fold.
    Z, y : object
        Features and targets of all samples.
    splits : list of (train, test)
        The folds.
    scorer : callable
        Scorer from :func:`sklearn.metrics.check_scoring`.
    score_params : dict
        Metadata by the names of arguments of the scorers.
    train_scores : bool, default=False
        Whether to score the training parts, too.
    report : dict, default=None
        Metadata for the method ``report_errors`` of the models; None does not call it.

    Returns
    -------
    list of dict
        Scores and times of each fold under the names of ``cross_validate``; each has its share of
        the fit time. "errors" are the errors that the model reports.
    """
    start = time.perf_counter()
    models = fit()
    fit_time = (time.perf_counter() - start) / len(splits)
    folds = []
    for model, (train, test) in zip(models, splits, strict=True):
        fold, parts = {"fit_time": fit_time}, {}
        _remember_predictions(model)
        for side, part in {"test": test, "train": train}.items():
            if side == "train" and not train_scores:
                continue
            some = {name: take(values, part) for name, values in score_params.items()}
            start = time.perf_counter()
            rows = parts[side] = Z[part]
            scores = scorer(model, rows, np.asarray(y)[part], **some)
            fold.setdefault("score_time", time.perf_counter() - start)
            scores = scores if isinstance(scores, dict) else {"score": scores}
            fold |= {f"{side}_{name}": float(score) for name, score in scores.items()}
        if report is not None:
            some = {name: take(values, test) for name, values in report.items()}
            fold["errors"] = model.report_errors(parts["test"], np.asarray(y)[test], **some)
        folds.append(fold)
    return folds


def _remember_predictions(model):
    """Let scorers and error reports of a model share predictions."""
    predict, known = getattr(model, "predict", None), []
    if predict is None:
        return

    @wraps(predict)
    def remembering(X, **options):
        for features, asked, result in known:
            if features is X and asked == options:
                return result
        result = predict(X, **options)
        known.append((X, options, result))
        return result

    model.predict = remembering
