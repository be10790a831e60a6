"""From structures to a potential in one call, within a given time.

``AutoPotential`` only connects the other modules, each of which has one subject::

    _data        structures and their targets, and parts of them
    _split       which structures are held back
    _candidates  descriptors that are tried
    _errors      errors of predictions, and when a model is no worse than another
    _noise       noise levels with the least errors on structures held back
    _trial       one candidate fitted to part of the data with some sparse points
    _cost        the time that a fit will take
    _plan        what is tried next, within the time budget
    _report      the HTML page
"""

from ._potential import AutoPotential

__all__ = ["AutoPotential"]
