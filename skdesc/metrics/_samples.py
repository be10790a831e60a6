"""Structures, forces and numbers of atoms from samples of any type."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from ..structures import Structures, extract_targets


def structures_of(X):
    """Structures behind features or samples, None if there are none."""
    if hasattr(X, "structures"):
        return X.structures
    if isinstance(X, Structures):
        return X
    frames = frames_of(X)
    return None if frames is None else Structures.from_atoms(frames)


def attached_targets(X):
    """Forces and virials stored in Atoms."""
    frames = None if isinstance(X, Structures) else frames_of(X)
    if frames is None:
        return {}
    return extract_targets(frames, energies=False)[1]


def count_atoms(X):
    """Numbers of atoms from any container of structures."""
    if hasattr(X, "n_atoms"):
        return X.n_atoms
    frames = frames_of(X)
    if frames is None:
        raise TypeError(
            f"X is of type {type(X).__name__}, whose numbers of atoms are not known; score on "
            "Atoms, Structures or AtomicFeatures"
        )
    return np.array([len(atoms) for atoms in frames])


def attached_forces(X):
    frames, forces, reason = frames_of(X), None, None
    if frames is not None:
        try:
            forces = extract_targets(frames, energies=False, virials=False)[1].get("forces")
        except ValueError as error:
            reason = error
    if forces is None:
        raise ValueError(
            "the scorer of forces received none; pass them to fit of a search as "
            "gap__forces=forces (forces=forces if metadata routing is enabled), and to "
            "cross_validate as params={'forces': forces} after "
            "sklearn.set_config(enable_metadata_routing=True); or "
            "score on Atoms with forces attached, which no step has turned into features"
        ) from reason
    return forces


def frames_of(X):
    """List of Atoms, or None if X holds anything else."""
    if hasattr(X, "iloc"):
        X = X.to_numpy(dtype=object)
    if isinstance(X, Structures):
        X = list(X)
    if isinstance(X, np.ndarray) and X.dtype == object:
        X = list(X.flat)
    if isinstance(X, (list, tuple)) and X and all(isinstance(atoms, Atoms) for atoms in X):
        return list(X)
    return None
