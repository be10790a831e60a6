"""The end of a search: the best model learns what is left over, and labels are looked at."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.pipeline import Pipeline

from ..exceptions import SuspiciousTargetsWarning, UntrustworthyFitWarning
from ._labels import warn_of_labels, warn_of_model
from ._plan import Search
from ._results import Result
from ._trial import Trial

# What is left over is learned in parts, each of which takes at most about so much of the budget;
# parts may end so much later than the budget.
_PART, _LATE = 0.05, 0.05
_MOST_PARTS = 10


def finish(search: Search, best: Result) -> tuple[Pipeline, float]:
    """Learn what the best model has not learned, as far as there is time.

    Warns of labels that look wrong and of rounding errors of the model.

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
    share : float
        Part of all structures that it has learned.
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
        search.say(f"what is left over was not learned: {error}")
    return completed


def _learn_in_parts(search: Search, trial: Trial) -> int:
    """Learn part after part of what is left over; return the number of structures learned."""
    rest = np.setdiff1d(np.arange(len(search.data)), trial.learned)
    seconds = search.forecast.rest(trial)
    n_parts = int(np.clip(np.ceil(seconds / (_PART * search.clock.budget)), 1, _MOST_PARTS))
    n_learned = len(trial.learned)
    # every part has some of all kinds
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
    """Warn of labels that contradict each other, and of single ones if all have been learned."""
    warn_of_model(gap)
    seconds = trial.timing.describe + trial.timing.predict
    if has_all and seconds <= _time_left(search):
        data = search.data
        features = trial.transformer.transform(data.frames)
        warn_of_labels(gap, features, data.y, **data.metadata)


def _time_left(search: Search) -> float:
    return search.clock.left + _LATE * search.clock.budget


def _ignore() -> None:
    """Of some of the data, by places among these; all data are looked at in the end."""
    for category in (SuspiciousTargetsWarning, UntrustworthyFitWarning):
        warnings.simplefilter("ignore", category)
