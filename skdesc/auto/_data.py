"""Structures with their targets, and subsets of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms

from ..structures import as_column, check_structures, extract_targets
from ..structures._target_checks import check_block, check_forces, check_one_per_structure
from ..utils.folds import take


@dataclass
class LabeledStructures:
    """Structures with energies and, optionally, forces and virials.

    Attributes
    ----------
    frames : list of ase.Atoms
        The structures.
    y : ndarray of shape (n_structures,)
        Energies in eV; NaN where unknown.
    forces : list of (ndarray of shape (n_atoms, 3) or None), or None
        Forces in eV/angstrom.
    virials : ndarray of shape (n_structures, 3, 3) or None
        Virials in eV; NaN where unknown.
    sigmas : array-like, dict or None
        Noise of single structures or of kinds, as in :meth:`skdesc.GAPRegressor.fit`.
    config_types : list of str or None
        Kind of each structure.
    """

    frames: list[Atoms]
    y: np.ndarray
    forces: list | None = None
    virials: np.ndarray | None = None
    sigmas: object = None
    config_types: list[str] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @cached_property
    def n_atoms(self) -> np.ndarray:
        """Number of atoms of each structure."""
        return np.array([len(atoms) for atoms in self.frames], dtype=np.intp)

    @cached_property
    def n_rows(self) -> np.ndarray:
        """Number of equations of each structure: energy, force components, virial."""
        rows = np.isfinite(self.y).astype(np.intp)
        if self.forces is not None:
            rows += [0 if block is None else 3 * len(block) for block in self.forces]
        if self.virials is not None:
            rows += 6 * np.isfinite(self.virials).all(axis=(1, 2))
        return rows

    @cached_property
    def n_atoms_of_elements(self) -> np.ndarray:
        """Number of atoms of each structure and element, of shape (n_structures, n_elements)."""
        elements = np.unique(np.concatenate([atoms.numbers for atoms in self.frames]))
        return np.array([(atoms.numbers[:, np.newaxis] == elements).sum(axis=0)
                         for atoms in self.frames], dtype=np.intp)

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of the quantities (energy, forces, virials) that some structure has."""
        known = {
            "energy": np.isfinite(self.y).any(),
            "forces": self.forces is not None
            and any(block is not None and np.isfinite(block).any() for block in self.forces),
            "virials": self.virials is not None and np.isfinite(self.virials).any(),
        }
        return tuple(name for name, is_known in known.items() if is_known)

    @property
    def elements(self) -> list[str]:
        """Chemical symbols, by atomic number."""
        numbers = {int(z): symbol for atoms in self.frames
                   for z, symbol in zip(atoms.numbers, atoms.symbols, strict=True)}
        return [numbers[z] for z in sorted(numbers)]

    @property
    def metadata(self) -> dict:
        """Arguments of :meth:`skdesc.GAPRegressor.fit` other than descriptors and energies."""
        names = ("forces", "virials", "sigmas", "config_types")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def take(self, index: np.ndarray) -> LabeledStructures:
        """Return the structures of an index array, in its order."""
        by_kind = isinstance(self.sigmas, dict)
        return LabeledStructures(
            [self.frames[i] for i in index],
            self.y[index],
            take(self.forces, index),
            take(self.virials, index),
            self.sigmas if by_kind else take(self.sigmas, index),
            take(self.config_types, index),
        )


def collect(X, y=None, *, forces=None, virials=None, sigmas=None, config_types=None):
    """Check structures and targets, and take targets from the structures if `y` is None.

    Parameters
    ----------
    X : sequence of ase.Atoms
        The structures.
    y, forces, virials, sigmas, config_types : object
        As in :meth:`skdesc.AutoPotential.fit`.

    Returns
    -------
    LabeledStructures
        With `config_types` from ``atoms.info`` if none were given and every structure has one.
    """
    check_structures(X)
    frames = list(as_column(X)[:, 0])
    if y is None:
        if forces is not None or virials is not None:
            raise ValueError(
                "y is None, but must be given together with forces or virials; give the energies, "
                "or none of the three to read all of them from the structures"
            )
        y, targets = extract_targets(frames, energies="auto")
        forces, virials = targets.get("forces"), targets.get("virials")
    return LabeledStructures(
        frames,
        _energies(y, len(frames)),
        None if forces is None else check_forces(forces, [len(atoms) for atoms in frames]),
        None if virials is None else _virials(virials, len(frames)),
        _sigmas(sigmas, len(frames)),
        _config_types(config_types, frames),
    )


def _sigmas(sigmas, n_structures: int):
    if sigmas is not None and not isinstance(sigmas, dict):
        check_one_per_structure("sigmas", sigmas, n_structures)
    return sigmas


def _config_types(config_types, frames: list[Atoms]) -> list[str] | None:
    if config_types is not None:
        check_one_per_structure("config_types", config_types, len(frames))
        return [str(kind) for kind in np.asarray(config_types, dtype=object)]
    if all("config_type" in atoms.info for atoms in frames):
        return [str(atoms.info["config_type"]) for atoms in frames]
    return None


def _energies(y: Sequence[float], n_structures: int) -> np.ndarray:
    check_one_per_structure("y", y, n_structures)
    y = np.array([np.nan if value is None else value for value in y], dtype=np.float64)
    if y.shape != (n_structures,):
        raise ValueError(f"y has the shape {y.shape}, but must have one energy per structure; "
                         "give a flat sequence")
    if np.isinf(y).any():
        raise ValueError(f"y[{int(np.flatnonzero(np.isinf(y))[0])}] is infinite, but must be a "
                         "number of eV; use NaN for an energy that is not known")
    if not np.isfinite(y).any():
        raise ValueError("y is NaN for all structures, but at least one energy must be known: "
                         "forces and virials leave a constant open; give one")
    return y


def _virials(virials, n_structures: int) -> np.ndarray:
    check_one_per_structure("virials", virials, n_structures)
    blocks = [check_block("virials", block, index, (3, 3)) for index, block in enumerate(virials)]
    return np.array([np.full((3, 3), np.nan) if block is None else block for block in blocks])
