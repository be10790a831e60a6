"""From structures to a potential in one call, within a given time.

``AutoPotential`` only connects the other modules, each of which has one subject::

    _data        structures and their targets, and parts of them
    _split       which structures are held back, and growing parts of the others
    _candidates  descriptors that are tried
    _errors      errors of predictions, and when a model is no worse than another
    _noise       noise levels with the least errors on structures held back
    _trial       one candidate fitted to part of the data with some sparse points
    _cost        the time that a fit will take
    _forecast    what still fits into the time budget
    _lengths     lengths of descriptors, tuned by a swarm
    _results     what has been tried, and which of it is best
    _plan        what is tried next
    _labels      what is said of labels that look wrong
    _finish      the best learns what is left over, and labels are looked at
    _outcome     what a search has led to
    _report      the HTML page, of the pieces in _report_html, _report_sections
    _report_model  the page on a potential of the commands fit and tune
"""

from ._potential import AutoPotential

__all__ = ["AutoPotential"]
