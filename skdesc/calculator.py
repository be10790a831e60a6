"""ASE calculators: a fitted pipeline, and the repulsion of nuclei as a baseline for one."""

from __future__ import annotations

from numbers import Real

import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.data import covalent_radii
from ase.outputs import Properties, all_outputs
from ase.stress import full_3x3_to_voigt_6_stress
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .gaussian_process import GAPRegressor
from .neighbors import find_pairs
from .structures import Structures, check_structures

__all__ = ["SkdescCalculator", "ZBLCalculator"]

# e^2 / (4 pi epsilon_0), in eV angstrom
_COULOMB = 14.399645
# Ziegler, Biersack, Littmark: screening length in angstrom, times the powers of the charges
_SCREENING_LENGTH, _SCREENING_POWER = 0.46850, 0.23
_SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))


class SkdescCalculator(Calculator):
    """Energies, forces, stress and uncertainty of structures by a fitted pipeline.

    Energy, forces and stress come from one evaluation; energies of atoms (``energies``) and
    standard deviations of the energy (``energy_std``) and of the forces (``forces_std``) are
    computed when asked for.

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
                              "energy_std", "forces_std"]

    def __init__(self, pipeline, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(pipeline, Pipeline) or not isinstance(pipeline[-1], GAPRegressor):
            raise TypeError(
                f"pipeline is of type {type(pipeline).__name__}, but must be a Pipeline that ends "
                "in a GAPRegressor; of a search, pass best_estimator_"
            )
        if len(pipeline) < 2:
            raise ValueError("pipeline has no step but its GAPRegressor, which takes descriptors "
                             "of atoms; pass one that starts with what computes them")
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
        if system_changes:
            self.results = {}  # not all who call this have forgotten the last structure's
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
        if "forces_std" in properties:
            self.results["forces_std"] = gap.predict_forces_std(features)[0]
        if "energies" in properties:
            self.results["energies"] = gap._energies_of_atoms(features)

    def export_properties(self):
        """Results that ASE has names for.

        Returns
        -------
        ase.outputs.Properties
            All but the standard deviations.
        """
        known = {name: value for name, value in self.results.items() if name in all_outputs}
        return Properties(known)


class ZBLCalculator(Calculator):
    """Screened repulsion of nuclei after Ziegler, Biersack and Littmark.

    It is switched off smoothly (with two continuous derivatives) between half and the whole
    of a range that is the sum of both covalent radii, so that it acts on atoms nearer than
    any bond and leaves bonds to the model.

    Parameters
    ----------
    scale : float, default=1.0
        Factor of the covalent radii.
    **kwargs : dict
        Passed on to :class:`ase.calculators.calculator.Calculator`.

    References
    ----------
    J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Matter,
    Pergamon (1985).

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skdesc.calculator import ZBLCalculator
    >>> atoms = molecule("H2")
    >>> atoms.set_distance(0, 1, 0.3)
    >>> atoms.calc = ZBLCalculator()
    >>> round(atoms.get_potential_energy(), 1)
    16.5
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(scale, Real) or not 0 < scale < np.inf:
            raise ValueError(f"scale is {scale!r}, but must be a positive number")
        self.scale = float(scale)

    def evaluate(self, structures):
        """Energies and derivatives of many structures at once.

        Parameters
        ----------
        structures : Structures
            The structures.

        Returns
        -------
        energies : ndarray of shape (n_structures,)
            In eV.
        gradient : ndarray of shape (n_atoms, 3)
            Derivatives by the positions, in eV/angstrom.
        strain_gradient : ndarray of shape (n_structures, 3, 3)
            Derivatives by the strain, in eV.
        """
        local, gradient, strain = self._evaluate(structures)
        return np.bincount(structures.structure_index, local, len(structures)), gradient, strain

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Compute properties of a structure.

        Parameters
        ----------
        atoms : ase.Atoms, default=None
            The structure; that of the last call by default.
        properties : sequence of str, default=("energy",)
            What is wanted; all is computed.
        system_changes : list of str
            What has changed since the last call.
        """
        super().calculate(atoms, properties, system_changes)
        local, gradient, strain = self._evaluate(check_structures([self.atoms], name="atoms"))
        energy = float(local.sum())
        self.results.update(energy=energy, free_energy=energy, energies=local, forces=-gradient)
        if self.atoms.cell.rank == 3:
            stress = strain[0] / self.atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)

    def _evaluate(self, structures: Structures):
        n_atoms = len(structures.numbers)
        radii = self.scale * covalent_radii[structures.numbers]
        every = np.arange(n_atoms)
        pairs = find_pairs(
            structures, 2.0 * radii.max(), every, np.zeros(n_atoms, dtype=np.intp)
        )
        center = np.repeat(every, np.diff(pairs.offsets))
        value, slope = _screened_repulsion(
            pairs.distance,
            structures.numbers[center],
            structures.numbers[pairs.neighbor],
            radii[center] + radii[pairs.neighbor],
        )
        # every pair appears twice
        local = 0.5 * np.bincount(center, value, n_atoms)
        along = (slope / pairs.distance)[:, np.newaxis] * pairs.displacement
        gradient = np.stack(
            [-np.bincount(center, along[:, axis], n_atoms) for axis in range(3)], axis=1
        )
        of_pair = structures.structure_index[center]
        strain = np.zeros((len(structures), 3, 3))
        for i, j in np.ndindex(3, 3):
            products = along[:, i] * pairs.displacement[:, j]
            strain[:, i, j] = 0.5 * np.bincount(of_pair, products, len(structures))
        return local, gradient, strain


def _screened_repulsion(r, z_a, z_b, reach):
    """Energy of pairs and its derivative by the distance."""
    length = _SCREENING_LENGTH / (
        z_a.astype(np.float64) ** _SCREENING_POWER + z_b.astype(np.float64) ** _SCREENING_POWER
    )
    screening, screening_slope = np.zeros_like(r), np.zeros_like(r)
    for weight, rate in _SCREENING:
        term = weight * np.exp(-rate * r / length)
        screening += term
        screening_slope -= rate / length * term
    charge = _COULOMB * z_a * z_b
    value = charge * screening / r
    slope = charge * (screening_slope - screening / r) / r
    # 1 below half of the reach, then the fifth-order step down to 0
    t = np.clip(2.0 * r / reach - 1.0, 0.0, 1.0)
    switch = 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t**2)
    switch_slope = -30.0 * t**2 * (1.0 - t) ** 2 * 2.0 / reach
    return value * switch, slope * switch + value * switch_slope
