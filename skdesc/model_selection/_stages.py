"""The loop of a search: stages and their iterations."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from ._compass import CompassSearch
from ._guided_swarm import GuidedSwarm
from ._ledger import Ledger
from ._pareto import Front
from ._plan import Stage
from ._shared_features import SharedFeatures
from ._space import SearchSpace
from ._swarm import ParticleSwarm, rules_for
from ._workers import make_parallel


class StagedSearch:
    """Run the swarms of a search one after the other.

    Parameters
    ----------
    stages : list of Stage
        Stages in order.
    evaluator : Evaluator
        Evaluator of candidates.
    start : dict of str to object
        Initial values of all searched parameters, each in its space.
    present : iterable of str
        Names of the parameters that start at the estimator's present value.
    settings : Settings
        Settings of the search.
    checkpoint : Checkpoint
        Evaluations of earlier runs, and the seed.
    n_jobs : int or None
        Number of candidates evaluated at once.

    Attributes
    ----------
    current : dict of str to object
        Best values so far.
    ledger : Ledger
        Evaluations and their price.
    history, stage_results : list of dict
        One entry per iteration, and one per stage.
    """

    def __init__(self, stages, evaluator, start, present, settings, checkpoint, n_jobs):
        self.stages = stages
        self.evaluator = evaluator
        self.current = dict(start)
        # other values were moved into their space and are not used as a starting point
        self._places = set(present)
        self._known_at_start = set(present)
        self.settings = settings
        self.n_jobs = n_jobs
        self.history, self.stage_results = [], []
        self._seed, self._present = checkpoint.seed, dict(start)
        self._promoted, self._guided = [], None
        spaces = {name: stage.space for stage in stages for name in stage.space.names}
        self.ledger = Ledger(
            checkpoint, spaces, self._present, settings.metrics, settings.max_fits
        )

    def run(self):
        """Run all stages; Ctrl-C ends them early and keeps the results so far."""
        self._began = time.time()
        total = sum(stage.n_candidates for stage in self.stages)
        with (
            make_parallel(self.n_jobs) as self._parallel,
            tqdm(total=total, unit="candidate", disable=not self.settings.verbose) as self._bar,
        ):
            self._announce()
            for index, stage in enumerate(self.stages):
                stopped_by = self._run_stage(stage, self._deadline(index))
                if stopped_by in ("max_time", "max_fits", "interrupt"):
                    self._bar.set_postfix_str(f"stage {stage.number} stopped by {stopped_by}")
                if stopped_by == "interrupt":
                    break
            if not self.ledger.rows:
                # no stage has cross-validated a candidate, by design or for lack of time, but
                # the results need cross-validation
                self._cross_validate(self.current)
            if stopped_by != "interrupt":
                self._compare_with_present()

    def _cross_validate(self, params):
        """Evaluate one candidate on the folds of all samples, at any price."""
        final = self.stages[-1]
        objective = final.objective if final.has_folds else "cv"
        stage = Stage(2, final.cycle, SearchSpace({}), objective, is_needed=True)
        self._evaluate(stage, SharedFeatures(self.evaluator), [dict(params)], 0)

    def _compare_with_present(self):
        """Evaluate the present parameters if models report errors of each kind of target."""
        known = self.ledger.present_row is not None or self.ledger.untuned is not None
        limit = self.settings.max_time
        is_late = limit is not None and time.time() > self._began + limit
        if not known and not is_late and self.evaluator.reports_errors:
            self._cross_validate(self._present)

    def _announce(self):
        """Print the estimated price of the search."""
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
        """Return the deadline of a stage, its share of the remaining time; None for no limit."""
        if self.settings.max_time is None:
            return None
        now = time.time()
        end = self._began + self.settings.max_time
        return min(end, now + (end - now) / (len(self.stages) - index))

    def _is_late(self, deadline):
        """Whether no further candidate may begin; the very first always may."""
        return deadline is not None and self.ledger.n_evaluated > 0 and time.time() > deadline

    def _run_stage(self, stage, deadline):
        """Run one swarm, adopt its best candidate, and return why it stopped."""
        ledger, began, progress = self.ledger, time.time(), _Progress()
        models, features, work_time = ledger.n_models, ledger.n_features, ledger.work_time
        evaluator = self.evaluator.on_part(stage.fraction, self._seed)
        shared = SharedFeatures(evaluator, self.current, stage.space.names)
        stopped_by = self._iterate(stage, shared, progress, deadline)
        self._move_to_best(stage, progress.front)
        self._promoted = progress.best_first()
        shared.forget()
        self.stage_results.append(
            {
                "stage": stage.number,
                "cycle": stage.cycle,
                "objective": stage.label,
                "fraction": stage.fraction,
                "best_params": stage.space.restrict(self.current),
                "best_score": progress.front.best_score,
                "n_iterations": progress.n_iterations,
                "stopped_by": stopped_by,
                "n_models_trained": ledger.n_models - models,
                "n_feature_evaluations": ledger.n_features - features,
                "time": time.time() - began,
                "work_time": ledger.work_time + shared.time - work_time,
            }
        )
        return stopped_by

    def _iterate(self, stage, shared, progress, deadline):
        """Move the swarm of a stage until it stops, and return the reason."""
        exact, swarm = self._start(stage)
        for iteration in range(stage.n_iterations if swarm else 1):
            if self._is_late(deadline):
                return "max_time"
            if swarm and swarm.finished:
                return "convergence"
            positions = swarm.ask() if swarm else np.zeros((1, 0))
            candidates = self._candidates(stage, positions, [] if iteration else exact)
            evaluations, cut_by = self._evaluate(stage, shared, candidates, iteration, deadline)
            scores = self._record(stage, iteration, positions, candidates, evaluations, progress)
            if cut_by:
                return cut_by
            progress.n_iterations += 1
            if progress.n_unchanged == self.settings.early_stopping:
                return "early_stopping"
            if swarm:
                swarm.tell(-scores[:, 0] if scores.shape[1] == 1 else -scores)
        return "n_iterations"

    def _candidates(self, stage, positions, exact):
        """Return the parameters at positions of a swarm; those of the first ones are exact."""
        candidates = [{**self.current, **stage.space.decode(row)} for row in positions]
        for candidate, values in zip(candidates, exact, strict=False):
            candidate.update(values)
        return candidates

    def _evaluate(self, stage, shared, candidates, iteration, deadline=None):
        """Evaluate a batch, and update the progress bar."""
        evaluations, cut_by = self.ledger.evaluate(
            stage, shared, candidates, iteration, self._parallel, deadline
        )
        self._bar.update(sum(evaluation is not None for evaluation in evaluations))
        return evaluations, cut_by

    def _record(self, stage, iteration, positions, candidates, evaluations, progress):
        """Record the evaluations of a batch, and return its scores."""
        done = [index for index, entry in enumerate(evaluations) if entry is not None]
        if not done:
            return np.empty((0, 1))
        candidates = [candidates[index] for index in done]
        evaluations = [evaluations[index] for index in done]
        scores = np.array([self.ledger.scores(stage, evaluation) for evaluation in evaluations])
        keys = [self.ledger.key(stage, candidate) for candidate in candidates]
        progress.update(keys, candidates, scores)
        best_score = progress.front.best_score
        self.history.append(
            {
                "stage": stage.number,
                "cycle": stage.cycle,
                "iteration": iteration,
                "objective": stage.label,
                "fraction": stage.fraction,
                "positions": positions[done],
                "params": [
                    candidate | evaluation.get("found", {})
                    for candidate, evaluation in zip(candidates, evaluations, strict=True)
                ],
                "scores": scores[:, 0] if scores.shape[1] == 1 else scores,
                "best_score": best_score,
                "n_models_trained": self.ledger.n_models,
                "n_feature_evaluations": self.ledger.n_features,
                "time": time.time() - self._began,
            }
        )
        self._bar.set_postfix(stage=stage.number, best=best_score)
        return scores

    def _move_to_best(self, stage, front):
        if front.candidates:
            best = front.candidates[front.best]
            found = self.ledger.found(stage, best)
            self.current = {**best, **found}
            self._places |= {*stage.space.names, *found}

    def _start(self, stage):
        """Return the exact values of the first particles, and the swarm, if parameters vary."""
        space = stage.space
        if stage.n_promoted:
            # the present values are also compared with the best of the subset on all samples
            present = {k: v for k, v in self._present.items() if k in self._known_at_start}
            seeds = [*self._promoted[: stage.n_promoted], present]
        else:
            known = {name: value for name, value in self.current.items() if name in self._places}
            seeds = [known, *self.settings.init]
        exact = [seed for seed in map(space.restrict, seeds) if seed]
        if space.n_dims == 0:
            return exact, None
        position = np.full((stage.n_first, space.n_dims), np.nan)
        for row, seed in zip(position, exact, strict=False):
            row[:] = space.encode(seed)
        return exact, self._make_swarm(stage, position, max(1, len(exact)))

    def _make_swarm(self, stage, position, n_exact):
        """Create the swarm of a stage from starting positions, of which the first are exact."""
        if stage.mover == "compass":
            return CompassSearch(position[:n_exact], stage.space, stage.width, stage.n_candidates)
        random_state = np.random.RandomState([self._seed, stage.cycle, stage.number])
        if stage.mover == "guided":
            swarm = GuidedSwarm(
                position, stage.space, random_state, stage.width, stage.n_particles
            )
            if stage.n_promoted:
                swarm.remember(self._guided)
            self._guided = swarm
            return swarm
        return ParticleSwarm(
            position,
            rules_for(self.settings.rules, stage.n_iterations),
            self.settings.topology,
            stage.n_iterations,
            random_state,
            stage.width,
            stage.n_particles,
        )


@dataclass
class _Progress:
    """State of a stage."""

    front: Front = field(default_factory=Front)
    tried: dict = field(default_factory=dict)  # score and candidate by key
    n_iterations: int = 0  # completed iterations
    n_unchanged: int = 0  # iterations since the front has changed

    def update(self, keys, candidates, scores):
        """Take a batch in."""
        self.n_unchanged = 0 if self.front.update(candidates, scores) else self.n_unchanged + 1
        for key, score, candidate in zip(keys, scores[:, 0], candidates, strict=True):
            self.tried[key] = score, candidate

    def best_first(self):
        """Return different candidates by descending score, without failed ones."""
        finite = [pair for pair in self.tried.values() if np.isfinite(pair[0])]
        return [candidate for _, candidate in sorted(finite, key=lambda pair: -pair[0])]
