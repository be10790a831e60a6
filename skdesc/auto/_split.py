"""Structures that are held back, and parts of the others.

Those held back are of every kind, and none of their neighbors in time is learned.
"""

from __future__ import annotations

import numpy as np

from ._data import LabeledStructures

N_FOLDS = 5
"""A fifth of the structures is held back; of few structures, each fifth in turn."""

FEWEST = 5
"""Fewer structures are too few to hold any back."""

# sets that are smaller than both are cross-validated: one part held back would say little
_FEW_STRUCTURES, _FEW_ATOMS = 60, 4000
# blocks of consecutive structures of a kind, so that those held back are not the next steps of a
# trajectory that is learned: so many per kind, unless they would have more structures than this
_BLOCKS_PER_KIND, _LONGEST_BLOCK = 25, 10
# more atoms held back tell no more; budgets shorter than a minute have no time to predict as many
_MOST_HELD_BACK, _FEWEST_HELD_BACK = 6000, 400

# Atoms that candidates are compared on, level by level; the last level has all of them. Structures
# without forces are one equation each, so that more of them are needed and affordable.
_LEVEL_ATOMS = (1500, 6000)
_ENERGY_ONLY = 4
# a part that is hardly smaller than the next is left out
_LEAST_STEP = 1.5
# shorter budgets, in seconds, have a smaller first level
_SHORT, _FEWEST_ATOMS = 60.0, 250


def make_split(
    data: LabeledStructures, rng: np.random.RandomState, budget: float = np.inf
) -> list[tuple]:
    """Choose what is held back.

    Parameters
    ----------
    data : LabeledStructures
        At least :data:`FEWEST` structures.
    rng : RandomState
        Decides which blocks are held back.
    budget : float, default=inf
        Seconds for the whole search.

    Returns
    -------
    list of (train, held_back)
        Index arrays. One pair, or :data:`N_FOLDS` of them for small sets. A pair need not have
        all structures: what is left over is neither learned nor looked at.
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
    """Fold of each structure; -1 for what is always learned."""
    fold = np.full(len(data), -1)
    start = 0
    for members in _kinds(data):
        length = int(np.clip(len(members) // _BLOCKS_PER_KIND, 1, _LONGEST_BLOCK))
        n_blocks = -(-len(members) // length)
        # every fold in each run of as many blocks, in random order
        order = np.concatenate(
            [rng.permutation(N_FOLDS) for _ in range(-(-(n_blocks + start) // N_FOLDS))]
        )[start : start + n_blocks]
        fold[members] = np.repeat(order, length)[: len(members)]
        start = (start + n_blocks) % N_FOLDS
    return fold


def _kinds(data: LabeledStructures):
    """Index arrays of structures of one kind; isolated atoms, which define e0, are in none."""
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
    """Splits with growing shares of the training parts; the last is the split itself.

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
        What is held back is the same in all.
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
    """Split with every so-manieth training structure, and all elements."""
    return [(_with_all_elements(data, train, step), held) for train, held in split]


def _with_all_elements(data: LabeledStructures, index: np.ndarray, step: float) -> np.ndarray:
    """Every so-manieth structure, and the first of each element that these lack."""
    chosen = set(index[np.arange(0, len(index), step).astype(np.intp)].tolist())
    seen = set().union(*(data.frames[i].numbers.tolist() for i in chosen))
    for i in index:
        new = set(data.frames[i].numbers.tolist()) - seen
        if new:
            chosen.add(int(i))
            seen |= new
    return np.array(sorted(chosen), dtype=np.intp)
