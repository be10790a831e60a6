"""Checks of a search's parameters before the computation."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from ..utils._sklearn_compat import num_samples
from ..utils.folds import check_folds
from ..utils.user_warnings import warn_user
from ._checks import check_choice, check_number
from ._evaluation import TIMES
from ._objectives import FEATURE_OBJECTIVES
from ._plan import Settings
from ._steps import is_sampler
from ._swarm import make_rules

_CHOICES = {
    "topology": ("star", "ring"),
    "strategy": ("two-stage", "joint"),
    "stage_two_objective": ("deprecated", "auto", "cv", "one_pass"),
}
_STAGE_ONE = ("auto", "cv", "one_pass", "loo", *FEATURE_OBJECTIVES)


def check_settings(search):
    """Check all parameters of a search except estimator, spaces and folds.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        The search.

    Returns
    -------
    Settings
        Settings for the loop of the search.
    """
    check_number("n_cycles", search.n_cycles, numbers.Integral, 1)
    check_number("n_warm_up", search.n_warm_up, numbers.Integral, 0)
    if search.early_stopping is not None:
        check_number("early_stopping", search.early_stopping, numbers.Integral, 1)
    if search.max_time is not None:
        check_number("max_time", search.max_time, numbers.Real, 0)
    if search.max_fits is not None:
        check_number("max_fits", search.max_fits, numbers.Real, 0)
    if not isinstance(search.cache_features, (bool, np.bool_)):
        raise ValueError(f"cache_features is {search.cache_features!r}, but must be True or False")
    for name, choices in _CHOICES.items():
        check_choice(name, getattr(search, name), choices)
    if search.stage_two_objective != "deprecated":
        warn_user(
            "stage_two_objective is deprecated and will be removed in 1.0: one pass and "
            "cross-validation give the same scores, and stage two uses one pass if possible; "
            'leave it out, or set stage_one_objective="cv" for cross-validation in both stages',
            FutureWarning,
        )
    if not callable(search.stage_one_objective):
        one = search.stage_one_objective
        check_choice("stage_one_objective", one, _STAGE_ONE, " or a callable")
    if not isinstance(search.error_score, numbers.Real):
        check_choice("error_score", search.error_score, ("raise",), " or a number")
    return Settings(
        rules=make_rules(search.swarm),
        topology=search.topology,
        init=_check_init(search.init),
        metrics=make_metrics(search),
        early_stopping=search.early_stopping,
        max_time=search.max_time,
        max_fits=search.max_fits,
        verbose=search.verbose,
    )


def check_target(estimator, y, stages):
    """Check that targets are given if they are needed.

    Parameters
    ----------
    estimator : estimator
        Estimator of the search.
    y : array-like or None
        Targets.
    stages : list of Stage
        Stages of the search.
    """
    if y is not None:
        return
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    named = [stage.objective for stage in stages if isinstance(stage.objective, str)]
    needing = [objective for objective in named if objective != "cv"]
    if needing or (hasattr(last, "__sklearn_tags__") and get_tags(last).target_tags.required):
        what = f"stage_one_objective={needing[0]!r}" if needing else type(last).__name__
        raise ValueError(f"{what} requires y to be passed, but the target y is None")


def check_samplers(estimator, stages):
    """Refuse the objective "loo" for a pipeline that selects or creates samples.

    Parameters
    ----------
    estimator : estimator
        Estimator of the search.
    stages : list of Stage
        Stages of the search.
    """
    samplers = [name for name, step in getattr(estimator, "steps", []) if is_sampler(step)]
    if samplers and any(
        isinstance(stage.objective, str) and stage.objective == "loo" for stage in stages
    ):
        raise ValueError(
            f"stage_one_objective is 'loo', but the step {samplers[0]!r} chooses other samples, "
            "whose residuals are not those of the given ones; use 'cv'"
        )


def make_folds(search, X, y, metadata):
    """Return the folds of a search as index arrays.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        Search with the parameter `cv`.
    X, y : object
        Samples and targets.
    metadata : dict
        Metadata for the splitter, such as `groups`.

    Returns
    -------
    list of (train, test)
        At least one fold.
    """
    cv = check_cv(search.cv, y, classifier=is_classifier(search.estimator))
    expected = cv.get_n_splits(X, y, **metadata)
    splits = check_folds(cv.split(X, y, **metadata), num_samples(X))
    if not splits:
        raise ValueError(
            "No fits were performed. Was the CV iterator empty? Were there no candidates?"
        )
    if len(splits) != expected:
        raise ValueError(
            "cv.split and cv.get_n_splits return inconsistent results. Expected "
            f"{expected} splits, got {len(splits)}"
        )
    return splits


def _check_init(init):
    if init is None:
        return []
    if isinstance(init, Mapping) or not isinstance(init, Sequence) or isinstance(init, str):
        raise TypeError(f"init is {init!r}, but must be a list of dicts of parameters")
    wrong = [seed for seed in init if not isinstance(seed, Mapping)]
    if wrong:
        raise TypeError(f"init holds {wrong[0]!r}, but must be a list of dicts of parameters")
    return [dict(seed) for seed in init]


def make_metrics(search):
    """Return the names of the metrics that the swarms optimize."""
    names, objective = _metric_names(search.scoring), search.objective
    if objective is None:
        objective = _default_objective(names, search.refit)
    if not isinstance(objective, (str, list, tuple)):
        raise TypeError(f"objective is {objective!r}, but must be the name of a metric, or a list")
    metrics = [objective] if isinstance(objective, str) else list(objective)
    unknown = [] if names is None else [name for name in metrics if name not in [*names, *TIMES]]
    if unknown or not metrics:
        raise ValueError(
            f"objective is {objective!r}, but must name one or more of {[*(names or []), *TIMES]}"
        )
    return metrics


def _default_objective(names, refit):
    """Return the metric that `refit` names, or all metrics; `names` is None for a callable."""
    if names == ["score"] or (names is None and not isinstance(refit, str)):
        return "score"
    if isinstance(refit, str):
        if names is not None and refit not in names:
            raise ValueError(f"refit is {refit!r}, but must name one of the metrics {names}")
        return refit
    if refit and not callable(refit):
        raise ValueError(
            f"scoring has the metrics {names}, but neither objective nor refit names the one "
            "to search by; set objective"
        )
    return names


def _metric_names(scoring):
    """Return the names of the metrics of `scoring`, None for a callable, which may return any."""
    several = isinstance(scoring, (list, tuple, Mapping))
    if several and not scoring:
        raise ValueError(f"scoring is {scoring!r}, but must name at least one metric")
    given = scoring.values() if isinstance(scoring, Mapping) else scoring if several else [scoring]
    unknown = sorted({name for name in given if isinstance(name, str)} - {*get_scorer_names()})
    if unknown:
        raise ValueError(
            f"scoring names {unknown}, but sklearn.metrics.get_scorer_names() has no such scorer; "
            "pass the scorer itself, such as skdesc.metrics.SCORERS['neg_forces_rmse'] for errors "
            "of forces"
        )
    if several:
        return list(scoring)
    return None if callable(scoring) else ["score"]
