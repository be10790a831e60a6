"""Objectives of the first stage that need no models, or fewer than cross-validation."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier

from ..utils.ragged import EXPONENTS, RaggedRows, is_ragged


class UnsuitableEstimatorError(TypeError):
    """No candidate of this estimator can be scored; raised whatever `error_score` is."""


def compute_objective(objective, estimator, Z, y, params, fit_params):
    """Score the features of a candidate; the larger, the better.

    Parameters
    ----------
    objective : {"alignment", "ridge", "loo"} or callable
        A callable is called as ``objective(estimator, Z, y, params)``.
    estimator : estimator
        Unfitted estimator that follows the transformers.
    Z : object
        Features of all samples.
    y : array-like
        Targets.
    params : dict
        All parameters of the candidate.
    fit_params : dict
        Metadata for the estimator's fit.

    Returns
    -------
    float
        The score.
    """
    if hasattr(Z, "search_objectives"):
        # with metadata routing disabled, names begin with that of a step
        metadata = {name.split("__")[-1]: values for name, values in fit_params.items()}
        special = Z.search_objectives(metadata)
        if isinstance(objective, str) and objective in special:
            return special[objective](y)
    if objective in FEATURE_OBJECTIVES:
        classes = is_classifier(estimator)
        known = [] if classes else np.isfinite(_columns(y)).all(axis=1)
        if not np.all(known):
            # energies may be unknown if there are forces
            Z, y = Z[known], np.asarray(y)[known]
        return FEATURE_OBJECTIVES[objective](Z, y, classes=classes)
    if objective == "loo":
        return -leave_one_out_error(estimator, Z, y, fit_params)
    return objective(estimator, Z, y, dict(params))


def kernel_target_alignment(Z, y, *, classes=False):
    """Compute the centered alignment between the kernel of features and that of targets.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features) or container of ragged features
        A container has rows ``values`` and ``offsets``, the range of rows of each sample.
        Its rows are normalized and averaged over each sample; targets, which are sums over
        rows, are divided by the number of rows. If the container labels its rows (``species``),
        a linear model of the number of rows of each label is subtracted from the targets first,
        because it needs no features.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Numbers, or labels of classes.
    classes : bool, default=False
        Whether `y` holds labels.

    Returns
    -------
    float
        The alignment, between 0 and 1.

    References
    ----------
    C. Cortes, M. Mohri, A. Rostamizadeh, J. Mach. Learn. Res. 13, 795 (2012).
    """
    rows, targets = _centered(Z, y, classes)
    # |K|_F from the smaller of both Gram matrices
    gram = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    norm = np.linalg.norm(gram) * np.linalg.norm(targets.T @ targets)
    return float(np.sum((rows.T @ targets) ** 2) / norm) if norm > 0 else 0.0


def ridge_score(Z, y, *, classes=False):
    """Compute minus the leave-one-out error of ridge regression at its best regularization.

    It has a closed form, with one eigendecomposition for all regularizations. No parameter of the
    pipeline's own regressor is used, so its present values cannot mislead the search.

    Parameters
    ----------
    Z, y, classes : object
        Arguments of :func:`kernel_target_alignment`, with the same treatment of targets. For a
        container, the best of several kernels is used; each is the mean of a power of the dot
        products between rows.

    Returns
    -------
    float
        Minus the root mean square error, in units of the standard deviation of the targets.
    """
    targets = _one_hot(y) if classes else _columns(y)
    if not is_ragged(Z):
        return _ridge_score(_plain_rows(Z), targets)
    ragged = RaggedRows(Z)
    targets = ragged.targets(targets)
    return max(_ridge_score(ragged.kernel_rows(exponent), targets) for exponent in EXPONENTS)


def _ridge_score(rows, targets):
    rows, targets = rows - rows.mean(axis=0), targets - targets.mean(axis=0)
    n_samples = len(rows)
    if rows.shape[1] < n_samples:
        basis, singular, _ = np.linalg.svd(rows, full_matrices=False)
        spectrum = singular**2
    else:
        spectrum, basis = np.linalg.eigh(rows @ rows.T)
    scale = np.sqrt(np.mean(targets**2))
    if scale == 0:
        return 0.0
    kept = spectrum > 1e-14 * max(spectrum.max(), np.finfo(float).tiny)
    spectrum, basis = spectrum[kept], basis[:, kept]
    if not kept.any():  # without features, the mean of the other targets is predicted
        return -n_samples / (n_samples - 1)
    projected = basis.T @ targets
    errors = []
    for ridge in spectrum.max() * np.logspace(-13, 1, 29):
        shrunk = spectrum / (spectrum + ridge)
        residuals = targets - basis @ (shrunk[:, np.newaxis] * projected)
        # the unpenalized intercept has the leverage 1 / n for each sample
        leverage = 1.0 / n_samples + basis**2 @ shrunk
        # as many parameters as samples: the formula is 0 / 0
        slack = 1.0 - leverage
        if slack.min() > 1e-8:
            errors.append(np.sqrt(np.mean((residuals / slack[:, np.newaxis]) ** 2)))
    return -float(min(errors, default=np.inf) / scale)


FEATURE_OBJECTIVES = {"alignment": kernel_target_alignment, "ridge": ridge_score}


def leave_one_out_error(estimator, Z, y, fit_params):
    """Fit once and return the root mean square of the leave-one-out residuals.

    Parameters
    ----------
    estimator : estimator
        Estimator whose last step has, after ``fit``, the attribute ``loo_``: the residual of each
        sample (or output) for the model that was not fitted to this sample.
    Z, y : object
        Features and targets.
    fit_params : dict
        Metadata for fit.

    Returns
    -------
    float
        The error.
    """
    fitted = estimator.fit(Z, y, **fit_params)
    last = fitted.steps[-1][1] if hasattr(fitted, "steps") else fitted
    if not hasattr(last, "loo_"):
        raise UnsuitableEstimatorError(
            f"stage_one_objective is 'loo', but {type(last).__name__} has no `loo_` after fit; "
            "use 'cv' or 'alignment'"
        )
    return float(np.sqrt(np.mean(np.square(last.loo_))))


def _centered(Z, y, classes):
    """Return centered features and targets, one row per sample."""
    rows, targets = _rows_and_targets(Z, _one_hot(y) if classes else _columns(y))
    return rows - rows.mean(axis=0), targets - targets.mean(axis=0)


def _rows_and_targets(Z, targets):
    if not is_ragged(Z):
        return _plain_rows(Z), targets
    ragged = RaggedRows(Z)
    return ragged.mean_rows(), ragged.targets(targets)


def _plain_rows(Z):
    rows = Z.toarray() if sparse.issparse(Z) else np.asarray(Z, dtype=np.float64)
    return rows.reshape(len(rows), -1)


def _one_hot(y):
    """One-hot encode labels; columns of several targets are placed side by side."""
    y = y.toarray() if sparse.issparse(y) else np.asarray(y)
    codes = []
    for column in y.reshape(len(y), -1).T:
        labels, code = np.unique(column, return_inverse=True)
        codes.append(np.eye(len(labels))[code.reshape(-1)])
    return np.hstack(codes)


def _columns(y):
    y = y.toarray() if sparse.issparse(y) else np.asarray(y, dtype=np.float64)
    return y.reshape(len(y), -1).astype(np.float64, copy=False)
