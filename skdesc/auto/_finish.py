"""End of a search: fit the best model to the remaining data, and check the labels."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.pipeline import Pipeline

from ..exceptions import SuspiciousTargetsWarning, UntrustworthyFitWarning
from ._labels import warn_of_labels, warn_of_model
from ._plan import Search
from ._results import Result
from ._trial import Trial

# The remaining structures are learned in parts. Each part takes at most about the first fraction
# of the budget, and the last part may exceed the budget by the second fraction.
_PART, _LATE = 0.05, 0.05
_MOST_PARTS = 10


def finish(search: Search, best: Result) -> tuple[Pipeline, float]:
    """Fit the best model to the remaining structures, as far as time allows.

    Warns of labels that look wrong and of rounding errors of the model.

    Parameters
    ----------
    search : Search
        The completed search.
    best : Result
        The best model.

    Returns
    -------
    pipeline : Pipeline
        Fitted pipeline.
    share : float
        Fraction of all structures that it has learned.
    """
    trial, n_structures = best.trial, len(search.data)
    completed = best.pipeline, len(trial.learned) / n_structures
    if search.is_interrupted:
        return completed
    try:
        if len(trial.split) > 1 or not trial.has_data:
            if search.forecast.all(trial) <= _time_left(search):
                completed = trial.learn_all(best.noise), 1.0
            return completed
        if trial.noise != best.noise:
            with warnings.catch_warnings():
                _ignore()
                trial.solve(best.noise)
        n_learned = _learn_in_parts(search, trial)
        completed = trial.pipeline(), n_learned / n_structures
        _look_at_labels(search, trial, completed[0][-1], n_learned == n_structures)
    except KeyboardInterrupt:
        search.is_interrupted = True
    except MemoryError as error:
        search.say(f"the remaining structures were not learned: {error}")
    return completed


def _learn_in_parts(search: Search, trial: Trial) -> int:
    """Learn the remaining structures in parts; return the number of structures learned."""
    rest = np.setdiff1d(np.arange(len(search.data)), trial.learned)
    seconds = search.forecast.rest(trial)
    n_parts = int(np.clip(np.ceil(seconds / (_PART * search.clock.budget)), 1, _MOST_PARTS))
    n_learned = len(trial.learned)
    # every part has structures of all kinds
    for start in range(n_parts):
        part = rest[start::n_parts]
        if not len(part):
            continue
        if seconds / n_parts > _time_left(search):
            break
        before = search.clock.elapsed
        with warnings.catch_warnings():
            _ignore()
            trial.learn_more(part)
        seconds = n_parts * (search.clock.elapsed - before)
        n_learned += len(part)
    return n_learned


def _look_at_labels(search: Search, trial: Trial, gap, has_all: bool) -> None:
    """Warn of contradictory labels, and of outliers if all structures have been learned."""
    warn_of_model(gap)
    seconds = trial.timing.describe + trial.timing.predict
    if has_all and seconds <= _time_left(search):
        data = search.data
        features = trial.transformer.transform(data.frames)
        warn_of_labels(gap, features, data.y, **data.metadata)


def _time_left(search: Search) -> float:
    return search.clock.left + _LATE * search.clock.budget


def _ignore() -> None:
    """Whether a warning is about part of the data, whose indices would mislead the user."""
    for category in (SuspiciousTargetsWarning, UntrustworthyFitWarning):
        warnings.simplefilter("ignore", category)
