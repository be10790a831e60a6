"""Evaluations kept in a file, so that a search that was killed continues where it was.

Nothing of the swarm is stored: it is deterministic, so a search that runs again asks for the
same candidates, and finds those evaluated before in the file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from ..utils.files import replace_file

_FORMAT = 1
# what every evaluation has
_RESULTS = {"error", "n_models", "n_features", "feature_time"}


class Checkpoint:
    """Evaluations by candidate, with the seed of the search and a fingerprint.

    Parameters
    ----------
    path : str, path-like or None
        The file; None keeps nothing.
    fingerprint : dict of str to str
        Hashes of all that an evaluation depends on. A file with others is refused.
    seed : int
        Used unless the file has one.

    Attributes
    ----------
    seed : int
        Seed of the search that began the file.
    evaluations : dict of str to dict
        What earlier runs have computed.
    """

    def __init__(self, path, fingerprint, seed):
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"checkpoint is {path!r}, but must be the path of a file, or None")
        self._path = None if path is None else Path(path)
        self._fingerprint = fingerprint
        self.seed = seed
        self.evaluations = {}
        if self._path is None:
            return
        if not self._path.parent.is_dir():
            raise ValueError(
                f"checkpoint={str(path)!r} cannot be written, the folder does not exist; make it"
            )
        if self._path.is_dir():
            raise ValueError(f"checkpoint={str(path)!r} is a folder; name a file in it")
        if self._path.exists():
            self._read()

    def _read(self):
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            known, seed = dict(content["search"]), int(content["seed"])
            evaluations = dict(content["evaluations"])
            whole = content["format"] == _FORMAT
            whole = whole and all({*one} >= _RESULTS for one in evaluations.values())
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            raise ValueError(
                f"checkpoint={str(self._path)!r} exists but is no checkpoint of a search; name "
                "another file"
            )
        other = [part for part, value in self._fingerprint.items() if known.get(part) != value]
        if other:
            raise ValueError(
                f"checkpoint={str(self._path)!r} belongs to another search: {', '.join(other)} "
                "differ; name another file, or delete it to start anew. Folds of a shuffled cv "
                "repeat only if it has an integer random_state"
            )
        self.seed, self.evaluations = seed, evaluations

    def add(self, evaluations):
        """Keep more evaluations; the file is replaced at once or not at all.

        Parameters
        ----------
        evaluations : dict of str to dict
            By candidate.
        """
        self.evaluations.update(evaluations)
        if self._path is None or not evaluations:
            return
        content = {
            "format": _FORMAT,
            "search": self._fingerprint,
            "seed": self.seed,
            "evaluations": self.evaluations,
        }
        with replace_file(self._path, "checkpoint") as file:
            file.write(json.dumps(content).encode("utf-8"))


def open_checkpoint(search, evaluator):
    """Checkpoint of a search, empty if it has no file.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        Parameters.
    evaluator : Evaluator
        Holds the data.

    Returns
    -------
    Checkpoint
        With the seed to use.
    """
    random_state = check_random_state(search.random_state)
    given = isinstance(search.random_state, (int, np.integer))
    seed = int(search.random_state if given else random_state.randint(2**31 - 1))
    if search.checkpoint is None:
        return Checkpoint(None, {}, seed)
    # all that decides on the candidates and their values, but not how many there will be
    parts = {
        "estimator": search.estimator,
        "spaces": [search.transformer_space, search.regressor_space],
        "X": evaluator.X,
        "y": evaluator.y,
        "metadata": evaluator.fit_params,
        "folds": evaluator.splits,
        "scoring": [search.scoring, search.error_score, search.return_train_score],
        "search": [
            search.n_particles,
            search.n_warm_up,
            search.strategy,
            search.stage_one_objective,
            search.stage_two_objective,
            list(evaluator.metrics),
            search.init,
            search.topology,
            search.swarm,
            search.cache_features,
            seed if given else None,
        ],
    }
    return Checkpoint(search.checkpoint, fingerprint(**parts), seed)


def fingerprint(**parts):
    """Hash named objects so that equal content gives equal hashes in another process.

    Parameters
    ----------
    **parts : object
        Anything.

    Returns
    -------
    dict of str to str
        One hash per part.
    """
    return {name: joblib.hash(_describe(value)) for name, value in parts.items()}


def _describe(value):
    """Reduce to what pickles the same in every process: no functions, no generators."""
    if isinstance(value, BaseEstimator):
        return [_name(type(value)), _describe(value.get_params(deep=False))]
    if isinstance(value, dict):
        return [[str(key), _describe(value[key])] for key in sorted(value, key=str)]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(_describe, value)]
    if hasattr(value, "dist") and hasattr(value, "kwds"):
        return ["distribution", value.dist.name, _describe(value.args), _describe(value.kwds)]
    if isinstance(value, np.random.RandomState):
        return ["RandomState", value.get_state(legacy=True)]
    if "<" in getattr(value, "__qualname__", "") and hasattr(value, "__code__"):
        # lambdas and local functions share names
        return [_name(value), *_describe_code(value.__code__), _describe(value.__defaults__)]
    if hasattr(value, "__qualname__"):
        return _name(value)
    try:
        joblib.hash(value)
    except Exception:  # pickling runs foreign code, which may raise anything
        # a scorer made of a lambda, for example
        parts = getattr(value, "__dict__", {})
        return [_name(type(value)), _describe({k: v for k, v in parts.items() if callable(v)})]
    return value


def _describe_code(code):
    if isinstance(code, frozenset):  # its order is that of hashes, which differ by process
        return sorted(map(repr, code))
    if not hasattr(code, "co_code"):
        return repr(code)
    return [code.co_code, code.co_names, *map(_describe_code, code.co_consts)]


def _name(value):
    return f"{value.__module__}.{value.__qualname__}"
