"""Objectives of the first stage that need fewer models than cross-validation, or none."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier

from ..structures._target_checks import check_forces, flatten_forces

# powers of dot products that are tried, and how many rows represent all others
_EXPONENTS = (1, 2, 4)
_N_REFERENCES = 300
_N_REFERENCES_WITH_FORCES = 60


class UnsuitableEstimatorError(TypeError):
    """No candidate of this estimator can be scored; raised whatever `error_score` says."""


def compute_objective(objective, estimator, Z, y, params, fit_params):
    """Score the features of a candidate; the larger, the better.

    Parameters
    ----------
    objective : {"alignment", "ridge", "loo"} or callable
        A callable is called as ``objective(estimator, Z, y, params)``.
    estimator : estimator
        What follows the transformers, not fitted.
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
    if objective == "alignment" and hasattr(Z, "gradient_rows"):
        # named by the step with metadata routing disabled
        forces = [value for name, value in fit_params.items() if name.split("__")[-1] == "forces"]
        if forces and forces[0] is not None:
            return alignment_with_forces(Z, y, forces[0])
    if objective in FEATURE_OBJECTIVES:
        classes = is_classifier(estimator)
        known = [] if classes else np.isfinite(_columns(y)).all(axis=1)
        if not np.all(known):
            # beside forces, energies may be unknown
            Z, y = Z[known], np.asarray(y)[known]
        return FEATURE_OBJECTIVES[objective](Z, y, classes=classes)
    if objective == "loo":
        return -leave_one_out_error(estimator, Z, y, fit_params)
    return objective(estimator, Z, y, dict(params))


def kernel_target_alignment(Z, y, *, classes=False):
    """Centered alignment between the kernel of features and that of targets.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features) or container of ragged features
        A container has rows ``values`` and ``offsets``, the range of rows of each sample.
        Its rows are normalised and averaged over each sample, and since a target then is a
        sum over rows, it is divided by their number. Where the container labels its rows
        (``species``), what a linear model of the numbers of each label explains is
        subtracted from the targets first: it takes no features to know that.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Numbers, or labels of classes.
    classes : bool, default=False
        Whether `y` holds labels.

    Returns
    -------
    float
        Between 0 and 1.

    References
    ----------
    C. Cortes, M. Mohri, A. Rostamizadeh, J. Mach. Learn. Res. 13, 795 (2012).
    """
    rows, targets = _centered(Z, y, classes)
    # |K|_F is that of the smaller of both Gram matrices
    gram = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    norm = np.linalg.norm(gram) * np.linalg.norm(targets.T @ targets)
    return float(np.sum((rows.T @ targets) ** 2) / norm) if norm > 0 else 0.0


def alignment_with_forces(Z, y, forces):
    """Alignment between the kernel of features and targets that include forces.

    The kernel is that of structures in :func:`ridge_score`, and its derivatives by the positions
    are the kernel of forces. Energies per row and forces each have the same share in the
    alignment, whatever their units and numbers; only energies are centered.

    Parameters
    ----------
    Z : container of ragged features
        It has the method ``gradient_rows``, as :class:`~skdesc.AtomicFeatures`.
    y : array-like of shape (n_samples,)
        Energies; NaN leaves them out.
    forces : sequence of array-like of shape (n_atoms, 3)
        Forces of each sample; None or NaN leaves them out.

    Returns
    -------
    float
        Between 0 and 1, of the best order of the kernel.
    """
    ragged = _Ragged(Z)
    energies = ragged.targets(_columns(y))[:, 0]
    of_known = np.isfinite(energies)
    energies = _without_mean(energies[of_known])
    flat = flatten_forces(check_forces(forces, Z.n_atoms), Z.n_atoms).reshape(-1)
    known = np.isfinite(flat)
    shares = [np.linalg.norm(energies) or 1.0, np.linalg.norm(flat[known]) or 1.0]
    target = np.concatenate([energies / shares[0], flat[known] / shares[1]])
    best = 0.0
    for exponent in _EXPONENTS:
        of_energies, of_forces = ragged.rows_with_forces(exponent)
        of_energies = _without_mean(of_energies[of_known])
        rows = np.concatenate([of_energies / shares[0], of_forces[known] / shares[1]])
        norm = np.linalg.norm(rows.T @ rows) * (target @ target)
        if norm > 0:
            best = max(best, float(np.sum((rows.T @ target) ** 2) / norm))
    return best


def ridge_score(Z, y, *, classes=False):
    """Minus the leave-one-out error of ridge regression, at its best regularisation.

    In closed form, from one eigendecomposition for all regularisations: no parameter of the
    pipeline's own regressor takes part, so its present values cannot mislead the search.

    Parameters
    ----------
    Z, y, classes : object
        As for :func:`kernel_target_alignment`, with the same treatment of targets. For a
        container, the best of several kernels counts, each the mean of a power of the dot
        products between rows.

    Returns
    -------
    float
        Minus the root mean square error, in units of the standard deviation of the targets.
    """
    targets = _one_hot(y) if classes else _columns(y)
    if not _is_ragged(Z):
        return _ridge_score(_plain_rows(Z), targets)
    ragged = _Ragged(Z)
    targets = ragged.targets(targets)
    return max(_ridge_score(ragged.kernel_rows(exponent), targets) for exponent in _EXPONENTS)


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
    if not kept.any():  # the mean of the others is all there is to predict
        return -n_samples / (n_samples - 1)
    projected = basis.T @ targets
    errors = []
    for ridge in spectrum.max() * np.logspace(-13, 1, 29):
        shrunk = spectrum / (spectrum + ridge)
        residuals = targets - basis @ (shrunk[:, np.newaxis] * projected)
        # the intercept, which is not penalised, has the leverage 1 / n everywhere
        leverage = 1.0 / n_samples + basis**2 @ shrunk
        # as many parameters as samples: the formula is 0 / 0
        slack = 1.0 - leverage
        if slack.min() > 1e-8:
            errors.append(np.sqrt(np.mean((residuals / slack[:, np.newaxis]) ** 2)))
    return -float(min(errors, default=np.inf) / scale)


FEATURE_OBJECTIVES = {"alignment": kernel_target_alignment, "ridge": ridge_score}


def leave_one_out_error(estimator, Z, y, fit_params):
    """Fit once and return the root mean square of the fitted leave-one-out residuals.

    Parameters
    ----------
    estimator : estimator
        After fit its last step has ``loo_``, the residual of each sample (or output) under
        the model that has not seen it.
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
    """Features and targets as rows, one per sample, without their means."""
    rows, targets = _rows_and_targets(Z, _one_hot(y) if classes else _columns(y))
    return rows - rows.mean(axis=0), targets - targets.mean(axis=0)


def _rows_and_targets(Z, targets):
    if not _is_ragged(Z):
        return _plain_rows(Z), targets
    ragged = _Ragged(Z)
    return ragged.mean_rows(), ragged.targets(targets)


def _is_ragged(Z):
    return hasattr(Z, "values") and hasattr(Z, "offsets")


def _plain_rows(Z):
    rows = Z.toarray() if sparse.issparse(Z) else np.asarray(Z, dtype=np.float64)
    return rows.reshape(len(rows), -1)


class _Ragged:
    """Rows of many samples, at unit length, each row with a label."""

    def __init__(self, Z):
        self._Z = Z
        self._counts = np.diff(Z.offsets)
        n_samples, n_rows = len(self._counts), len(Z.values)
        norms = np.linalg.norm(Z.values, axis=1, keepdims=True)
        self._unit = Z.values / np.where(norms > 0, norms, 1.0)
        sample = np.repeat(np.arange(n_samples), self._counts)
        self._membership = sparse.csr_array(
            (np.ones(n_rows), (sample, np.arange(n_rows))), shape=(n_samples, n_rows)
        )
        self._per_row = np.maximum(self._counts, 1)[:, np.newaxis]
        self._labels = getattr(Z, "species", None)

    def targets(self, targets):
        """Targets per row, without what a linear model of the numbers of labels explains."""
        if self._labels is not None:
            present, code = np.unique(self._labels, return_inverse=True)
            composition = self._membership @ np.eye(len(present))[code]
            known = np.isfinite(targets).all(axis=1)
            model = np.linalg.lstsq(composition[known], targets[known], rcond=None)[0]
            targets = targets - composition @ model
        return targets / self._per_row

    def mean_rows(self):
        """Rows averaged over each sample."""
        return (self._membership @ self._unit) / self._per_row

    def kernel_rows(self, exponent):
        """Features of samples whose dot products approximate a kernel of samples.

        The kernel is the mean, over pairs of rows with the same label, of a power of their
        dot product; rows spread evenly over all represent it.
        """
        blocks = [
            self._membership[:, members] @ ((self._unit[members] @ references.T) ** exponent @ half)
            for members, references, half in self._references(self._unit, exponent, _N_REFERENCES)
        ]
        return np.hstack(blocks) / self._per_row

    def rows_with_forces(self, exponent):
        """Such features of samples, and minus their derivatives by the positions of all atoms.

        The derivatives are those of sums over rows, not of means, and rows are as they are: a
        normalised descriptor has unit rows, and knows the derivatives of these.
        """
        of_samples, of_forces = [], []
        for block in range(len(self._Z.blocks)):
            part = self._Z.block(block)
            groups = self._references(part.values, exponent, _N_REFERENCES_WITH_FORCES)
            for members, references, half in groups:
                dot = part.values[members] @ references.T
                of_samples.append(self._membership[:, members] @ (dot**exponent @ half))
                slope = np.zeros((len(part.values), len(references)))
                slope[members] = exponent * dot ** (exponent - 1)
                gradient, _ = part.gradient_rows(references, slope)
                of_forces.append(-gradient.reshape(-1, len(references)) @ half)
        return np.hstack(of_samples) / self._per_row, np.hstack(of_forces)

    def _references(self, rows, exponent, n_references):
        """For each label its rows, some of them, and what whitens kernels with these."""
        labels = np.zeros(len(rows)) if self._labels is None else self._labels
        step = max(1, -(-len(labels) // n_references))
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            references = rows[members[::step]]
            spectrum, basis = np.linalg.eigh((references @ references.T) ** exponent)
            kept = spectrum > 1e-10 * spectrum.max()
            yield members, references, basis[:, kept] / np.sqrt(spectrum[kept])


def _without_mean(rows):
    return rows - rows.sum(axis=0) / max(1, len(rows))


def _one_hot(y):
    """A column for each label; of several targets, one beside the other."""
    y = y.toarray() if sparse.issparse(y) else np.asarray(y)
    codes = []
    for column in y.reshape(len(y), -1).T:
        labels, code = np.unique(column, return_inverse=True)
        codes.append(np.eye(len(labels))[code.reshape(-1)])
    return np.hstack(codes)


def _columns(y):
    y = y.toarray() if sparse.issparse(y) else np.asarray(y, dtype=np.float64)
    return y.reshape(len(y), -1).astype(np.float64, copy=False)
