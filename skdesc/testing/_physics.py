"""What features of atoms must not depend on."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation

from ._tools import blocks, is_pooled, permuted, require, require_same, scale_of

_RELATIVE = 1e-7


def _compare(transformer, structures, others, what):
    output = transformer.fit(structures).transform(structures)
    require_same(transformer.transform(others), output, f"features change under {what}",
                 rtol=0.0, atol=_RELATIVE * scale_of(output))


def _at(atoms, positions, cell=None):
    cell = atoms.cell.array if cell is None else cell
    return Atoms(numbers=atoms.numbers, positions=positions, cell=cell, pbc=atoms.pbc)


def check_translation(transformer, structures):
    """Moving a whole structure changes nothing."""
    shift = np.array([1.3, -2.1, 0.7])
    moved = [_at(atoms, atoms.positions + shift) for atoms in structures]
    _compare(transformer, structures, moved, "translation")


def check_rotation(transformer, structures):
    """Turning a structure, and its cell with it, changes nothing."""
    R = Rotation.from_rotvec([0.4, -1.1, 0.6]).as_matrix()
    turned = [_at(atoms, atoms.positions @ R, atoms.cell.array @ R) for atoms in structures]
    _compare(transformer, structures, turned, "rotation")


def check_inversion(transformer, structures):
    """The mirror image has the same energy."""
    mirrored = [_at(atoms, -atoms.positions, -atoms.cell.array) for atoms in structures]
    _compare(transformer, structures, mirrored, "inversion")


def check_permutation(transformer, structures):
    """The order of atoms is that of rows, and has no other meaning."""
    rng = np.random.default_rng(0)
    output = transformer.fit(structures).transform(structures)
    for index, atoms in enumerate(structures):
        order = rng.permutation(len(atoms))
        got = blocks(transformer.transform([permuted(atoms, order)]))[0]
        expected = blocks(output)[index]
        if not is_pooled(output) and len(expected) == len(atoms):
            expected = expected[order]
        require(got.shape == expected.shape and np.abs(got - expected).max(initial=0.0)
                <= _RELATIVE * scale_of(output), "features change with the order of atoms")


def check_periodic_images(transformer, structures):
    """Atoms may lie in any cell, and cells be described by any vectors."""
    rng = np.random.default_rng(0)
    moved = []
    for atoms in structures:
        shifts = rng.integers(-2, 3, (len(atoms), 3)) * atoms.pbc
        moved.append(_at(atoms, atoms.positions + shifts @ atoms.cell.array))
    _compare(transformer, structures, moved, "shifts by lattice vectors")
    sheared = []
    for atoms in structures:
        cell = atoms.cell.array.copy()
        if atoms.pbc.all():
            cell[1] += cell[0]
            cell[2] -= 2 * cell[1]
        sheared.append(_at(atoms, atoms.positions, cell))
    _compare(transformer, structures, sheared, "other vectors of the same lattice")


def check_smoothness(transformer, structures):
    """A small displacement changes features by little: no step when a neighbor comes or goes."""
    output = transformer.fit(structures).transform(structures)
    for index, atoms in enumerate(structures):
        shift = 1e-9 * np.sin(np.arange(3 * len(atoms))).reshape(-1, 3)
        nearby = _at(atoms, atoms.positions + shift)
        change = np.abs(blocks(transformer.transform([nearby]))[0] - blocks(output)[index])
        require(change.max(initial=0.0) < 1e-5 * scale_of(output),
                f"features of structure {index} jump by {change.max():.1e}")
