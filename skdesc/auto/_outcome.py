"""Results of a search, as they become attributes of the estimator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.pipeline import Pipeline

from ..exceptions import TimeBudgetWarning
from ..utils.user_warnings import warn_user
from ._candidates import default_candidate
from ._data import LabeledStructures
from ._errors import ratios
from ._finish import finish
from ._plan import Search
from ._results import Result
from ._split import FEWEST


@dataclass
class Outcome:
    """Results of a search.

    Attributes
    ----------
    pipeline, leaderboard, front, has_learned_all : object
        Attributes of :class:`skdesc.AutoPotential`.
    default_errors : dict of str to float
        Held-back errors of the default pipeline; empty if it could not be fitted.
    folds : list of (train, held_back)
        Index arrays.
    compared : Pipeline or None
        The model before it learned the held-back structures.
    """

    pipeline: Pipeline = field(repr=False)
    leaderboard: list[dict]
    front: list[dict]
    default_errors: dict[str, float] = field(default_factory=dict)
    folds: list[tuple] = field(default_factory=list)
    compared: Pipeline | None = field(default=None, repr=False)
    has_learned_all: bool = True

    @property
    def improvement(self) -> dict[str, float]:
        """Errors of the best model relative to those of the default pipeline."""
        return ratios(self.leaderboard[0], self.default_errors)

    @property
    def held_back(self) -> np.ndarray:
        """Structures on which candidates were compared."""
        return np.unique(np.concatenate(
            [np.empty(0, dtype=np.intp), *(held for _, held in self.folds)]
        ))


def fit_default(data: LabeledStructures, n_jobs: int | None, random_state: int) -> Outcome:
    """Fit the default pipeline to a set that is too small to hold structures back.

    Parameters
    ----------
    data : LabeledStructures
        The structures.
    n_jobs : int or None
        Number of threads.
    random_state : int
        Seed of the regressor.

    Returns
    -------
    Outcome
        Results without errors.
    """
    warn_user(
        f"X has {len(data)} structures, but at least {FEWEST} that are not isolated atoms are "
        "needed to hold some back and compare models; the default pipeline was fitted, and "
        "its errors are unknown: give more structures"
    )
    candidate = default_candidate()
    features = candidate.descriptor(n_jobs)
    gap = candidate.regressor(0, n_jobs, random_state)
    gap.fit(features.fit_transform(data.frames), data.y, **data.metadata)
    pipeline = Pipeline([("descriptor", features), ("gap", gap)])
    record = {"candidate": candidate.name, "share": 1.0, "n_structures": len(data),
              "n_points": len(gap.weights_), "chosen": True}
    return Outcome(pipeline, [record], [{**record, "pipeline": pipeline}])


def search_best(search: Search) -> Outcome:
    """Run a search, and fit the best model to the held-back structures, too.

    Parameters
    ----------
    search : Search
        The search, not yet run.

    Returns
    -------
    Outcome
        The results.
    """
    best = search.run()
    results = search.results
    pipeline, share = finish(search, best)
    leaderboard = [{**r.record, "chosen": r is best} for r in results.ranked()]
    leaderboard += [{**failure, "chosen": False} for failure in results.failures]
    front = [{**r.record, "chosen": r is best, "pipeline": r.pipeline} for r in results.front()]
    errors = results.default.errors if results.default else {}
    outcome = Outcome(pipeline, leaderboard, front, errors, search.split, best.pipeline,
                      share == 1.0)
    _tell(search, best, outcome)
    _warn_of_time(search, share)
    _warn_of_speed(search, best)
    return outcome


def _tell(search: Search, best: Result, outcome: Outcome) -> None:
    """Print the chosen model and its errors relative to the default pipeline."""
    gain = ", ".join(f"{name.replace('_', ' ')} {ratio:.2f}"
                     for name, ratio in outcome.improvement.items())
    search.say(f"chosen: {best.record['candidate']}, {best.record['n_points']} points"
               + (f"; of the default's errors: {gain}" if gain else ""))


def _warn_of_time(search: Search, share: float) -> None:
    """Warn if the time budget was too short for part of the work."""
    default = search.results.default
    compared = default.record["share"] if default else 1.0
    budget = f"time_budget is {search.clock.budget:g} s"
    if compared < 1.0 and not search.is_interrupted:
        warn_user(
            f"{budget}, but must be longer for the default pipeline to learn from all data: it was "
            f"compared after learning from {100 * compared:.0f} %; raise time_budget",
            TimeBudgetWarning,
        )
    if share < 1.0:
        reason = "the fit was interrupted" if search.is_interrupted else budget
        warn_user(
            f"{reason}, so the potential has learned from {100 * share:.0f} % of the structures; "
            "fit pipeline_ to all of them, or raise time_budget",
            TimeBudgetWarning,
        )


def _warn_of_speed(search: Search, best: Result) -> None:
    """Warn if no model is as fast as requested."""
    if search.results.is_fast(best.trial):
        return
    warn_user(
        f"time_per_atom is {search.results.time_per_atom:.2g} s, but the fastest model takes "
        f"{best.trial.time_per_atom:.2g} s, and was chosen; raise time_per_atom or n_jobs",
        UserWarning,
    )


def select(outcome: Outcome, index: int) -> Outcome:
    """Choose another model of the front.

    Parameters
    ----------
    outcome : Outcome
        Results of a search.
    index : int
        Position in its front.

    Returns
    -------
    Outcome
        Results with this model, which has not learned the held-back structures, as the chosen one.
    """
    entry = outcome.front[index]
    front = [{**other, "chosen": other is entry} for other in outcome.front]
    record = {key: value for key, value in entry.items() if key not in ("pipeline", "chosen")}

    def is_entry(row):
        return all(row.get(key) == value for key, value in record.items())

    rows = sorted(outcome.leaderboard, key=lambda row: not is_entry(row))
    leaderboard = [{**row, "chosen": number == 0} for number, row in enumerate(rows)]
    pipeline = entry["pipeline"]
    return replace(outcome, pipeline=pipeline, compared=pipeline, leaderboard=leaderboard,
                   front=front, has_learned_all=not outcome.folds)
