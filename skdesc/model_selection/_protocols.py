"""Optional methods of the steps of a pipeline that a search uses, beyond scikit-learn's own.

They are found by name and do not depend on the kind of samples: a potential, a ridge regression,
or any other estimator can offer them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

Fold = tuple[np.ndarray, np.ndarray]
"""Training and test part of a fold, as arrays of intp."""


@runtime_checkable
class FoldSession(Protocol):
    """Session of fits to the training parts of folds, which share work."""

    def models(self, params: Mapping[str, Any]) -> list[Any]:
        """Return a fitted estimator for each fold.

        Parameters
        ----------
        params : dict
            Parameters of the estimator, by the names of its own arguments.

        Returns
        -------
        list of estimator
            Models equal to fits to the training parts.
        """

    def tune(
        self,
        params: Mapping[str, Any],
        bounds: Mapping[str, tuple[float, float]],
        metrics: Sequence[Any],
    ) -> dict[str, float]:
        """Return values of some parameters that minimize held-out errors.

        Parameters
        ----------
        params : dict
            Parameters of the estimator.
        bounds : dict of str to (float, float)
            Least and largest value of each parameter to tune, among those that
            ``self_tuned_parameters`` names.
        metrics : sequence of callable
            Scorers to optimize. Each may have an attribute `quantity`, "energy", "forces" or
            "virials", that names the quantity it compares.

        Returns
        -------
        dict of str to float
            Values of some or all of the parameters.
        """


@runtime_checkable
class OffersFoldSession(Protocol):
    """Last step that offers a session for fits to several folds."""

    def fold_session(
        self, Z: Any, y: Any, splits: Sequence[Fold], **metadata: Any
    ) -> FoldSession:
        """Open a session for features, targets and folds.

        Parameters
        ----------
        Z, y : object
            Features and targets of all samples.
        splits : sequence of (train, test)
            Index arrays without repetitions; no part is empty.
        **metadata : object
            Further arguments of fit, one entry per sample.

        Returns
        -------
        FoldSession
            The session; the caller must not modify the arguments while it is in use.
        """


class DeclaresParameters(Protocol):
    """Last step that names parameters that a search treats specially."""

    def self_tuned_parameters(self, searched: Iterable[str]) -> Iterable[str]:
        """Name searched parameters that a session can tune itself.

        Parameters
        ----------
        searched : iterable of str
            Parameters of the step that are searched.

        Returns
        -------
        iterable of str
            May name others, too.
        """

    def feature_bound_parameters(self, searched: Iterable[str]) -> Iterable[str]:
        """Name searched parameters that define how features are compared.

        They are searched together with those of the features; an example is the exponent of a
        covariance.

        Parameters
        ----------
        searched : iterable of str
            Parameters of the step that are searched.

        Returns
        -------
        iterable of str
            May name others, too.
        """


class HelpsSearches(Protocol):
    """Last step with a default metric, error reports, or parameters for subsets."""

    def search_scorer(self) -> Any:
        """Return the scorer of searches whose `scoring` is None.

        Returns
        -------
        callable
            Scorer with scikit-learn's signature.
        """

    def report_errors(self, X: Any, y: Any, **metadata: Any) -> dict[str, float]:
        """Return the errors of a fitted estimator for each kind of target.

        Parameters
        ----------
        X, y : object
            Features and targets of some samples.
        **metadata : object
            Further arguments of fit.

        Returns
        -------
        dict of str to float
            Errors; the smaller, the better.
        """

    def reduced_parameters(self, fraction: float) -> dict[str, Any]:
        """Return parameters for a fit to a subset of the samples.

        Parameters
        ----------
        fraction : float
            Fraction of the samples.

        Returns
        -------
        dict
            Parameters by name; may be empty.
        """


class ReadsMetadata(Protocol):
    """Scorer that reads metadata from the samples, and reports missing ones at the start."""

    def read_metadata(
        self, estimator: Any, X: Any, y: Any, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return further metadata for the scorer.

        Parameters
        ----------
        estimator : estimator
            Unfitted estimator of the search.
        X, y : object
            Samples and targets that were passed to ``fit``.
        given : dict
            Metadata for the scorer, by the names of its arguments.

        Returns
        -------
        dict
            Further metadata by the names of its arguments, one entry per sample.

        Raises
        ------
        ValueError
            If metadata that the scorer needs are missing.
        """


class ScoresItself(Protocol):
    """Features with objectives of their own, which replace those for any features."""

    def search_objectives(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Return objectives by name, from targets to a score.

        Parameters
        ----------
        metadata : dict
            Further arguments of fit.

        Returns
        -------
        dict of str to callable
            Objectives by name; may be empty.
        """
