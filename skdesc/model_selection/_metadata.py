"""Metadata of a search: where it goes, with routing by request and without."""

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
    """Whether scikit-learn routes metadata by request."""
    return sklearn.get_config()["enable_metadata_routing"]


def requested(consumer, method, params):
    """Metadata that a method of an estimator or scorer has requested.

    Parameters
    ----------
    consumer : object
        The estimator or scorer.
    method : str
        Name of the method.
    params : dict
        All metadata, under the names that the user gave.

    Returns
    -------
    dict
        Those requested, by the names of the method's arguments; for something that hands metadata
        on by itself, such as a pipeline, under the user's names.
    """
    names = get_routing_for_object(consumer).consumes(method, params)
    given = {name: values for name, values in params.items() if name in names}
    if not given:
        return {}
    mapping = MethodMapping().add(caller="fit", callee=method)
    router = MetadataRouter(owner="search").add(consumer=consumer, method_mapping=mapping)
    return dict(process_routing(router, "fit", **given).consumer[method])


def check_metadata(estimator, scorers, routed, spaces):
    """Check that what is passed to fit has a place to go.

    Parameters
    ----------
    estimator : estimator
        A Pipeline, or anything.
    scorers : callable
        As scikit-learn's searches have them.
    routed : Bunch
        Metadata of estimator, splitter and scorers.
    spaces : iterable of SearchSpace
        What is searched.
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
    """Refuse metadata that nobody requests: searches would leave it out until the refit."""
    if scorers_of(scorers) is not None:
        process_routing(scorers, "score", **routed.scorer.score)
    # steps that are searched themselves may have other requests
    fixed = all("__" in name for space in spaces for name in space.names)
    if isinstance(estimator, Pipeline) and fixed:
        process_routing(estimator, "fit", **routed.estimator.fit)


def metadata_of_scorers(estimator, scorers, X, y, params, routed):
    """Metadata that scorers shall get, whether routed, given to fit, or read from the samples.

    A scorer may have a method ``read_metadata(estimator, X, y, given)``, see
    :class:`~skdesc.model_selection._protocols.ReadsMetadata`.

    Parameters
    ----------
    estimator : estimator
        That of the search.
    scorers : callable
        As scikit-learn's searches have them.
    X, y : object
        Samples and targets, as they were given to fit.
    params : dict
        Metadata given to fit.
    routed : Bunch
        What scikit-learn makes of them.

    Returns
    -------
    dict
        Under the user's names with routing by request, else by the names of arguments.

    Raises
    ------
    ValueError
        If a scorer misses something, before anything is computed.
    """
    score_params = dict(params if routing_enabled() else routed.scorer.score)
    for scorer in (scorers_of(scorers) or {"score": scorers}).values():
        arguments = _requests(scorer)
        if not routing_enabled():
            # named by a step, such as gap__forces
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
    """Arguments that a scorer has requested, and the user's names for them."""
    requests = getattr(getattr(get_routing_for_object(scorer), "score", None), "requests", {})
    if not routing_enabled():
        return {name: name for name, request in requests.items() if request not in (None, False)}
    named = {name: name if request is True else request for name, request in requests.items()}
    return {name: alias for name, alias in named.items() if isinstance(alias, str)}


def scorer_of_requested(scorer):
    """With routing disabled, a scorer that takes any metadata and uses what it has requested.

    scikit-learn then hands the same metadata to all scorers of several metrics.

    Parameters
    ----------
    scorer : callable
        As :func:`sklearn.metrics.check_scoring` gives it.

    Returns
    -------
    callable
        The scorer itself where routing is enabled.
    """
    return scorer if routing_enabled() else with_scorers(scorer, _Selective)


class _Selective:
    """Scorer that leaves out metadata that it has not requested, but for weights."""

    def __init__(self, scorer):
        self._scorer = scorer
        self._names = {*_requests(scorer), "sample_weight"}

    def __call__(self, *args, **metadata):
        return self._scorer(*args, **{k: v for k, v in metadata.items() if k in self._names})

    def __getattr__(self, name):  # such as _accept_sample_weight
        if name.startswith("__") or name == "_scorer":
            raise AttributeError(name)
        return getattr(self._scorer, name)
