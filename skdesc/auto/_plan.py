"""What is tried next, within the time budget."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import numpy as np

from ..exceptions import SuspiciousTargetsWarning, UntrustworthyFitWarning
from ..utils.memory import available_memory
from ._candidates import Candidate, candidate_families, default_candidate
from ._cost import Clock, Size, decomposition_rate
from ._data import LabeledStructures
from ._errors import (
    ENERGY_WEIGHT,
    composition_residuals,
    errors_of,
    is_no_worse,
    ratios,
    score,
)
from ._lengths import tune_lengths
from ._trial import Trial, quietly, without_data

# Atoms that candidates are compared on, level by level; the last level has all of them. Structures
# without forces are one equation each, so that more of them are needed and affordable.
_LEVEL_ATOMS = (1500, 6000)
_ENERGY_ONLY = 4
# sparse points per element of the first fits, and how many times more those at the next level have
_FEW_POINTS, _MORE = 160, 2.5
# shares of the time that is left: for the default pipeline; for comparisons, small fits and the
# swarm among them; for a final fit
_FOR_DEFAULT, _FOR_COMPARISON, _FOR_FINAL = 0.45, 0.4, 0.8
_FOR_SMALL_FITS, _FOR_SWARM = 0.15, 0.3
# predicted times may be exceeded by so much, and a fit may end so much later than its budget
_SAFETY, _LATE = 1.4, 0.08
# a swarm makes many fits at once before it looks at the time
_SWARM_FITS = 30
# evaluations of noise that a final fit is given time for
_EVALUATIONS = 8
_COARSE, _FINE = (10.0, 3.0), (3.0, 1.5)
# solving for more points takes gigabytes
_MOST_POINTS = 6000
# of the memory of the machine, for triangles or descriptors
_OF_MEMORY = 0.25
# a second final model of a candidate has to have so many times the points of the first, and one
# of another candidate so many of the best model's
_MORE_POINTS, _FEWER_POINTS = 1.4, 0.6


@dataclass
class Result:
    """A model that could be returned.

    Attributes
    ----------
    trial : Trial
        Holds the fitted estimators.
    noise : dict of str to float
        Noise levels of this model; the trial may have gone on to others.
    errors : dict of str to float
        On what is held back.
    record : dict
        Entry of the leaderboard.
    pipeline : Pipeline
        Fitted to what is not held back.
    residuals : dict of str to list of ndarray, or None
        On what is held back, see :func:`skdesc.auto._errors.residuals`.
    """

    trial: Trial
    noise: dict[str, float]
    errors: dict[str, float]
    record: dict
    pipeline: object = field(repr=False)
    residuals: dict | None = field(default=None, repr=False)

    @property
    def score(self) -> float:
        """Score of the errors, see :func:`skdesc.auto._errors.score`."""
        return score(self.errors)


class Search:
    """Candidates within a time budget, the default pipeline first.

    Parameters
    ----------
    data : LabeledStructures
        All structures.
    split : list of (train, held_back)
        Index arrays, see :func:`skdesc.auto._split.make_split`.
    clock : Clock
        The time budget.
    time_per_atom : float or None
        Most seconds for energy and forces of an atom.
    n_jobs : int or None
        Threads.
    random_state : int
        Seed of the estimators.
    verbose : int
        Whether to print what is tried.

    Attributes
    ----------
    results : list of Result
        What was tried, in this order.
    default : Result or None
        The default pipeline; None if it cannot be fitted.
    failures : list of dict
        Records of what could not be fitted.
    warnings : list of warnings.WarningMessage
        What the fit of the default pipeline had to say about virials.
    is_interrupted : bool
        Whether Ctrl-C ended the search.
    """

    def __init__(self, data: LabeledStructures, split, clock: Clock, *, time_per_atom=None,
                 n_jobs=None, random_state=0, verbose=0):  # fmt: skip
        self.data, self.split, self.clock = data, split, clock
        self.time_per_atom, self.n_jobs = time_per_atom, n_jobs
        self.random_state, self.verbose = random_state, verbose
        self.results: list[Result] = []
        self.failures: list[dict] = []
        self.default: Result | None = None
        self.warnings: list = []
        self.is_interrupted = False
        self._rate = decomposition_rate()
        self._seconds_of_default = 0.0
        # energies should be better than by the composition alone
        self._composition = composition_residuals(data, split)
        # what candidates are made for; nothing of it is held back
        self.training = data.take(split[0][0])
        self._levels = self._make_levels()

    def run(self) -> Result:
        """Try candidates until the time is spent or all has been tried.

        Returns
        -------
        Result
            The best.
        """
        try:
            self._try_default()
            ranking = self._compare()
            self._fit_finally(ranking)
        except KeyboardInterrupt:
            if not self.results:
                raise
            self.is_interrupted = True
        if not self.results:
            raise ValueError(
                f"none of the candidates could be fitted; the first: {self.failures[0]['failure']}"
                if self.failures
                else f"time_budget is {self.clock.budget:g}, but must be enough for one fit; "
                "raise it"
            )
        return self.best()

    def best(self) -> Result:
        """The best of what may be returned.

        That is within the limit of time per atom, no worse than the default in any quantity if
        the default is within that limit, and with energies no worse than by the composition
        alone if there is such a model. The fastest, if nothing is within the limit.
        """
        affordable = [r for r in self.results if self._is_fast(r.trial)]
        if not affordable:
            return min(self.results, key=lambda result: result.trial.time_per_atom)
        reference = self.default.errors if self.default else None
        if self.default in affordable:
            affordable = [r for r in affordable if is_no_worse(r.errors, reference)]
        floor = errors_of(self._composition)
        affordable = [r for r in affordable if is_no_worse(r.errors, floor)] or affordable
        return max(affordable, key=lambda result: score(result.errors, reference))

    def front(self) -> list[Result]:
        """Results that no other beats in both error and speed, the fastest first."""
        front: list[Result] = []
        for result in sorted(self.results, key=lambda r: (r.trial.time_per_atom, -r.score)):
            if not front or result.score > front[-1].score:
                front.append(result)
        return front

    def _make_levels(self):
        """Splits with growing shares of the training parts."""
        n_atoms = sum(self.data.n_atoms[train].sum() for train, _ in self.split)
        levels = []
        for wanted in _LEVEL_ATOMS:
            if "forces" not in self.data.quantities:
                wanted *= _ENERGY_ONLY
            step = round(n_atoms / wanted)
            if step > 1:
                levels.append(self._thinned(step))
        return [*levels, self.split]

    def _thinned(self, step):
        """Split with every so-manieth training structure, and all elements."""
        return [(_with_all_elements(self.data, train, step), held) for train, held in self.split]

    def _try_default(self):
        """Fit the default pipeline to as much of the data as a part of the time allows."""
        candidate = default_candidate()
        trial = self._trial(candidate, 0, self._levels[0])
        if trial is None:
            return
        self._seconds_of_default = trial.seconds
        split = self._affordable_part(trial)
        if len(split[0][0]) > len(trial.learned):
            trial = self._trial(candidate, 0, split) or trial
        trial.evaluate()
        self.default = self._record(trial)
        self.default.residuals = trial.held_back_residuals()
        before = dict(trial.noise)
        self._adjust(trial, _COARSE, self.default, 0.1)
        if trial.noise != before:
            self._record(trial, "default with other noise")

    def _affordable_part(self, trial: Trial):
        """Split with as much of the data as the default pipeline is given time for."""
        step, limit = 1, _FOR_DEFAULT * self.clock.left
        while step < len(self.data) and self._predicted(trial, self._thinned(step)) > limit:
            step += 1
        return self._thinned(step)

    def _compare(self) -> list[Trial]:
        """Rank candidates by fits of growing size; return trials, the best first."""
        start, left = self.clock.elapsed, self.clock.left
        end, soon = start + _FOR_COMPARISON * left, start + _FOR_SMALL_FITS * left
        families = candidate_families(self.training, self.random_state)
        first = self._small_fits((next(family) for family in families), soon)
        # other lengths of the best families
        order = [first.index(trial) for trial in self._ranked(first)]
        others = (candidate for k in order for candidate in families[k])
        trials = self._ranked([*first, *self._small_fits(others, soon)])
        trials = self._ranked([*trials, *self._swarm(trials, start + _FOR_SWARM * left)])
        # the best lengths of each family: what is best with few data may not be with more
        best_of_family: dict[str, Trial] = {}
        for trial in trials:
            best_of_family.setdefault(trial.candidate.family, trial)
        trials = list(best_of_family.values())
        if len(self._levels) > 1:
            trials = self._larger_fits(trials, end) or trials
        return trials

    def _small_fits(self, candidates, end: float) -> list[Trial]:
        """Fits to the smallest part of the data, as long as there is time."""
        trials: list[Trial] = []
        # the default takes about as long as one of these
        longest = self._seconds_of_default
        for candidate in candidates:
            if self.clock.elapsed + longest > end or not self._may_spend(longest):
                break
            trial = self._trial(candidate, _FEW_POINTS, self._levels[0])
            if trial is not None:
                self._adjust(trial, _COARSE, None, 0.3)
                self._record(trial)
                trials.append(trial)
                longest = max(longest, trial.seconds)
        return trials

    def _swarm(self, trials: list[Trial], end: float) -> list[Trial]:
        """Let a swarm tune the lengths of the best candidates of each family."""
        best_of_family = {}
        for trial in trials:
            best_of_family.setdefault(trial.candidate.family, trial)
        tuned: list[Trial] = []
        for trial in best_of_family.values():
            left = end - self.clock.elapsed
            if left < _SWARM_FITS * trial.seconds:
                break
            candidate = tune_lengths(
                trial.candidate, trial.points, trial.noise, self.data, self._levels[0],
                0.5 * left, self.random_state,
            )  # fmt: skip
            if candidate is not None:
                tuned += self._small_fits([candidate], np.inf)
        return tuned

    def _larger_fits(self, trials: list[Trial], end: float) -> list[Trial]:
        """The same candidates with more of the data and more points."""
        level = self._levels[1]
        larger = []
        for trial in trials:
            seconds = self._predicted(trial, level, _MORE, _EVALUATIONS)
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
        """The best first; those that take too long per atom last."""
        return sorted(
            trials,
            key=lambda trial: (
                not self._is_fast(trial), -score(trial.errors, energy_weight=ENERGY_WEIGHT)
            ),
        )  # fmt: skip

    def _fit_finally(self, ranking: list[Trial]):
        """Fit the best candidates to all the data with as many sparse points as there is time."""
        largest: dict[str, int] = {}
        for trial in [*ranking, *ranking[:1]]:
            points, level = self._final_size(trial)
            n_points = points / trial.points * trial.timing.size.n_points
            name = trial.candidate.name
            is_larger = level is not trial._split or points > _MORE_POINTS * trial.points
            if (
                not is_larger
                or points <= _MORE_POINTS * largest.get(name, 0)
                or n_points < _FEWER_POINTS * self.best().trial.timing.size.n_points
            ):
                continue
            final = self._trial(trial.candidate, points, level, noise=trial.noise)
            if final is not None:
                largest[name] = points
                self._adjust(final, _FINE, self.default, 0.9)
                self._record(final)

    def _adjust(self, trial: Trial, factors, reference, share: float):
        """Adjust the noise of a trial within a share of the time that is left."""
        end = self.clock.elapsed + share * (self.clock.left - self.finish_time(trial))
        references = [self._composition]
        if reference is not None:
            references.append(reference.residuals)
        trial.adjust(factors, references, lambda: self.clock.elapsed < end)

    def _final_size(self, trial):
        """Points per element and part of the data that the remaining time allows; 0 if none."""
        best = self.best().trial
        limit = _FOR_FINAL * self.clock.left - self.finish_time(best)
        if best.candidate is trial.candidate:
            limit = _FOR_FINAL * self.clock.left
        for level in (self.split, *reversed(self._levels[:-1])):
            most = self._most_points(trial)
            low, high = 0, int(most)
            while high - low > max(1, low // 50):
                middle = (low + high + 1) // 2
                scale = middle / trial.points
                if self._predicted_with_rest(trial, level, scale) <= limit:
                    low = middle
                else:
                    high = middle - 1
            if low >= min(trial.points, most):
                return low, level
        return 0, None

    def _most_points(self, trial):
        """Points per element within memory and the limit of time per atom."""
        memory = available_memory() or 8e9
        squares = 2 * len(self.data.quantities) + 4
        most = min(_MOST_POINTS, np.sqrt(_OF_MEMORY * memory / (8 * squares)))
        per_element = most * trial.points / trial.timing.size.n_points
        if self.time_per_atom is not None:
            # descriptors take part of the time, whatever the number of points
            per_element = min(
                per_element, trial.points * self.time_per_atom / trial.time_per_atom
            )
        return per_element

    def _trial(self, candidate: Candidate, points: int, split, noise=None):
        """Fit a candidate; None, and a record, if that is not possible."""
        trial = Trial(candidate, points, self.data, split, self.n_jobs, self.random_state)
        if noise is not None:
            trial.first_noise = noise
        try:
            _, told = quietly(trial.fit)
            trial.measure_time_per_atom()
        except (ValueError, MemoryError) as error:
            self.failures.append({"candidate": candidate.name, "failure": str(error)})
            self._say(f"{candidate.name}: {error}")
            return None
        if candidate.is_default and split is self.split:
            # those of single structures are told before, with their places in all of the data
            self.warnings = [
                warning
                for warning in told
                if issubclass(warning.category, SuspiciousTargetsWarning)
                and "virials" in str(warning.message)
            ]
        return trial

    def _record(self, trial: Trial, name: str | None = None) -> Result:
        """Note a model with its present noise."""
        share = len(trial.learned) / len(self.split[0][0])
        record = {
            "candidate": name or trial.candidate.name,
            **trial.errors,
            "score": trial.score,
            "time_per_atom": trial.time_per_atom,
            "share": share,
            "n_structures": len(trial.learned),
            "n_points": trial.timing.size.n_points,
            "seconds": trial.seconds,
            **trial.noise,
        }
        pipeline = trial.pipeline()
        pipeline.steps[-1] = ("gap", without_data(pipeline[-1]))
        result = Result(trial, dict(trial.noise), dict(trial.errors), record, pipeline)
        self.results.append(result)
        for other in self.results:
            if other.trial not in (trial, self.best().trial, getattr(self.default, "trial", None)):
                other.trial.release()
        self._say(self._line(result))
        return result

    def _line(self, result):
        record = result.record
        errors = ", ".join(
            f"{name.replace('_', ' ')} {1e3 * value:.3g}" for name, value in result.errors.items()
        )
        line = (f"{record['candidate']}: {record['n_structures']} structures, "
                f"{record['n_points']} points; {errors} meV; "
                f"{1e6 * record['time_per_atom']:.0f} us/atom")  # fmt: skip
        if self.default and result is not self.default:
            worst = max(ratios(result.errors, self.default.errors).values(), default=np.nan)
            line += f"; at most {worst:.2f} of the default"
        return line

    def _say(self, text):
        if self.verbose:
            print(f"[{self.clock.elapsed:7.1f} s] {text}", file=sys.stderr, flush=True)

    def _is_fast(self, trial: Trial) -> bool:
        return self.time_per_atom is None or trial.time_per_atom <= self.time_per_atom

    def _predicted(self, trial: Trial, split, scale: float = 1.0, evaluations: int = 1) -> float:
        """Seconds to fit a candidate at another size and to try noise so many times."""
        size = trial.size(split, int(scale * trial.timing.size.n_points))
        learning = trial.timing.learning(size, self._rate)
        return learning + evaluations * trial.timing.evaluation(size, self._rate)

    def _predicted_with_rest(self, trial: Trial, split, scale: float) -> float:
        """Seconds to fit a final model, and to learn what is held back."""
        size = trial.size(split, int(scale * trial.timing.size.n_points))
        rest = self._rest(size, split, size.n_points)
        return self._predicted(trial, split, scale, _EVALUATIONS) + trial.timing.learning(
            rest, self._rate
        )

    def _may_spend(self, seconds: float) -> bool:
        """Whether the best so far can still learn all data after so many seconds."""
        reserved = self.finish_time(self.best().trial) if self.results else 0.0
        return _SAFETY * (seconds + reserved) <= self.clock.left

    def _rest(self, size: Size, split, n_points: int) -> Size:
        """Size of what is left to be learned after a fit to part of the data."""
        n_atoms = int(self.data.n_atoms.sum())
        # of a cross-validated set, the last fit is one of all
        learned = size.n_atoms if len(split) == 1 else 0
        mean_rows = size.n_rows / max(size.n_atoms, 1)
        rest = n_atoms - learned
        return Size(rest, int(rest * mean_rows), 0, n_points)

    def finish_time(self, trial: Trial) -> float:
        """Seconds that it will take to learn the rest of the data."""
        rest = self._rest(trial.timing.size, trial._split, trial.timing.size.n_points)
        return trial.timing.learning(rest, self._rate) + trial.timing.evaluation(
            trial.timing.size, self._rate
        )


def _with_all_elements(data: LabeledStructures, index: np.ndarray, step: int) -> np.ndarray:
    """Every so-manieth structure, and the first of each element that these lack."""
    chosen = set(index[::step].tolist())
    seen = set().union(*(data.frames[i].numbers.tolist() for i in chosen))
    for i in index:
        new = set(data.frames[i].numbers.tolist()) - seen
        if new:
            chosen.add(int(i))
            seen |= new
    return np.array(sorted(chosen), dtype=np.intp)


def finish(search: Search, best: Result):
    """Learn what the best model has not learned, if there is time, and give its pipeline.

    Parameters
    ----------
    search : Search
        After its run.
    best : Result
        The model.

    Returns
    -------
    pipeline : Pipeline
        Fitted.
    has_all : bool
        Whether it has learned all structures.
    warnings : list of warnings.WarningMessage
        That its predictions may have visible rounding errors.
    """
    trial = best.trial
    is_late = search.finish_time(trial) > search.clock.left + _LATE * search.clock.budget
    if is_late or search.is_interrupted:
        return best.pipeline, False, []
    if trial.noise != best.noise:
        quietly(trial.solve, best.noise)
    pipeline, told = quietly(trial.learn_the_rest)
    return pipeline, True, [w for w in told if issubclass(w.category, UntrustworthyFitWarning)]
