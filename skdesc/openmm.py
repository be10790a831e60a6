"""OpenMM simulations with a fitted pipeline as a force of the system.

::

    system.addForce(make_force(pipeline, topology))

makes a fitted pipeline all of the potential of a system, or, with ``force.setParticles``, that of
some of its particles beside other forces.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from scipy.constants import Avogadro, elementary_charge
from sklearn.pipeline import Pipeline

from ._potential import Potential

__all__ = ["make_force"]

_KJ_PER_MOL = elementary_charge * Avogadro / 1000.0  # per eV
_ANGSTROM = 0.1  # in nm


def make_force(
    pipeline: Pipeline,
    elements: Sequence[str | int] | Any,
    *,
    periodic: bool = True,
    tolerance: float = 0.0,
) -> Any:
    """Make an ``openmm.PythonForce`` from a fitted pipeline.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted; a descriptor with ``pooling=None``, then a `GAPRegressor`.
    elements : sequence of str or int, or openmm.app.Topology
        Element of each particle that the force acts on.
    periodic : bool, default=True
        Whether the box of the simulation is repeated in all directions; otherwise, atoms are
        those of a molecule.
    tolerance : float, default=0.0
        Error of an atom's energy, in eV, that may be traded for speed; see
        :class:`~skdesc.calculator.SkdescCalculator`.

    Returns
    -------
    openmm.PythonForce
        The force. It can be serialized together with its system, as far as the pipeline can be
        pickled.

    Raises
    ------
    ModuleNotFoundError
        If OpenMM is not installed, or older than forces in Python are.
    ValueError
        If an element is none, or unknown to the potential.

    Examples
    --------
    With a fitted `pipeline` and an OpenMM `system` of copper atoms without other forces::

        system.addForce(make_force(pipeline, ["Cu"] * system.getNumParticles()))
    """
    potential = Potential(pipeline, tolerance)
    numbers = _check_elements(elements, potential)
    if potential.extra_arrays:
        raise ValueError(
            f"pipeline describes centers that the array {potential.extra_arrays[0]!r} marks, but "
            "OpenMM has no such array; use centers=None or a list of elements"
        )
    try:
        from openmm import PythonForce
    except ImportError as error:
        raise ModuleNotFoundError("forces in Python need OpenMM with openmm.PythonForce; "
                                  "pip install -U openmm") from error
    force = PythonForce(_Computation(potential, numbers, bool(periodic)))
    force.setUsesPeriodicBoundaryConditions(bool(periodic))
    return force


class _Computation:
    """Energy and forces of a state, in the units of OpenMM."""

    def __init__(self, potential, numbers, periodic):
        self._potential, self.numbers, self.periodic = potential, numbers, periodic
        self._atoms = Atoms(numbers, np.zeros((len(numbers), 3)), pbc=periodic)

    def __reduce__(self):
        return type(self), (self._potential, self.numbers, self.periodic)

    def __call__(self, state):
        positions = _in_nanometers(state.getPositions(asNumpy=True))
        if len(positions) != len(self.numbers):
            raise ValueError(
                f"elements has {len(self.numbers)} entries, but the force acts on "
                f"{len(positions)} particles; give one element for each of them"
            )
        self._atoms.positions[:] = positions / _ANGSTROM
        if self.periodic:
            vectors = state.getPeriodicBoxVectors(asNumpy=True)
            self._atoms.cell[:] = _in_nanometers(vectors) / _ANGSTROM
        result = self._potential.evaluate(self._atoms)
        return _KJ_PER_MOL * result.energy, _KJ_PER_MOL / _ANGSTROM * result.forces


def _in_nanometers(quantity):
    return np.asarray(quantity._value, dtype=np.float64)  # what OpenMM computes in


def _check_elements(elements, potential):
    """Atomic numbers of the particles."""
    if callable(getattr(elements, "atoms", None)):
        elements = _elements_of_topology(elements)
    if isinstance(elements, str) or not hasattr(elements, "__len__"):
        raise TypeError(f"elements is {elements!r}, but must be a list of the element of each "
                        "particle, or a topology; for n copper atoms: ['Cu'] * n")
    numbers = [
        atomic_numbers.get(element, 0) if isinstance(element, str) else element
        for element in elements
    ]
    known = {int(number) for number in potential.model.elements}
    for number, element in zip(numbers, elements, strict=True):
        if not isinstance(number, Integral) or isinstance(number, bool) or number not in known:
            raise ValueError(
                f"elements has {element!r}, but must have elements of the potential only: "
                f"{', '.join(chemical_symbols[number] for number in sorted(known))}"
            )
    return np.array(numbers, dtype=int)


def _elements_of_topology(topology):
    """Atomic numbers of the particles of a topology of OpenMM."""
    atoms = list(topology.atoms())
    without = [str(atom) for atom in atoms if atom.element is None]
    if without:
        raise ValueError(f"elements is a topology in which {without[0]} has no element, but "
                         "every particle must have one; name the elements in a list")
    return [atom.element.atomic_number for atom in atoms]
