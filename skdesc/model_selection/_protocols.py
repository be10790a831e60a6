"""What a search may ask of the steps of a pipeline, beyond scikit-learn's own methods.

All of it is optional, and found by name. None of it mentions what samples are: a potential, a ridge
regression, or anything else can offer it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

Fold = tuple[np.ndarray, np.ndarray]
"""Training and test part, as arrays of intp."""


@runtime_checkable
class FoldSession(Protocol):
    """Fits to the training parts of folds that share work, for fixed features and targets."""

    def models(self, params: Mapping[str, Any]) -> list[Any]:
        """Return a fitted estimator for each fold.

        Parameters
        ----------
        params : dict
            Parameters of the estimator, by the names of its own arguments.

        Returns
        -------
        list of estimator
            Each is the model of a fit to the training part.
        """

    def tune(
        self,
        params: Mapping[str, Any],
        bounds: Mapping[str, tuple[float, float]],
        metrics: Sequence[Any],
    ) -> dict[str, float]:
        """Return values of some parameters that suit the held-out parts.

        Parameters
        ----------
        params : dict
            Parameters of the estimator.
        bounds : dict of str to (float, float)
            Least and largest value of each parameter to be found, among those that
            ``self_tuned_parameters`` names.
        metrics : sequence of callable
            Scorers that count. Each may have an attribute `quantity`, "energy", "forces" or
            "virials", which says what it compares.

        Returns
        -------
        dict of str to float
            Some or all of the parameters.
        """


@runtime_checkable
class OffersFoldSession(Protocol):
    """Last step whose fits to several folds share work."""

    def fold_session(
        self, Z: Any, y: Any, splits: Sequence[Fold], **metadata: Any
    ) -> FoldSession:
        """Begin a session for these features, targets and folds.

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
            Nobody changes what it was made of while it is in use.
        """


class DeclaresParameters(Protocol):
    """Last step that says how a search should treat some of its parameters."""

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
        """Name searched parameters that say how features are compared.

        They are searched together with those of the features, as the exponent of a covariance.

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
    """Last step that has a metric of its own, reports errors, or can be made smaller."""

    def search_scorer(self) -> Any:
        """Return the scorer of searches whose `scoring` is None.

        Returns
        -------
        callable
            Called as scikit-learn's scorers.
        """

    def report_errors(self, X: Any, y: Any, **metadata: Any) -> dict[str, float]:
        """Return errors of each kind of target, of a fitted estimator.

        Parameters
        ----------
        X, y : object
            Features and targets of some samples.
        **metadata : object
            Further arguments of fit.

        Returns
        -------
        dict of str to float
            The smaller, the better.
        """

    def reduced_parameters(self, fraction: float) -> dict[str, Any]:
        """Return parameters for a fit to a part of the samples.

        Parameters
        ----------
        fraction : float
            Which part.

        Returns
        -------
        dict
            By the names of its own arguments; may be empty.
        """


class ReadsMetadata(Protocol):
    """Scorer that reads what it needs from the samples, and knows at the start what is missing."""

    def read_metadata(
        self, estimator: Any, X: Any, y: Any, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return metadata that the scorer shall get beside those given.

        Parameters
        ----------
        estimator : estimator
            That of the search, not fitted.
        X, y : object
            Samples and targets, as they were given to fit.
        given : dict
            Metadata for the scorer, by the names of its arguments.

        Returns
        -------
        dict
            By the names of its arguments, one entry per sample.

        Raises
        ------
        ValueError
            If the scorer cannot score this estimator with what there is.
        """


class ScoresItself(Protocol):
    """Features that know objectives of their own, in place of those for any features."""

    def search_objectives(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Return objectives by name, from targets to a score.

        Parameters
        ----------
        metadata : dict
            Further arguments of fit.

        Returns
        -------
        dict of str to callable
            May be empty.
        """
