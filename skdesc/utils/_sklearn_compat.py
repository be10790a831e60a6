"""The one place that imports what scikit-learn does not promise to keep."""

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
        Without estimators inside.
    caption : str or None
        A line below the name.

    Returns
    -------
    object
        What scikit-learn expects of the method ``_sk_visual_block_``.
    """
    return _VisualBlock(
        "single", estimator, names=type(estimator).__name__, name_details=str(estimator),
        name_caption=caption,
    )


def validate_parameters(estimator):
    """Check parameters by the rules that scikit-learn's own estimators have, as their fit does.

    Parameters
    ----------
    estimator : estimator
        Of scikit-learn, or of scikit-learn's kernels, which have no rules.

    Raises
    ------
    ValueError
        If a parameter is none that the estimator takes.
    """
    if hasattr(estimator, "_parameter_constraints"):
        estimator._validate_params()


def scorers_of(scorer):
    """Scorers by name that a scorer of several metrics holds, None if it is a single one."""
    return getattr(scorer, "_scorers", None)


def with_scorers(scorer, change):
    """Scorer of several metrics, or a single one, with another in place of each.

    Parameters
    ----------
    scorer : callable
        As :func:`sklearn.metrics.check_scoring` gives it.
    change : callable
        From a scorer to that in its place.

    Returns
    -------
    callable
        Never `scorer` itself, if that has several metrics.
    """
    several = scorers_of(scorer)
    if several is None:
        return change(scorer)
    changed = copy(scorer)
    changed._scorers = {name: change(single) for name, single in several.items()}
    return changed
