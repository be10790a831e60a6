"""Stages of a search: their spaces, objectives and starting points."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, replace

from sklearn.pipeline import Pipeline

from ..utils._sklearn_compat import num_samples
from ._begin import check_init, present_values
from ._checks import check_number
from ._evaluation import TIMES
from ._objectives import FEATURE_OBJECTIVES
from ._one_pass import parameters_declared_by_last_step
from ._space import SearchSpace
from ._steps import has_leading_steps, step_of, supports_one_pass
from ._subset import choose_fractions, price_of_candidate
from ._swarm import SwarmRules

# a swarm that searches a space again starts in a cube whose edges are shorter by this factor
_NARROWING = 0.5
# default numbers of particles and iterations of each stage, by the number of stages
_SIZES = {1: ((12, 12), (15, 15)), 2: ((5, 5), (5, 4))}
# number of first candidates of a small default swarm: with fewer, its particles would often begin
# and stay in local minima
_SCOUTS = 16
# iterations on the smallest subset of many samples; for each larger subset, beginning with all
# samples: number of candidates that advance to it, of particles, and of iterations
_FEW_ITERATIONS = 4
_ON_LARGER_PARTS = ((2, 2, 2), (5, 3, 3))
# numbers of candidates of the second stage if the last step tunes some of its parameters: for the
# parameters that it does not tune, and then for those that it does
_TRIALS_OF_OTHERS, _TRIALS_OF_NOISE = 8, 10


@dataclass(frozen=True)
class Stage:
    """One swarm with its space and objective."""

    number: int
    cycle: int
    space: SearchSpace
    objective: object
    n_particles: int = 1
    n_iterations: int = 1
    width: float = 1.0
    n_scouts: int = 0  # number of candidates of the first iteration, if larger
    found_in: SearchSpace | None = None
    mover: str = "rules"  # "guided" and "compass" are other kinds
    fraction: float = 1.0  # fraction of the samples
    n_promoted: int = 0  # number of first candidates that were the best of the previous stage
    is_needed: bool = False  # evaluate at any price
    takes_pass: bool = True  # whether each candidate takes a pass over the data

    def price(self, splits):
        """Price of a candidate in fits to all data."""
        return price_of_candidate(self.objective, self.fraction, splits, self.takes_pass)

    @property
    def has_folds(self):
        """Whether the objective yields all metrics of each fold."""
        return self.objective in ("cv", "one_pass")

    @property
    def n_first(self):
        """Number of candidates of the first iteration."""
        return max(self.n_particles, self.n_scouts)

    @property
    def n_candidates(self):
        """Number of candidates of all iterations."""
        if self.mover == "compass":
            return self.n_particles * self.n_iterations
        return self.n_first + self.n_particles * (self.n_iterations - 1)

    @property
    def label(self):
        """Name of the objective in results and in the keys of evaluations."""
        if isinstance(self.objective, str):
            return self.objective
        return getattr(self.objective, "__name__", type(self.objective).__name__) + "()"


@dataclass(frozen=True)
class Settings:
    """Parameters of :class:`TwoStagePSOSearchCV` that the loop of the search needs."""

    rules: SwarmRules
    topology: str
    init: list
    metrics: list
    early_stopping: int | None
    max_time: float | None
    max_fits: float | None
    verbose: int


def make_stages(search, metrics, X):
    """Check the spaces of a search and lay out its stages.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        The search.
    metrics : list of str
        Metrics that the swarms optimize.
    X : sequence
        Samples.

    Returns
    -------
    stages : list of Stage
        Stages in order.
    start : dict of str to object
        Initial values of all searched parameters, each in its space.
    present : set of str
        Names of the parameters that start at the estimator's present value.
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
    start, present = present_values(search.estimator, spaces, X)
    plan, found_in = _make_plan(search, transformer, regressor, metrics)
    stages = _make_swarms(search, plan, found_in, metrics, num_samples(X))
    if _has_warm_up(search, plan):
        n_particles = _by_stage(search, "n_particles", _SIZES[2][0])[1]
        stages.insert(0, Stage(0, 0, regressor, plan[0][2], n_particles, search.n_warm_up))
    n_particles = _by_stage(search, "n_particles", _SIZES[len(plan)][0])
    check_init(search.init or [], spaces, min(n_particles[number - 1] for number, *_ in plan))
    return stages, start, present


def _make_plan(search, transformer, regressor, metrics):
    """Return number, space and objective of each stage, and the space of self-tuned parameters."""
    if search.strategy == "joint" or not transformer.names or not regressor.names:
        return [_single_stage(search, transformer, regressor, metrics)], None
    _check_division(search.estimator, transformer, regressor)
    one, two = _resolve_objectives(search, [*transformer.names, *regressor.names], metrics)
    space, found_in = transformer, None
    if one in ("cv", "one_pass"):
        bound = _part(search, "feature_bound_parameters", regressor)
        space = SearchSpace({**search.transformer_space, **bound})
    if one == "one_pass":
        found = _part(search, "self_tuned_parameters", regressor)
        found_in = SearchSpace(found) if found else None
    return [(1, space, one), (2, regressor, two)], found_in


def _part(search, method, regressor):
    """Return the space of parameters that a method of the last step names."""
    names = parameters_declared_by_last_step(search.estimator, method, regressor.names)
    return {name: search.regressor_space[name] for name in names}


def _make_swarms(search, plan, found_in, metrics, n_samples):
    """Lay out the swarms of all stages and cycles."""
    guided = is_guided(search, metrics)
    # by default, the second stage is a short search from the result of the first
    is_staged = guided and len(plan) == 2 and _is_auto(search)
    movers = {1: "guided", 2: "compass" if is_staged else "guided"} if guided else {}
    is_near = _has_warm_up(search, plan) or found_in is not None
    stages = [
        _follow(_make_swarm(search, cycle, entry, len(plan)), found_in, is_near, movers)
        for cycle in range(search.n_cycles)
        for entry in plan
    ]
    return _divide(stages, found_in, search, n_samples) if is_staged else stages


def _make_swarm(search, cycle, entry, n_stages):
    """Lay out the swarm of one stage: its space and size."""
    number, space, objective = entry
    n_particles, n_iterations = (
        _by_stage(search, name, default)[number - 1]
        for name, default in zip(("n_particles", "n_iterations"), _SIZES[n_stages], strict=True)
    )
    is_scouted = n_stages == 2 and search.n_particles is None and number == 1 and cycle == 0
    return Stage(
        number, cycle, space, objective, n_particles, n_iterations, width=_NARROWING**cycle,
        n_scouts=_SCOUTS if is_scouted else 0,
    )


def _follow(stage, found_in, is_near, movers):
    """Lay out a first stage with a self-tuning last step, and a second stage near its result."""
    stage = replace(stage, mover=movers.get(stage.number, "rules"))
    if stage.number == 1:
        return replace(stage, found_in=found_in)
    return replace(stage, width=stage.width * _NARROWING) if is_near else stage


def _divide(stages, found_in, search, n_samples):
    """Divide first stages by subsets of samples, and second stages by kinds of parameters."""
    rungs = [rung for stage in stages for rung in _by_parts(stage, n_samples)]
    return [part for rung in rungs for part in _by_kinds(rung, found_in, search)]


def _has_warm_up(search, plan):
    """Whether to tune the regressor first; objectives of features alone do not need it."""
    return bool(search.n_warm_up) and len(plan) == 2 and plan[0][2] not in FEATURE_OBJECTIVES


def _is_auto(search):
    return isinstance(search.swarm, str) and search.swarm == "auto"


def _by_parts(stage, n_samples):
    """Lay out a first stage on growing subsets of the samples, if there are many."""
    fractions = choose_fractions(n_samples)
    if len(fractions) > 1 and stage.number == 2:
        return [replace(stage, n_iterations=1)]
    if not stage.has_folds or len(fractions) == 1:
        return [stage]
    rungs = []
    for level, fraction in enumerate(reversed(fractions)):
        if level == len(fractions) - 1:
            rungs.append(replace(stage, fraction=fraction, n_iterations=_FEW_ITERATIONS))
            continue
        n_promoted, n_particles, n_iterations = _ON_LARGER_PARTS[level]
        rungs.append(replace(
            stage, fraction=fraction, n_scouts=n_promoted + 1, n_particles=n_particles,
            n_iterations=n_iterations, n_promoted=n_promoted,
        ))
    return rungs[::-1]


def _by_kinds(stage, found_in, search):
    """Lay out a second stage that tunes noise for each candidate, and refines it at the end."""
    if stage.number == 1 or found_in is None:
        return [stage]
    others = {n: v for n, v in search.regressor_space.items() if n not in found_in.names}
    noise = replace(stage, space=found_in, n_particles=_TRIALS_OF_NOISE, n_iterations=1,
                    takes_pass=False)
    if not others:
        return [noise]
    space = SearchSpace(others, "regressor_space")
    first = replace(stage, space=space, found_in=found_in, n_particles=_TRIALS_OF_OTHERS,
                    n_iterations=1, width=stage.width / _NARROWING)
    return [first, noise]


def is_guided(search, metrics):
    """Whether a surrogate guides the swarms of a search.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        The search.
    metrics : list of str
        Metrics that the swarms optimize.

    Returns
    -------
    bool
        True by default, if neither numbers of particles nor of iterations are given; never for
        several metrics.
    """
    if _is_auto(search):
        return search.n_particles is None and search.n_iterations is None and len(metrics) == 1
    return isinstance(search.swarm, str) and search.swarm == "guided" and len(metrics) == 1


def _resolve_objectives(search, names, metrics):
    """Return the objectives of both stages; "auto" is one pass if possible."""
    timed = set(metrics) & set(TIMES)
    able = search.cache_features and not timed and supports_one_pass(search.estimator, names)
    one, two = search.stage_one_objective, search.stage_two_objective
    if not able and "one_pass" in (one, two):
        raise ValueError(
            "stage_one_objective is 'one_pass', but that needs a pipeline of stateless "
            "transformers before a last step with the method fold_session, no step that is itself "
            "searched, no time as objective, and cache_features=True; use 'cv'"
        )
    if two in ("deprecated", "auto"):
        two = "one_pass" if able and one != "cv" else "cv"
    if one == "auto":
        one = "one_pass" if able else "cv"
    return one, two


def _single_stage(search, transformer, regressor, metrics):
    number, space = (1, transformer) if transformer.names else (2, regressor)
    if search.strategy == "joint":
        return number, SearchSpace({**search.transformer_space, **search.regressor_space}), "cv"
    objective = search.stage_one_objective
    if number == 2 and search.stage_two_objective != "deprecated":
        objective = search.stage_two_objective
    if objective in ("auto", "one_pass"):
        objective = _resolve_objectives(search, space.names, metrics)[number - 1]
    last = search.estimator.steps[-1][0] if isinstance(search.estimator, Pipeline) else None
    unseen = [name for name in space.names if step_of(name) == last]
    if objective in FEATURE_OBJECTIVES and unseen:
        raise ValueError(
            f"stage_one_objective={objective!r} uses features alone, so it does not depend on "
            f"{unseen} in transformer_space; move them to regressor_space, or use 'cv'"
        )
    return number, space, objective


def _check_division(estimator, transformer, regressor):
    """Check that the first space is for the leading steps and the second for the last step."""
    # a "passthrough" step may itself be searched
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


def _by_stage(search, name, default=None):
    """Return the numbers for both stages from a pair, a single number, or a default."""
    value = default if getattr(search, name) is None else getattr(search, name)
    pair = list(value) if isinstance(value, (list, tuple)) else [value, value]
    if len(pair) != 2:
        raise ValueError(f"{name} is {value!r}, but must be an integer, or a pair of them")
    for entry in pair:
        check_number(name, entry, numbers.Integral, 1)
    return pair
