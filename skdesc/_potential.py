"""A fitted pipeline as a potential, for one structure at a time as in simulations.

Simulations ask for one structure hundreds of thousands of times. What `Pipeline.predict` checks
and looks up in every call is done once here, each neighbor search and density expansion serves
both the energy and its derivatives, and all results of an atom are at hand: its energy, and the
derivative of its energy by the strain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.calculators.calculator import PropertyNotImplementedError
from ase.stress import voigt_6_to_full_3x3_stress
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils.validation import check_is_fitted

from .descriptors import (
    CachedDescriptor,
    SOAPTransformer,
    TensorReducedTransformer,
    TwoBodyTransformer,
)
from .gaussian_process import GAPRegressor
from .gaussian_process._baseline import evaluate_baseline
from .gaussian_process._inputs import check_environments
from .structures import check_structures
from .utils.blas import threads
from .utils.validation import check_reals

# what these describe follows from `_locate` and `differentiate_energies`
_SIMPLE = (SOAPTransformer, TensorReducedTransformer, TwoBodyTransformer)


@dataclass(frozen=True)
class Evaluation:
    """Results of a potential for one structure.

    Parameters
    ----------
    energy : float
        In eV.
    forces : ndarray of shape (n_atoms, 3)
        In eV/angstrom.
    virial : ndarray of shape (3, 3)
        -dE/d(strain), symmetric, in eV. Where the structure is not periodic in all directions,
        strain stretches the distances of its atoms all the same.
    energies : ndarray of shape (n_atoms,) or None
        Energies of the atoms, in eV; None where only `energies_of_atoms` gives them.
    virials : ndarray of shape (n_atoms, 3, 3) or None
        Derivative of each of these by the strain, times -1, in eV; None where only
        `virials_of_atoms` gives them.
    """

    energy: float
    forces: np.ndarray
    virial: np.ndarray
    energies: np.ndarray | None = None
    virials: np.ndarray | None = None


@dataclass
class _OfElements:
    """Results that depend only on a structure's elements, which rarely change between steps.

    Attributes
    ----------
    model : Model or None
        The fit.
    numbers : ndarray of shape (n_atoms,)
        Atomic numbers.
    energies : ndarray of shape (n_atoms,)
        Energies of single atoms, in eV.
    reach : float
        Distance at which a repulsive baseline ends, in angstrom; infinite for other baselines.
    """

    model: object
    numbers: np.ndarray
    energies: np.ndarray
    reach: float


class Potential:
    """A fitted pipeline of descriptors and a `GAPRegressor`.

    Parameters
    ----------
    pipeline : Pipeline
        The pipeline.
    tolerance : float, default=0.0
        Error of an atom's energy, in eV, that may be traded for speed.

    Raises
    ------
    TypeError
        If `pipeline` is none that ends in a `GAPRegressor`.
    ValueError
        If it has no descriptor, or is not fitted.
    """

    def __init__(self, pipeline: Pipeline, tolerance: float = 0.0) -> None:
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
        check_reals("tolerance", tolerance, "at least 0", (0.0, 1.0), "; try 1e-4")
        self.tolerance = tolerance
        self._approximation = None, None
        self._of_elements = _OfElements(None, np.empty(0, dtype=np.intp), np.empty(0), np.inf)

    @property
    def gap(self) -> GAPRegressor:
        """The regressor."""
        return self.pipeline.steps[-1][1]

    @property
    def model(self) -> object:
        """The fit; another one after the regressor was fitted again."""
        return self.gap._model

    @property
    def extra_arrays(self) -> tuple[str, ...]:
        """Names of the per-atom arrays that the result depends on."""
        names = [step._extra_arrays for step in _simple_descriptors(self.pipeline) or ()]
        return tuple(dict.fromkeys(name for part in names for name in part))

    def evaluate(self, atoms) -> Evaluation:
        """Energy, forces and virial; also those of each atom where they come at no cost.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure.

        Returns
        -------
        Evaluation
            Of this structure.
        """
        descriptors = _simple_descriptors(self.pipeline)
        if descriptors is None:
            return self._by_pipeline(atoms)
        with threads(self.gap.n_jobs):
            return self._by_descriptors(descriptors, atoms)

    def energy_std(self, atoms) -> float:
        """Standard deviation of the energy, in eV."""
        return float(self.gap.predict(self._features(atoms), return_std=True)[1][0])

    def forces_std(self, atoms) -> np.ndarray:
        """Standard deviations of the forces, (n_atoms, 3), in eV/angstrom."""
        return self.gap.predict_forces_std(self._features(atoms))[0]

    def energies_std(self, atoms) -> np.ndarray:
        """Standard deviations of the atoms' energies, (n_atoms,), in eV; 0 of no centers."""
        features = self._features(atoms)
        result = np.zeros(len(atoms))
        environments = check_environments(features, self.gap, reset=False)
        with threads(self.gap.n_jobs):
            result[features.centers] = self.model.std(environments.as_single_environments())
        return result

    def energies_of_atoms(self, atoms) -> np.ndarray:
        """Energies of the atoms, (n_atoms,), in eV."""
        baseline = self.gap._baseline
        if baseline is not None:
            _refuse_without(baseline, "energies")
        return self.gap._energies_of_atoms(self._features(atoms))

    def virials_of_atoms(self, atoms) -> np.ndarray:
        """Derivatives of the atoms' energies by the strain, times -1, (n_atoms, 3, 3), in eV."""
        descriptors = _simple_descriptors(self.pipeline)
        if descriptors is None:
            virials = self._virials_by_jacobian(atoms)
        else:
            *_, virials, _ = self._without_baseline(descriptors, atoms)
        baseline = self.gap._baseline
        if baseline is None:
            return virials
        return virials + _baseline_virials_of_atoms(baseline, check_structures([atoms]))

    def _features(self, atoms):
        return self.pipeline[:-1].transform([atoms])

    def _by_pipeline(self, atoms) -> Evaluation:
        """Evaluate descriptors of other types, by the methods of the pipeline."""
        energies, forces, virials = self.gap.predict(
            self._features(atoms), return_forces=True, return_virials=True
        )
        return Evaluation(float(energies[0]), forces[0], virials[0])

    def _virials_by_jacobian(self, atoms):
        features = self._features(atoms)
        environments = check_environments(features, self.gap, reset=False)
        by_strain = features.jacobian(strain=True).strain
        if by_strain is None:
            raise PropertyNotImplementedError(
                f"stresses of atoms are asked for, but the descriptor, a "
                f"{type(features.descriptor).__name__}, has no derivatives by the strain in its "
                "jacobian(strain=True); use SOAPTransformer or TensorReducedTransformer"
            )
        with threads(self.gap.n_jobs):
            _, slopes = self.model.energies(environments, gradient=True)
        strain = np.zeros((len(atoms), 3, 3))
        strain[features.centers] = np.einsum("iabf,if->iab", by_strain, slopes)
        return -0.5 * (strain + strain.swapaxes(1, 2))

    def _by_descriptors(self, descriptors, atoms) -> Evaluation:
        structures, energies, gradient, virials, clearance = self._without_baseline(
            descriptors, atoms
        )
        energy, forces, virial = float(energies.sum()), -gradient, virials.sum(axis=0)
        baseline = self.gap._baseline
        if baseline is None or clearance >= self._of_elements.reach:
            return Evaluation(energy, forces, virial, energies, virials)
        if hasattr(baseline, "evaluate_atoms"):
            base, base_gradient, strain = baseline.evaluate_atoms(structures)
            return Evaluation(
                energy + float(base.sum()), forces - base_gradient, virial - strain.sum(axis=0),
                energies + base, virials - strain,
            )
        has_volume = atoms.cell.rank == 3
        base, base_forces, base_virials = evaluate_baseline(
            baseline, structures, forces=True, virials=has_volume
        )
        if has_volume:
            virial = virial + base_virials[0]
        return Evaluation(energy + float(base[0]), forces + base_forces[0], virial)

    def _without_baseline(self, descriptors, atoms):
        """Structures, energies of atoms, derivatives by positions, virials of atoms, clearance.

        The clearance is a lower bound of the distance of all pairs of atoms.
        """
        local, energies, clearance = self._local(), None, 0.0
        for block, transformer in enumerate(descriptors):
            structures, descriptor, centers, offsets = transformer._locate([atoms])
            if energies is None:
                energies = self._energies_of_single_atoms(structures, atoms)
                gradient, strain = np.zeros((len(energies), 3)), np.zeros((len(energies), 3, 3))
            learned, species = np.zeros(len(centers)), structures.numbers[centers]
            dtype = getattr(transformer, "dtype", "float64")

            def slopes(rows, values, block=block, learned=learned, species=species, dtype=dtype):
                if dtype != "float64":  # features are rounded in predictions, too
                    values = values.astype(dtype)
                result = np.zeros(values.shape)
                local.add(block, values, species[rows], learned[rows], result)
                return result

            by_position, by_strain, shortest = descriptor.differentiate_energies(
                structures, centers, offsets, slopes
            )
            if len(centers) == len(energies) and not _ignores_elements(transformer):
                clearance = max(clearance, min(shortest, descriptor.cutoff))
            gradient += by_position
            energies[centers] += learned
            strain[centers] += by_strain
        virials = -0.5 * (strain + strain.swapaxes(1, 2))
        return structures, energies, gradient, virials, clearance

    def _local(self):
        """Energies of environments as functions of their features."""
        model = self.model
        if self.tolerance == 0:
            return model.local
        if self._approximation[0] is not model:
            self._approximation = model, model.local_within(self.tolerance)
        return self._approximation[1]

    def _energies_of_single_atoms(self, structures, atoms) -> np.ndarray:
        """Energies of single atoms, as a new array; unknown elements are an error."""
        known = self._of_elements
        if known.model is not self.model or not np.array_equal(known.numbers, structures.numbers):
            model, numbers = self.model, structures.numbers
            if not np.isin(numbers, model.elements).all():
                self.gap.predict(self._features(atoms))  # raises
            energies = model.e0[np.searchsorted(model.elements, numbers)]
            baseline = self.gap._baseline
            reach = baseline.reach(numbers) if hasattr(baseline, "evaluate_atoms") else np.inf
            known = self._of_elements = _OfElements(model, numbers, energies, reach)
        return known.energies.copy()


def _simple_descriptors(pipeline: Pipeline) -> list | None:
    """Transformers whose values and derivatives can be computed in one pass, or None."""
    steps = [step for _, step in pipeline.steps[:-1] if step not in (None, "passthrough")]
    if len(steps) != 1 or type(pipeline.steps[-1][1]) is not GAPRegressor:
        return None
    transformers = _joined(steps[0])
    simple = all(type(step) in _SIMPLE and step.pooling is None for step in transformers)
    return transformers if simple else None


def _ignores_elements(transformer) -> bool:
    """Whether a transformer leaves out atoms of elements that it does not know."""
    return getattr(transformer, "handle_unknown", "error") != "error"


def _joined(step) -> list:
    """Transformers whose features are put side by side."""
    if type(step) is CachedDescriptor:  # a simulation does not come back to a structure
        return _joined(step.transformer_)
    if type(step) is FeatureUnion and not step.transformer_weights:
        parts = [part for _, part in step.transformer_list if part not in (None, "drop")]
        return [transformer for part in parts for transformer in _joined(part)]
    return [step]


def _refuse_without(baseline, name: str) -> None:
    if name not in baseline.implemented_properties:
        raise PropertyNotImplementedError(
            f"{name} of atoms are asked for, but the baseline, a {type(baseline).__name__}, has "
            "none; take a baseline that has them, such as ZBLCalculator"
        )


def _baseline_virials_of_atoms(baseline, structures) -> np.ndarray:
    if hasattr(baseline, "evaluate_atoms"):
        return -baseline.evaluate_atoms(structures)[2]
    _refuse_without(baseline, "stresses")
    atoms = structures[0]
    stresses = np.array([
        voigt_6_to_full_3x3_stress(one) for one in baseline.get_property("stresses", atoms)
    ])
    return -atoms.get_volume() * stresses
