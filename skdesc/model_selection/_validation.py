"""Checks of a search's parameters, all of them before anything is computed."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import _num_samples

from ..utils.folds import check_folds
from ._evaluation import TIMES
from ._objectives import FEATURE_OBJECTIVES
from ._one_pass import named_by_last
from ._space import SearchSpace
from ._stages import Settings, Stage
from ._steps import has_leading_steps, is_sampler, passes_once, step_of
from ._swarm import make_rules

_CHOICES = {
    "topology": ("star", "ring"),
    "strategy": ("two-stage", "joint"),
    "stage_two_objective": ("auto", "cv", "one_pass"),
}
# a swarm that searches a space again starts in a cube with edges so much shorter
_NARROWING = 0.5
# default particles and iterations of each stage, by the number of stages
_SIZES = {1: ((12, 12), (15, 15)), 2: ((5, 5), (5, 4))}
# first candidates of a small default swarm: where errors have several valleys, its particles
# would otherwise often begin, and stay, in the wrong ones
_SCOUTS = 16
_FEWEST = 5
_STAGE_ONE = ("auto", "cv", "one_pass", "loo", *FEATURE_OBJECTIVES)


def check_settings(search):
    """Check all parameters of a search but estimator, spaces and folds.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        The search.

    Returns
    -------
    Settings
        What the loop needs.
    """
    _check_number("n_cycles", search.n_cycles, numbers.Integral, 1)
    _check_number("n_warm_up", search.n_warm_up, numbers.Integral, 0)
    if search.early_stopping is not None:
        _check_number("early_stopping", search.early_stopping, numbers.Integral, 1)
    if search.max_time is not None:
        _check_number("max_time", search.max_time, numbers.Real, 0)
    if not isinstance(search.cache_features, (bool, np.bool_)):
        raise ValueError(f"cache_features is {search.cache_features!r}, but must be True or False")
    for name, choices in _CHOICES.items():
        _check_choice(name, getattr(search, name), choices)
    if not callable(search.stage_one_objective):
        one = search.stage_one_objective
        _check_choice("stage_one_objective", one, _STAGE_ONE, " or a callable")
    if not isinstance(search.error_score, numbers.Real):
        _check_choice("error_score", search.error_score, ("raise",), " or a number")
    return Settings(
        rules=make_rules(search.swarm),
        topology=search.topology,
        init=_check_init(search.init),
        metrics=_make_metrics(search),
        early_stopping=search.early_stopping,
        max_time=search.max_time,
        verbose=search.verbose,
    )


def make_stages(search):
    """Check the spaces of a search and lay out its stages.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        The search.

    Returns
    -------
    stages : list of Stage
        In order.
    start : dict of str to object
        Values of all parameters searched, each in its space.
    present : set of str
        Names of those that are the estimator's present ones.
    """
    spaces = {
        name: SearchSpace(getattr(search, name), name)
        for name in ("transformer_space", "regressor_space")
    }
    transformer, regressor = spaces.values()
    if not transformer.names and not regressor.names:
        raise ValueError(
            "transformer_space and regressor_space are both empty, but at least one parameter "
            "must be searched; name one, such as {'step__parameter': [1, 2, 3]}"
        )
    common = sorted({*transformer.names} & {*regressor.names})
    if common:
        raise ValueError(
            f"{common} are in transformer_space and in regressor_space, but each parameter "
            "belongs to one; remove it from the other"
        )
    start, present = _present_values(search.estimator, spaces)
    found_in = None
    if search.strategy == "joint" or not transformer.names or not regressor.names:
        plan = [_single_stage(search, transformer, regressor)]
    else:
        _check_division(search.estimator, transformer, regressor)
        objectives = _resolve_objectives(search, [*transformer.names, *regressor.names])
        plan = [(1, transformer, objectives[0]), (2, regressor, objectives[1])]
        if objectives[0] in ("cv", "one_pass"):
            coupled = named_by_last(search.estimator, "_bound_to_features", regressor.names)
            coupled = {name: search.regressor_space[name] for name in coupled}
            plan[0] = 1, SearchSpace({**search.transformer_space, **coupled}), objectives[0]
        if objectives[0] == "one_pass":
            found = named_by_last(search.estimator, "_findable", regressor.names)
            found_in = SearchSpace({n: search.regressor_space[n] for n in found}) if found else None
    sizes = _SIZES[len(plan)]
    n_particles = _by_stage(search, "n_particles", sizes[0])
    n_iterations = _by_stage(search, "n_iterations", sizes[1])
    warm_up = len(plan) == 2 and search.n_warm_up and plan[0][2] not in FEATURE_OBJECTIVES
    n_scouts = _SCOUTS if len(plan) == 2 and search.n_particles is None else 0
    stages = [
        Stage(
            number, cycle, space, objective, n_particles[number - 1], n_iterations[number - 1],
            _NARROWING ** (cycle + bool((warm_up or found_in) and number == 2)),
            n_scouts if number == 1 and cycle == 0 else 0,
            found_in if number == 1 else None,
        )
        for cycle in range(search.n_cycles)
        for number, space, objective in plan
    ]
    if warm_up:
        stages.insert(0, Stage(0, 0, regressor, plan[0][2], n_particles[1], search.n_warm_up))
    _check_init_names(search.init or [], spaces)
    _check_init_size(search.init or [], min(n_particles[number - 1] for number, *_ in plan))
    return stages, start, present


def check_target(estimator, y, stages):
    """Check that targets are there where they are needed.

    Parameters
    ----------
    estimator : estimator
        A Pipeline, or anything.
    y : array-like or None
        Targets.
    stages : list of Stage
        What is to be done.
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
    """Refuse leave-one-out residuals of a model of other samples than those given.

    Parameters
    ----------
    estimator : estimator
        A Pipeline, or anything.
    stages : list of Stage
        What is to be done.
    """
    samplers = [name for name, step in getattr(estimator, "steps", []) if is_sampler(step)]
    if samplers and any(
        isinstance(stage.objective, str) and stage.objective == "loo" for stage in stages
    ):
        raise ValueError(
            f"stage_one_objective is 'loo', but the step {samplers[0]!r} chooses other samples, "
            "whose residuals say nothing of those given; use 'cv'"
        )


def make_folds(search, X, y, metadata):
    """Folds of a search as index arrays.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        Has `cv`.
    X, y : object
        Samples and targets.
    metadata : dict
        For the splitter, such as `groups`.

    Returns
    -------
    list of (train, test)
        At least one.
    """
    cv = check_cv(search.cv, y, classifier=is_classifier(search.estimator))
    expected = cv.get_n_splits(X, y, **metadata)
    splits = check_folds(cv.split(X, y, **metadata), _num_samples(X))
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


def _resolve_objectives(search, names):
    """Objectives of both stages, where "auto" is one pass if that can be."""
    timed = set(_make_metrics(search)) & set(TIMES)
    able = search.cache_features and not timed and passes_once(search.estimator, names)
    one, two = search.stage_one_objective, search.stage_two_objective
    if not able and "one_pass" in (one, two):
        raise ValueError(
            "stage_one_objective or stage_two_objective is 'one_pass', but this needs a pipeline "
            "of stateless transformers before a last step with the method fit_folds, such as "
            "GAPRegressor, no step that is itself searched, no time as objective, and "
            "cache_features=True; use 'cv'"
        )
    if two == "auto":
        two = "one_pass" if able and one != "cv" else "cv"
    if one == "auto":
        one = "one_pass" if able else "cv"
    return one, two


def _single_stage(search, transformer, regressor):
    number, space = (1, transformer) if transformer.names else (2, regressor)
    if search.strategy == "joint":
        return number, SearchSpace({**search.transformer_space, **search.regressor_space}), "cv"
    objective = (search.stage_one_objective, search.stage_two_objective)[number - 1]
    if objective == "one_pass":
        _resolve_objectives(search, space.names)
    last = search.estimator.steps[-1][0] if isinstance(search.estimator, Pipeline) else None
    unseen = [name for name in space.names if step_of(name) == last]
    if objective in FEATURE_OBJECTIVES and unseen:
        raise ValueError(
            f"stage_one_objective={objective!r} looks at features alone, so it cannot see "
            f"{unseen} in transformer_space; move them to regressor_space, or use 'cv'"
        )
    return number, space, "cv" if objective == "auto" else objective


def _check_division(estimator, transformer, regressor):
    """In two stages, the first space is that of the leading steps, the second of the last."""
    # a step that passes all through may be searched itself
    steps = [name for name, _ in estimator.steps[:-1]] if isinstance(estimator, Pipeline) else []
    if not has_leading_steps(estimator) and not {*steps} & {*transformer.names}:
        raise ValueError(
            f"estimator {type(estimator).__name__} has no transformer before its last step, but "
            "transformer_space searches one; pass a Pipeline, or strategy='joint'"
        )
    last = estimator.steps[-1][0]
    for argument, names, of_last in (
        ("transformer_space", transformer.names, False),
        ("regressor_space", regressor.names, True),
    ):
        wrong = [name for name in names if (step_of(name) == last) != of_last]
        if wrong:
            place = "the last step" if of_last else "the steps before the last"
            other = "transformer_space" if of_last else "regressor_space"
            raise ValueError(
                f"{argument} holds {wrong}, but is for parameters of {place} (the last step is "
                f"{last!r}); move them to {other}, or use strategy='joint'"
            )


def _present_values(estimator, spaces):
    known = estimator.get_params(deep=True)
    searched = {name for space in spaces.values() for name in space.names}
    for argument, space in spaces.items():
        for name in space.names:
            # parameters of a step that is itself searched may come with one of its values
            if name not in known and step_of(name) not in searched - {name}:
                near = get_close_matches(name, known, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise ValueError(
                    f"{argument} names {name!r}, which is no parameter of the estimator{hint}; "
                    "see estimator.get_params()"
                )
    # values outside the spaces are no candidates
    start, present = {}, set()
    for space in spaces.values():
        values = {name: known[name] for name in space.names if name in known}
        start |= space.start(values)
        present |= {*space.restrict(values)}
    return dict(sorted(start.items())), present


def _by_stage(search, name, default=None):
    """Both entries of a pair, or the same number for both stages; a default for None."""
    value = default if getattr(search, name) is None else getattr(search, name)
    pair = list(value) if isinstance(value, (list, tuple)) else [value, value]
    if len(pair) != 2:
        raise ValueError(f"{name} is {value!r}, but must be an integer, or a pair of them")
    for entry in pair:
        _check_number(name, entry, numbers.Integral, 1)
    return pair


def _check_init(init):
    if init is None:
        return []
    if isinstance(init, Mapping) or not isinstance(init, Sequence) or isinstance(init, str):
        raise TypeError(f"init is {init!r}, but must be a list of dicts of parameters")
    wrong = [seed for seed in init if not isinstance(seed, Mapping)]
    if wrong:
        raise TypeError(f"init holds {wrong[0]!r}, but must be a list of dicts of parameters")
    return [dict(seed) for seed in init]


def _check_init_size(init, n_particles):
    if len(init) >= n_particles:
        raise ValueError(
            f"init has {len(init)} candidates, which with the estimator's own parameters is more "
            f"than n_particles={n_particles}; raise n_particles"
        )


def _check_init_names(init, spaces):
    space_of = {name: space for space in spaces.values() for name in space.names}
    for index, seed in enumerate(init):
        for name, value in seed.items():
            if name not in space_of:
                raise ValueError(
                    f"init[{index}] names {name!r}, which is in neither space; remove it"
                )
            if not space_of[name].restrict({name: value}):
                raise ValueError(
                    f"init[{index}] has {name}={value!r}, which is outside its space; widen the "
                    "space or change the value"
                )


def _make_metrics(search):
    """Names of the metrics that the swarm looks at."""
    names, objective, refit = _metric_names(search.scoring), search.objective, search.refit
    if objective is None:
        if names == ["score"] or (names is None and not isinstance(refit, str)):
            objective = "score"
        elif isinstance(refit, str):
            if names is not None and refit not in names:
                raise ValueError(f"refit is {refit!r}, but must name one of the metrics {names}")
            objective = refit
        elif refit and not callable(refit):
            raise ValueError(
                f"scoring has the metrics {names}, but neither objective nor refit names the one "
                "to search by; set objective"
            )
        else:
            objective = names
    if not isinstance(objective, (str, list, tuple)):
        raise TypeError(f"objective is {objective!r}, but must be the name of a metric, or a list")
    metrics = [objective] if isinstance(objective, str) else list(objective)
    unknown = [] if names is None else [name for name in metrics if name not in [*names, *TIMES]]
    if unknown or not metrics:
        raise ValueError(
            f"objective is {objective!r}, but must name one or more of {[*(names or []), *TIMES]}"
        )
    return metrics


def _metric_names(scoring):
    """Names of the metrics of `scoring`, None for a callable, which may give any."""
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


def _check_choice(name, value, choices, other=""):
    # an array compares entry by entry
    if not isinstance(value, str) or value not in choices:
        allowed = repr(choices[0]) if len(choices) == 1 else f"one of {choices}"
        raise ValueError(f"{name} is {value!r}, but must be {allowed}{other}")


def _check_number(name, value, kind, least):
    if not isinstance(value, kind) or isinstance(value, bool) or not value >= least:
        what = "an integer" if kind is numbers.Integral else "a number"
        raise ValueError(f"{name} is {value!r}, but must be {what} of at least {least}")
