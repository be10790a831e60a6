"""ASE calculator of a fitted pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.outputs import Properties, all_outputs
from sklearn.pipeline import Pipeline

from ._potential import Potential
from .repulsion import ZBLCalculator
from .utils.atomic import atomic

__all__ = ["SkdescCalculator", "ZBLCalculator"]

# xx, yy, zz, yz, xz, xy in rows of a matrix
_VOIGT = [0, 4, 8, 5, 2, 1]


class SkdescCalculator(Calculator):
    """Energies, forces, stress and uncertainty of structures by a fitted pipeline.

    Energy, forces, stress, and the energies and stresses of atoms come from one evaluation;
    standard deviations of the energy (``energy_std``), of the energies of atoms
    (``energies_std``) and of the forces (``forces_std``) are computed when asked for.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted; a descriptor with ``pooling=None``, then a `GAPRegressor`.
    tolerance : float, default=0.0
        Error of an atom's energy, in eV, that may be traded for speed. With 0, results are those
        of the pipeline to all digits; 1e-4 is faster where sparse points have many features.
    **kwargs : dict
        Passed on to :class:`ase.calculators.calculator.Calculator`.

    Notes
    -----
    A `tolerance` leads to sparse points with fewer features, projections on their leading
    singular vectors, and to products in single precision where that suffices. Energies of the
    sparse points keep within it, and those of other atoms do as far as they resemble the training
    data. Forces are derivatives of the approximate energies, so that simulations conserve energy.
    Standard deviations, and pipelines with descriptors of other packages, are not approximated.

    The stress of an atom (``stresses``) is the derivative of its energy (``energies``) by the
    strain, divided by the volume of the whole structure, so that those of all atoms add up to
    the stress. It has the energies of the neighbors as bonds see them from this atom, and differs
    from other ways to share out the stress of many-body potentials.

    Examples
    --------
    With a fitted `pipeline`::

        atoms.calc = SkdescCalculator(pipeline)
        atoms.get_potential_energy()  # eV
        atoms.get_stress()            # eV/angstrom^3, Voigt order
        atoms.calc.get_property("energy_std", atoms)
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress", "stresses",
                              "energy_std", "energies_std", "forces_std"]

    def __init__(
        self, pipeline: Pipeline, *, tolerance: float = 0.0, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self._tolerance = tolerance
        self.pipeline = pipeline

    @property
    def pipeline(self) -> Pipeline:
        """The fitted pipeline."""
        return self._potential.pipeline

    @pipeline.setter
    def pipeline(self, pipeline: Pipeline) -> None:
        self._potential = Potential(pipeline, self._tolerance)
        self._evaluated = None
        self.reset()

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """Find what has changed since the last call.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure.
        tol : float, default=0.0
            Largest difference that is no change; as for ASE's calculators.

        Returns
        -------
        list of str
            Names of what has changed; everything if the regressor was fitted again.
        """
        before = self.atoms
        if before is None or self._evaluated is not self._potential.model:
            return list(all_changes)
        names = ("positions", "numbers", *self._potential.extra_arrays)
        pairs = [(name, before.arrays.get(name), atoms.arrays.get(name)) for name in names]
        pairs += [("cell", before.cell.array, atoms.cell.array), ("pbc", before.pbc, atoms.pbc)]
        return [name for name, old, new in pairs if _differ(old, new, tol)]

    @atomic
    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
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
        # not all who call this have forgotten the last structure's results
        known = {} if system_changes else dict(self.results)
        atoms = self.atoms if atoms is None else atoms.copy()
        volume = _volume(atoms)
        if volume is None and not {"stress", "stresses"}.isdisjoint(properties):
            raise PropertyNotImplementedError(
                "the stress needs a three-dimensional cell; set atoms.cell"
            )
        potential = self._potential
        if "energy" not in known:
            known |= self._evaluate(atoms, volume)
        separate = {
            "energy_std": potential.energy_std,
            "energies_std": potential.energies_std,
            "forces_std": potential.forces_std,
            "energies": potential.energies_of_atoms,
            "stresses": lambda atoms: _stress(potential.virials_of_atoms(atoms), volume),
        }
        for name in properties:
            if name in separate and name not in known:
                known[name] = separate[name](atoms)
        self.atoms, self.results, self._evaluated = atoms, known, potential.model

    def _evaluate(self, atoms, volume):
        evaluation = self._potential.evaluate(atoms)
        energy = evaluation.energy
        results = {"energy": energy, "free_energy": energy, "forces": evaluation.forces}
        if evaluation.energies is not None:
            results["energies"] = evaluation.energies
        if volume is not None:
            results["stress"] = _stress(evaluation.virial, volume)
            if evaluation.virials is not None:
                results["stresses"] = _stress(evaluation.virials, volume)
        return results

    def export_properties(self) -> Properties:
        """Results that ASE has names for.

        Returns
        -------
        ase.outputs.Properties
            All but the standard deviations.
        """
        known = {name: value for name, value in self.results.items() if name in all_outputs}
        return Properties(known)


def _differ(old, new, tol):
    """Whether two arrays, or their absence, are no longer the same."""
    if old is None or new is None:
        return old is not new
    if old.shape != new.shape:
        return True
    # for few atoms, to compare bytes takes a tenth of what it takes to compare numbers
    return old.tobytes() != new.tobytes() and not (abs(new * 1.0 - old) <= tol).all()


def _volume(atoms):
    """Volume of a structure's cell, or None if it is not three-dimensional."""
    a, b, c = atoms.cell.array.tolist()
    if not (any(a) and any(b) and any(c)):
        return None
    return abs(
        a[0] * (b[1] * c[2] - b[2] * c[1])
        - a[1] * (b[0] * c[2] - b[2] * c[0])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )


def _stress(virials, volume):
    """Stress in Voigt order of symmetric virials, (..., 3, 3)."""
    return virials.reshape(*virials.shape[:-2], 9)[..., _VOIGT] / -volume
