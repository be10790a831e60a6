"""Fits to the training parts of folds that share one pass over the data.

What a fit needs of the data are triangles, and those of different structures can be combined. So
the data pass by once, in cells that no part of a fold cuts; the model of each training part, and
the errors in each test part, follow from the products of the rows of each cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import UntrustworthyFitError
from ..labels import warn_of_forces
from ..least_squares import HeldOut, least_error, mean_errors, tune_noise
from ..utils.blas import one_thread
from ..utils.folds import take
from ..utils.typing import Features, PerStructure
from ..utils.validation import is_choice
from ._accumulation import Accumulator
from ._baseline import fitted_baseline
from ._checks import check_parameters
from ._fitting import CalibrationSample
from ._fold_pass import FoldData, deal_folds
from ._inputs import check_config_types, check_environments
from ._prediction import Model
from ._targets import QUANTITIES

if TYPE_CHECKING:
    from ._gap import GAPRegressor

# of the errors of targets that no metric looks at: forces alone say little of what noise suits
# energies, and a potential is asked for both
_WEIGHT_OF_UNSCORED = 0.25
# held-out errors of energies may exceed those of a fit without forces and virials by this factor,
# where no metric says what counts, and where one does
_ENERGIES_MAY_RISE = {True: 1.05, False: 1.5}
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
        with one_thread:
            return [self._fit_fold(regressor, found, index) for index in range(len(found.folds))]

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
            fit without forces and virials, or of the composition alone; without metrics, no
            quantity becomes worse than with the noise of the parameters, which stays unless the
            folds agree that another is better.

        Returns
        -------
        dict of str to float
            Parameters of the regressor; none for quantities that there are no targets of.
        """
        regressor = self._with(params)
        found = self._data.pass_for(regressor)
        held_out = found.held_out(regressor)
        present = [q for q in QUANTITIES if any(q in part.test for part in held_out)]
        varied = {q: bounds[f"sigma_{q}"] for q in present if f"sigma_{q}" in bounds}
        wanted = {quantity_of(metric) for metric in metrics}
        single = len(wanted) == 1 and wanted <= set(present)
        weights = {q: _WEIGHT_OF_UNSCORED if single and q not in wanted else 1.0 for q in present}
        ceilings = self._ceilings(regressor, found, held_out, varied, not wanted)
        noise = tune_noise(
            held_out, regressor._noise(), varied, weights, ceilings, cautious=not wanted
        )
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
        held_out = self._data.pass_for(regressor).held_out(regressor)
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
        held_out = self._data.pass_for(self._regressor).held_out(self._regressor)
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
        """Combine the accumulated data of all structures.

        Parameters
        ----------
        params : dict, default=None
            Parameters of the regressor.

        Returns
        -------
        accumulator : Accumulator
            What a fit to all structures would have seen.
        environments, targets : Environments, Targets
            The structures and their targets.
        """
        regressor, environments = self._with(params), self._data.environments
        found, targets = self._data.pass_for(regressor), self._data.targets(regressor)
        fold, complete = found.folds[0], sum(map(len, self._data.members)) == len(environments)
        if fold.columns is None and complete:
            accumulator = found.accumulate(fold, range(len(found.accumulators)))
        else:
            kinds = self._data.metadata.get("config_types")
            accumulator = Accumulator.start(environments, regressor, kinds)
            accumulator.add(environments, targets, regressor.memory_limit, regressor.n_jobs)
            self._data.n_passes += 1
        return accumulator, environments, targets

    def _with(self, params):
        regressor = copy(self._regressor).set_params(**(params or {}))
        check_parameters(regressor)
        regressor.n_features_in_ = self._regressor.n_features_in_
        return regressor

    def _ceilings(self, regressor, found, held_out, varied, strict):
        """Limits of errors: of energies by a fit to them alone, of all by the present noise."""
        energy, noise, ceilings = QUANTITIES[0], regressor._noise(), {}
        if strict:
            with one_thread:
                ceilings |= mean_errors(held_out, noise) or {}
        several = any(len(part.test) > 1 for part in held_out)
        alone = found.held_out_of(energy, held_out) if several else None
        if alone:
            error, of_the_mean = least_error(alone, energy, noise[energy], varied.get(energy))
            limit = min(_ENERGIES_MAY_RISE[strict] * error, of_the_mean)
            ceilings[energy] = min(limit, ceilings.get(energy, np.inf))
        return ceilings

    def _fit_part(self, regressor, index):
        X = self._X[index] if hasattr(self._X, "shape") else take(self._X, index)
        metadata = {name: take(values, index) for name, values in self._data.metadata.items()
                    if not isinstance(values, Mapping)}
        tables = {k: v for k, v in self._data.metadata.items() if isinstance(v, Mapping)}
        return copy(regressor).fit(X, np.asarray(self._data.y)[index], **metadata, **tables)

    def _fit_fold(self, regressor, found, index):
        """Model of a training part."""
        model, fold, sample = copy(regressor), found.folds[index], None
        if regressor.calibrate:
            train, targets = self._data.splits[index][0], self._data.targets(regressor)
            sample = partial(CalibrationSample.choose, self._data.environments, targets, train)
        if regressor.optimize is not None:
            accumulator = found.accumulate(fold, fold.training)
            e0, posterior = accumulator.solve(
                regressor.energy_scale, regressor._noise(), optimize=regressor.optimize,
                check_labels=False,
            )
        else:
            training, scales, floors = found.training(regressor, fold)
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
        model._become(
            Model(elements[known], e0[known], fold.points, covariances, posterior, sample),
            fitted_baseline(regressor.baseline, [found.accumulators[i] for i in fold.training]),
        )
        return model


class FoldFits:
    """Mixin of `GAPRegressor`: fits by folds, for searches and for itself."""

    def fold_session(
        self,
        X: Features,
        y: PerStructure,
        splits: Iterable[Any],
        **metadata: Any,
    ) -> GapFoldSession:
        """Begin fits to the training parts of a cross-validation that share one pass.

        Parameters
        ----------
        X, y : object
            As in :meth:`fit`, all structures.
        splits : sequence of (train, test)
            Index arrays, as a splitter of scikit-learn gives them. The parts should overlap
            like folds: each pattern of membership costs a triangle of its own.
        **metadata : object
            Further arguments of :meth:`fit`.

        Returns
        -------
        GapFoldSession
            Its methods `models`, `tune` and `full_model` take parameters of this regressor.

        Notes
        -----
        All folds share sparse points that are chosen from all structures, as they see no
        targets. Only where data are few does each training part choose its own.
        """
        return GapFoldSession(self, X, y, splits, metadata)

    def fit_folds(
        self,
        X: Features,
        y: PerStructure,
        splits: Iterable[Any],
        **metadata: Any,
    ) -> list[GAPRegressor]:
        """Models of all training parts of a cross-validation, by one pass over the data.

        Parameters
        ----------
        X, y, splits, **metadata : object
            As in :meth:`fold_session`.

        Returns
        -------
        list of GAPRegressor
            One for each training part.
        """
        return self.fold_session(X, y, splits, **metadata).models()

    def self_tuned_parameters(self, searched: Iterable[str]) -> tuple[str, ...]:
        """Searched parameters that this regressor can tune itself.

        Parameters
        ----------
        searched : iterable of str
            Parameters that a search varies.

        Returns
        -------
        tuple of str
            Noise of energies, forces and virials, unless `optimize` refines it.
        """
        fixed = self.optimize is not None or "optimize" in searched
        return () if fixed else tuple(f"sigma_{quantity}" for quantity in QUANTITIES)

    def feature_bound_parameters(self, searched: Iterable[str]) -> tuple[str, ...]:
        """Parameters that a search varies together with those of the descriptor.

        Parameters
        ----------
        searched : iterable of str
            Parameters that a search varies.

        Returns
        -------
        tuple of str
            The exponent of the covariance.
        """
        return ("zeta",)

    def _accumulate_by_folds(self, X, y, metadata):
        """What :meth:`_check_and_accumulate` gives, and the noise of least held-out errors."""
        n_structures = len(check_environments(X, self, reset=True))
        if n_structures < 2:
            raise ValueError(f"X holds {n_structures} structure, but optimize='held_out' needs at "
                             "least 2; use optimize=None")
        config_types = metadata["config_types"]
        if config_types is not None:
            check_config_types(config_types, n_structures, "config_types are given")
        session = GapFoldSession(self, X, y, deal_folds(n_structures, config_types), metadata)
        noise, seen = session.noise_of_least_errors(), session.accumulate()
        warn_of_forces(seen[2].forces, seen[2].offsets)
        return seen, noise


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
