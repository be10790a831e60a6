"""Comparison of present and found parameters for each kind of target on the same folds."""

from __future__ import annotations

import numpy as np

from ..utils.user_warnings import warn_user

# factor by which a quantity may get worse for the sake of the others
_TOLERANCE = 1.02


class TradeOffWarning(UserWarning):
    """The parameters found are better by the metric, but worse for a kind of target."""


def errors_of_row(row):
    """Average the errors that the models report over folds.

    Parameters
    ----------
    row : dict
        A cross-validated candidate.

    Returns
    -------
    dict of str to float
        Errors by kind of target; empty if the models report none.
    """
    reports = [fold["errors"] for fold in row.get("folds", ()) if "errors" in fold]
    names = {name: None for report in reports for name in report}
    return {
        name: float(np.mean([report[name] for report in reports if name in report]))
        for name in names
    }


def add_untuned(ledger):
    """Add a row for the estimator with its present parameters, after those of the candidates.

    Parameters
    ----------
    ledger : Ledger
        Ledger of a completed search.

    Returns
    -------
    int or None
        Index of the row of the present parameters, None if they were not cross-validated.
    """
    if ledger.untuned is not None:
        where = {"stage": 1, "cycle": 0, "iteration": 0, "particle": 0}
        ledger.rows.append({**ledger.untuned, **where})
        return len(ledger.rows) - 1
    return ledger.present_row


def keep_from_worse(rows, present, scores):
    """Find the best candidate that is worse than the present parameters for no kind of target.

    Parameters
    ----------
    rows : list of dict
        Cross-validated candidates.
    present : int or None
        Index of the present parameters.
    scores : ndarray of shape (n_rows,)
        Scores; the larger, the better; NaN for candidates that failed.

    Returns
    -------
    int
        Index of the candidate; none of its errors is more than two per cent larger.
    """
    best = int(np.nanargmax(scores))
    limits = {} if present is None else errors_of_row(rows[present])
    for index in np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable"):
        errors = errors_of_row(rows[index])
        if np.isfinite(scores[index]) and not _worse(limits, errors):
            return int(index)
    return best


def set_comparison(search, rows, present, metrics, keeps):
    """Set the comparison of a search, and warn if a kind of target has become worse.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        Search with its results and best candidate; ``comparison_`` is set.
    rows : list of dict
        Its cross-validated candidates.
    present : int or None
        Index of the present parameters.
    metrics : list of str
        Metrics that the swarms optimized.
    keeps : bool
        Whether no error of the best candidate may be larger than that of the present parameters.
    """
    search.comparison_ = {}
    if present is None or not hasattr(search, "best_index_"):
        return
    results = search.cv_results_
    if keeps and np.isfinite(results["mean_test_score"]).any():
        index = keep_from_worse(rows, present, results["mean_test_score"])
        search.best_index_ = index
        search.best_params_ = results["params"][index]
        search.best_score_ = results["mean_test_score"][index]
    before, after = (errors_of_row(rows[index]) for index in (present, search.best_index_))
    pairs = {name: (before[name], after[name]) for name in before if name in after}
    for metric in metrics:
        if f"mean_test_{metric}" in results:
            values = results[f"mean_test_{metric}"][[present, search.best_index_]]
            pairs[metric] = tuple(values.tolist())
    search.comparison_ = {
        name: {"present": first, "found": second} for name, (first, second) in pairs.items()
    }
    _warn_of_trade_offs(before, after)


def _warn_of_trade_offs(before, after):
    worse = _worse(before, after)
    if worse:
        listed = ", ".join(f"{name} {before[name]:.4g} to {after[name]:.4g}" for name in worse)
        warn_user(
            "the best candidate by the metric has larger errors than the present parameters: "
            f"{listed} (see comparison_); leave scoring at None for a metric of all kinds of "
            "targets, which keeps each of them",
            TradeOffWarning,
        )


def _worse(before, after):
    return [name for name in before if after.get(name, np.inf) > _TOLERANCE * before[name]]
