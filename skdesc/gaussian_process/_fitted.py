"""Predictions of a fitted regressor, and its state in pickles and files."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.data import chemical_symbols
from sklearn.utils.validation import check_is_fitted

from ..labels import warn_of_compositions
from ..utils.blas import one_thread
from ..utils.html import listing
from ..utils.threads import effective_n_threads
from ..utils.typing import Features, typed_predict
from ._baseline import add_baseline, local_baseline
from ._checks import check_loaded, check_saved
from ._inputs import check_elements, check_environments
from ._prediction import forces_std
from ._serialization import attributes, pack, unpack


class Fitted:
    """Mixin of `GAPRegressor`: predictions, and the state in pickles and files."""

    @typed_predict
    def predict(
        self,
        X: Features,
        return_std: bool = False,
        return_forces: bool = False,
        return_virials: bool = False,
    ) -> Any:
        """Predict energies and, on request, forces, virials and standard deviations.

        Parameters
        ----------
        X : AtomicFeatures, array-like of shape (n_samples, n_features) or sequence of arrays
            Descriptors of the structures.
        return_std : bool, default=False
            Whether to return standard deviations of the energies, without noise. They are
            calibrated, see `calibration_`: for training structures that are left out of the fit,
            the ratio of error and standard deviation has a root mean square of one.
        return_forces : bool, default=False
            Whether to return forces.
        return_virials : bool, default=False
            Whether to return virials.

        Returns
        -------
        y : ndarray of shape (n_structures,)
            Total energies, in eV. If anything else is asked for, the first of a tuple, in the
            order of the arguments.
        std : ndarray of shape (n_structures,)
            In eV.
        forces : list of ndarray of shape (n_atoms, 3)
            In eV/angstrom.
        virials : ndarray of shape (n_structures, 3, 3)
            -dE/d(strain) = -volume * stress, in eV.
        """
        environments = self._check_predict(X)
        n_threads = effective_n_threads(self.n_jobs)
        with one_thread:
            predicted = self._model.energies_and_derivatives(
                environments, forces=return_forces, virials=return_virials, n_threads=n_threads
            )
            std = self._model.std(environments, n_threads) if return_std else None
        if self._baseline is not None:
            predicted = add_baseline(self._baseline, environments.structures, *predicted)
        energies, forces, virials = predicted
        result = [part for part in (energies, std, forces, virials) if part is not None]
        return tuple(result) if len(result) > 1 else result[0]

    def predict_forces_std(self, X: Features) -> list[np.ndarray]:
        """Predict the standard deviation of each force component, without noise.

        It is calibrated, as those of energies are, see :meth:`predict`.
        It takes the derivatives of all descriptors explicitly, and so costs far more than the
        forces themselves.

        Parameters
        ----------
        X : AtomicFeatures
            Descriptors of the structures.

        Returns
        -------
        list of ndarray of shape (n_atoms, 3)
            In eV/angstrom.
        """
        environments = self._check_predict(X)
        environments.require_structures()
        with one_thread:
            return forces_std(self._model, environments)

    def predict_local_energies(self, X: Features, return_std: bool = False) -> Any:
        """Predict the energy of each environment.

        Parameters
        ----------
        X : AtomicFeatures, array-like of shape (n_samples, n_features) or sequence of arrays
            Descriptors of the structures.
        return_std : bool, default=False
            Whether to return standard deviations too.

        Returns
        -------
        energies : ndarray of shape (n_centers,)
            In eV; that of a single atom, `e0_`, and of the baseline are included.
        std : ndarray of shape (n_centers,)
            In eV; only if `return_std`.
        """
        environments = self._check_predict(X)
        single = environments.as_single_environments()
        n_threads = effective_n_threads(self.n_jobs)
        with one_thread:
            energies = self._model.local_energies(single, n_threads)
            std = self._model.std(single, n_threads) if return_std else None
        if self._baseline is not None:
            base = local_baseline(self._baseline, environments.structures)
            energies += base[environments.features.centers]
        return (energies, std) if return_std else energies

    def _energies_of_atoms(self, X):
        """Energies of all atoms; those that are no centers have no more than `e0_` and baseline."""
        predicted, structures = self.predict_local_energies(X), X.structures
        if len(predicted) == len(structures.numbers):
            return predicted
        local = np.array([self.e0_[chemical_symbols[z]] for z in structures.numbers])
        if self._baseline is not None:
            local += local_baseline(self._baseline, structures)
        local[X.centers] = predicted
        return local

    def _check_predict(self, X):
        check_is_fitted(self, "weights_")
        environments = check_environments(X, self, reset=False)
        check_elements(environments, self.elements_)
        warn_of_compositions(self, environments)
        return environments

    def _become(self, model, baseline, accumulator=None):
        """Predict as a model does; without an accumulator, nothing can be added to it."""
        self._model, self._training, self._baseline = model, accumulator, baseline
        vars(self).update(attributes(model))

    def _caption(self):
        counts = dict(zip(*np.unique(self.sparse_species_, return_counts=True), strict=True))
        points = listing(f"{chemical_symbols[z]} {n}" for z, n in counts.items())
        e0 = listing(f"{symbol} {energy:.6g}" for symbol, energy in self.e0_.items())
        scale = listing(f"{value:.4g}" for value in np.ravel(self.energy_scale_))
        return f"sparse points: {points}; energy scale in eV: {scale}; e0 in eV: {e0}"

    def __copy__(self):
        """Share what was fitted, which no method changes in place."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "_model" in state:
            state["_model"] = pack(state["_model"], state.pop("_training", None))
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_model" in state:
            # earlier versions kept the scales of weights alone as an attribute only
            scales = {"energy_scales": np.ravel(state.get("energy_scale_", np.nan))}
            self._model, self._training = unpack(scales | state["_model"])
            # attributes that follow from the model are not read from the state
            vars(self).update(attributes(self._model))
            self.n_features_in_ = self._model.points.features.shape[1]

    def _check_saved(self):
        """Refuse parameters that were changed after the fit, before they are saved."""
        if hasattr(self, "_model"):
            check_saved(self)

    def _check_loaded(self):
        """Refuse a state that no fit can produce."""
        check_loaded(self)
