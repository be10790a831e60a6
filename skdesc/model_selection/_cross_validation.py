"""Cross-validation of a candidate on fixed folds, including metadata for scorers."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ..utils._sklearn_compat import (
    fit_and_score,
    insert_error_scores,
    warn_or_raise_about_fit_failures,
)
from ..utils.folds import take


def cross_validate(
    estimator, X, y, splits, make_scorer, *, fit_params, score_params, error_score,
    return_train_score, report=None,
):
    """Fit and score all folds as scikit-learn's searches do.

    scikit-learn's public ``cross_validate`` passes metadata to scorers only with metadata routing
    enabled, but its searches pass them without it, too.

    Parameters
    ----------
    estimator : estimator
        Estimator to clone.
    X, y : object
        All samples and targets.
    splits : list of (train, test)
        Index arrays.
    make_scorer : callable
        Called with `raise_exc`; returns a scorer as :func:`sklearn.metrics.check_scoring` does.
    fit_params, score_params : dict
        Metadata by the names of arguments; entries with one value per sample are split.
    error_score : "raise" or float
        Score of a fold that fails.
    return_train_score : bool
        Whether to score the training folds, too.
    report : dict, default=None
        Metadata for the method ``report_errors`` of the fitted estimators; None does not call it.

    Returns
    -------
    list of dict
        Scores and times under the names of ``cross_validate``, one dict per fold.

    Raises
    ------
    MemoryError
        If a fold runs out of memory, whatever `error_score` is: a later attempt may succeed.
    """

    def evaluate(train, test, mode):
        return fit_and_score(
            clone(estimator), X, y, scorer=make_scorer(mode == "raise"), train=train, test=test,
            verbose=0, parameters=None, fit_params=fit_params, score_params=score_params,
            return_train_score=return_train_score, return_times=True, error_score=mode,
            return_estimator=True,
        )

    results = []
    for train, test in splits:
        try:
            results.append(evaluate(train, test, "raise"))
        except MemoryError:
            raise
        except Exception:
            if error_score == "raise":
                raise
            # repeat, for scikit-learn's own warning and the scores of the other metrics
            results.append(evaluate(train, test, error_score))
    warn_or_raise_about_fit_failures(results, error_score)
    insert_error_scores(results, error_score)
    folds = [_flat(result, return_train_score) for result in results]
    if report is not None:
        for fold, result, (_, test) in zip(folds, results, splits, strict=True):
            some = {name: take(values, test) for name, values in report.items()}
            if result["fit_error"] is None:
                fold["errors"] = _reported(result["estimator"], take(X, test), y, test, some)
    return folds


def _reported(model, X, y, test, metadata):
    """Return the errors that a fitted estimator, or the last step of a pipeline, reports."""
    if isinstance(model, Pipeline):
        X, model = (model[:-1].transform(X) if len(model) > 1 else X), model[-1]
    # with metadata routing disabled, names begin with that of a step
    metadata = {name.split("__")[-1]: values for name, values in metadata.items()}
    return model.report_errors(X, np.asarray(y)[test], **metadata)


def _flat(result, with_train_scores):
    fold = {name: float(result[name]) for name in ("fit_time", "score_time")}
    for side in ("test", "train") if with_train_scores else ("test",):
        scores = result[f"{side}_scores"]
        scores = scores if isinstance(scores, dict) else {"score": scores}
        fold |= {f"{side}_{name}": float(score) for name, score in scores.items()}
    return fold
