"""Fits to the training parts of folds that share one pass over the data.

What a fit needs of the data are triangles, and those of different structures can be combined. So
the data pass by once, in cells that no part of a fold cuts; the model of each training part, and
the errors in each test part, follow from the products of the rows of each cell.

Sparse points see no targets, and choosing them is part of the price: all folds share those that
are chosen from all structures. Only where data are few, so that it costs next to nothing, each
training part chooses its own, and its model is that of a fit to this part.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from ..exceptions import UntrustworthyFitError
from ..least_squares import (
    Cells,
    HeldOut,
    Training,
    mean_errors,
    moment_scales_of_parts,
    tune_noise,
)
from ..utils.blas import one_thread, threads
from ..utils.folds import can_share_a_pass, check_folds, split_blocks, take
from ..utils.validation import is_choice
from ._accumulation import Accumulator, choose_points, make_covariances, make_prior
from ._baseline import subtract_baseline
from ._inputs import check_environments
from ._parameters import check_parameters
from ._prediction import Model
from ._sparse_points import SparsePoints, merge_choices, one_per_term
from ._targets import QUANTITIES, check_targets

if TYPE_CHECKING:
    from ._gap import GAPRegressor

_SOLVE_ONLY_PARAMETERS = (
    "energy_scale", "optimize", "n_jobs", *(f"sigma_{quantity}" for quantity in QUANTITIES),
)  # fmt: skip
# multiplications of a pass below which each training part chooses its own sparse points: of the
# order of ten milliseconds
OWN_POINTS_BELOW = 10**8
# passes that a session keeps at most, but for the last, in bytes
_KEPT_BYTES = 2**29
# of the errors of targets that no metric looks at: forces alone say little of what noise suits
# energies, and a potential is asked for both
_WEIGHT_OF_UNSCORED = 0.25


@dataclass(frozen=True)
class _Fold:
    """A training part: its structures, cells, sparse points and elements.

    Parameters
    ----------
    training, test : list of int
        Indices of the cells of both parts.
    elements : ndarray
        Those of the training part.
    points : SparsePoints
        Those of its model.
    columns : ndarray or None
        Their places among the points of the pass; None for all.
    prior : Prior
        Covariances among them.
    """

    training: list
    test: list
    elements: np.ndarray
    points: SparsePoints
    columns: np.ndarray | None
    prior: Any


@dataclass(frozen=True)
class _Pass:
    """What one pass over the data leaves.

    Parameters
    ----------
    params : dict
        Parameters of the pass, kept so that they are not mistaken for others.
    folds : list of _Fold
        The folds.
    accumulators : list of Accumulator
        Each has seen the structures of a cell.
    cells : Cells
        Their observations.
    """

    params: dict
    folds: list
    accumulators: list
    cells: Cells

    def accumulate(self, fold, cells):
        """Accumulator of several cells together, with the sparse points of a fold."""
        result = self.accumulators[0].empty()
        for cell in cells:
            result.merge(self.accumulators[cell])
        result.points, result.prior = fold.points, fold.prior
        if fold.columns is not None:
            result.observations = result.observations.select_columns(fold.columns)
        return result


class GapFoldSession:
    """Fits of `GAPRegressor` to the training parts of folds, for fixed features and targets.

    Parameters
    ----------
    regressor : GAPRegressor
        Parameters, where calls give no others.
    X, y : object
        Descriptors and energies of all structures, as for :meth:`GAPRegressor.fit`.
    splits : sequence of (train, test)
        Index arrays without repetitions, or boolean masks.
    metadata : dict
        Further arguments of :meth:`GAPRegressor.fit`.

    Attributes
    ----------
    n_passes : int
        Passes over the data so far.
    """

    def __init__(self, regressor: GAPRegressor, X, y, splits, metadata: Mapping[str, Any]):
        self._regressor = clone(regressor)
        check_parameters(self._regressor)
        self._environments = check_environments(X, self._regressor, reset=True)
        self._y, self._metadata = y, dict(metadata)
        self._splits = check_folds(splits, len(self._environments))
        if not can_share_a_pass(self._splits):
            raise ValueError(
                "splits has an empty part, or one with a sample more than once, but one pass over "
                "the data sees each sample once; fit to each training part by itself"
            )
        self._members = split_blocks(
            [part for split in self._splits for part in split], len(self._environments)
        )
        self._passes, self._choices, self._targets = OrderedDict(), {}, (None, None)
        self.n_passes = 0
        self._prepare(self._regressor)  # what is wrong with the data is said at once

    def models(self, params: Mapping[str, Any] | None = None) -> list[GAPRegressor]:
        """Fit to each training part.

        Parameters
        ----------
        params : dict, default=None
            Parameters of the regressor. Those of noise and of the energy scale take no pass over
            the data.

        Returns
        -------
        list of GAPRegressor
            One for each fold. They predict, but have no ``loo_`` and can't see more data.
        """
        regressor = self._with(params)
        found = self._pass_for(regressor)
        with threads(regressor.n_jobs), one_thread:
            return [self._fit_fold(regressor, found, fold) for fold in found.folds]

    def tune(
        self,
        params: Mapping[str, Any],
        bounds: Mapping[str, tuple[float, float]],
        metrics: Sequence[Callable[..., Any]] = (),
    ) -> dict[str, float]:
        """Choose noise by held-out error, from triangles alone.

        Parameters
        ----------
        params : dict
            Parameters of the regressor.
        bounds : dict of str to (float, float)
            Least and largest values of the parameters to be found, among `sigma_energy`,
            `sigma_forces` and `sigma_virials`.
        metrics : sequence of callable, default=()
            The metrics that count; an attribute `quantity` says what each compares. The product
            of the errors of all quantities is to be small; where all metrics look at the same
            quantity, those of others count less.

        Returns
        -------
        dict of str to float
            Parameters of the regressor; none for quantities that there are no targets of.
        """
        regressor = self._with(params)
        found = self._pass_for(regressor)
        held_out = self._held_out(regressor, found)
        present = [q for q in QUANTITIES if any(q in part.test for part in held_out)]
        varied = {q: bounds[f"sigma_{q}"] for q in present if f"sigma_{q}" in bounds}
        wanted = {quantity_of(metric) for metric in metrics}
        single = len(wanted) == 1 and wanted <= set(present)
        weights = {q: _WEIGHT_OF_UNSCORED if single and q not in wanted else 1.0 for q in present}
        noise = tune_noise(held_out, regressor._noise(), varied, weights)
        return {f"sigma_{quantity}": value for quantity, value in noise.items()}

    def errors(self, params: Mapping[str, Any] | None = None) -> dict[str, float]:
        """Mean over the folds of held-out errors, from triangles alone.

        Parameters
        ----------
        params : dict, default=None
            Parameters of the regressor.

        Returns
        -------
        dict of str to float
            Root mean square errors of energies over the root of the number of atoms in eV, of
            force components in eV/angstrom, and of virials as of energies.
        """
        regressor = self._with(params)
        held_out = self._held_out(regressor, self._pass_for(regressor))
        with one_thread:
            errors = mean_errors(held_out, regressor._noise())
        if errors is None:
            raise UntrustworthyFitError(
                "noise is too little for double precision; raise sigma_energy, sigma_forces or "
                "sigma_virials"
            )
        return errors

    def full_model(self, params: Mapping[str, Any] | None = None) -> GAPRegressor:
        """Fit to all structures; it takes no further pass over the data if folds share points.

        Parameters
        ----------
        params : dict, default=None
            Parameters of the regressor.

        Returns
        -------
        GAPRegressor
            As after :meth:`GAPRegressor.fit`.
        """
        regressor = self._with(params)
        found = self._pass_for(regressor)
        seen = len(np.concatenate(self._members)) == len(self._environments)
        fold = found.folds[0]
        if fold.columns is not None or not seen:
            accumulator = Accumulator.start(
                self._environments, regressor, self._metadata.get("config_types")
            )
            targets = self._prepare(regressor)
            accumulator.add(self._environments, targets, regressor.memory_limit)
            self.n_passes += 1
        else:
            accumulator = found.accumulate(fold, range(len(found.accumulators)))
        regressor._finish(accumulator, self._environments, self._prepare(regressor))
        return regressor

    def _with(self, params):
        regressor = clone(self._regressor).set_params(**(params or {}))
        check_parameters(regressor)
        regressor.n_features_in_ = self._regressor.n_features_in_
        return regressor

    def _prepare(self, regressor):
        """Targets without those of the baseline, checked once for equal parameters."""
        noise = regressor._noise()
        own = self._metadata.get("sigmas") is not None
        key = tuple(noise.values()) if own else None, id(regressor.baseline)
        if self._targets[0] != key:
            targets = check_targets(self._environments, self._y, noise=noise, **self._metadata)
            if regressor.baseline is not None:
                structures = self._environments.structures
                targets = subtract_baseline(regressor.baseline, structures, targets)
            self._targets = key, targets
        return self._targets[1]

    def _pass_for(self, regressor):
        """Pass with the parameters of a regressor, which may have been made before."""
        params = regressor.get_params(deep=False)
        if self._metadata.get("sigmas") is None:
            params = {k: v for k, v in params.items() if k not in _SOLVE_ONLY_PARAMETERS}
        key = tuple(sorted((name, _identity(value)) for name, value in params.items()))
        if key not in self._passes:
            self._passes[key] = self._make_pass(regressor, params)
        self._passes.move_to_end(key)
        sizes = list(accumulate(p.cells.n_bytes() for p in reversed(self._passes.values())))
        for size in reversed(sizes[1:]):
            if size > _KEPT_BYTES:
                self._passes.popitem(last=False)
        return self._passes[key]

    def _make_pass(self, regressor, params):
        environments, targets = self._environments, self._prepare(regressor)
        with threads(regressor.n_jobs):
            folds, points = self._make_folds(regressor)
            base = Accumulator.with_points(environments, regressor, points)
            cells = [base.empty() for _ in self._members]
            for cell, index in zip(cells, self._members, strict=True):
                some = environments.take(index)
                cell.add(some, targets.take(index), regressor.memory_limit)
        self.n_passes += 1
        observations = Cells([cell.observations for cell in cells])
        return _Pass(params, folds, cells, observations)

    def _make_folds(self, regressor):
        """Folds with their sparse points, and the points of the pass."""
        environments, firsts = self._environments, [index[0] for index in self._members]
        kinds = self._metadata.get("config_types")
        covariances = make_covariances(regressor, environments)
        points = self._shared_points(regressor, kinds)
        choices, columns = [points] * len(self._splits), [None] * len(self._splits)
        if self._is_small(len(points)):
            choices = [
                choose_points(environments.take(train), regressor, take(kinds, train))
                for train, _ in self._splits
            ]
            points, columns = merge_choices(choices)
        priors = {}
        for choice in choices:
            if id(choice) not in priors:
                with one_thread:
                    priors[id(choice)] = make_prior(choice, covariances, regressor.jitter)
        folds = [
            _Fold(
                *(np.flatnonzero(np.isin(firsts, part)).tolist() for part in split),
                np.union1d(
                    environments.take(split[0]).elements(),
                    choice.species if isinstance(regressor.sparse_method, Mapping) else [],
                ).astype(np.intp),
                choice, places, priors[id(choice)],
            )
            for split, choice, places in zip(self._splits, choices, columns, strict=True)
        ]  # fmt: skip
        return folds, points

    def _shared_points(self, regressor, kinds):
        """Sparse points chosen from all structures, once for all exponents but 1."""
        linear = [c.is_linear for c in make_covariances(regressor, self._environments)]
        names = ("n_sparse", "sparse_method", "random_state")
        values = [getattr(regressor, name) for name in names]
        key = tuple(linear), tuple(map(_identity, values))
        if key not in self._choices:
            chosen = choose_points(self._environments, regressor, kinds)
            self._choices = {key: (chosen, values)}
        return self._choices[key][0]

    def _is_small(self, n_points):
        """Whether the pass takes so little that choosing points for each fold does not matter."""
        n_centers, n_features = self._environments.values.shape
        n_rows, products = len(self._environments), n_centers * n_features
        if any(self._metadata.get(name) is not None for name in ("forces", "virials")):
            n_rows += 3 * int(self._environments.n_atoms.sum())
            products *= 4
        return n_points * (n_rows * n_points + products) <= OWN_POINTS_BELOW

    def _training(self, regressor, found, fold):
        """Energies of single atoms, normal equations and energy scales of a training part."""
        energies = found.accumulators[0].empty().atom_energies
        for cell in fold.training:
            energies.merge(found.accumulators[cell].atom_energies)
        e0 = energies.solve()
        equations = found.cells.sum_equations(fold.prior, fold.training, fold.columns)
        if QUANTITIES[0] not in equations:
            found.accumulators[0].empty().require_energies()
        sizes = found.cells.sizes(fold.prior, fold.columns)
        training = Training(sizes, e0, equations)
        scales = one_per_term("energy_scale", regressor.energy_scale, len(fold.prior.terms))
        automatic = [is_choice(scale, "auto") for scale in scales]
        if any(automatic):
            parts = [found.cells.observations(cell, fold.columns) for cell in fold.training]
            compared = [quantity for quantity in equations if quantity != "virials"]
            moments = moment_scales_of_parts(fold.prior, training, parts, compared)
            scales = [
                moment if auto else scale
                for auto, scale, moment in zip(automatic, scales, moments, strict=True)
            ]
        floors = [QUANTITIES[0] if auto else None for auto in automatic]
        return training, scales, floors

    def _held_out(self, regressor, found):
        result = []
        with one_thread:
            for fold in found.folds:
                training, scales, floors = self._training(regressor, found, fold)
                test = found.cells.sum_equations(fold.prior, fold.test, fold.columns)
                result.append(HeldOut(training, test, scales, floors))
        return result

    def _fit_fold(self, regressor, found, fold):
        """Model of a training part."""
        model = copy(regressor)
        if regressor.optimize is not None:
            accumulator = found.accumulate(fold, fold.training)
            e0, posterior = accumulator.solve(
                regressor.energy_scale, regressor._noise(), optimize=regressor.optimize,
                check_labels=False,
            )  # fmt: skip
        else:
            training, scales, floors = self._training(regressor, found, fold)
            noise, e0 = regressor._noise(), training.mean
            scales = HeldOut(training, {}, scales, floors).scales_for(noise)
            parts = [
                found.cells.observations(cell, fold.columns).subtract_mean(e0)
                for cell in fold.training
            ]
            posterior = training.posterior(fold.prior, scales, noise, parts)
        elements = found.accumulators[0].elements
        known = np.isin(elements, fold.elements)
        covariances = found.accumulators[0].covariances
        model._become(Model(elements[known], e0[known], fold.points, covariances, posterior))
        return model


def quantity_of(metric: Callable[..., Any]) -> str | None:
    """Quantity that a metric compares; None if it does not say.

    Parameters
    ----------
    metric : callable
        Scorers of scikit-learn without an attribute `quantity` compare what ``predict`` returns,
        which are energies.

    Returns
    -------
    {"energy", "forces", "virials"} or None
        The quantity.
    """
    quantity = getattr(metric, "quantity", None) or getattr(metric, "kind", None)
    if quantity is None and hasattr(metric, "_score_func"):
        return QUANTITIES[0]
    return quantity


def _identity(value):
    """What tells parameters apart, without a look into arrays."""
    if isinstance(value, (list, tuple)):
        return "sequence", tuple(map(_identity, value))
    if value is None or isinstance(value, (str, bool, int, float, np.generic)):
        return type(value).__name__, str(value)
    return "object", str(id(value))
