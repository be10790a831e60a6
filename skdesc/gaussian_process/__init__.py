"""Sparse Gaussian processes on atomic environments: Gaussian approximation potentials.

``_gap`` is the estimator and only connects the other modules, each of which has one subject::

    _inputs              what may be passed as X
    _targets             what may be passed as y, forces, virials, sigmas
    _covariance          (p . p')^zeta and its derivatives
    _sparse_points       which environments carry the model
    _rows                covariances between targets and sparse points
    _memory              how many bytes a fit takes
    _baseline            energies of single atoms, a calculator to learn the difference to
    _accumulation        the pass over the data, batch by batch
    _label_checks        warnings of rounding errors and huge forces; others are in `labels`
    _prediction          energies, their derivatives, their uncertainty
    _fold_pass           one pass over the data for all folds
    _fold_session        fits to their training parts, and noise that suits them
    _serialization       a fit as plain data, for pickles and files
    _checks              what parameters and plain data of a fit may be
    _active_learning     which structures to learn from next

They turn atoms into rows; what becomes of rows is in :mod:`skdesc.least_squares`.
"""

from ._active_learning import select_batch
from ._fold_session import GapFoldSession
from ._gap import GAPRegressor

__all__ = ["GAPRegressor", "GapFoldSession", "select_batch"]
