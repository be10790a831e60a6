"""Checks of targets per structure and per atom; missing values become NaN or None."""

from __future__ import annotations

import numpy as np

LARGEST = 1e30
"""Larger numbers are considered invalid; their squares would overflow."""


def check_one_per_structure(name, values, n_structures):
    """Refuse anything but a sequence with one entry per structure.

    Parameters
    ----------
    name : str
        Name of the argument.
    values : object
        What was passed.
    n_structures : int
        Number of structures.
    """
    if isinstance(values, dict) or not hasattr(values, "__len__"):
        raise ValueError(f"{name} is of type {type(values).__name__}, but must be a sequence with "
                         "one entry per structure")
    if len(values) != n_structures:
        raise ValueError(f"{name} has {len(values)} entries, but there are {n_structures} "
                         "structures; give one per structure, and None for a structure without one")


def check_block(name, values, index, shape, remedy="are they in the order of the structures?"):
    """Convert the values of one structure to an array; None if all are missing.

    Parameters
    ----------
    name : str
        Name of the argument.
    values : object
        Value that was passed for this structure.
    index : int
        The structure.
    shape : tuple of int
        Shape that the array must have.
    remedy : str
        Remedy for an array of another shape.

    Returns
    -------
    ndarray or None
        In float64; NaN where a number is missing.
    """
    # only NaN does not equal itself; np.isnan accepts numbers only
    if values is None or (np.ndim(values) == 0 and values != values):
        return None
    if np.iscomplexobj(values):
        raise ValueError(f"{name}[{index}] is complex, but must be real")
    try:
        values = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}[{index}] is not an array of numbers ({error}); give the shape "
                         f"{shape}, or None for what is missing") from error
    if values.shape != shape:
        raise ValueError(f"{name}[{index}] has the shape {values.shape}, but must have {shape}; "
                         f"{remedy}")
    if (np.abs(values) > LARGEST).any():
        raise ValueError(f"{name}[{index}] has infinite or absurd entries; use NaN or None for "
                         "what is missing")
    return values


def check_forces(forces, n_atoms):
    """Check forces against structures.

    Parameters
    ----------
    forces : sequence
        One array (n_atoms, 3) per structure; None or NaN where there are none.
    n_atoms : ndarray of shape (n_structures,)
        Number of atoms of each structure.

    Returns
    -------
    list of (ndarray of shape (n_atoms, 3) or None)
        The forces.
    """
    check_one_per_structure("forces", forces, len(n_atoms))
    return [
        check_block("forces", block, index, (int(n), 3))
        for index, (block, n) in enumerate(zip(forces, n_atoms, strict=True))
    ]


def flatten_forces(forces, n_atoms):
    """Join the forces of all structures in one array.

    Parameters
    ----------
    forces : list of (ndarray of shape (n_atoms, 3) or None)
        As :func:`check_forces` gives them.
    n_atoms : ndarray of shape (n_structures,)
        Number of atoms of each structure.

    Returns
    -------
    ndarray of shape (n_atoms_of_all, 3)
        NaN where they are missing.
    """
    return np.concatenate([
        np.full((n, 3), np.nan) if block is None else block
        for n, block in zip(n_atoms, forces, strict=True)
    ])
