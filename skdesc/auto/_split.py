"""Choice of held-back structures, and of growing parts of the others.

Structures of every kind are held back. Their neighbors in time are not among the training data,
nor are other geometries of the same molecule if there are many molecules.
"""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii

from ._data import LabeledStructures

N_FOLDS = 5
"""One of this many structures is held back; in small sets, each fold in turn."""

FEWEST = 5
"""Smallest number of structures of which some can be held back."""

# sets with fewer structures and fewer equations are cross-validated: one fold would tell little
_FEW_STRUCTURES, _FEW_ATOMS = 60, 4000
# blocks of consecutive structures of a kind are held back, so that they are not the next steps of
# a training trajectory: number of blocks per kind, and largest number of structures in a block
_BLOCKS_PER_KIND, _LONGEST_BLOCK = 25, 10
# with so many molecules, in several geometries each, those of a molecule are held back together
_FEWEST_MOLECULES = 10
# atoms are bonded up to this multiple of the sum of their covalent radii
_BOND = 1.3
# largest number of held-back atoms; with budgets below a minute it is smaller
_MOST_HELD_BACK, _FEWEST_HELD_BACK = 6000, 400

# Training atoms at each level of comparison; the last level has all. A structure without forces is
# only one equation, so more of them are needed and affordable.
_LEVEL_ATOMS = (1500, 6000)
_ENERGY_ONLY = 4
# a level that is hardly smaller than the next is left out
_LEAST_STEP = 1.5
# with shorter budgets, in seconds, the first level is smaller
_SHORT, _FEWEST_ATOMS = 60.0, 250


def make_split(
    data: LabeledStructures, rng: np.random.RandomState, budget: float = np.inf
) -> list[tuple]:
    """Choose the held-back structures.

    Parameters
    ----------
    data : LabeledStructures
        At least :data:`FEWEST` structures.
    rng : RandomState
        Random numbers for the choice of blocks.
    budget : float, default=inf
        Seconds for the whole search.

    Returns
    -------
    list of (train, held_back)
        Index arrays: one pair, or :data:`N_FOLDS` pairs for small sets. Structures in neither
        part of a pair are not used for comparisons.
    """
    fold = _assign_folds(data, rng)
    most = max(_FEWEST_HELD_BACK, int(_MOST_HELD_BACK * min(1.0, budget / _SHORT)))
    numbers = [set(atoms.numbers.tolist()) for atoms in data.frames]
    cross_validate = len(data) < _FEW_STRUCTURES and data.n_atoms.sum() < _FEW_ATOMS
    pairs = []
    for k in range(N_FOLDS if cross_validate else 1):
        inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        seen = set().union(*(numbers[i] for i in inside))
        lone = np.array([not numbers[i] <= seen for i in outside], dtype=bool)
        pairs.append((np.sort(np.append(inside, outside[lone])), _thin(data, outside[~lone], most)))
    return [pair for pair in pairs if len(pair[0]) and len(pair[1])]


def _assign_folds(data: LabeledStructures, rng: np.random.RandomState) -> np.ndarray:
    """Return the fold of each structure; -1 for structures that are always learned."""
    fold = np.full(len(data), -1)
    start, molecules = 0, _molecules(data)
    for members in _kinds(data):
        if molecules is None:
            length = int(np.clip(len(members) // _BLOCKS_PER_KIND, 1, _LONGEST_BLOCK))
            block = np.arange(len(members)) // length
        else:
            block = np.unique(molecules[members], return_inverse=True)[1]
        n_blocks = int(block.max()) + 1
        # each run of N_FOLDS blocks has every fold once, in random order
        order = np.concatenate(
            [rng.permutation(N_FOLDS) for _ in range(-(-(n_blocks + start) // N_FOLDS))]
        )[start : start + n_blocks]
        fold[members] = order[block]
        start = (start + n_blocks) % N_FOLDS
    return fold


def _molecules(data: LabeledStructures) -> np.ndarray | None:
    """Number the molecules; None unless there are many, in several geometries each."""
    if any(atoms.pbc.any() for atoms in data.frames):
        return None
    known: dict[tuple, int] = {}
    numbers = np.array([known.setdefault(_molecule(atoms), len(known)) for atoms in data.frames])
    # bonds that break in a simulation of one molecule make rare other molecules of it
    is_trajectory = np.bincount(numbers).max() > len(data) / _FEWEST_MOLECULES
    return None if is_trajectory or len(known) > len(data) / 2 else numbers


def _molecule(atoms) -> tuple:
    """Return what all geometries of a molecule have in common: elements and bonds."""
    radii = covalent_radii[atoms.numbers]
    is_bonded = atoms.get_all_distances() < _BOND * (radii + radii[:, np.newaxis])
    return atoms.numbers.tobytes(), np.argwhere(np.triu(is_bonded, 1)).tobytes()


def _kinds(data: LabeledStructures):
    """Group structures by kind; isolated atoms, which define e0, are in no group."""
    names = data.config_types or [None] * len(data)
    kinds: dict[object, list[int]] = {}
    for index, (atoms, name) in enumerate(zip(data.frames, names, strict=True)):
        if len(atoms) == 1 and not atoms.pbc.any():
            continue
        composition = frozenset(atoms.numbers.tolist()), bool(atoms.pbc.any())
        kinds.setdefault(name if name is not None else composition, []).append(index)
    few = sorted(i for members in kinds.values() if len(members) < N_FOLDS for i in members)
    yield from (np.array(members) for members in kinds.values() if len(members) >= N_FOLDS)
    if few:
        yield np.array(few)


def _thin(data: LabeledStructures, index: np.ndarray, most: int) -> np.ndarray:
    n_atoms = data.n_atoms[index].sum()
    return index[:: max(1, -(-int(n_atoms) // most))]


def growing_parts(data: LabeledStructures, split, budget: float) -> list[list[tuple]]:
    """Make splits with growing shares of the training parts; the last is the split itself.

    Parameters
    ----------
    data : LabeledStructures
        The structures.
    split : list of (train, held_back)
        Index arrays.
    budget : float
        Seconds for the whole search.

    Returns
    -------
    list of list of (train, held_back)
        Splits with the same held-back structures.
    """
    n_atoms = sum(data.n_atoms[train].sum() for train, _ in split)
    first, *others = _LEVEL_ATOMS
    parts: list[list[tuple]] = []
    for wanted in (max(first * min(1.0, budget / _SHORT), _FEWEST_ATOMS * len(split)), *others):
        if "forces" not in data.quantities:
            wanted *= _ENERGY_ONLY
        step = n_atoms / wanted
        if step > _LEAST_STEP:
            parts.append(thinned(data, split, step))
    return [*parts, split]


def thinned(data: LabeledStructures, split, step: float) -> list[tuple]:
    """Make a split with every n-th training structure, and all elements."""
    return [(_with_all_elements(data, train, step), held) for train, held in split]


def _with_all_elements(data: LabeledStructures, index: np.ndarray, step: float) -> np.ndarray:
    """Take every n-th structure, and the first one with each element that is missing."""
    chosen = set(index[np.arange(0, len(index), step).astype(np.intp)].tolist())
    seen = set().union(*(data.frames[i].numbers.tolist() for i in chosen))
    for i in index:
        new = set(data.frames[i].numbers.tolist()) - seen
        if new:
            chosen.add(int(i))
            seen |= new
    return np.array(sorted(chosen), dtype=np.intp)
