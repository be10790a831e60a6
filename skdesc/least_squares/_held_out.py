"""Noise with the least held-out errors.

The normal equations of the data that a part holds back know the squared errors of any weights
there, so that a level of noise is tried by linear algebra with sparse points alone: no data pass
by, and nothing is predicted. The evidence, which needs no parts, is no substitute: sparse points
that can't follow the data make it count the misfit as noise, of all quantities alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, lapack
from scipy.optimize import minimize

from ..utils.blas import one_thread
from ._normal_equations import NormalEquations, Training

# the least noise that is tried, relative to the largest, where there is no other bound
_LEAST = 1e-8
# where a search begins: fractions of the box, the same for any number of quantities
_STARTS = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), (0.25, 0.75, 0.75), (0.75, 0.25, 0.5),
           (0.75, 0.75, 0.25))
# trials by the first part alone, and by all parts
_TRIALS_OF_ONE, _TRIALS_OF_ALL = 7, 5
_FAILED = 1e3
# what is clearly better, and how far a ceiling may be exceeded
_STANDARD_ERRORS, _SLACK = 1.5, 1.02


@dataclass(frozen=True)
class HeldOut:
    """A part of the data that weights come from, and a part to judge them.

    Parameters
    ----------
    training : Training
        What weights come from.
    test : dict of str to NormalEquations
        What is held back, in the same whitened coordinates.
    scales : list of float
        Scale of each term.
    floors : list of str or None
        For each term the quantity whose noise is the least scale, or None.
    """

    training: Training
    test: Mapping[str, NormalEquations]
    scales: Sequence[float]
    floors: Sequence[str | None]

    def scales_for(self, noise: Mapping[str, float]) -> list[float]:
        """Scale of each term, with noise as the least where that is asked for."""
        return [
            scale if floor is None else max(scale, noise[floor])
            for scale, floor in zip(self.scales, self.floors, strict=True)
        ]

    def errors(self, noise: Mapping[str, float]) -> dict[str, float] | None:
        """Root mean square errors of each quantity, each row over its relative noise."""
        result = self.errors_and_gradients(noise, ())
        return None if result is None else {name: error for name, (error, _) in result.items()}

    def errors_of_the_mean(self) -> dict[str, float]:
        """Root mean square errors of the mean alone, without any weights."""
        n = self.training.n_coordinates
        return {
            quantity: float(np.sqrt(
                max(equations.subtract_mean(n, self.training.mean)[1], 0.0) / equations.n_rows
            ))
            for quantity, equations in self.test.items()
        }

    def errors_and_gradients(
        self, noise: Mapping[str, float], varied: Sequence[str]
    ) -> dict[str, tuple[float, np.ndarray]] | None:
        """Errors, and their derivatives by the logarithms of noise.

        Parameters
        ----------
        noise : dict of str to float
            Noise of each quantity.
        varied : sequence of str
            Quantities whose noise derivatives are by.

        Returns
        -------
        dict of str to (float, ndarray of shape (n_varied,)) or None
            For each quantity in the test part; None where noise is too little for double
            precision.
        """
        training, n = self.training, self.training.n_coordinates
        scales = self.scales_for(noise)
        decomposed = training.decompose(scales, noise)
        if decomposed is None:
            return None
        delta = training.repeat(scales)
        weights = delta * lapack.dpotrs(*decomposed, lower=1)[0]
        changes = []
        for quantity in varied:
            change = np.zeros(n)
            if quantity in training.equations:
                equations = training.equations[quantity]
                right, _ = equations.subtract_mean(n, training.mean)
                change = _times(equations, n, weights) - right
                change = lapack.dpotrs(decomposed[0], delta * change, lower=1)[0]
                change *= 2.0 * delta / noise[quantity] ** 2
            changes.append(change)
        result = {}
        for quantity, equations in self.test.items():
            right, square = equations.subtract_mean(n, training.mean)
            product = _times(equations, n, weights)
            total = weights @ product - 2.0 * (weights @ right) + square
            # less is rounding: the terms are as large as the squares of the targets
            total = max(total, np.finfo(float).eps * equations.products[-1, -1])
            error = np.sqrt(total / equations.n_rows) + np.finfo(float).tiny
            slopes = np.array([change @ (product - right) for change in changes])
            result[quantity] = float(error), slopes / (equations.n_rows * error)
        return result


def tune_noise(
    held_out: Sequence[HeldOut],
    noise: Mapping[str, float],
    bounds: Mapping[str, tuple[float, float]],
    weights: Mapping[str, float],
    ceilings: Mapping[str, float] | None = None,
    *,
    cautious: bool = False,
) -> dict[str, float]:
    """Choose noise by held-out errors.

    Parameters
    ----------
    held_out : sequence of HeldOut
        Parts of the data.
    noise : dict of str to float
        Noise of all quantities. Where it varies, the search begins there, too, and returns to it
        if it finds nothing better.
    bounds : dict of str to (float, float)
        Least and largest noise of the quantities that vary.
    weights : dict of str to float
        What is small in the end is the product of the mean errors of the quantities, each to
        the power of its weight.
    ceilings : dict of str to float, default=None
        Mean errors of quantities that are not to be exceeded.
    cautious : bool, default=False
        Whether to keep the given noise unless it exceeds the ceilings, or another is better by
        more than 1.5 standard errors of the mean over the parts.

    Returns
    -------
    dict of str to float
        Noise of the quantities that vary.
    """
    varied = list(bounds)
    if not varied:
        return {}
    low, high = np.array([bounds[quantity] for quantity in varied], dtype=np.float64).T
    limits = np.log(np.column_stack([np.maximum(low, _LEAST * high), high]))

    def make_objective(parts):
        def objective(x):
            trial = {**noise, **dict(zip(varied, np.exp(x).tolist(), strict=True))}
            errors = [part.errors_and_gradients(trial, varied) for part in parts]
            if any(error is None for error in errors):
                # uphill in the direction of less noise
                return _FAILED - x.sum(), -np.ones(len(x))
            return _combine(errors, weights, ceilings or {}, len(x))

        return objective

    given = np.clip(np.log([noise[quantity] for quantity in varied]), *limits.T)
    with one_thread:
        x = _minimize(make_objective, held_out, given, limits)
        kept, found = (dict(zip(varied, np.exp(at).tolist(), strict=True)) for at in (given, x))
        # to the last digit, where it is within the bounds
        kept |= {q: noise[q] for q in varied if bounds[q][0] <= noise[q] <= bounds[q][1]}
        if cautious and not _is_clearly_better(
            held_out, {**noise, **kept}, {**noise, **found}, weights, ceilings or {}
        ):
            return kept
    return found


def _minimize(make_objective, held_out, given, limits):
    """Logarithms of noise: by the first part from several starts, then by all parts."""
    first, all_parts = make_objective(held_out[:1]), make_objective(held_out)
    width, n = limits[:, 1] - limits[:, 0], len(given)
    starts = [given, *(limits[:, 0] + width * np.array(start[:n]) for start in _STARTS)]
    start = starts[int(np.argmin([first(x)[0] for x in starts]))]
    x, value = _descend(first, start, limits, _TRIALS_OF_ONE)
    if len(held_out) > 1:
        x, value = _descend(all_parts, x, limits, _TRIALS_OF_ALL)
    return given if all_parts(given)[0] <= value else x


def mean_errors(
    held_out: Sequence[HeldOut], noise: Mapping[str, float]
) -> dict[str, float] | None:
    """Errors of each quantity, mean over parts; None if the noise is too small."""
    errors = [part.errors(noise) for part in held_out]
    if any(error is None for error in errors):
        return None
    quantities = {quantity for error in errors for quantity in error}
    return {q: float(np.mean([e[q] for e in errors if q in e])) for q in quantities}


def least_error(
    held_out: Sequence[HeldOut],
    quantity: str,
    noise: float,
    bounds: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """Mean held-out error of a quantity that is learned alone, and that of the mean functions.

    Parameters
    ----------
    held_out : sequence of HeldOut
        Parts of the data, with rows of this quantity only.
    quantity : str
        Its name.
    noise : float
        Its noise, where there are no bounds.
    bounds : (float, float), default=None
        Least and largest noise, among which the best is taken; None for `noise` itself.

    Returns
    -------
    error : float
        Infinite where noise is too little for double precision.
    error_of_the_mean : float
        Without any weights.
    """
    levels = {quantity: noise}
    if bounds is not None:
        levels |= tune_noise(held_out, levels, {quantity: bounds}, {quantity: 1.0})
    errors = mean_errors(held_out, levels)
    error = np.inf if errors is None else errors[quantity]
    of_the_mean = np.mean([part.errors_of_the_mean()[quantity] for part in held_out])
    return error, float(of_the_mean)


def _is_clearly_better(held_out, given, found, weights, ceilings):
    """Whether the parts agree that noise that was found is better than the given one."""
    means = mean_errors(held_out, given)
    # given noise may be too little for double precision
    if means is None or any(means[q] > _SLACK * ceilings[q] for q in means.keys() & ceilings):
        return True
    gains = []
    for part in held_out:
        before, after = part.errors(given), part.errors(found)
        gains.append(sum(weights[q] * np.log(before[q] / after[q]) for q in before))
    of_mean = np.std(gains, ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.inf
    return bool(np.mean(gains) > _STANDARD_ERRORS * of_mean)


def _combine(errors, weights, ceilings, n):
    """Logarithm of the product of mean errors, and its derivatives."""
    total, gradient = 0.0, np.zeros(n)
    for quantity, weight in weights.items():
        pairs = [error[quantity] for error in errors if quantity in error]
        if not pairs:
            continue
        mean = sum(error for error, _ in pairs)
        slope = sum(slope for _, slope in pairs) / mean
        value = np.log(mean / len(pairs))
        total += weight * value
        gradient += weight * slope
        if quantity in ceilings:
            excess = max(value - np.log(ceilings[quantity]), 0.0)
            total += 100.0 * excess**2
            gradient += 200.0 * excess * slope
    return total, gradient


def _descend(objective, start, limits, n_trials):
    """Point of a box with a small value, and this value, after so many trials from a start."""
    best = {"x": start, "value": np.inf}

    def recorded(x):
        value, gradient = objective(x)
        if value < best["value"]:
            best.update(x=x.copy(), value=value)
        return value, gradient

    minimize(recorded, start, jac=True, bounds=limits, method="L-BFGS-B",
             options={"maxfun": n_trials, "ftol": 1e-4, "gtol": 1e-3})
    return best["x"], best["value"]


def _times(equations, n, x):
    """Product of the symmetric matrix of sparse points with a vector."""
    padded = np.zeros(len(equations.products))  # costs less than a copy of the matrix
    padded[:n] = x
    return blas.dsymv(1.0, equations.products, padded, lower=1)[:n]
