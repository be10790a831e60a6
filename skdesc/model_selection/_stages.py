"""The loop of a search: stages, iterations, batches of candidates."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing, nullcontext
from dataclasses import replace

import numpy as np
from sklearn.utils.parallel import Parallel, delayed
from tqdm import tqdm

from ..utils.blas import threads
from ._compass import CompassSearch
from ._evaluation import TIMES
from ._guided_swarm import GuidedSwarm
from ._objectives import FEATURE_OBJECTIVES
from ._pareto import Front
from ._plan import Stage
from ._shared_features import SharedFeatures
from ._space import SearchSpace
from ._swarm import ParticleSwarm, rules_for


class StagedSearch:
    """Run the swarms of a search one after the other.

    Parameters
    ----------
    stages : list of Stage
        In order.
    evaluator : Evaluator
        Evaluates candidates.
    start : dict of str to object
        Values of all parameters searched, each in its space.
    present : iterable of str
        Names of those that are the estimator's own.
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
    spent : float
        Price of these, in fits to all the data.
    present : dict of str to object
        Values at the start.
    untuned : dict or None
        Folds of the estimator as it was given, if its last step finds parameters itself.
    present_row : int or None
        Index among the rows of the estimator as it was given, if nothing was found for it.
    """

    def __init__(self, stages, evaluator, start, present, settings, checkpoint, n_jobs):
        self.stages = stages
        self.evaluator = evaluator
        self.current = dict(start)
        # what is not among the present values has moved into its space, and is no place to begin
        self._places = set(present)
        self._known_at_start = set(present)
        self.settings = settings
        self.checkpoint = checkpoint
        self.n_jobs = n_jobs
        self.rows, self.history, self.stage_results, self.errors = [], [], [], []
        self.n_models = self.n_features = self.n_evaluated = 0
        self._seen, self._busy = {}, 0.0
        self.spent = 0.0
        self.present, self._promoted, self._guided = dict(start), [], None
        self.untuned = self.present_row = None
        self._spaces = {name: stage.space for stage in stages for name in stage.space.names}

    def run(self):
        """Run all stages; Ctrl-C ends them early and keeps what is known."""
        self._began = time.time()
        total = sum(stage.n_candidates for stage in self.stages)
        with (
            _make_parallel(self.n_jobs) as self._parallel,
            tqdm(total=total, unit="candidate", disable=not self.settings.verbose) as self._bar,
        ):
            self._announce()
            for index, stage in enumerate(self.stages):
                stopped_by = self._run_stage(stage, self._deadline(index))
                if stopped_by in ("max_time", "max_fits", "interrupt"):
                    self._bar.set_postfix_str(f"stage {stage.number} stopped by {stopped_by}")
                if stopped_by == "interrupt":
                    break
            if not self.rows:
                # every stage, by design or for lack of time, had an objective that is no
                # cross-validation, and the result still needs one
                final = self.stages[-1]
                objective = final.objective if final.has_folds else "cv"
                last = Stage(2, final.cycle, SearchSpace({}), objective, is_needed=True)
                self._evaluate(last, SharedFeatures(self.evaluator), [dict(self.current)], 0)
            if stopped_by != "interrupt":
                self._compare_with_present()

    def _compare_with_present(self):
        """Evaluate the estimator as it was given, if models tell errors of each kind of target."""
        known = self.present_row is not None or self.untuned is not None
        final, limit = self.stages[-1], self.settings.max_time
        is_late = limit is not None and time.time() > self._began + limit
        if known or is_late or not self.evaluator.reports_errors:
            return
        objective = final.objective if final.has_folds else "cv"
        stage = Stage(2, final.cycle, SearchSpace({}), objective, is_needed=True)
        self._evaluate(stage, SharedFeatures(self.evaluator), [dict(self.present)], 0)

    def _announce(self):
        """Say what the search may cost, before it does."""
        splits = self.evaluator.splits
        price = sum(stage.n_candidates * stage.price(splits) for stage in self.stages)
        if self.settings.max_fits is not None:
            price = min(price, self.settings.max_fits)
        if self.settings.verbose:
            n_candidates = sum(stage.n_candidates for stage in self.stages)
            self._bar.write(
                f"at most {n_candidates} candidates, at the price of about {price:.1f} fits to all "
                "the data",
                file=sys.stderr,
            )

    def _deadline(self, index):
        """Each stage may use its share of the time that is left; None where there is no limit."""
        if self.settings.max_time is None:
            return None
        now = time.time()
        end = self._began + self.settings.max_time
        return min(end, now + (end - now) / (len(self.stages) - index))

    def _is_late(self, deadline):
        """Whether no more may begin; the first candidate of all always may."""
        return deadline is not None and self.n_evaluated > 0 and time.time() > deadline

    def _run_stage(self, stage, deadline):
        """Run one swarm, move to the best it has found, and return why it stopped."""
        began, models, features = time.time(), self.n_models, self.n_features
        busy, front, n_complete = self._busy, Front(), 0
        evaluator = self.evaluator.on_part(stage.fraction, self.checkpoint.seed)
        shared = SharedFeatures(evaluator, self.current, stage.space.names)
        first, swarm = self._start(stage)
        waited, stopped_by, tried = 0, "n_iterations", {}
        for iteration in range(stage.n_iterations if swarm else 1):
            if self._is_late(deadline):
                stopped_by = "max_time"
                break
            if swarm and swarm.finished:
                stopped_by = "convergence"
                break
            positions, candidates = self._propose(stage, swarm, [] if iteration else first)
            evaluations, cut_by = self._evaluate(stage, shared, candidates, iteration, deadline)
            done = [index for index, entry in enumerate(evaluations) if entry is not None]
            candidates, evaluations = ([values[i] for i in done]
                                       for values in (candidates, evaluations))
            scores = np.array([self._scores(stage, evaluation) for evaluation in evaluations])
            if done:
                waited = 0 if front.update(candidates, scores) else waited + 1
                for score, candidate in zip(scores[:, 0], candidates, strict=True):
                    tried[self._key(stage, candidate)] = score, candidate
                used = [
                    c | e.get("found", {}) for c, e in zip(candidates, evaluations, strict=True)
                ]
                self._record(stage, iteration, positions[done], used, scores, front)
            if cut_by:
                stopped_by = cut_by
                break
            n_complete += 1
            if waited == self.settings.early_stopping:
                stopped_by = "early_stopping"
                break
            if swarm:
                swarm.tell(-scores[:, 0] if scores.shape[1] == 1 else -scores)
        self._move_to_best(stage, front)
        self._promoted = _best_first(tried.values())
        shared.forget()
        self.stage_results.append(
            {
                "stage": stage.number,
                "cycle": stage.cycle,
                "objective": stage.label,
                "fraction": stage.fraction,
                "best_params": stage.space.restrict(self.current),
                "best_score": front.best_score,
                "n_iterations": n_complete,
                "stopped_by": stopped_by,
                "n_models_trained": self.n_models - models,
                "n_feature_evaluations": self.n_features - features,
                "time": time.time() - began,
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
            found = self._seen[self._key(stage, best)].get("found", {})
            self.current = {**best, **found}
            self._places |= {*stage.space.names, *found}

    def _start(self, stage):
        """Exact values of the first particles, and the swarm, if there is anything to vary."""
        space = stage.space
        known = {name: value for name, value in self.current.items() if name in self._places}
        seeds = [known, *self.settings.init]
        if stage.n_promoted:
            # the present values are compared with the best of the part on all samples, too
            present = {k: v for k, v in self.present.items() if k in self._known_at_start}
            seeds = [*self._promoted[: stage.n_promoted], present]
        first = [space.restrict(seed) for seed in seeds]
        first = [seed for seed in first if seed]
        if space.n_dims == 0:
            return first, None
        position = np.full((stage.n_first, space.n_dims), np.nan)
        for row, seed in zip(position, first, strict=False):
            row[:] = space.encode(seed)
        random_state = np.random.RandomState([self.checkpoint.seed, stage.cycle, stage.number])
        if stage.mover == "compass":
            given = position[: max(1, len(first))]
            return first, CompassSearch(given, space, stage.width, stage.n_candidates)
        if stage.mover == "guided":
            swarm = GuidedSwarm(position, space, random_state, stage.width, stage.n_particles)
            if stage.n_promoted:
                swarm.remember(self._guided)
            self._guided = swarm
            return first, swarm
        swarm = ParticleSwarm(
            position,
            rules_for(self.settings.rules, stage.n_iterations),
            self.settings.topology,
            stage.n_iterations,
            random_state,
            stage.width,
            stage.n_particles,
        )
        return first, swarm

    def _evaluate(self, stage, shared, candidates, iteration, deadline=None):
        """Evaluate a batch; equal candidates are evaluated once in the whole search.

        Returns the evaluations, None for what has not been evaluated, and why that is: "max_time",
        "interrupt", or None if all have been.
        """
        keys = [self._key(stage, candidate) for candidate in candidates]
        new = {key: keys.index(key) for key in keys if key not in self._seen}
        n_new, new = len(new), self._affordable(stage, shared, new)
        todo = {key: candidates[new[key]] for key in new if key not in self.checkpoint.evaluations}
        cut_by = None
        if todo:
            results = self._compute(shared.evaluator(), stage, todo, deadline)
            try:
                with closing(results):
                    for key, evaluation in results:
                        if evaluation is not None:
                            self.checkpoint.add({key: evaluation})
                if any(key not in self.checkpoint.evaluations for key in todo):
                    cut_by = "max_time"
            except KeyboardInterrupt:
                if not self._seen and not self.checkpoint.evaluations.keys() & new.keys():
                    raise
                cut_by = "interrupt"
        if len(new) < n_new:
            cut_by = cut_by or "max_fits"
        if new:
            self.n_features += shared.take_count()
        for key, particle in new.items():
            if key in self.checkpoint.evaluations:
                self._take(stage, key, candidates[particle], iteration, particle)
        self._bar.update(sum(key in self._seen for key in keys))
        return [self._seen.get(key) for key in keys], cut_by

    def _affordable(self, stage, shared, new):
        """As many candidates as the limit of the price allows; the first of all always."""
        price = stage.price(shared.splits)
        if self.settings.max_fits is not None and not stage.is_needed:
            left = max(int((self.settings.max_fits - self.spent) / price), self.n_evaluated == 0)
            new = dict(list(new.items())[:left])
        self.spent += price * len(new)
        return new

    def _take(self, stage, key, candidate, iteration, particle):
        """Count an evaluation, and keep what it says."""
        evaluation = self._seen[key] = self.checkpoint.evaluations[key]
        self.n_evaluated += 1
        self.n_models += evaluation["n_models"]
        self.n_features += evaluation["n_features"]
        self._busy += evaluation["feature_time"] + evaluation["model_time"]
        if evaluation["error"] is not None:
            self.errors.append(evaluation["error"])
        if not stage.has_folds or stage.fraction < 1:
            return
        if "untuned" in evaluation:
            self.untuned = {"params": candidate, **evaluation, "folds": evaluation["untuned"]}
        if key == self._key(stage, self.present) and not stage.found_in:
            self.present_row = len(self.rows)
        params = {**candidate, **evaluation.get("found", {})}
        if stage.found_in:
            # the second stage begins with what the first has found
            self._seen[self._key(replace(stage, found_in=None), params)] = evaluation
        where = {"stage": stage.number, "cycle": stage.cycle, "iteration": iteration}
        self.rows.append({"params": params, **where, "particle": particle, **evaluation})

    def _compute(self, evaluator, stage, candidates, deadline):
        """Evaluations with their keys, as they are complete; None for what came too late."""
        limit = evaluator.n_threads
        # the first of all candidates is evaluated, however little time there is
        limits = [None if self.n_evaluated == 0 else deadline, *[deadline] * len(candidates)]
        first = self._key(stage, self.present) if stage.fraction == 1 else None
        jobs = (
            delayed(_evaluate_one)(
                key, evaluator, stage.objective, params, stage.found_in, end, key == first
            )
            for (key, params), end in zip(candidates.items(), limits, strict=False)
        )
        with nullcontext() if limit is None else threads(limit):
            yield from self._parallel(jobs)

    def _key(self, stage, candidate):
        """Equal for equal candidates, here and in a checkpoint."""
        # what looks at features alone does not depend on the regressor
        alone = isinstance(stage.objective, str) and stage.objective in FEATURE_OBJECTIVES
        names = stage.space.names if alone else sorted(candidate)
        if stage.found_in:
            # what is found does not depend on what was there
            names = [name for name in names if name not in stage.found_in.names]
        tokens = {name: self._token(name, candidate) for name in names}
        found = [stage.found_in.names] if stage.found_in else []
        part = [] if stage.fraction == 1 else [stage.fraction]
        return json.dumps([stage.label, tokens, *found, *part])

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
                "fraction": stage.fraction,
                "positions": positions,
                "params": candidates,
                "scores": scores[:, 0] if scores.shape[1] == 1 else scores,
                "best_score": front.best_score,
                "n_models_trained": self.n_models,
                "n_feature_evaluations": self.n_features,
                "time": time.time() - self._began,
            }
        )
        self._bar.set_postfix(stage=stage.number, best=front.best_score)


def _best_first(tried):
    """Different candidates by descending score, without those that failed."""
    finite = [pair for pair in tried if np.isfinite(pair[0])]
    return [candidate for _, candidate in sorted(finite, key=lambda pair: -pair[0])]


def _evaluate_one(key, evaluator, *arguments):
    return key, evaluator(*arguments)


def _make_parallel(n_jobs):
    """Workers that hand over each result as soon as it is there, where the backend can."""
    try:
        return Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    except (ValueError, NotImplementedError):
        return Parallel(n_jobs=n_jobs)
