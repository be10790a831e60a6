"""ASE calculator on top of a fitted pipeline."""

from __future__ import annotations

import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .gaussian_process import GAPRegressor

__all__ = ["SkdescCalculator"]


class SkdescCalculator(Calculator):
    """Energies, forces, stress and uncertainty of structures by a fitted pipeline.

    Energy, forces and stress come from one evaluation; energies of atoms (``energies``) and
    the standard deviation of the energy (``energy_std``) are computed when asked for.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted; a descriptor with ``pooling=None``, then a `GAPRegressor`.
    **kwargs : dict
        Passed on to :class:`ase.calculators.calculator.Calculator`.

    Examples
    --------
    With a fitted `pipeline`::

        atoms.calc = SkdescCalculator(pipeline)
        atoms.get_potential_energy()  # eV
        atoms.get_stress()            # eV/angstrom^3, Voigt order
        atoms.calc.get_property("energy_std", atoms)
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress",
                              "energy_std"]

    def __init__(self, pipeline, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(pipeline, Pipeline) or not isinstance(pipeline[-1], GAPRegressor):
            raise TypeError(
                f"pipeline is of type {type(pipeline).__name__}, but must be a Pipeline that ends "
                "in a GAPRegressor; of a search, pass best_estimator_"
            )
        check_is_fitted(pipeline[-1])
        self.pipeline = pipeline

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Compute properties of a structure.

        Parameters
        ----------
        atoms : ase.Atoms, default=None
            The structure; that of the last call by default.
        properties : sequence of str, default=("energy",)
            What is wanted.
        system_changes : list of str
            What has changed since the last call.
        """
        super().calculate(atoms, properties, system_changes)
        has_volume = self.atoms.cell.rank == 3
        if "stress" in properties and not has_volume:
            raise PropertyNotImplementedError(
                "the stress needs a three-dimensional cell; set atoms.cell"
            )
        features = self.pipeline[:-1].transform([self.atoms])
        gap = self.pipeline[-1]
        energy, *std, forces, virials = gap.predict(
            features,
            return_std="energy_std" in properties,
            return_forces=True,
            return_virials=True,
        )
        self.results.update(
            energy=float(energy[0]), free_energy=float(energy[0]), forces=forces[0]
        )
        if has_volume:
            stress = -virials[0] / self.atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)
        if std:
            self.results["energy_std"] = float(std[0][0])
        if "energies" in properties:
            local = np.zeros(len(self.atoms))
            local[features.centers] = gap.predict_local_energies(features)
            self.results["energies"] = local
