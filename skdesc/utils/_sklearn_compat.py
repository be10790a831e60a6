"""The only module that imports private names of scikit-learn."""

from copy import copy

from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _fit_and_score as fit_and_score,
)
from sklearn.model_selection._validation import (
    _insert_error_scores as insert_error_scores,
)
from sklearn.model_selection._validation import (
    _warn_or_raise_about_fit_failures as warn_or_raise_about_fit_failures,
)
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils.validation import _num_samples as num_samples

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:  # before scikit-learn 1.7
    from sklearn.utils._estimator_html_repr import _VisualBlock

__all__ = [
    "BaseSearchCV",
    "fit_and_score",
    "insert_error_scores",
    "num_samples",
    "safe_indexing",
    "scorers_of",
    "validate_parameters",
    "visual_block",
    "warn_or_raise_about_fit_failures",
    "with_scorers",
]


def visual_block(estimator, caption):
    """Box of an estimator in HTML diagrams.

    Parameters
    ----------
    estimator : estimator
        An estimator without inner estimators.
    caption : str or None
        A line below the name.

    Returns
    -------
    object
        Return value of the method ``_sk_visual_block_``.
    """
    return _VisualBlock(
        "single", estimator, names=type(estimator).__name__, name_details=str(estimator),
        name_caption=caption,
    )


def validate_parameters(estimator):
    """Check parameters of one of scikit-learn's estimators, as its ``fit`` does.

    Parameters
    ----------
    estimator : estimator
        An estimator of scikit-learn, or one of its kernels, which have no rules to check.

    Raises
    ------
    ValueError
        If a parameter has an invalid value.
    """
    if hasattr(estimator, "_parameter_constraints"):
        estimator._validate_params()


def scorers_of(scorer):
    """Return the scorers, by name, of a scorer of several metrics; None for a single metric."""
    return getattr(scorer, "_scorers", None)


def with_scorers(scorer, change):
    """Replace the scorer of each metric.

    Parameters
    ----------
    scorer : callable
        Scorer of one or several metrics, from :func:`sklearn.metrics.check_scoring`.
    change : callable
        Takes the scorer of a metric and returns its replacement.

    Returns
    -------
    callable
        A new object if `scorer` has several metrics.
    """
    several = scorers_of(scorer)
    if several is None:
        return change(scorer)
    changed = copy(scorer)
    changed._scorers = {name: change(single) for name, single in several.items()}
    return changed
