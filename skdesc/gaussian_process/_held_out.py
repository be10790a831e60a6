"""Noise that suits folds best, from what one pass over the data has left.

The triangle of the data that a fold holds back knows the squared errors of any weights there, so
that a level of noise is tried by linear algebra with sparse points alone: no data pass by, and
nothing is predicted. The evidence, which needs no folds, is no substitute: sparse points that can
not follow the data make it count the misfit as noise, of all kinds of targets alike.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from ..exceptions import UntrustworthyFitError
from ..utils.blas import one_thread
from ..utils.validation import is_choice
from ._folds import folds_of_blocks
from ._posterior import KINDS, moment_energy_scales, solve_weights
from ._sparse_points import one_per_block

# a coarse grid over the bounds, by the number of noise levels, then a simplex from its best
_PER_AXIS = {1: 7, 2: 4, 3: 3}
_MAX_STEPS = 25
# the least noise that is tried, relative to the largest, where there is no other bound
_LEAST = 1e-8
# of the errors of targets that the metric does not look at: forces alone say little of what
# noise suits energies, and a potential is asked for both
_UNSEEN = 0.25


def find_noise(regressor, X, y, splits, scorers, bounds, metadata):
    """Noise with the least errors in what folds hold back.

    Parameters
    ----------
    regressor, X, y, splits, metadata : object
        As for :func:`fit_folds`.
    scorers : sequence of callable
        The metrics that count. The product of the errors of all kinds of targets is to be small;
        where all metrics look at the same kind, those of others count less.
    bounds : dict of str to (float, float)
        Least and largest values of the parameters to be found.

    Returns
    -------
    dict of str to float
        Parameters of the regressor.
    """
    folds = [_Fold(*parts) for parts in folds_of_blocks(regressor, X, y, splits, metadata)]
    noise = {kind: getattr(regressor, f"sigma_{kind}") for kind in KINDS}
    present = [kind for kind in KINDS if any(kind in fold.test for fold in folds)]
    varied = [kind for kind in present if f"sigma_{kind}" in bounds]
    if not varied:
        return {}
    wanted = {_kind_of(scorer) for scorer in scorers}
    single = len(wanted) == 1 and wanted <= set(present)
    weights = {kind: _UNSEEN if single and kind not in wanted else 1.0 for kind in present}
    low, high = np.array([bounds[f"sigma_{kind}"] for kind in varied], dtype=np.float64).T
    limits = np.log(np.column_stack([np.maximum(low, _LEAST * high), high]))

    def objective(x):
        sigmas = {**noise, **dict(zip(varied, np.exp(x).tolist(), strict=True))}
        try:
            errors = [fold.errors(sigmas, regressor.energy_scale) for fold in folds]
        except UntrustworthyFitError:
            return np.inf
        total = 0.0
        for kind, weight in weights.items():
            mean = np.mean([e[kind] for e in errors if kind in e])
            total += weight * np.log(mean + np.finfo(float).tiny)
        return total

    with one_thread:
        best = _minimize(objective, limits)
    return {f"sigma_{kind}": float(value) for kind, value in zip(varied, np.exp(best), strict=True)}


def _minimize(objective, limits):
    """Point of a box with a small value: the best of a grid, and a few steps from there."""
    n_dims = len(limits)
    width = limits[:, 1] - limits[:, 0]
    # cells' middles: a bound itself is seldom best
    axes = [(np.arange(_PER_AXIS[n_dims]) + 0.5) / _PER_AXIS[n_dims]] * n_dims
    grid = limits[:, 0] + width * np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, n_dims)
    values = [objective(x) for x in grid]
    start = grid[np.argmin(values)]
    if not np.isfinite(min(values)):
        return start
    # half a cell's width, towards the middle of the box
    step = 0.5 * width / _PER_AXIS[n_dims] * np.where(start > limits.mean(axis=1), -1.0, 1.0)
    simplex = np.vstack([start, start + np.diag(step)])
    options = {"initial_simplex": simplex, "maxfev": _MAX_STEPS, "xatol": 0.1, "fatol": 1e-3}
    found = minimize(objective, start, method="Nelder-Mead", bounds=limits, options=options)
    return found.x


def _kind_of(scorer):
    """Kind of target that a metric looks at; None if nobody knows."""
    # scorers that scikit-learn makes of a metric compare what ``predict`` returns
    return getattr(scorer, "kind", "energy" if hasattr(scorer, "_score_func") else None)


class _Fold:
    """A training part and what is held back, as triangles.

    Parameters
    ----------
    training, test : Training
        Passes with the same sparse points.
    """

    def __init__(self, training, test):
        e0 = training.atom_energies.solve()
        self._prior, self._data = training.prior, training.data
        self._triangles = training.data.reduced(e0)
        self.test = {
            kind: (triangle, test.data.triangles[kind].n_rows)
            for kind, triangle in test.data.reduced(e0).items()
        }
        self._moments = None

    def errors(self, sigmas, energy_scale):
        """Root mean square errors of each kind, energies over the root of the number of atoms."""
        scales = self._scales(energy_scale, sigmas)
        _, weights, _ = solve_weights(self._prior, self._triangles, scales, sigmas)
        n = self._prior.n_points
        return {
            kind: np.linalg.norm(T[:, :n] @ weights - T[:, n]) / np.sqrt(n_rows)
            for kind, (T, n_rows) in self.test.items()
        }

    def _scales(self, energy_scale, sigmas):
        scales = one_per_block("energy_scale", energy_scale, len(self._prior.blocks))
        if not any(is_choice(scale, "auto") for scale in scales):
            return scales
        if self._moments is None:
            self._moments = moment_energy_scales(self._prior, self._data, self._triangles, 0.0)
        return [
            max(moment, sigmas["energy"]) if is_choice(scale, "auto") else scale
            for scale, moment in zip(scales, self._moments, strict=True)
        ]
