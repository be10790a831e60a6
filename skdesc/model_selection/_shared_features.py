"""Features that all candidates of a stage have in common."""

from __future__ import annotations

import time


class SharedFeatures:
    """Evaluator of a stage, on features of the steps that its candidates share.

    The features are computed when first needed: a search that repeats a checkpoint may never
    need them. They count all the same, so that it counts as the search it repeats.
    """

    def __init__(self, evaluator, params=None, names=()):
        self._source, self._params = evaluator, params
        self._n_steps = evaluator.count_frozen_steps(params, names) if names else 0
        self._count = int(self._n_steps > 0)
        self._frozen, self.time = None, 0.0
        self.splits = evaluator.splits

    def evaluator(self):
        """The evaluator."""
        if self._n_steps == 0:
            return self._source
        if self._frozen is None:
            try:
                start = time.perf_counter()
                self._frozen = self._source.freeze(self._params, self._n_steps)
                self.time = time.perf_counter() - start
            except Exception:
                if self._source.error_score == "raise":
                    raise
                # each candidate then fails by itself, and says why
                self._frozen = self._source
        return self._frozen

    def forget(self):
        """Drop what fits on these features have shared."""
        if self._frozen is not None:
            self._frozen.forget()

    def take_count(self):
        """1 the first time, if there are shared features."""
        count, self._count = self._count, 0
        return count
