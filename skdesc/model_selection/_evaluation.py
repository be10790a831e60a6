"""Evaluation of one candidate: features are computed once and sliced into folds."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from traceback import format_exc
from typing import Any

from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline

from ..utils._sklearn_compat import num_samples, safe_indexing, scorers_of
from ._cross_validation import cross_validate
from ._metadata import requested, routing_enabled, scorer_of_requested
from ._objectives import UnsuitableEstimatorError, compute_objective
from ._one_pass import close_session, is_one_pass_cheap, open_session, score_folds
from ._steps import (
    count_stateless_steps,
    has_leading_steps,
    is_sampler,
    step_of,
    unwrapped,
)
from ._subset import choose_samples, restrict_folds, restrict_metadata
from ._workers import limited_threads

# objectives of every candidate besides its scores; the smaller, the better
TIMES = ("fit_time", "score_time")


@dataclass(frozen=True, eq=False)  # dask hashes its tasks, and arrays cannot be hashed
class Evaluator:
    """Everything that a worker needs to evaluate a candidate.

    Parameters
    ----------
    estimator : estimator
        Estimator to clone for each candidate.
    X, y : object
        Data of all folds.
    fit_params : dict
        Metadata for the estimator, by the user's names.
    score_params : dict
        Metadata for the scorers, by the user's names with metadata routing enabled, otherwise by
        the names of arguments.
    splits : list of (train, test)
        The folds.
    scoring : str, callable, list, tuple, dict or None
        As in :func:`sklearn.model_selection.cross_validate`.
    error_score : "raise" or float
        Score of a fold that fails.
    return_train_score : bool
        Whether to score the training folds, too.
    cache_features : bool
        Whether stateless leading steps are applied once to all of `X`.
    n_threads : int or None
        Limit for libraries with threads of their own; None for no limit.
    frozen : frozenset of str
        Names of leading steps that have already been applied to `X`.
    scope : str or None
        Key of the session that candidates on the same features share; None for no session.
    metrics : tuple of str
        Metrics, of several, that the swarms optimize.
    fraction : float
        Fraction of all samples that `X` holds.
    """

    estimator: Any
    X: Any
    y: Any
    fit_params: dict
    score_params: dict
    splits: list
    scoring: Any
    error_score: Any
    return_train_score: bool
    cache_features: bool = True
    n_threads: int | None = None
    frozen: frozenset = frozenset()
    scope: str | None = None
    metrics: tuple = ()
    fraction: float = 1.0
    main_process: int = field(default_factory=os.getpid)

    def __call__(self, objective, params, found_in=None, deadline=None, untuned=False):
        """Evaluate a candidate.

        Parameters
        ----------
        objective : {"cv", "one_pass", "alignment", "ridge", "loo"} or callable
            Objective to compute.
        params : dict of str to object
            Parameters of the whole estimator.
        found_in : SearchSpace or None
            Space of the parameters that the last step tunes itself.
        deadline : float or None
            Time, in seconds since the epoch, after which nothing is computed.
        untuned : bool
            Whether to score the candidate also without the tuned parameters.

        Returns
        -------
        dict or None
            None after the deadline. Otherwise a dict that JSON can express, with "error" (None or
            a traceback), "n_models", "n_features", "feature_time", and "model_time", the seconds
            in fits and scores; then "folds", a list with one dict per fold, or "score"; "found",
            the parameters that the last step tuned; and, on request, the "untuned" folds. An error
            for lack of memory, which may not recur, is marked "transient".
        """
        if deadline is not None and time.time() > deadline:
            return None
        evaluation = {"error": None, "n_models": 0, "n_features": 0}
        evaluation |= {"feature_time": 0.0, "model_time": 0.0}
        try:
            with limited_threads(self.n_threads, self.main_process):
                estimator = self._configured(params)
                if objective == "one_pass":
                    folds = self._pass_once(estimator, params, evaluation, found_in, untuned)
                    evaluation["folds"] = folds
                elif objective == "cv":
                    evaluation["folds"] = self._cross_validate(estimator, evaluation)
                else:
                    evaluation["score"] = self._objective(objective, estimator, params, evaluation)
        except Exception as error:
            if self.error_score == "raise" or isinstance(error, UnsuitableEstimatorError):
                raise
            evaluation["error"] = format_exc()
            evaluation["transient"] = isinstance(error, MemoryError)
        return evaluation

    def count_frozen_steps(self, params, names):
        """Count the leading steps that are the same for all candidates of a stage.

        Parameters
        ----------
        params : dict of str to object
            Parameters of the whole estimator.
        names : iterable of str
            Parameters that differ between candidates.

        Returns
        -------
        int
            Number of stateless steps before the first one with such a parameter.
        """
        if not self.cache_features:
            return 0
        estimator = self._configured(params)
        searched = {step_of(name) for name in names}
        n_stateless = count_stateless_steps(estimator)
        for index in range(n_stateless):
            if estimator.steps[index][0] in searched:
                return index
        return n_stateless

    def freeze(self, params, n_steps):
        """Apply fixed leading steps now, and return the evaluator of the remaining steps.

        Parameters
        ----------
        params : dict of str to object
            Parameters of the whole estimator.
        n_steps : int
            Number of steps to apply.

        Returns
        -------
        Evaluator
            Evaluator that ignores parameters of the applied steps.
        """
        estimator = self._configured(params)
        rest, Z, fit_params = self._apply(estimator, n_steps, {"n_features": 0})
        names = frozenset(name for name, _ in estimator.steps[:n_steps])
        scope = uuid.uuid4().hex
        return replace(
            self, estimator=rest, X=Z, fit_params=fit_params, frozen=names, scope=scope
        )

    def on_part(self, fraction, seed):
        """Return an evaluator of the same candidates on a subset of the samples.

        Parameters
        ----------
        fraction : float
            Fraction of the samples; 1 returns this evaluator.
        seed : int
            Seed for the choice of samples.

        Returns
        -------
        Evaluator
            Evaluator whose last step is made smaller, too, if it supports that.
        """
        if fraction == 1:
            return self
        n_samples = num_samples(self.X)
        samples = choose_samples(self.splits, n_samples, fraction, seed)
        fit_params, score_params = (
            restrict_metadata(metadata, samples, n_samples)
            for metadata in (self.fit_params, self.score_params)
        )
        return replace(
            self, X=safe_indexing(self.X, samples),
            y=None if self.y is None else safe_indexing(self.y, samples),
            fit_params=fit_params, score_params=score_params,
            splits=restrict_folds(self.splits, samples, n_samples), fraction=fraction,
        )

    def forget(self):
        """Close the session that this process keeps for this evaluator."""
        if self.scope is not None:
            close_session(self.scope)

    @property
    def reports_errors(self):
        """Whether the last step reports errors of each kind of target."""
        return self._report(self.estimator, {}) is not None

    @cached_property
    def _is_one_pass_cheap(self):
        return is_one_pass_cheap(self.splits, len(self.y))

    @cached_property
    def _given_scorers(self):
        return {
            raise_exc: check_scoring(self.estimator, scoring=self.scoring, raise_exc=raise_exc)
            for raise_exc in (True, False)
        }

    def _scorer(self, estimator, raise_exc=True):
        if self.scoring is None:
            scorer = check_scoring(estimator)
        else:
            scorer = self._given_scorers[raise_exc]
        return scorer_of_requested(scorer) if self.score_params else scorer

    def _metadata_of(self, estimator, scorer, params):
        """Return metadata for the fit of the last steps and for their scorer, by argument."""
        if not routing_enabled():
            return params, self.score_params
        fit_params = requested(estimator, "fit", params)
        return fit_params, requested(scorer, "score", self.score_params)

    def _configured(self, params):
        params = {name: value for name, value in params.items() if step_of(name) not in self.frozen}
        estimator = clone(self.estimator).set_params(**clone(params, safe=False))
        if self.fraction < 1:
            last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
            if hasattr(last, "reduced_parameters"):
                last.set_params(**last.reduced_parameters(self.fraction))
        return estimator

    def _cross_validate(self, estimator, counts):
        n_steps = count_stateless_steps(estimator) if self.cache_features else 0
        rest, Z, params = self._apply(estimator, n_steps, counts)
        if n_steps or self.frozen:
            rest, params = unwrapped(rest, params)
        counts["n_models"] = len(self.splits)
        if has_leading_steps(rest):
            counts["n_features"] += len(self.splits) * (2 + self.return_train_score)
        fit_params, score_params = self._metadata_of(rest, self._scorer(rest), params)
        folds = cross_validate(
            rest,
            Z,
            self.y,
            self.splits,
            partial(self._scorer, rest),
            fit_params=fit_params,
            score_params=score_params,
            error_score=self.error_score,
            return_train_score=self.return_train_score,
            report=self._report(rest, fit_params),
        )
        counts["model_time"] = float(sum(fold[name] for fold in folds for name in TIMES))
        return folds

    def _pass_once(self, estimator, params, counts, found_in, untuned):
        if not self._is_one_pass_cheap:
            return self._cross_validate(estimator, counts)
        rest, Z, metadata = self._apply(estimator, count_stateless_steps(estimator), counts)
        step = rest.steps[-1][0]
        last, metadata = unwrapped(rest, metadata)
        scorer = self._scorer(last)
        fit_params, score_params = self._metadata_of(last, scorer, metadata)
        counts["n_models"] = 1
        start = time.perf_counter()
        try:
            session = open_session(last, Z, self.y, self.splits, fit_params, self.scope)
            searched = [*_without_step({k: v for k, v in params.items() if step_of(k) == step})]
            score = partial(
                self._score_session, session, last, searched, Z, scorer, score_params,
                fit_params,
            )
            if found_in is not None:
                if untuned and self._report(last, fit_params) is not None:
                    counts["untuned"] = score()
                counts["found"] = self._tune(session, last, searched, step, scorer, found_in)
                last.set_params(**_without_step(counts["found"]))
            return score()
        except (MemoryError, UnsuitableEstimatorError):
            raise
        except Exception:
            if self.error_score == "raise":
                raise
            # fold by fold, so that only failing folds are lost
            return self._cross_validate(estimator, counts)
        finally:
            counts["model_time"] = time.perf_counter() - start

    def _score_session(self, session, last, searched, Z, scorer, score_params, fit_params):
        """Score all folds with the present parameters of the last step."""
        return score_folds(
            partial(session.models, _values(last, searched)), Z, self.y, self.splits, scorer,
            score_params, self.return_train_score, self._report(last, fit_params),
        )

    def _report(self, last, fit_params):
        """Metadata for errors that models report; None if they report none, or on a subset."""
        last = last.steps[-1][1] if isinstance(last, Pipeline) else last
        return fit_params if self.fraction == 1 and hasattr(last, "report_errors") else None

    def _tune(self, session, last, searched, step, scorer, space):
        """Return values of parameters that the last step tunes itself."""
        several = scorers_of(scorer)
        metrics = [scorer] if several is None else [several[name] for name in self.metrics]
        bounds = _without_step(space.bounds())
        found = session.tune(_values(last, searched), bounds, metrics)
        return space.nearest({f"{step}__{name}": value for name, value in found.items()})

    def _objective(self, objective, estimator, params, counts):
        # without folds, even transformers that learn are applied only once
        n_steps = len(estimator.steps) - 1 if isinstance(estimator, Pipeline) else 0
        if n_steps:
            # compute features of all samples, not of those that a sampler selects or creates
            samplers = [name for name, step in estimator.steps[:-1] if is_sampler(step)]
            estimator.set_params(**dict.fromkeys(samplers, "passthrough"))
        rest, Z, fit_params = self._apply(estimator, n_steps, counts)
        if objective == "loo":
            counts["n_models"] = 1
        if routing_enabled():
            fit_params = requested(rest, "fit", fit_params)
        start = time.perf_counter()
        score = float(compute_objective(objective, rest, Z, self.y, params, fit_params))
        counts["model_time"] = time.perf_counter() - start
        return score

    def _apply(self, estimator, n_steps, counts):
        """Apply leading steps; return the other steps, the features, and the other metadata."""
        if n_steps == 0:
            return estimator, self.X, self.fit_params
        leading, rest = estimator[:n_steps], estimator[n_steps:]
        if routing_enabled():
            taken = requested(leading, "fit_transform", self.fit_params)
            left = self.fit_params
        else:
            names = {name for name, _ in leading.steps}
            taken = {k: v for k, v in self.fit_params.items() if step_of(k) in names}
            left = {k: v for k, v in self.fit_params.items() if k not in taken}
        start = time.perf_counter()
        Z = leading.fit_transform(self.X, self.y, **taken)
        counts["feature_time"] = time.perf_counter() - start
        counts["n_features"] += 1
        return rest, Z, left


def _values(estimator, names):
    """Return copies of the present values of parameters."""
    present = estimator.get_params()
    return {name: clone(present[name], safe=False) for name in names}


def _without_step(params):
    return {name.partition("__")[2]: value for name, value in params.items()}
