"""Structures that are held back: of every kind, and none whose neighbors in time are learned."""

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
# more atoms held back tell no more
_MOST_HELD_BACK = 6000


def make_split(data: LabeledStructures, rng: np.random.RandomState) -> list[tuple]:
    """Choose what is held back.

    Parameters
    ----------
    data : LabeledStructures
        At least :data:`FEWEST` structures.
    rng : RandomState
        Decides which blocks are held back.

    Returns
    -------
    list of (train, held_back)
        Index arrays. One pair, or :data:`N_FOLDS` of them for small sets. A pair need not have
        all structures: what is left over is neither learned nor looked at.
    """
    fold = _assign_folds(data, rng)
    numbers = [set(atoms.numbers.tolist()) for atoms in data.frames]
    cross_validate = len(data) < _FEW_STRUCTURES and data.n_atoms.sum() < _FEW_ATOMS
    pairs = []
    for k in range(N_FOLDS if cross_validate else 1):
        inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        seen = set().union(*(numbers[i] for i in inside))
        lone = np.array([not numbers[i] <= seen for i in outside], dtype=bool)
        pairs.append((np.sort(np.append(inside, outside[lone])), _thin(data, outside[~lone])))
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


def _thin(data: LabeledStructures, index: np.ndarray) -> np.ndarray:
    n_atoms = data.n_atoms[index].sum()
    return index[:: max(1, -(-int(n_atoms) // _MOST_HELD_BACK))]
