"""Linear algebra of sparse Gaussian processes, which knows neither atoms nor estimators.

Each target is a row of covariances with sparse points. Rows go into triangles, triangles and a
prior into weights, their covariance and the evidence::

    _covariance        covariances of feature vectors by their dot products
    _triangle          rows that are never in memory all at once, by QR decomposition
    _observations      one triangle for each quantity
    _prior             Cholesky factors of covariances among sparse points
    _posterior         weights, variances, evidence
    _scales            scales of a prior that is as variable as the targets
    _evidence          scales and noise of highest evidence
    _normal_equations  the same weights for many parts of the data
    _cells             observations in cells, whose sums are training and test parts
    _held_out          noise of least errors in what parts hold back
    _leave_one_out     residuals of targets that were left out
    _calibration       variances that agree with errors of what was left out
    _agreement         whether quantities agree with each other
"""

from ._agreement import Agreement, Labels, compare, thin_out
from ._calibration import fit_variance_factors, leave_group_out
from ._cells import Cells
from ._covariance import Covariance, PowerCovariance, as_covariance
from ._evidence import evidence_and_gradient, maximize_evidence
from ._held_out import HeldOut, least_error, mean_errors, tune_noise
from ._leave_one_out import leave_one_out, leave_one_out_by_covariance
from ._normal_equations import NormalEquations, Training
from ._observations import Observations
from ._posterior import Posterior, solve_weights
from ._prior import LADDER, Prior, factorize
from ._scales import moment_scales, moment_scales_of_parts
from ._triangle import CHUNK, Triangle, stack

__all__ = [
    "CHUNK", "LADDER", "Agreement", "Cells", "Covariance", "HeldOut", "Labels", "NormalEquations",
    "Observations", "Posterior", "PowerCovariance", "Prior", "Training", "Triangle",
    "as_covariance", "compare", "evidence_and_gradient", "factorize", "fit_variance_factors",
    "least_error", "leave_group_out", "leave_one_out", "leave_one_out_by_covariance",
    "maximize_evidence", "mean_errors", "moment_scales", "moment_scales_of_parts", "solve_weights",
    "stack", "thin_out", "tune_noise",
]
