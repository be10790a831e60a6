"""The parameter `centers`: which atoms are described."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from ._parameters import check_species

RULE = (
    "centers must be None, a list of elements, the name of a per-atom array that marks the "
    "centers, or one list of atom indices per structure"
)


def check_centers(centers):
    """Check the parameter, as far as that is possible without structures.

    Parameters
    ----------
    centers : object
        The parameter.

    Raises
    ------
    ValueError
        If it is none of the accepted forms.
    """
    kind = kind_of(centers)
    if kind == "species":
        check_species(centers)
    elif kind == "indices":
        for indices in centers:
            _check_indices(indices)


def kind_of(centers):
    """Which of its forms the parameter has: "all", "species", "mask" or "indices"."""
    if centers is None or isinstance(centers, str):
        return "all" if centers is None else "mask"
    if isinstance(centers, (list, tuple, np.ndarray)) and len(centers):
        if all(isinstance(one, (str, Integral)) for one in centers):
            return "species"
        if all(isinstance(one, (list, tuple, np.ndarray, range)) for one in centers):
            return "indices"
    raise ValueError(f"{RULE}; got {centers!r}")


def _check_indices(indices):
    array = np.asarray(indices)
    if array.size == 0:
        return np.empty(0, dtype=np.intp)
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0:
        raise ValueError(f"{RULE}; got the indices {indices!r}, which are no list of integers "
                         "from 0")
    if len(np.unique(array)) < array.size:
        raise ValueError(f"centers={indices!r} of one structure names an atom twice")
    return np.sort(array).astype(np.intp)


def find_centers(centers, structures):
    """Atoms to describe.

    Parameters
    ----------
    centers : None, list of str or int, str, or sequence of sequence of int
        As checked by :func:`check_centers`.
    structures : Structures
        The structures; with the array that `centers` names.

    Returns
    -------
    centers : ndarray of shape (n_centers,)
        Indices among all atoms, ascending.
    offsets : ndarray of shape (n_structures + 1,)
        Structure `s` owns the centers ``offsets[s]`` to ``offsets[s + 1]``.

    Raises
    ------
    ValueError
        If a mask is none, or indices do not fit the structures.
    """
    kind = kind_of(centers)
    if kind == "all":
        return np.arange(len(structures.positions)), structures.offsets
    if kind == "species":
        found = np.flatnonzero(np.isin(structures.numbers, check_species(centers)))
    elif kind == "mask":
        found = np.flatnonzero(_check_mask(structures.arrays[centers], centers))
    else:
        found = _from_indices(centers, structures)
    return found, np.searchsorted(found, structures.offsets).astype(np.intp)


def _check_mask(mask, name):
    mask = np.asarray(mask)
    if mask.ndim != 1 or mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
        raise ValueError(f"the per-atom array {name!r} that centers names must hold True and "
                         f"False, or 1 and 0, one per atom; got {mask.dtype} of shape "
                         f"{mask.shape}: {mask[:8].tolist()}")
    return mask


def _from_indices(centers, structures):
    if len(centers) != len(structures):
        raise ValueError(
            f"centers has lists of indices for {len(centers)} structures, but there are "
            f"{len(structures)}; where structures are split, as in cross-validation, mark centers "
            "in a per-atom array (atoms.set_array) and pass its name"
        )
    parts = []
    for index, (indices, start, n) in enumerate(
        zip(centers, structures.offsets[:-1], structures.n_atoms, strict=True)
    ):
        array = _check_indices(indices)
        if array.size and array[-1] >= n:
            raise ValueError(f"centers[{index}] names atom {array[-1]}, but structure {index} has "
                             f"{n} atoms, numbered from 0")
        parts.append(start + array)
    return np.concatenate(parts)
