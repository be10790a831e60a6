"""What a finished search has found, in the form of scikit-learn's searches."""

from __future__ import annotations

import numpy as np
from sklearn.exceptions import FitFailedWarning

from ..utils.user_warnings import warn_user
from ._evaluation import TIMES
from ._pareto import is_non_dominated, knee_point


def describe_failures(ledger):
    """Say how many candidates failed, and how the first did.

    Parameters
    ----------
    ledger : Ledger
        Of a search that has run.

    Returns
    -------
    str
        Empty if none failed.
    """
    if not ledger.errors:
        return ""
    first = ledger.errors[0].strip()
    return (
        f"{len(ledger.errors)} of {ledger.n_evaluated} candidates failed, the first with "
        f"{first.splitlines()[-1]}\n{first}"
    )


def warn_of_failures(search):
    """Warn of candidates that failed, and of stages that none of them has moved.

    Parameters
    ----------
    search : StagedSearch
        A search that has run.
    """
    failures = describe_failures(search.ledger)
    if failures:
        warn_user(failures, FitFailedWarning)
    for stage in search.stage_results:
        if stage["n_iterations"] and not np.isfinite(stage["best_score"]).all():
            warn_user(
                f"stage {stage['stage']} has found no finite value of its objective "
                f"{stage['objective']!r}, so its parameters stay as they were; look at the "
                "objective, the targets and the folds",
            )


def metric_names(rows):
    """Names of the metrics of cross-validated candidates.

    Parameters
    ----------
    rows : list of dict
        Candidates, at least one of which has not failed.

    Returns
    -------
    list of str
        "score" stands for the only one.
    """
    fold = next(row["folds"][0] for row in rows if row["error"] is None)
    return [key.removeprefix("test_") for key in fold if key.startswith("test_")]


def list_folds(rows, n_splits, names, multimetric, error_score, kinds):
    """List the folds of all candidates as scikit-learn's own loop would have.

    Parameters
    ----------
    rows : list of dict
        Candidates.
    n_splits : int
        Folds of each.
    names : list of str
        Metrics.
    multimetric : bool
        Whether scores are dicts.
    error_score : float
        Scores of candidates that failed.
    kinds : list of {"test", "train"}
        Which scores there are.

    Returns
    -------
    list of dict
        Candidate by candidate, fold by fold.
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
    """Find the candidates that no other beats.

    Parameters
    ----------
    results : dict
        As ``cv_results_``.
    metrics : list of str
        What is compared: metrics, or times, which are better if small.

    Returns
    -------
    front : ndarray of int
        Their indices.
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
    """Set the results of a search.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        Gets ``cv_results_`` and ``multimetric_``.
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
    """Set the front and the best candidate of a search.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        Has its results; gets ``pareto_front_`` and ``best_*``.
    metrics : list of str
        What its swarms looked at.
    chooses_knee : bool
        Whether the best is the one at the knee of the front.
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
        # without any finite score, the first, as scikit-learn has it
        search.best_index_ = int(front[knee_point(costs)]) if len(front) else 0
        metric = metrics[0]
    else:
        metric = search.refit if search.multimetric_ else "score"
        search.best_index_ = search._select_best_index(search.refit, metric, results)
    search.best_params_ = results["params"][search.best_index_]
    if not callable(search.refit):
        key = f"mean_{metric}" if metric in TIMES else f"mean_test_{metric}"
        search.best_score_ = results[key][search.best_index_]
