"""Results of a search in the form of scikit-learn's searches."""

from __future__ import annotations

import numpy as np
from sklearn.exceptions import FitFailedWarning

from ..utils.user_warnings import warn_user
from ._evaluation import TIMES
from ._pareto import is_non_dominated, knee_point


def describe_failures(ledger):
    """Describe how many candidates failed, and the error of the first.

    Parameters
    ----------
    ledger : Ledger
        Ledger of a completed search.

    Returns
    -------
    str
        Description; empty if none failed.
    """
    if not ledger.errors:
        return ""
    first = ledger.errors[0].strip()
    return (
        f"{len(ledger.errors)} of {ledger.n_evaluated} candidates failed, the first with "
        f"{first.splitlines()[-1]}\n{first}"
    )


def warn_of_failures(search):
    """Warn of candidates that failed, and of stages without a finite score.

    Parameters
    ----------
    search : StagedSearch
        A completed search.
    """
    failures = describe_failures(search.ledger)
    if failures:
        warn_user(failures, FitFailedWarning)
    for stage in search.stage_results:
        if stage["n_iterations"] and not np.isfinite(stage["best_score"]).all():
            warn_user(
                f"stage {stage['stage']} has found no finite value of its objective "
                f"{stage['objective']!r}, so its parameters remain unchanged; check the "
                "objective, the targets and the folds",
            )


def metric_names(rows):
    """Return the names of the metrics of cross-validated candidates.

    Parameters
    ----------
    rows : list of dict
        Candidates, at least one of which has not failed.

    Returns
    -------
    list of str
        Names; "score" for a single metric.
    """
    fold = next(row["folds"][0] for row in rows if row["error"] is None)
    return [key.removeprefix("test_") for key in fold if key.startswith("test_")]


def list_folds(rows, n_splits, names, multimetric, error_score, kinds):
    """List the results of all folds in the form of scikit-learn's own loop.

    Parameters
    ----------
    rows : list of dict
        Candidates.
    n_splits : int
        Number of folds.
    names : list of str
        Names of the metrics.
    multimetric : bool
        Whether scores are dicts.
    error_score : float
        Score of candidates that failed.
    kinds : list of {"test", "train"}
        Parts with scores.

    Returns
    -------
    list of dict
        Results, candidate by candidate and fold by fold.
    """
    failed = dict.fromkeys(TIMES, 0.0)
    failed |= {f"{kind}_{name}": error_score for kind in kinds for name in names}
    folds = []
    for row in rows:
        for fold in row.get("folds", [failed] * n_splits):
            entry = {key: fold[key] for key in TIMES}
            for kind in kinds:
                scores = {name: fold[f"{kind}_{name}"] for name in names}
                entry[f"{kind}_scores"] = scores if multimetric else scores["score"]
            folds.append(entry)
    return folds


def find_front(results, metrics):
    """Find the Pareto front of the candidates.

    Parameters
    ----------
    results : dict
        The table ``cv_results_``.
    metrics : list of str
        Metrics, or times, to compare.

    Returns
    -------
    front : ndarray of int
        Indices of the candidates.
    costs : ndarray of shape (n_front, n_metrics)
        Negative scores, and times.
    """
    costs = np.column_stack(
        [
            results[f"mean_{metric}"] if metric in TIMES else -results[f"mean_test_{metric}"]
            for metric in metrics
        ]
    )
    front = np.flatnonzero(is_non_dominated(costs))
    return front, costs[front]


def make_results(search, rows):
    """Set ``cv_results_`` and ``multimetric_`` of a search.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        The search.
    rows : list of dict
        Cross-validated candidates, at least one of which has not failed.
    """
    names = metric_names(rows)
    several = names != ["score"] or isinstance(search.scoring, (list, tuple, dict, set))
    search.multimetric_ = several
    kinds = ["test", "train"] if search.return_train_score else ["test"]
    folds = list_folds(rows, search.n_splits_, names, several, search.error_score, kinds)
    columns = ("stage", "cycle", "iteration", "particle", "feature_time")
    search.cv_results_ = search._format_results(
        [row["params"] for row in rows],
        search.n_splits_,
        folds,
        {column: [row[column] for row in rows] for column in columns},
    )


def select_best(search, metrics, chooses_knee):
    """Set ``pareto_front_`` and the attributes ``best_*`` of a search.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        Search with its results.
    metrics : list of str
        Metrics that the swarms optimized.
    chooses_knee : bool
        Whether the best candidate is that at the knee of the front.
    """
    results = search.cv_results_
    front, costs = find_front(results, metrics)
    search.pareto_front_ = [
        {
            "params": results["params"][index],
            "scores": dict(zip(metrics, -cost, strict=True)),
            "index": int(index),
        }
        for index, cost in zip(front, costs, strict=True)
    ]
    if not search.refit and search.multimetric_:
        return
    if chooses_knee:
        # without any finite score, the first candidate, as in scikit-learn
        search.best_index_ = int(front[knee_point(costs)]) if len(front) else 0
        metric = metrics[0]
    else:
        metric = search.refit if search.multimetric_ else "score"
        search.best_index_ = search._select_best_index(search.refit, metric, results)
    search.best_params_ = results["params"][search.best_index_]
    if not callable(search.refit):
        key = f"mean_{metric}" if metric in TIMES else f"mean_test_{metric}"
        search.best_score_ = results[key][search.best_index_]
