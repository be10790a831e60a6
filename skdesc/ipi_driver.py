"""i-PI simulations, path integrals above all, with a fitted pipeline as their potential.

i-PI loads this file as its driver, in one process and without a socket::

    <ffdirect name="skdesc">
      <pes> custom </pes>
      <pes_path> PATH </pes_path>
      <parameters> { template: start.extxyz, model: potential.skd } </parameters>
    </ffdirect>

where PATH is what ``python -m skdesc.ipi_driver`` prints, `template` is a structure that ASE reads,
with the atoms in the order of i-PI's, and `model` a file that :func:`skdesc.io.save` has written.
"""

from __future__ import annotations

import numpy as np
from ase import units
from ase.io import read

from skdesc._potential import Potential
from skdesc.io import load

if __name__ == "__main__":
    print(__file__)
    raise SystemExit

from ipi.pes.dummy import Dummy_driver

# what i-PI looks for in a driver
__DRIVER_NAME__ = "skdesc"
__DRIVER_CLASS__ = "SkdescDriver"

__all__ = ["SkdescDriver"]


class SkdescDriver(Dummy_driver):
    """Potential of i-PI: energies, forces and virials of one structure at a time.

    Parameters
    ----------
    template : str
        File with a structure that ASE reads: elements, and periodic directions.
    model : str
        File that :func:`skdesc.io.save` has written.
    tolerance : float, default=0.0
        Error of an atom's energy, in eV, that may be traded for speed; see
        :class:`~skdesc.calculator.SkdescCalculator`.
    **kwargs : object
        Passed on to the base class of i-PI's drivers.
    """

    def __init__(
        self, template: str, model: str, tolerance: float = 0.0, **kwargs: object
    ) -> None:
        self.template, self.model, self.tolerance = template, model, tolerance
        super().__init__(**kwargs)

    def check_parameters(self) -> None:
        """Read the structure and the model."""
        self._atoms = read(self.template)
        self._potential = Potential(load(self.model), self.tolerance)

    def compute_structure(
        self, cell: np.ndarray, pos: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, str]:
        """Compute energy, forces and virial.

        Parameters
        ----------
        cell : ndarray of shape (3, 3)
            Cell vectors as columns, in Bohr.
        pos : ndarray of shape (n_atoms, 3)
            Positions, in Bohr.

        Returns
        -------
        energy : float
            In Hartree.
        forces : ndarray of shape (n_atoms, 3)
            In Hartree/Bohr.
        virial : ndarray of shape (3, 3)
            In Hartree.
        extras : str
            Empty.
        """
        atoms = self._atoms
        positions = np.reshape(pos, (-1, 3))
        if len(positions) != len(atoms):
            raise ValueError(f"template has {len(atoms)} atoms, but i-PI has {len(positions)}; "
                             "give the structure that the simulation begins with")
        atoms.positions[:] = positions * units.Bohr
        atoms.cell[:] = np.transpose(cell) * units.Bohr
        result = self._potential.evaluate(atoms)
        forces = result.forces * (units.Bohr / units.Hartree)
        return result.energy / units.Hartree, forces, result.virial / units.Hartree, ""
