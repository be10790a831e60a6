"""Sparse Gaussian processes on atomic environments: Gaussian approximation potentials.

``_gap`` is the estimator: its parameters and its ways to fit. Other modules have one subject each::

    _inputs              what may be passed as X
    _targets             what may be passed as y, forces, virials, sigmas
    _checks              what parameters and plain data of a fit may be
    _sparse_points       which environments carry the model
    _rows                covariances between targets and sparse points
    _memory              how many bytes a fit takes
    _baseline            energies of single atoms, a calculator to learn the difference to
    _accumulation        the pass over the data, batch by batch
    _prediction          energies, their derivatives, their uncertainty
    _fitting             the steps from data to a model
    _fold_pass           one pass over the data for all folds
    _fold_session        fits to their training parts, and noise that suits them
    _serialization       a fit as plain data, for pickles and files
    _fitted              what the fitted estimator predicts
    _active_learning     which structures to learn from next

They turn atoms into rows; what becomes of rows is in :mod:`skdesc.least_squares`.
"""

from ._active_learning import select_batch
from ._fold_session import GapFoldSession
from ._gap import GAPRegressor

__all__ = ["GAPRegressor", "GapFoldSession", "select_batch"]
