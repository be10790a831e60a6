"""The loop of a search: stages, iterations, batches of candidates."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils.parallel import Parallel, delayed
from tqdm import tqdm

from ..utils.blas import threads
from ._evaluation import TIMES
from ._objectives import FEATURE_OBJECTIVES
from ._pareto import Front
from ._space import SearchSpace
from ._swarm import ParticleSwarm, SwarmRules, rules_for


@dataclass(frozen=True)
class Stage:
    """One swarm: where it searches, and by which objective."""

    number: int
    cycle: int
    space: SearchSpace
    objective: object
    n_particles: int = 1
    n_iterations: int = 1
    width: float = 1.0
    n_scouts: int = 0  # candidates of the first iteration, if more than particles
    found_in: SearchSpace | None = None

    @property
    def has_folds(self):
        """Whether the objective gives all metrics of each fold."""
        return self.objective in ("cv", "one_pass")

    @property
    def n_first(self):
        """Candidates of the first iteration."""
        return max(self.n_particles, self.n_scouts)

    @property
    def label(self):
        """Name of the objective in results and in the keys of evaluations."""
        if isinstance(self.objective, str):
            return self.objective
        return getattr(self.objective, "__name__", type(self.objective).__name__) + "()"


@dataclass(frozen=True)
class Settings:
    """Parameters of the search that its loop needs, as :class:`TwoStagePSOSearchCV` has them."""

    rules: SwarmRules
    topology: str
    init: list
    metrics: list
    early_stopping: int | None
    max_time: float | None
    verbose: int


class StagedSearch:
    """Run the swarms of a search one after the other.

    Parameters
    ----------
    stages : list of Stage
        In order.
    evaluator : Evaluator
        Evaluates candidates.
    start : dict of str to object
        Present values of all parameters searched.
    settings : Settings
        How to search.
    checkpoint : Checkpoint
        Evaluations of earlier runs, and the seed.
    n_jobs : int or None
        Candidates evaluated at once.

    Attributes
    ----------
    current : dict of str to object
        Best values so far.
    rows : list of dict
        Cross-validated candidates in the order of their first evaluation.
    history, stage_results : list of dict
        One per iteration, one per stage.
    n_models, n_features : int
        Models trained and features computed.
    errors : list of str
        Tracebacks of candidates that failed.
    n_evaluated : int
        Different candidates evaluated.
    """

    def __init__(self, stages, evaluator, start, settings, checkpoint, n_jobs):
        self.stages = stages
        self.evaluator = evaluator
        self.current = dict(start)
        self.settings = settings
        self.checkpoint = checkpoint
        self.n_jobs = n_jobs
        self.rows, self.history, self.stage_results, self.errors = [], [], [], []
        self.n_models = self.n_features = self.n_evaluated = 0
        self._seen, self._busy = {}, 0.0
        self._spaces = {name: stage.space for stage in stages for name in stage.space.names}

    def run(self):
        """Run all stages; Ctrl-C ends them early and keeps what is known."""
        self._began = time.perf_counter()
        total = sum(stage.n_first + stage.n_particles * (stage.n_iterations - 1)
                    for stage in self.stages)
        with (
            Parallel(n_jobs=self.n_jobs) as self._parallel,
            tqdm(total=total, unit="candidate", disable=not self.settings.verbose) as self._bar,
        ):
            for index, stage in enumerate(self.stages):
                if self._run_stage(stage, self._deadline(index)) == "interrupt":
                    break
            if not self.rows:
                # every stage, by design or for lack of time, had an objective that is no
                # cross-validation, and the result still needs one
                last = Stage(2, self.stages[-1].cycle, SearchSpace({}), "cv")
                self._evaluate(last, _SharedFeatures(self.evaluator), [dict(self.current)], 0)

    def _deadline(self, index):
        """Each stage may use its share of the time that is left."""
        if self.settings.max_time is None:
            return np.inf
        now = time.perf_counter()
        left = max(0.0, self._began + self.settings.max_time - now)
        return now + left / (len(self.stages) - index)

    def _run_stage(self, stage, deadline):
        """Run one swarm, move to the best it has found, and return why it stopped."""
        began, models, features = time.perf_counter(), self.n_models, self.n_features
        busy = self._busy
        shared = _SharedFeatures(self.evaluator, self.current, stage.space.names)
        first, swarm = self._start(stage)
        front, waited, iteration, stopped_by = Front(), 0, 0, "n_iterations"
        for iteration in range(stage.n_iterations if swarm else 1):
            positions, candidates = self._propose(stage, swarm, [] if iteration else first)
            try:
                evaluations = self._evaluate(stage, shared, candidates, iteration)
            except KeyboardInterrupt:
                if not self.history:
                    raise
                stopped_by = "interrupt"
                break
            scores = np.array([self._scores(stage, evaluation) for evaluation in evaluations])
            waited = 0 if front.update(candidates, scores) else waited + 1
            used = [c | e.get("found", {}) for c, e in zip(candidates, evaluations, strict=True)]
            self._record(stage, iteration, positions, used, scores, front)
            if waited == self.settings.early_stopping:
                stopped_by = "early_stopping"
                break
            if time.perf_counter() > deadline:
                stopped_by = "max_time"
                break
            if swarm:
                swarm.tell(-scores[:, 0] if scores.shape[1] == 1 else -scores)
        self._move_to_best(stage, front)
        shared.forget()
        self.stage_results.append(
            {
                "stage": stage.number,
                "cycle": stage.cycle,
                "objective": stage.label,
                "best_params": stage.space.restrict(self.current),
                "best_score": front.best_score,
                "n_iterations": iteration + (stopped_by != "interrupt"),
                "stopped_by": stopped_by,
                "n_models_trained": self.n_models - models,
                "n_feature_evaluations": self.n_features - features,
                "time": time.perf_counter() - began,
                "work_time": self._busy + shared.time - busy,
            }
        )
        return stopped_by

    def _propose(self, stage, swarm, exact):
        """Positions of a swarm and candidates there, the first of them with exact values."""
        positions = swarm.ask() if swarm else np.zeros((1, 0))
        candidates = [{**self.current, **stage.space.decode(row)} for row in positions]
        for candidate, values in zip(candidates, exact, strict=False):
            candidate.update(values)
        return positions, candidates

    def _move_to_best(self, stage, front):
        if front.candidates:
            best = front.candidates[front.best]
            self.current = {**best, **self._seen[self._key(stage, best)].get("found", {})}

    def _start(self, stage):
        """Exact values of the first particles, and the swarm, if there is anything to vary."""
        space = stage.space
        first = [space.restrict(seed) for seed in (self.current, *self.settings.init)]
        first = [seed for seed in first if seed]
        if space.n_dims == 0:
            return first, None
        position = np.full((stage.n_first, space.n_dims), np.nan)
        for row, seed in zip(position, first, strict=False):
            row[:] = space.encode(seed)
        swarm = ParticleSwarm(
            position,
            rules_for(self.settings.rules, stage.n_iterations),
            self.settings.topology,
            stage.n_iterations,
            np.random.RandomState([self.checkpoint.seed, stage.cycle, stage.number]),
            stage.width,
            stage.n_particles,
        )
        return first, swarm

    def _evaluate(self, stage, shared, candidates, iteration):
        """Evaluate a batch; equal candidates are evaluated once in the whole search."""
        keys = [self._key(stage, candidate) for candidate in candidates]
        new = {}
        for particle, key in enumerate(keys):
            if key not in self._seen:
                new.setdefault(key, particle)
        todo = [key for key in new if key not in self.checkpoint.evaluations]
        if todo:
            params = [candidates[new[key]] for key in todo]
            results = self._compute(shared.evaluator(), stage, params)
            self.checkpoint.add(dict(zip(todo, results, strict=True)))
        if new:
            self.n_features += shared.take_count()
        for key, particle in new.items():
            evaluation = self._seen[key] = self.checkpoint.evaluations[key]
            self.n_evaluated += 1
            self.n_models += evaluation["n_models"]
            self.n_features += evaluation["n_features"]
            # a checkpoint of an earlier version may lack the second
            self._busy += evaluation["feature_time"] + evaluation.get("model_time", 0.0)
            if evaluation["error"] is not None:
                self.errors.append(evaluation["error"])
            if stage.has_folds:
                where = {"stage": stage.number, "cycle": stage.cycle, "iteration": iteration}
                params = {**candidates[particle], **evaluation.get("found", {})}
                if stage.found_in:
                    # the second stage begins with what the first has found
                    self._seen[self._key(replace(stage, found_in=None), params)] = evaluation
                row = {"params": params, **where, "particle": particle}
                self.rows.append({**row, **evaluation})
        self._bar.update(len(candidates))
        return [self._seen[key] for key in keys]

    def _compute(self, evaluator, stage, params):
        limit = evaluator.n_threads
        with nullcontext() if limit is None else threads(limit):
            return self._parallel(
                delayed(evaluator)(stage.objective, item, stage.found_in) for item in params
            )

    def _key(self, stage, candidate):
        """Equal for equal candidates, here and in a checkpoint."""
        # what looks at features alone does not depend on the regressor
        alone = isinstance(stage.objective, str) and stage.objective in FEATURE_OBJECTIVES
        names = stage.space.names if alone else sorted(candidate)
        tokens = {name: self._token(name, candidate) for name in names}
        found = [stage.found_in.names] if stage.found_in else []
        return json.dumps([stage.label, tokens, *found])

    def _token(self, name, candidate):
        return self._spaces[name].token(name, candidate[name])

    def _scores(self, stage, evaluation):
        """Scores of a candidate for the swarm; the larger, the better."""
        if evaluation["error"] is not None:
            # whatever error_score says: nothing should follow what does not work
            return np.full(len(self.settings.metrics) if stage.has_folds else 1, np.nan)
        if not stage.has_folds:
            return np.array([evaluation["score"]])
        return np.array([self._mean(evaluation["folds"], name) for name in self.settings.metrics])

    def _mean(self, folds, metric):
        if metric in TIMES:
            return -np.mean([fold[metric] for fold in folds])
        if f"test_{metric}" not in folds[0]:
            given = [key.removeprefix("test_") for key in folds[0] if key.startswith("test_")]
            raise ValueError(
                f"objective is {metric!r}, but scoring gave {given}; set objective to one of them"
            )
        return np.mean([fold[f"test_{metric}"] for fold in folds])

    def _record(self, stage, iteration, positions, candidates, scores, front):
        self.history.append(
            {
                "stage": stage.number,
                "cycle": stage.cycle,
                "iteration": iteration,
                "objective": stage.label,
                "positions": positions,
                "params": candidates,
                "scores": scores[:, 0] if scores.shape[1] == 1 else scores,
                "best_score": front.best_score,
                "n_models_trained": self.n_models,
                "n_feature_evaluations": self.n_features,
                "time": time.perf_counter() - self._began,
            }
        )
        self._bar.set_postfix(stage=stage.number, best=front.best_score)


class _SharedFeatures:
    """Evaluator of a stage, on features of the steps that its candidates share.

    The features are computed when first needed: a search that repeats a checkpoint may never
    need them. They count all the same, so that it counts as the search it repeats.
    """

    def __init__(self, evaluator, params=None, names=()):
        self._source, self._params = evaluator, params
        self._n_steps = evaluator.count_frozen_steps(params, names) if names else 0
        self._count = int(self._n_steps > 0)
        self._frozen, self.time = None, 0.0

    def evaluator(self):
        """The evaluator."""
        if self._n_steps == 0:
            return self._source
        if self._frozen is None:
            try:
                start = time.perf_counter()
                self._frozen = self._source.freeze(self._params, self._n_steps)
                self.time = time.perf_counter() - start
            except Exception:
                if self._source.error_score == "raise":
                    raise
                # each candidate then fails by itself, and says why
                self._frozen = self._source
        return self._frozen

    def forget(self):
        """Drop what fits on these features have shared."""
        if self._frozen is not None:
            self._frozen.forget()

    def take_count(self):
        """1 the first time, if there are shared features."""
        count, self._count = self._count, 0
        return count
