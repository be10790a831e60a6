"""Features that all candidates of a stage share."""

from __future__ import annotations

import time


class SharedFeatures:
    """Evaluator of a stage on the features of the steps that all its candidates share.

    The features are computed when they are first needed; a search that resumes from a checkpoint
    may not need them. They are counted even then, so that a resumed search reports the same totals.
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
                # each candidate then fails and reports the error
                self._frozen = self._source
        return self._frozen

    def forget(self):
        """Close the session of these features."""
        if self._frozen is not None:
            self._frozen.forget()

    def take_count(self):
        """Return 1 on the first call if there are shared features, otherwise 0."""
        count, self._count = self._count, 0
        return count
