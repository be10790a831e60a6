"""Order of the fits of a search within the time budget."""

from __future__ import annotations

import sys
import warnings

import numpy as np

from ..exceptions import SuspiciousTargetsWarning, UntrustworthyFitWarning
from ._candidates import Candidate, candidate_families, default_candidate
from ._cost import Clock
from ._data import LabeledStructures
from ._errors import ENERGY_WEIGHT, composition_residuals, score
from ._forecast import EVALUATIONS, Forecast
from ._lengths import tune_lengths
from ._results import Result, Results
from ._split import growing_parts, thinned
from ._trial import Trial

# sparse points per element of the first fits, and their factor from level to level
_FEW_POINTS, _MORE = 160, 2.5
# the same if predictions must be fast
_FEWEST_POINTS = 10
# Shares of the remaining time: for comparisons, including small fits and the swarm; then for the
# default pipeline, if a candidate seems better and if none does; then for a final fit.
_FOR_COMPARISON, _FOR_SMALL_FITS, _FOR_SWARM = 0.4, 0.2, 0.3
_FOR_DEFAULT, _FOR_DEFAULT_ALONE = 0.3, 0.8
_FOR_FINAL = 0.8
# largest share of the time before a final fit that is reserved in case the fit is not better
_RESERVED = 0.15
# a swarm makes many fits before it checks the time
_SWARM_FITS = 30
_COARSE, _FINE = (10.0, 3.0), (3.0, 1.5)
# the default is refitted once this many times more structures can be learned
_MORE_DATA = 1.2
# a second final model of a candidate must have this many times the points of the first, and one
# of another candidate this many times those of the best model
_MORE_POINTS, _FEWER_POINTS = 1.4, 0.6


class Search:
    """Search over candidates within a time budget, beginning with the default pipeline.

    Parameters
    ----------
    data : LabeledStructures
        All structures.
    split : list of (train, held_back)
        Index arrays, see :func:`skdesc.auto._split.make_split`.
    clock : Clock
        The time budget.
    time_per_atom : float or None
        Limit of the seconds for energy and forces of an atom.
    n_jobs : int or None
        Number of threads.
    random_state : int
        Seed of the estimators.
    verbose : int
        Whether to print each fit.

    Attributes
    ----------
    results : Results
        Models that were fitted.
    forecast : Forecast
        Predictions of times.
    is_interrupted : bool
        Whether Ctrl-C ended the search.
    """

    def __init__(self, data: LabeledStructures, split, clock: Clock, *, time_per_atom=None,
                 n_jobs=None, random_state=0, verbose=0):
        self.data, self.split, self.clock = data, split, clock
        self.n_jobs, self.random_state, self.verbose = n_jobs, random_state, verbose
        # energies should be better than those of a linear model of the composition
        self.results = Results(composition_residuals(data, split), time_per_atom)
        self.forecast = Forecast(data, clock, time_per_atom)
        self.is_interrupted = False
        self._levels = growing_parts(data, split, clock.budget)
        self._seconds_of_default = 0.0
        self._noise_of_default: dict[str, float] | None = None

    def run(self) -> Result:
        """Try candidates until the time is spent or all have been tried.

        Returns
        -------
        Result
            The best model.
        """
        try:
            with warnings.catch_warnings():
                # these are about part of the data; all data are checked at the end
                for category in (SuspiciousTargetsWarning, UntrustworthyFitWarning):
                    warnings.simplefilter("ignore", category)
                small = self._try_default()
                ranking = self._compare()
                self._enlarge_default(small, self._share_of_default(ranking))
                self._fit_finally(ranking)
                self._enlarge_default(small, _FOR_FINAL)
        except KeyboardInterrupt:
            if not self.results.models:
                raise
            self.is_interrupted = True
        if not self.results.models:
            reasons = [failure["failure"] for failure in self.results.failures]
            raise ValueError(f"none of the candidates could be fitted; the first: {reasons[0]}")
        return self.results.best()

    def say(self, text: str) -> None:
        """Print a line with the time if `verbose` is set."""
        if self.verbose:
            print(f"[{self.clock.elapsed:7.1f} s] {text}", file=sys.stderr, flush=True)

    def _try_default(self) -> Trial | None:
        """Fit the default pipeline to the smallest part of the data."""
        trial = self._trial(default_candidate(), 0, self._levels[0])
        if trial is not None:
            self._seconds_of_default = trial.seconds
            self._record_default(trial)
        return trial

    def _record_default(self, trial: Trial):
        """Record the default pipeline with its own noise and with adjusted noise."""
        trial.evaluate()
        self.results.default = default = self._record(trial)
        default.residuals = trial.held_back_residuals()
        # the best noise for less of the data is a good guess
        factors = _FINE if self._noise_of_default else _COARSE
        self._adjust(trial, factors, default, 0.1, self._noise_of_default)
        self._noise_of_default = dict(trial.noise)
        if trial.noise != default.noise:
            self._record(trial, "default with other noise")

    def _share_of_default(self, ranking: list[Trial]) -> float:
        """Share of the remaining time for the default pipeline: most if it seems the best."""
        if self.results.default is None or not ranking:
            return _FOR_DEFAULT_ALONE
        reference = max(score(result.errors, energy_weight=ENERGY_WEIGHT)
                        for result in self.results.models if result.trial.candidate.is_default)
        is_worse = _comparable_score(ranking[0]) > reference
        return _FOR_DEFAULT if is_worse else _FOR_DEFAULT_ALONE

    def _enlarge_default(self, small: Trial | None, share: float):
        """Fit the default pipeline to as much of the data as a share of the time allows."""
        if small is None or self.results.default.record["share"] == 1.0:
            return
        best = self.results.best().trial
        limit = share * self.clock.left
        if best.candidate is not small.candidate:
            limit -= self.forecast.reserved(best)
        least = _MORE_DATA * self.results.default.record["n_structures"]
        step, part = 1.0, self.split
        while self.forecast.fit(small, part) > limit:
            step *= 1.2
            part = thinned(self.data, self.split, step)
            if len(part[0][0]) < least:
                return
        trial = self._trial(small.candidate, 0, part)
        if trial is not None:
            self._record_default(trial)

    def _compare(self) -> list[Trial]:
        """Rank candidates by fits of growing size; return trials, the best first."""
        start, left = self.clock.elapsed, self.clock.left
        end, soon = start + _FOR_COMPARISON * left, start + _FOR_SMALL_FITS * left
        families = candidate_families(self.data.take(self.split[0][0]), self.random_state)
        first = self._small_fits((next(family) for family in families), soon)
        # more lengths of the best families
        order = [first.index(trial) for trial in self._ranked(first)]
        others = (candidate for k in order for candidate in families[k])
        trials = self._ranked([*first, *self._small_fits(others, soon)])
        trials = self._ranked([*trials, *self._swarm(trials, start + _FOR_SWARM * left)])
        # keep the best lengths of each family, whose order may change with more data
        trials = _first_of_each_family(trials)
        if len(self._levels) > 1:
            trials = self._larger_fits(trials, end) or trials
        return trials

    def _small_fits(self, candidates, end: float) -> list[Trial]:
        """Fit candidates to the smallest part of the data while there is time."""
        trials: list[Trial] = []
        # the default takes about as long as one candidate
        longest = self._seconds_of_default
        for candidate in candidates:
            if self.clock.elapsed + longest > end or not self._may_spend(longest):
                break
            trial = self._first_trial(candidate)
            if trial is not None:
                self._adjust(trial, _COARSE, None, 0.3)
                self._record(trial)
                trials.append(trial)
                longest = max(longest, trial.seconds)
        return trials

    def _first_trial(self, candidate: Candidate) -> Trial | None:
        """Fit with few points, or with fewer if predictions must be fast."""
        trial = self._trial(candidate, _FEW_POINTS, self._levels[0])
        if trial is None or self.results.is_fast(trial):
            return trial
        most = min(_FEW_POINTS, self.data.n_atoms_of_elements[trial.learned].sum(axis=0).max())
        points = int(most * self.results.time_per_atom / trial.time_per_atom)
        return self._trial(candidate, max(_FEWEST_POINTS, points), self._levels[0]) or trial

    def _swarm(self, trials: list[Trial], end: float) -> list[Trial]:
        """Let a swarm tune the lengths of the best candidates of each family."""
        tuned: list[Trial] = []
        for trial in _first_of_each_family(trials):
            left = end - self.clock.elapsed
            if left < _SWARM_FITS * trial.seconds:
                break
            candidate = tune_lengths(
                trial.candidate, trial.points, trial.noise, self.data, self._levels[0],
                0.5 * left, self.random_state,
            )
            if candidate is not None:
                tuned += self._small_fits([candidate], np.inf)
        return tuned

    def _larger_fits(self, trials: list[Trial], end: float) -> list[Trial]:
        """Fit the same candidates with more data and more points."""
        level = self._levels[1]
        larger = []
        for trial in trials:
            seconds = self.forecast.fit(trial, level, _MORE, EVALUATIONS)
            if self.clock.elapsed + seconds > end or not self._may_spend(seconds):
                break
            next_trial = self._trial(
                trial.candidate, int(_MORE * trial.points), level, noise=trial.noise
            )
            if next_trial is not None:
                self._adjust(next_trial, _FINE, None, 0.3)
                self._record(next_trial)
                larger.append(next_trial)
        return self._ranked(larger)

    def _ranked(self, trials: list[Trial]) -> list[Trial]:
        """Sort trials, the best first, and those that take too long per atom last."""
        return sorted(
            trials,
            key=lambda trial: (not self.results.is_fast(trial), -_comparable_score(trial)),
        )

    def _fit_finally(self, ranking: list[Trial]):
        """Fit the best candidates to all data with as many sparse points as time allows."""
        largest: dict[str, int] = {}
        for trial in [*ranking, *ranking[:1]]:
            best = self.results.best().trial
            points, part = self.forecast.final_size(
                trial, (self.split, *reversed(self._levels[:-1])), self._time_for_final(trial, best)
            )
            n_points = points / trial.points * trial.timing.size.n_points
            name = trial.candidate.name
            is_larger = part is not trial.split or points > _MORE_POINTS * trial.points
            if (
                not is_larger
                or points <= _MORE_POINTS * largest.get(name, 0)
                or n_points < _FEWER_POINTS * best.timing.size.n_points
            ):
                continue
            final = self._trial(trial.candidate, points, part, noise=trial.noise)
            if final is not None:
                largest[name] = points
                self._adjust(final, _FINE, self.results.default, 0.9)
                self._record(final)

    def _time_for_final(self, trial: Trial, best: Trial) -> float:
        """Seconds for a final fit that leave time to complete the best model so far."""
        limit = _FOR_FINAL * self.clock.left
        if best.candidate is trial.candidate:
            return limit
        return limit - self.forecast.reserved(best, _RESERVED)

    def _adjust(self, trial: Trial, factors, reference: Result | None, share: float, guess=None):
        """Adjust the noise of a trial within a share of the remaining time."""
        end = self.clock.elapsed + share * (self.clock.left - self.forecast.rest(trial))
        references = [self.results.composition]
        if reference is not None:
            references.append(reference.residuals)
        trial.adjust(factors, references, lambda: self.clock.elapsed < end, guess)

    def _trial(self, candidate: Candidate, points: int, split, noise=None) -> Trial | None:
        """Fit a candidate; record a failure and return None."""
        trial = Trial(candidate, points, self.data, split, self.n_jobs, self.random_state)
        if noise is not None:
            trial.first_noise = noise
        try:
            trial.fit()
            trial.measure_time_per_atom()
        except (ValueError, MemoryError) as error:
            self.results.failures.append({"candidate": candidate.name, "failure": str(error)})
            self.say(f"{candidate.name}: {error}")
            return None
        return trial

    def _record(self, trial: Trial, name: str | None = None) -> Result:
        """Record a model with its present noise."""
        result = self.results.add(trial, len(trial.learned) / len(self.split[0][0]), name)
        self.results.release()
        self.say(self.results.describe(result))
        return result

    def _may_spend(self, seconds: float) -> bool:
        """Whether the best model so far can still learn more data after some seconds."""
        best = self.results.best().trial if self.results.models else None
        return self.forecast.may_spend(seconds, best)


def _comparable_score(trial: Trial) -> float:
    """Score of a small fit."""
    return score(trial.errors, energy_weight=ENERGY_WEIGHT)


def _first_of_each_family(trials: list[Trial]) -> list[Trial]:
    """Return the first trial of each kind of descriptors."""
    first: dict[str, Trial] = {}
    for trial in trials:
        first.setdefault(trial.candidate.family, trial)
    return list(first.values())
