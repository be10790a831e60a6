"""Sparse Gaussian processes on atomic environments: Gaussian approximation potentials.

``_gap`` is the estimator and only connects the other modules, each of which has one subject::

    _environments   what may be passed as X
    _targets        what may be passed as y, forces, virials, sigmas
    _parameters     what the parameters may be
    _covariance     (p . p')^zeta and its derivative
    _sparse_points  which environments carry the model
    _choosers       ways to choose them
    _rows           covariances between targets and sparse points
    _baseline       a calculator to learn the difference to
    _streaming_qr   triangles that hold all that the data say
    _training       the pass over the data, batch by batch
    _e0             energies of single atoms
    _posterior      triangles and prior to weights, variances, marginal likelihood
    _evidence       scale and noise of highest marginal likelihood
    _diagnostics    warnings
    _prediction     energies, their derivatives, their uncertainty
    _forces_std     uncertainty of forces
    _leave_one_out  errors of energies that were left out
    _state          a fit as plain data, for pickles and files
    _active         which structures to learn from next
"""

from ._active import select_batch
from ._gap import GAPRegressor

__all__ = ["GAPRegressor", "select_batch"]
