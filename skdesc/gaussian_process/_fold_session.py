"""Fits to the training parts of folds that share one pass over the data.

What a fit needs of the data are triangles, and those of different structures can be combined. So
the data pass by once, in cells that no part of a fold cuts; the model of each training part, and
the errors in each test part, follow from the products of the rows of each cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import UntrustworthyFitError
from ..least_squares import (
    Cells,
    HeldOut,
    Observations,
    Training,
    mean_errors,
    moment_scales_of_parts,
    tune_noise,
)
from ..utils.blas import one_thread, threads
from ..utils.folds import take
from ..utils.validation import is_choice
from ._accumulation import Accumulator
from ._checks import check_parameters
from ._fold_pass import FoldData
from ._memory import N_FOLDS
from ._prediction import Model
from ._sparse_points import one_per_term
from ._targets import QUANTITIES

if TYPE_CHECKING:
    from ._gap import GAPRegressor

# of the errors of targets that no metric looks at: forces alone say little of what noise suits
# energies, and a potential is asked for both
_WEIGHT_OF_UNSCORED = 0.25
# held-out errors of energies may exceed those of a fit without forces and virials by this factor,
# where no metric says what counts, and where one does
_ENERGIES_MAY_RISE = {True: 1.05, False: 1.5}
# blocks of consecutive structures dealt to each fold of a fit that tunes its noise
_BLOCKS_PER_FOLD = 4
# noise may move by this factor either way, or up to so many times the targets' root mean square:
# then they no longer count
_REACH, _NEGLIGIBLE = 1000.0, 100.0


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
    """

    def __init__(self, regressor: GAPRegressor, X, y, splits, metadata: Mapping[str, Any]):
        # no clone, which would copy arrays and calculators
        self._regressor = type(regressor)(**regressor.get_params(deep=False))
        check_parameters(self._regressor)
        self._X, self._data = X, FoldData(self._regressor, X, y, splits, metadata)

    @property
    def n_passes(self) -> int:
        """Passes over the data so far."""
        return self._data.n_passes

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
        if is_choice(regressor.optimize, "held_out"):  # with folds of each training part
            return [self._fit_part(regressor, train) for train, _ in self._data.splits]
        found = self._data.pass_for(regressor)
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
            quantity, those of others count less. Energies do not become worse than those of a
            fit without forces and virials, or of the composition alone.

        Returns
        -------
        dict of str to float
            Parameters of the regressor; none for quantities that there are no targets of.
        """
        regressor = self._with(params)
        found = self._data.pass_for(regressor)
        held_out = self._held_out(regressor, found)
        present = [q for q in QUANTITIES if any(q in part.test for part in held_out)]
        varied = {q: bounds[f"sigma_{q}"] for q in present if f"sigma_{q}" in bounds}
        wanted = {quantity_of(metric) for metric in metrics}
        single = len(wanted) == 1 and wanted <= set(present)
        weights = {q: _WEIGHT_OF_UNSCORED if single and q not in wanted else 1.0 for q in present}
        ceilings = self._ceilings(regressor, found, held_out, varied, not wanted)
        noise = tune_noise(held_out, regressor._noise(), varied, weights, ceilings)
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
        held_out = self._held_out(regressor, self._data.pass_for(regressor))
        with one_thread:
            errors = mean_errors(held_out, regressor._noise())
        if errors is None:
            raise UntrustworthyFitError(
                "noise is too little for double precision; raise sigma_energy, sigma_forces or "
                "sigma_virials"
            )
        return errors

    def noise_of_least_errors(self) -> dict[str, float]:
        """Noise of least held-out errors, within wide bounds around that of the parameters.

        Returns
        -------
        dict of str to float
            Noise of energies, forces and virials.
        """
        noise = self._regressor._noise()
        held_out = self._held_out(self._regressor, self._data.pass_for(self._regressor))
        bounds = {}
        for quantity, value in noise.items():
            errors = [part.errors_of_the_mean().get(quantity, 0.0) for part in held_out]
            high = max(value * _REACH, _NEGLIGIBLE * max(errors))
            bounds[f"sigma_{quantity}"] = value / _REACH, high
        tuned = self.tune({}, bounds)
        return {quantity: tuned.get(f"sigma_{quantity}", noise[quantity]) for quantity in noise}

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
        regressor._finish(*self.accumulate(params))
        return regressor

    def accumulate(self, params: Mapping[str, Any] | None = None) -> tuple:
        """Put together what has been seen of all structures.

        Parameters
        ----------
        params : dict, default=None
            Parameters of the regressor.

        Returns
        -------
        accumulator : Accumulator
            What a fit to all structures would have seen.
        environments : Environments
            The structures.
        targets : Targets
            Their targets.
        """
        regressor, environments = self._with(params), self._data.environments
        found, targets = self._data.pass_for(regressor), self._data.targets(regressor)
        fold, complete = found.folds[0], sum(map(len, self._data.members)) == len(environments)
        if fold.columns is None and complete:
            accumulator = found.accumulate(fold, range(len(found.accumulators)))
        else:
            kinds = self._data.metadata.get("config_types")
            accumulator = Accumulator.start(environments, regressor, kinds)
            accumulator.add(environments, targets, regressor.memory_limit)
            self._data.n_passes += 1
        return accumulator, environments, targets

    def _with(self, params):
        regressor = copy(self._regressor).set_params(**(params or {}))
        check_parameters(regressor)
        regressor.n_features_in_ = self._regressor.n_features_in_
        return regressor

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

    def _ceilings(self, regressor, found, held_out, varied, strict):
        """Errors of energies that forces and virials may not lead to."""
        energy = QUANTITIES[0]
        if not any(len(part.test) > 1 for part in held_out):
            return {}
        cells = Cells([
            Observations(o.n_points, {energy: o.triangles[energy]}, {energy: o.log_noise[energy]})
            for o in (accumulator.observations for accumulator in found.accumulators)
            if energy in o.triangles
        ])  # fmt: skip
        numbers = [
            index for index, accumulator in enumerate(found.accumulators)
            if energy in accumulator.observations.triangles
        ]  # fmt: skip
        parts = []
        with one_thread:
            for fold, part in zip(found.folds, held_out, strict=True):
                sums = [
                    cells.sum_equations(
                        fold.prior, [numbers.index(c) for c in side if c in numbers], fold.columns
                    )
                    for side in (fold.training, fold.test)
                ]  # fmt: skip
                if energy in sums[1]:
                    sizes = cells.sizes(fold.prior, fold.columns)
                    training = Training(sizes, part.training.mean, sums[0])
                    parts.append(HeldOut(training, sums[1], part.scales, part.floors))
        if not parts:
            return {}
        noise = {energy: regressor._noise()[energy]}
        bounds = {energy: varied[energy]} if energy in varied else {}
        noise |= tune_noise(parts, noise, bounds, {energy: 1.0})
        errors = mean_errors(parts, noise) or {energy: np.inf}
        without_model = np.mean([part.errors_of_the_mean()[energy] for part in parts])
        return {energy: min(_ENERGIES_MAY_RISE[strict] * errors[energy], without_model)}

    def _fit_part(self, regressor, index):
        X = self._X[index] if hasattr(self._X, "shape") else take(self._X, index)
        metadata = {name: take(values, index) for name, values in self._data.metadata.items()
                    if not isinstance(values, Mapping)}  # fmt: skip
        tables = {k: v for k, v in self._data.metadata.items() if isinstance(v, Mapping)}
        return copy(regressor).fit(X, np.asarray(self._data.y)[index], **metadata, **tables)

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


def deal_folds(n_structures: int, config_types: Sequence[Any] | None = None) -> list[tuple]:
    """Folds of a fit that tunes its noise.

    Neighbors in a file are often alike, as those in a trajectory are, and files are often sorted.
    So consecutive structures of a kind are held back together, and each fold has some from all
    over the file.

    Parameters
    ----------
    n_structures : int
        Number of structures, at least 2.
    config_types : sequence of length n_structures, default=None
        Kinds of the structures.

    Returns
    -------
    list of (train, test)
        Index arrays.
    """
    n_folds = min(N_FOLDS, n_structures)
    order = np.arange(n_structures)
    if config_types is not None:
        order = np.argsort([str(kind) for kind in config_types], kind="stable")
    owner = np.empty(n_structures, dtype=np.intp)
    blocks = np.array_split(order, min(n_structures, n_folds * _BLOCKS_PER_FOLD))
    for number, block in enumerate(blocks):
        owner[block] = number % n_folds
    return [(np.flatnonzero(owner != k), np.flatnonzero(owner == k)) for k in range(n_folds)]


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
