"""File of evaluations from which a search that was killed can continue.

The state of the swarm is not stored. It is deterministic: a search that runs again asks for the
same candidates, and finds those evaluated before in the file.
"""

from __future__ import annotations

import json
import os
import stat
import warnings
from pathlib import Path

import numpy as np
from sklearn.utils import check_random_state

from ..utils.files import replace_file
from ._fingerprint import fingerprint

_FORMAT = 2
# keys of every evaluation
_RESULTS = {"error", "n_models", "n_features", "feature_time"}


class Checkpoint:
    """Evaluations by candidate, with the seed of the search and a fingerprint.

    Parameters
    ----------
    path : str, path-like or None
        The file; None for no file.
    fingerprint : dict of str to str
        Hashes of everything that an evaluation depends on. A file with other hashes is refused,
        unless it has no evaluations.
    seed : int
        Seed of a new file.

    Attributes
    ----------
    seed : int
        Seed of the search that created the file.
    evaluations : dict of str to dict
        Evaluations of earlier runs, by candidate.
    """

    def __init__(self, path, fingerprint, seed):
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"checkpoint is {path!r}, but must be the path of a file, or None")
        self._path = None if path is None else Path(path)
        # parts that the search itself changes, such as a scorer that lists its calls, have a
        # second fingerprint
        self._fingerprints = [fingerprint]
        self.seed = seed
        self.evaluations = {}
        self._has_warned = False
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
        try:
            self._write()
        except OSError as error:
            raise ValueError(
                f"checkpoint={str(path)!r} cannot be written ({error}); name another file"
            ) from error

    def _read(self):
        if not stat.S_ISREG(self._path.stat().st_mode):
            raise ValueError(
                f"checkpoint={str(self._path)!r} is not a regular file; name one, or one that does "
                "not exist yet"
            )
        content = self._parse()
        try:
            known = [dict(entry) for entry in content["search"]]
            seed, evaluations = int(content["seed"]), dict(content["evaluations"])
            is_whole = content["format"] == _FORMAT
            is_whole = is_whole and all({*entry} >= _RESULTS for entry in evaluations.values())
        except (ValueError, KeyError, TypeError):
            is_whole = False
        if not is_whole:
            self._refuse(content)
        if not evaluations:
            return
        mine = self._fingerprints[0]
        other = [
            part
            for part, value in mine.items()
            if not any(entry.get(part) == value for entry in known)
        ]
        if other:
            raise ValueError(
                f"checkpoint={str(self._path)!r} belongs to another search (different "
                f"{', '.join(other)}); name another file, or delete it to start again. Folds of a "
                "shuffled cv repeat only if it has an integer random_state"
            )
        self._fingerprints = known
        self.seed, self.evaluations = seed, evaluations

    def _parse(self):
        try:
            return json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None

    def _refuse(self, content):
        version = content.get("format") if isinstance(content, dict) else None
        if isinstance(version, int) and 0 < version < _FORMAT and "evaluations" in content:
            raise ValueError(
                f"checkpoint={str(self._path)!r} was written by an earlier version of skdesc "
                f"(format {version}; this one writes {_FORMAT}), which could take one search for "
                "another; finish it with that version, name another file, or delete it"
            )
        raise ValueError(
            f"checkpoint={str(self._path)!r} exists but is not a checkpoint of a search; name "
            "another file"
        )

    def add(self, evaluations):
        """Store more evaluations; the file is replaced atomically.

        If it can no longer be written, the search warns once and continues.

        Parameters
        ----------
        evaluations : dict of str to dict
            Evaluations by candidate. Those that failed for lack of memory are not stored.
        """
        self.evaluations.update(evaluations)
        if self._path is not None and evaluations:
            self._try_to_write()

    def finish(self, fingerprint):
        """Update the fingerprint of parts that the search itself has changed.

        Parameters
        ----------
        fingerprint : dict of str to str
            Hashes of the parts that a search may change, such as a scorer that counts its calls.
        """
        latest = {**self._fingerprints[0], **fingerprint}
        if self._path is not None and latest not in self._fingerprints:
            self._fingerprints = [self._fingerprints[0], latest]
            self._try_to_write()

    def _try_to_write(self):
        try:
            self._write()
        except OSError as error:
            if self._has_warned:
                return
            self._has_warned = True
            warnings.warn(
                f"checkpoint={str(self._path)!r} cannot be written any more ({error}); the search "
                "goes on and tries again after each candidate; if none succeeds, a search that "
                f"continues misses some of the {len(self.evaluations)} evaluations of this one",
                RuntimeWarning,
                stacklevel=2,
            )

    def _write(self):
        content = {
            "format": _FORMAT,
            "search": self._fingerprints,
            "seed": self.seed,
            "evaluations": {
                key: evaluation
                for key, evaluation in self.evaluations.items()
                if not evaluation.get("transient")
            },
        }
        with replace_file(self._path, "checkpoint") as file:
            file.write(json.dumps(content).encode("utf-8"))


def open_checkpoint(search, evaluator):
    """Open the checkpoint of a search; it is empty if the search has no file.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        The search.
    evaluator : Evaluator
        Evaluator with the data.

    Returns
    -------
    Checkpoint
        The checkpoint, with the seed of the search.
    """
    random_state = check_random_state(search.random_state)
    given = isinstance(search.random_state, (int, np.integer))
    seed = int(search.random_state if given else random_state.randint(2**31 - 1))
    if search.checkpoint is None:
        return Checkpoint(None, {}, seed)
    parts = {
        "spaces": [search.transformer_space, search.regressor_space],
        "X": evaluator.X,
        "y": evaluator.y,
        "metadata": [evaluator.fit_params, evaluator.score_params],
        "folds": evaluator.splits,
    }
    parts = fingerprint(**parts) | changeable_fingerprint(search, evaluator)
    return Checkpoint(search.checkpoint, parts, seed)


def changeable_fingerprint(search, evaluator):
    """Compute the fingerprint of the parts that hold functions, which may count their calls.

    Parameters
    ----------
    search : TwoStagePSOSearchCV
        The search.
    evaluator : Evaluator
        Evaluator with the metrics.

    Returns
    -------
    dict of str to str
        Hashes of everything that affects the candidates and their scores, except their number.
    """
    given = isinstance(search.random_state, (int, np.integer))
    names = ("n_particles", "n_warm_up", "strategy", "stage_one_objective", "stage_two_objective",
             "init", "topology", "swarm", "cache_features")
    return fingerprint(
        estimator=search.estimator,
        scoring=[search.scoring, search.error_score, search.return_train_score],
        search=[
            {name: getattr(search, name) for name in names},
            list(evaluator.metrics),
            int(search.random_state) if given else None,
        ],
    )
