"""What a search needs to know of the steps of a pipeline."""

from __future__ import annotations

import numbers

from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import get_tags

from ._metadata import routing_enabled


def step_of(name):
    """First component of the name of a parameter."""
    return name.partition("__")[0]


def has_leading_steps(estimator):
    """Whether an estimator is a pipeline with anything before its last step."""
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
        Anything but a Pipeline has no leading steps.

    Returns
    -------
    int
        The last step never counts.
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
        Anything.
    names : iterable of str
        Parameters that are searched.

    Returns
    -------
    bool
        True if its last step has a method ``fold_session``, and all others are stateless; no step
        may be searched itself.
    """
    return (
        isinstance(estimator, Pipeline)
        and hasattr(estimator.steps[-1][1], "fold_session")
        and count_stateless_steps(estimator) == len(estimator.steps) - 1
        and all("__" in name for name in names)
    )


def unwrapped(estimator, params):
    """Last step of a pipeline that has no other, which spares the routing through a pipeline.

    Parameters
    ----------
    estimator : estimator
        Any other is left as it is.
    params : dict
        Metadata.

    Returns
    -------
    estimator : estimator
        The step.
    params : dict
        Metadata under the names that it expects.
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
    """Numbers that words such as "auto" stand for, as the first step of a pipeline says after fit.

    Parameters
    ----------
    estimator : estimator
        Anything but a Pipeline with a stateless first step has none.
    names : iterable of str
        Parameters with values that are no numbers.
    X : sequence
        Samples.

    Returns
    -------
    dict of str to number
        By name; a fitted step has ``cutoff_`` for ``cutoff``.
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
    except Exception:  # candidates will fail in the same way, and say so
        return {}
    values = {f"{step}__{word}": getattr(fitted, f"{word}_", None) for word in words}
    return {name: value for name, value in values.items() if isinstance(value, numbers.Real)}


def is_sampler(step):
    """Whether a step chooses or makes samples, as those of imbalanced-learn do."""
    return hasattr(step, "fit_resample")


def _is_stateless(step):
    return all(_is_leaf_stateless(leaf) for leaf in leaves(step))


def _is_leaf_stateless(step):
    if _is_passthrough(step):
        return True
    stateless = getattr(step, "_stateless_given_parameters", None)
    return not get_tags(step).requires_fit if stateless is None else bool(stateless)


def leaves(step):
    """Transformers inside pipelines and unions."""
    parts = {Pipeline: "steps", FeatureUnion: "transformer_list"}.get(type(step))
    if parts is None:
        return [step]
    return [leaf for _, part in getattr(step, parts) for leaf in leaves(part)]


def _is_passthrough(step):
    return step is None or (isinstance(step, str) and step in ("passthrough", "drop"))
