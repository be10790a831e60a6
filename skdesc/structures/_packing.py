"""Pack lists of Atoms into one container before they are sent to another process."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from ..utils.packing import pack_like
from ._validation import as_column, check_structures


@pack_like.register(Atoms)
def pack_structures(sample, X):
    """Convert Atoms to `Structures`, which reach workers a hundred times faster.

    Parameters
    ----------
    sample : ase.Atoms
        The first structure.
    X : sequence of ase.Atoms
        All structures.

    Returns
    -------
    Structures
        Per-atom arrays that all structures have are kept.
    """
    structures = check_structures(X)
    frames = as_column(X)[:, 0]
    for name in set.intersection(*(set(atoms.arrays) for atoms in frames)):
        blocks = [atoms.arrays[name] for atoms in frames]
        if name not in ("numbers", "positions") and len({block.shape[1:] for block in blocks}) == 1:
            structures.arrays[name] = np.concatenate(blocks)
            # already packed
            structures.extras = [
                ({key: array for key, array in arrays.items() if key != name}, info)
                for arrays, info in structures.extras
            ]
    return structures
