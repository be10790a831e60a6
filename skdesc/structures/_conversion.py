"""Convert objects of other libraries to Atoms, or refuse them and name a converter."""

from __future__ import annotations

from typing import Any

from ase import Atoms

_METHODS = ("to_ase_atoms", "toatoms")
# by the library of the class
_CONVERTERS = {
    "pymatgen": "pymatgen.io.ase.AseAtomsAdaptor.get_atoms(structure)",
    "dpdata": "the list that system.to('ase/structure') returns",
    "jarvis": "structure.ase_converter()",
    "rdkit": "ase.Atoms([atom.GetSymbol() for atom in mol.GetAtoms()], "
    "mol.GetConformer().GetPositions())",
    "openbabel": "ase.io.read of a file that it writes",
    "parmed": "ase.io.read of a file that it writes",
    "MDAnalysis": "ase.Atoms(group.elements, group.positions)",
    "phonopy": "ase.Atoms(cell.symbols, scaled_positions=cell.scaled_positions, cell=cell.cell, "
    "pbc=True)",
    "aiida": "structure.get_ase()",
    "torch_geometric": "ase.Atoms(data.z, data.pos)",
    "spglib": "ase.Atoms(numbers, cell=lattice, scaled_positions=positions, pbc=True)",
    "gemmi": "ase.io.read of the file",
}


def is_convertible(item: Any) -> bool:
    """Whether an object can convert itself to Atoms.

    Parameters
    ----------
    item : object
        The object, not a class.

    Returns
    -------
    bool
        True if it has a method for the conversion.
    """
    if isinstance(item, type):
        return False
    return any(callable(getattr(item, method, None)) for method in _METHODS)


def convert(item: Any, name: str) -> Atoms:
    """Convert an object of another library to Atoms.

    Parameters
    ----------
    item : object
        A structure.
    name : str
        Its name in error messages.

    Returns
    -------
    ase.Atoms
        The structure.

    Raises
    ------
    TypeError
        If the object has no method for the conversion; the message names a known converter.
    ValueError
        If its method fails.
    """
    kind = type(item)
    if is_convertible(item):
        method = next(m for m in _METHODS if callable(getattr(item, m, None)))
        try:
            atoms = getattr(item, method)()
        except Exception as error:  # methods of other libraries may raise anything
            raise ValueError(
                f"{name} is of type {kind.__name__}, but its {method}() fails "
                f"({type(error).__name__}: {error}); pass an ase.Atoms"
            ) from error
        if isinstance(atoms, Atoms):
            return atoms
        raise TypeError(f"{name} is of type {kind.__name__}, whose {method}() returns a "
                        f"{type(atoms).__name__}, but must return an ase.Atoms; pass one")
    converter = _CONVERTERS.get(kind.__module__.partition(".")[0])
    remedy = f"; pass {converter}" if converter else "; convert it"
    raise TypeError(f"{name} is of type {kind.__name__}, but every element must be an ase.Atoms, "
                    f"or have a method to_ase_atoms(){remedy}")
