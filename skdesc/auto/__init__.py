"""From structures to a potential in one call, within a given time.

``AutoPotential`` connects the other modules, each of which has one subject::

    _data        structures with targets, and subsets of them
    _split       choice of held-back structures, and growing parts of the others
    _candidates  candidates: descriptors with their regressors
    _errors      errors of predictions, and comparison of models
    _noise       noise levels with the smallest held-back errors
    _trial       fit of one candidate to part of the data
    _cost        prediction of the time of fits
    _forecast    which fits the time budget allows
    _lengths     lengths of descriptors, tuned by a swarm
    _results     models that were fitted, and the choice of the best
    _plan        order of the fits
    _labels      warnings about labels
    _finish      final fit of the best model to the remaining data
    _outcome     results of a search, as attributes of the estimator
    _report      HTML page on a search, built from _report_html and _report_sections
    _report_model  HTML page on a potential of the commands fit and tune
"""

from ._potential import AutoPotential

__all__ = ["AutoPotential"]
