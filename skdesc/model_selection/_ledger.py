"""Ledger of a search: evaluations of candidates, their price, and the rows of results."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace

import numpy as np

from ._evaluation import TIMES
from ._objectives import FEATURE_OBJECTIVES
from ._workers import evaluate_in_workers


class Ledger:
    """Evaluations of a search, in the order in which they were requested.

    Parameters
    ----------
    checkpoint : Checkpoint
        Evaluations of earlier runs.
    spaces : dict of str to SearchSpace
        Space of each searched parameter.
    present : dict of str to object
        Initial values of the parameters.
    metrics : list of str
        Metrics that the swarms optimize.
    max_fits : float or None
        Limit of the price, in fits to all data.

    Attributes
    ----------
    rows : list of dict
        Cross-validated candidates in the order of their first evaluation.
    n_models, n_features : int
        Models trained and features computed.
    errors : list of str
        Tracebacks of candidates that failed.
    n_evaluated : int
        Number of different candidates evaluated.
    spent : float
        Their price, in fits to all data.
    work_time : float
        Seconds spent on their features, fits and scores.
    untuned : dict or None
        Folds of the estimator with its present parameters, if its last step tunes some itself.
    present_row : int or None
        Row of the estimator with its present parameters, if its last step tuned none.
    """

    def __init__(self, checkpoint, spaces, present, metrics, max_fits):
        self._checkpoint, self._spaces, self._present = checkpoint, spaces, present
        self._metrics, self._max_fits = metrics, max_fits
        self._seen = {}
        self.rows, self.errors = [], []
        self.n_models = self.n_features = self.n_evaluated = 0
        self.spent = self.work_time = 0.0
        self.untuned = self.present_row = None

    def evaluate(self, stage, shared, candidates, iteration, parallel, deadline=None):
        """Evaluate a batch; equal candidates are evaluated once in the whole search.

        Parameters
        ----------
        stage : Stage
            Stage with the objective and the fraction of the samples.
        shared : SharedFeatures
            The evaluator of the stage.
        candidates : list of dict
            Values of all searched parameters.
        iteration : int
            Number of the batch in its stage.
        parallel : joblib.Parallel
            The workers.
        deadline : float or None
            Time, in seconds since the epoch, after which no candidate begins.

        Returns
        -------
        evaluations : list of (dict or None)
            None for candidates that were not evaluated.
        cut_by : {"max_time", "max_fits", "interrupt"} or None
            Why some were not evaluated.
        """
        keys = [self.key(stage, candidate) for candidate in candidates]
        wanted = {key: keys.index(key) for key in keys if key not in self._seen}
        new = self._affordable(stage, shared, wanted)
        known = self._checkpoint.evaluations
        todo = {key: candidates[new[key]] for key in new if key not in known}
        cut_by = self._compute(stage, shared, todo, new, parallel, deadline) if todo else None
        if cut_by is None and len(new) < len(wanted):
            cut_by = "max_fits"
        if new:
            self.n_features += shared.take_count()
        for key in filter(known.__contains__, new):
            self._take(stage, key, candidates[new[key]], iteration, new[key])
        return [self._seen.get(key) for key in keys], cut_by

    def found(self, stage, candidate):
        """Return the values that the last step found for a candidate."""
        return self._seen[self.key(stage, candidate)].get("found", {})

    def key(self, stage, candidate):
        """Return a key that is equal for equal candidates, here and in a checkpoint."""
        # an objective of features alone does not depend on the regressor
        alone = isinstance(stage.objective, str) and stage.objective in FEATURE_OBJECTIVES
        names = stage.space.names if alone else sorted(candidate)
        if stage.found_in:
            # values that the last step finds do not depend on its present values
            names = [name for name in names if name not in stage.found_in.names]
        tokens = {name: self._spaces[name].token(name, candidate[name]) for name in names}
        found = [stage.found_in.names] if stage.found_in else []
        part = [] if stage.fraction == 1 else [stage.fraction]
        return json.dumps([stage.label, tokens, *found, *part])

    def scores(self, stage, evaluation):
        """Return the scores of a candidate for the swarm; the larger, the better."""
        if evaluation["error"] is not None:
            # whatever error_score is: particles must not follow a candidate that fails
            return np.full(len(self._metrics) if stage.has_folds else 1, np.nan)
        if not stage.has_folds:
            return np.array([evaluation["score"]])
        return np.array([_mean(evaluation["folds"], name) for name in self._metrics])

    def _affordable(self, stage, shared, new):
        """Select candidates up to the limit of the price; the very first is always allowed."""
        price = stage.price(shared.splits)
        if self._max_fits is not None and not stage.is_needed:
            left = max(int((self._max_fits - self.spent) / price), self.n_evaluated == 0)
            new = dict(list(new.items())[:left])
        self.spent += price * len(new)
        return new

    def _compute(self, stage, shared, todo, new, parallel, deadline):
        """Evaluate candidates that no earlier run has; return what interrupted it, if anything."""
        results = evaluate_in_workers(
            parallel, shared.evaluator(), self._jobs(stage, todo, deadline)
        )
        known = self._checkpoint.evaluations
        try:
            with closing(results):
                for key, evaluation in results:
                    if evaluation is not None:
                        self._checkpoint.add({key: evaluation})
        except KeyboardInterrupt:
            if not self._seen and not known.keys() & new.keys():
                raise
            return "interrupt"
        return None if all(key in known for key in todo) else "max_time"

    def _jobs(self, stage, todo, deadline):
        """Return the arguments of the evaluator for each candidate."""
        present = self.key(stage, self._present) if stage.fraction == 1 else None
        jobs = {}
        for key, params in todo.items():
            # the very first candidate is evaluated, however little time there is
            limit = None if self.n_evaluated == 0 and not jobs else deadline
            jobs[key] = stage.objective, params, stage.found_in, limit, key == present
        return jobs

    def _take(self, stage, key, candidate, iteration, particle):
        """Record an evaluation and its price."""
        evaluation = self._seen[key] = self._checkpoint.evaluations[key]
        self.n_evaluated += 1
        self.n_models += evaluation["n_models"]
        self.n_features += evaluation["n_features"]
        self.work_time += evaluation["feature_time"] + evaluation["model_time"]
        if evaluation["error"] is not None:
            self.errors.append(evaluation["error"])
        if not stage.has_folds or stage.fraction < 1:
            return
        if "untuned" in evaluation:
            self.untuned = {"params": candidate, **evaluation, "folds": evaluation["untuned"]}
        if key == self.key(stage, self._present) and not stage.found_in:
            self.present_row = len(self.rows)
        params = {**candidate, **evaluation.get("found", {})}
        if stage.found_in:
            # the second stage begins with the values that the first one found
            self._seen[self.key(replace(stage, found_in=None), params)] = evaluation
        where = {"stage": stage.number, "cycle": stage.cycle, "iteration": iteration}
        self.rows.append({"params": params, **where, "particle": particle, **evaluation})


def _mean(folds, metric):
    if metric in TIMES:
        return -np.mean([fold[metric] for fold in folds])
    if f"test_{metric}" not in folds[0]:
        given = [key.removeprefix("test_") for key in folds[0] if key.startswith("test_")]
        raise ValueError(
            f"objective is {metric!r}, but scoring gave {given}; set objective to one of them"
        )
    return np.mean([fold[f"test_{metric}"] for fold in folds])
