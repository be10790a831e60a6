"""Routing of a search's metadata, with scikit-learn's metadata routing enabled or disabled."""

from __future__ import annotations

import sklearn
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    get_routing_for_object,
    process_routing,
)

from ..utils._sklearn_compat import scorers_of, with_scorers


def routing_enabled():
    """Whether scikit-learn's metadata routing is enabled."""
    return sklearn.get_config()["enable_metadata_routing"]


def requested(consumer, method, params):
    """Select the metadata that a method of an estimator or scorer has requested.

    Parameters
    ----------
    consumer : object
        The estimator or scorer.
    method : str
        Name of the method.
    params : dict
        All metadata, under the user's names.

    Returns
    -------
    dict
        Requested metadata, by the names of the method's arguments; for an object that routes
        metadata itself, such as a pipeline, under the user's names.
    """
    names = get_routing_for_object(consumer).consumes(method, params)
    given = {name: values for name, values in params.items() if name in names}
    if not given:
        return {}
    mapping = MethodMapping().add(caller="fit", callee=method)
    router = MetadataRouter(owner="search").add(consumer=consumer, method_mapping=mapping)
    return dict(process_routing(router, "fit", **given).consumer[method])


def check_metadata(estimator, scorers, routed, spaces):
    """Check that all metadata passed to ``fit`` have a consumer.

    Parameters
    ----------
    estimator : estimator
        Estimator of the search.
    scorers : callable
        Scorers, as in scikit-learn's searches.
    routed : Bunch
        Metadata of estimator, splitter and scorers.
    spaces : iterable of SearchSpace
        The search spaces.
    """
    params = routed.estimator.fit
    if routing_enabled():
        _check_requests(estimator, scorers, routed, spaces)
        return
    steps = [name for name, _ in getattr(estimator, "steps", [])]
    wrong = [name for name in params if "__" not in name or name.split("__")[0] not in steps]
    if steps and wrong:
        raise ValueError(
            f"fit got {wrong}, but with metadata routing disabled names must be those of a step "
            f"and of an argument of its fit, such as '{steps[-1]}__{wrong[0].split('__')[-1]}'; "
            f"the steps are {steps}"
        )


def _check_requests(estimator, scorers, routed, spaces):
    """Refuse unrequested metadata, which searches would ignore until the refit."""
    if scorers_of(scorers) is not None:
        process_routing(scorers, "score", **routed.scorer.score)
    # steps that are themselves searched may have other requests
    fixed = all("__" in name for space in spaces for name in space.names)
    if isinstance(estimator, Pipeline) and fixed:
        process_routing(estimator, "fit", **routed.estimator.fit)


def metadata_of_scorers(estimator, scorers, X, y, params, routed):
    """Collect metadata for scorers: routed, passed to ``fit``, or read from the samples.

    A scorer may have a method ``read_metadata(estimator, X, y, given)``, see
    :class:`~skdesc.model_selection._protocols.ReadsMetadata`.

    Parameters
    ----------
    estimator : estimator
        Estimator of the search.
    scorers : callable
        Scorers, as in scikit-learn's searches.
    X, y : object
        Samples and targets that were passed to ``fit``.
    params : dict
        Metadata that were passed to ``fit``.
    routed : Bunch
        The same metadata, routed by scikit-learn.

    Returns
    -------
    dict
        Metadata under the user's names with metadata routing enabled, otherwise by the names of
        arguments.

    Raises
    ------
    ValueError
        If a scorer lacks metadata; it is raised before the computation.
    """
    score_params = dict(params if routing_enabled() else routed.scorer.score)
    for scorer in (scorers_of(scorers) or {"score": scorers}).values():
        arguments = _requests(scorer)
        if not routing_enabled():
            # prefixed with the name of a step, such as gap__forces
            named = {name.split("__")[-1]: values for name, values in params.items()}
            score_params |= {name: named[name] for name in arguments if name in named}
        if hasattr(scorer, "read_metadata"):
            given = {
                argument: score_params[name]
                for argument, name in arguments.items()
                if score_params.get(name) is not None
            }
            read = scorer.read_metadata(estimator, X, y, given)
            score_params |= {arguments[name]: values for name, values in read.items()}
    return score_params


def _requests(scorer):
    """Return the arguments that a scorer has requested, and the user's names for them."""
    requests = getattr(getattr(get_routing_for_object(scorer), "score", None), "requests", {})
    if not routing_enabled():
        return {name: name for name, request in requests.items() if request not in (None, False)}
    named = {name: name if request is True else request for name, request in requests.items()}
    return {name: alias for name, alias in named.items() if isinstance(alias, str)}


def scorer_of_requested(scorer):
    """Make a scorer that accepts any metadata and uses only those that it has requested.

    With metadata routing disabled, scikit-learn passes the same metadata to all scorers of several
    metrics.

    Parameters
    ----------
    scorer : callable
        Scorer from :func:`sklearn.metrics.check_scoring`.

    Returns
    -------
    callable
        The scorer; unchanged if metadata routing is enabled.
    """
    return scorer if routing_enabled() else with_scorers(scorer, _Selective)


class _Selective:
    """Scorer that ignores metadata that it has not requested, except weights."""

    def __init__(self, scorer):
        self._scorer = scorer
        self._names = {*_requests(scorer), "sample_weight"}

    def __call__(self, *args, **metadata):
        return self._scorer(*args, **{k: v for k, v in metadata.items() if k in self._names})

    def __getattr__(self, name):  # such as _accept_sample_weight
        if name.startswith("__") or name == "_scorer":
            raise AttributeError(name)
        return getattr(self._scorer, name)
