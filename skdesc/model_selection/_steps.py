"""Properties of the steps of a pipeline that a search needs."""

from __future__ import annotations

import numbers

from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import get_tags

from ._metadata import routing_enabled


def step_of(name):
    """Return the name of the step to which a parameter belongs."""
    return name.partition("__")[0]


def has_leading_steps(estimator):
    """Whether an estimator is a pipeline of at least two steps."""
    return isinstance(estimator, Pipeline) and any(
        not _is_passthrough(step) for _, step in estimator.steps[:-1]
    )


def count_stateless_steps(estimator):
    """Count the leading steps of a pipeline that learn nothing from the samples.

    A step is stateless if its tag ``requires_fit`` is False, as for
    :class:`sklearn.preprocessing.FunctionTransformer`, or if it has a true attribute
    ``_stateless_given_parameters``. Such a step may be applied to the whole data set before
    it is split into folds.

    Parameters
    ----------
    estimator : estimator
        The estimator; only a Pipeline has leading steps.

    Returns
    -------
    int
        Number of steps, not counting the last.
    """
    if not isinstance(estimator, Pipeline):
        return 0
    count = 0
    for _, step in estimator.steps[:-1]:
        if not _is_stateless(step):
            break
        count += 1
    return count


def supports_one_pass(estimator, names):
    """Whether a pipeline can be cross-validated by one pass over the data.

    Parameters
    ----------
    estimator : estimator
        The estimator.
    names : iterable of str
        Parameters that are searched.

    Returns
    -------
    bool
        True if its last step has a method ``fold_session``, all others are stateless, and no step
        is itself searched.
    """
    return (
        isinstance(estimator, Pipeline)
        and hasattr(estimator.steps[-1][1], "fold_session")
        and count_stateless_steps(estimator) == len(estimator.steps) - 1
        and all("__" in name for name in names)
    )


def unwrapped(estimator, params):
    """Replace a pipeline of a single step by that step, to avoid the routing of a pipeline.

    Parameters
    ----------
    estimator : estimator
        The estimator; others than pipelines of a single step are returned unchanged.
    params : dict
        Metadata.

    Returns
    -------
    estimator : estimator
        The step.
    params : dict
        Metadata under the step's names.
    """
    if not isinstance(estimator, Pipeline) or len(estimator.steps) != 1:
        return estimator, params
    name, last = estimator.steps[0]
    if _is_passthrough(last):
        return estimator, params
    if not routing_enabled():
        params = {key.removeprefix(f"{name}__"): values for key, values in params.items()}
    return last, params


def resolve_parameters(estimator, names, X):
    """Resolve values such as "auto" to numbers by fitting the first step of a pipeline.

    Parameters
    ----------
    estimator : estimator
        The estimator; only a Pipeline with a stateless first step can resolve values.
    names : iterable of str
        Parameters whose values are not numbers.
    X : sequence
        Samples.

    Returns
    -------
    dict of str to number
        Numbers by name, from attributes such as ``cutoff_`` for ``cutoff``.
    """
    if not isinstance(estimator, Pipeline) or count_stateless_steps(estimator) == 0:
        return {}
    step, first = estimator.steps[0]
    words = [
        name.removeprefix(f"{step}__")
        for name in names
        if step_of(name) == step and isinstance(estimator.get_params()[name], str)
    ]
    if not words or _is_passthrough(first):
        return {}
    try:
        fitted = clone(first).fit(X)
    except Exception:  # candidates will fail in the same way and report the error
        return {}
    values = {f"{step}__{word}": getattr(fitted, f"{word}_", None) for word in words}
    return {name: value for name, value in values.items() if isinstance(value, numbers.Real)}


def is_sampler(step):
    """Whether a step selects or creates samples, like those of imbalanced-learn."""
    return hasattr(step, "fit_resample")


def _is_stateless(step):
    return all(_is_leaf_stateless(leaf) for leaf in leaves(step))


def _is_leaf_stateless(step):
    if _is_passthrough(step):
        return True
    stateless = getattr(step, "_stateless_given_parameters", None)
    return not get_tags(step).requires_fit if stateless is None else bool(stateless)


def leaves(step):
    """Yield the transformers inside pipelines and unions."""
    parts = {Pipeline: "steps", FeatureUnion: "transformer_list"}.get(type(step))
    if parts is None:
        return [step]
    return [leaf for _, part in getattr(step, parts) for leaf in leaves(part)]


def _is_passthrough(step):
    return step is None or (isinstance(step, str) and step in ("passthrough", "drop"))
