"""Methods of a fitted search: predictions and scores."""

from __future__ import annotations

from copy import copy
from typing import Any

from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..utils._sklearn_compat import BaseSearchCV
from ..utils.typing import PerStructure, Samples


def _base_offers(name):
    """Make a method available under the same condition as scikit-learn's."""

    def check(self):
        getattr(super(FittedSearch, self), name)
        return True

    return check


class FittedSearch(BaseSearchCV):
    """Methods of a search other than ``fit``."""

    @available_if(_base_offers("predict"))
    def predict(self, X: Samples, **params: Any) -> Any:
        """Predict with the best estimator.

        Parameters
        ----------
        X : sequence
            Samples.
        **params : object
            Further arguments of its ``predict``, such as ``return_std=True``.

        Returns
        -------
        ndarray or tuple
            Return value of the best estimator.
        """
        if not params:
            return super().predict(X)
        check_is_fitted(self)
        return self.best_estimator_.predict(X, **params)

    def score(self, X: Samples, y: PerStructure | None = None, **params: Any) -> float:
        """Score the best estimator.

        Parameters
        ----------
        X : sequence
            Samples.
        y : array-like, default=None
            Targets.
        **params : object
            Metadata for the scorer.

        Returns
        -------
        float
            Score by the metric of `refit`, or by the first of several objectives.
        """
        if not (getattr(self, "multimetric_", False) and self._is_knee_chosen()):
            return super().score(X, y, **params)
        named = copy(self)
        given = [key[10:] for key in self.cv_results_ if key.startswith("mean_test_")]
        named.refit = next(name for name in [*self.objective, *given] if name in given)
        return named.score(X, y, **params)

    @available_if(_base_offers("set_callbacks"))
    def set_callbacks(self, *callbacks):
        """Refuse callbacks, which this search does not call.

        Parameters
        ----------
        *callbacks : object
            Callbacks; only an empty list is accepted.

        Returns
        -------
        FittedSearch
            The search itself.

        Raises
        ------
        NotImplementedError
            If callbacks are given.
        """
        if callbacks:
            raise NotImplementedError(
                f"TwoStagePSOSearchCV got {len(callbacks)} callbacks, but calls none; set "
                "verbose=1 for a progress bar"
            )
        return self

    def _own_scorer(self):
        """Return the default metric of the last step, used if `scoring` is None."""
        if self.scoring is not None:
            return None
        steps = getattr(self.estimator, "steps", [(None, self.estimator)])
        search_scorer = getattr(steps[-1][1], "search_scorer", None)
        return search_scorer and search_scorer()

    def _get_scorers(self):
        own = self._own_scorer()
        return super()._get_scorers() if own is None else (own, "score")

    def _is_knee_chosen(self):
        return self.refit is True and isinstance(self.objective, (list, tuple))

    def _check_refit_for_multimetric(self, scores):
        # the knee of a front is chosen without naming a metric
        if not self._is_knee_chosen():
            super()._check_refit_for_multimetric(scores)
