"""What may be passed to the regressor: environments, forces, virials, noise; checked by name."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from ..features import AtomicFeatures
from ..structures import Structures

# xx, yy, zz, yz, xz, xy: a virial is symmetric, so that six components say it all
VOIGT = (np.array([0, 1, 2, 1, 0, 0]), np.array([0, 1, 2, 2, 2, 1]))


@dataclass(frozen=True)
class Environments:
    """Environments of many structures, wherever they came from.

    Parameters
    ----------
    values : ndarray of shape (n_centers, n_features)
        One row per environment.
    offsets : ndarray of shape (n_structures + 1,)
        Structure `s` owns the rows ``offsets[s]`` to ``offsets[s + 1]``.
    species : ndarray of shape (n_centers,)
        Atomic numbers of the centers; 0 for rows of plain arrays.
    n_atoms : ndarray of shape (n_structures,)
        Number of atoms of each structure.
    features : AtomicFeatures or None
        Knows the derivatives; None for plain arrays.
    """

    values: np.ndarray
    offsets: np.ndarray
    species: np.ndarray
    n_atoms: np.ndarray
    features: AtomicFeatures | None = None

    def __len__(self):
        return len(self.n_atoms)

    def __getitem__(self, part):
        """Structures of a slice with start and stop, as views."""
        rows = slice(self.offsets[part.start], self.offsets[part.stop])
        return Environments(
            self.values[rows],
            self.offsets[part.start : part.stop + 1] - self.offsets[part.start],
            self.species[rows],
            self.n_atoms[part],
            None if self.features is None else self.features[part],
        )

    def take(self, index):
        """Structures of an index array, as copies; only of `AtomicFeatures`."""
        features = self.features[index]
        return Environments(
            features.values, features.offsets, features.species, features.n_atoms, features
        )

    def without_derivatives(self):
        """The same environments; their slices cost nothing."""
        return replace(self, features=None)

    def as_single_environments(self):
        """The same environments, each as a structure of its own."""
        n = len(self.values)
        return Environments(self.values, np.arange(n + 1), self.species, np.ones(n, dtype=np.intp))

    def elements(self):
        """Elements of all atoms, not only of the centers; ascending."""
        return np.unique(self.species if self.features is None else self._structures.numbers)

    def composition(self, elements):
        """Number of atoms of each element, ndarray of shape (n_structures, n_elements)."""
        if self.features is None:
            return self.n_atoms[:, np.newaxis].astype(np.float64)
        structures = self._structures
        code = np.searchsorted(elements, structures.numbers)
        flat = structures.structure_index * len(elements) + code
        counts = np.bincount(flat, minlength=len(self) * len(elements))
        return counts.reshape(len(self), len(elements)).astype(np.float64)

    def isolated(self):
        """Mask of the structures that are a single atom without images in reach."""
        if self.features is None:
            return np.zeros(len(self), dtype=bool)
        structures = self._structures
        # a lone atom in a large periodic box is isolated too, if one knows how far it sees
        reach = getattr(self.features.descriptor, "cutoff", None)
        alone = (structures.n_atoms == 1) & ~structures.pbc.any(axis=1)
        if isinstance(reach, (int, float)):
            for index in np.flatnonzero((structures.n_atoms == 1) & ~alone):
                vectors = structures.cells[index][structures.pbc[index]]
                # the shortest lattice vector of a box that is not wildly skewed
                alone[index] = np.linalg.norm(vectors, axis=1).min() > reach
        return alone

    @property
    def _structures(self):
        return self.features.structures


def check_environments(X, estimator, *, reset):
    """Bring any accepted `X` into one form.

    Parameters
    ----------
    X : AtomicFeatures, array-like of shape (n_samples, n_features), or sequence of such arrays
        Rows of plain arrays are scaled to unit length; those of `AtomicFeatures` are not.
    estimator : GAPRegressor
        Has, or gets, ``n_features_in_``.
    reset : bool
        Whether `X` defines the number of features.

    Returns
    -------
    Environments
        The environments, in float64.
    """
    if isinstance(X, (Structures, Atoms)) or _first(X, Atoms):
        raise TypeError(
            "X holds structures, but GAPRegressor takes descriptors of them; put a descriptor "
            "before it: make_pipeline(SOAPTransformer(), GAPRegressor())"
        )
    if isinstance(X, AtomicFeatures):
        if len(X) == 0:
            raise ValueError("X holds 0 structures, but a minimum of 1 is required")
        _check_n_features(estimator, X.values.shape[1], reset)
        check_array(X.values, dtype=None, ensure_min_samples=0, input_name="X.values")
        return Environments(X.values, X.offsets, X.species, X.n_atoms, X)
    if _first(X, np.ndarray, ndim=2):
        blocks = [
            check_array(block, dtype=np.float64, input_name=f"X[{index}]")
            for index, block in enumerate(X)
        ]
        widths = {block.shape[1] for block in blocks}
        if len(widths) > 1:
            raise ValueError(f"the arrays in X have {sorted(widths)} columns, but all must have "
                             "the same features")
        _check_n_features(estimator, widths.pop(), reset)
        counts = np.array([len(block) for block in blocks], dtype=np.intp)
        rows = np.concatenate(blocks)
    else:
        rows = validate_data(estimator, X, dtype=np.float64, reset=reset)
        counts = np.ones(len(rows), dtype=np.intp)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    return Environments(_unit(rows), offsets, np.zeros(len(rows), dtype=np.intp), counts)


def _first(X, kind, ndim=None):
    """Whether X is a sequence, or a column of a table, that starts with such an object."""
    if isinstance(X, np.ndarray) and X.dtype == object and X.size:
        first = X.flat[0]
    elif isinstance(X, (list, tuple)) and len(X):
        first = X[0]
    elif hasattr(X, "iloc") and len(X):
        first = X.iloc[0] if X.ndim == 1 else X.iloc[0, 0]
    else:
        return False
    return isinstance(first, kind) and (ndim is None or first.ndim == ndim)


def _check_n_features(estimator, n_features, reset):
    if reset:
        estimator.n_features_in_ = n_features
    elif n_features != estimator.n_features_in_:
        raise ValueError(
            f"X has {n_features} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input; use the descriptor it was fitted with"
        )


def _unit(rows):
    # scaled by the largest entry first, so that huge and tiny rows do not overflow
    largest = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(largest > 0, largest, 1.0)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norm > 0, norm, 1.0)


@dataclass(frozen=True)
class Targets:
    """Targets of all structures; NaN where there is none.

    Parameters
    ----------
    energies : ndarray of shape (n_structures,)
        Total energies, in eV; always finite.
    forces : list of (ndarray of shape (n_atoms, 3) or None), or None
        In eV/angstrom.
    virials : ndarray of shape (n_structures, 6) or None
        Components xx yy zz yz xz xy of the virials, in eV.
    sigmas : ndarray of shape (n_structures, 3)
        Noise of energy per atom, forces and virial of each structure.
    """

    energies: np.ndarray
    forces: list | None
    virials: np.ndarray | None
    sigmas: np.ndarray

    def __getitem__(self, part):
        """Targets of the structures of a slice."""
        return self.take(np.arange(part.start, part.stop))

    def take(self, index):
        """Targets of the structures of an index array."""
        return Targets(
            self.energies[index],
            None if self.forces is None else [self.forces[i] for i in index],
            None if self.virials is None else self.virials[index],
            self.sigmas[index],
        )

    def flat_forces(self, n_atoms):
        """All force components in one array of shape (3 * sum(n_atoms),); NaN where missing."""
        blocks = self.forces or [None] * len(n_atoms)
        return np.concatenate([
            np.full(3 * n, np.nan) if block is None else block.reshape(-1)
            for n, block in zip(n_atoms, blocks, strict=True)
        ])

    def has_derivatives(self):
        """Mask of the structures that have a force or a virial component."""
        mask = np.zeros(len(self.energies), dtype=bool)
        if self.forces is not None:
            mask |= [f is not None and bool(np.isfinite(f).any()) for f in self.forces]
        if self.virials is not None:
            mask |= np.isfinite(self.virials).any(axis=1)
        return mask


def check_targets(environments, y, forces, virials, sigmas, defaults):
    """Check targets against environments.

    Parameters
    ----------
    environments : Environments
        The structures.
    y : array-like of shape (n_structures,)
        Energies.
    forces, virials, sigmas : object
        As passed to fit.
    defaults : tuple of float
        Noise of energies per atom, of forces and of virials.

    Returns
    -------
    Targets
        The same, in float64.
    """
    if y is None:
        raise ValueError("GAPRegressor requires y to be passed, but the target y is None; give "
                         "the total energies")
    y = column_or_1d(
        check_array(y, dtype=np.float64, ensure_2d=False, input_name="y"), warn=True
    )
    check_consistent_length(environments, y)
    if (forces is not None or virials is not None) and environments.features is None:
        raise ValueError(
            "forces or virials are given, but X is a plain array, which has no derivatives; "
            "pass AtomicFeatures, the output of a descriptor with pooling=None"
        )
    return Targets(
        y,
        None if forces is None else _check_forces(forces, environments.n_atoms),
        None if virials is None else _check_virials(virials, len(environments)),
        _check_sigmas(sigmas, len(environments), defaults),
    )


def _check_outer(name, values, n_structures):
    if isinstance(values, dict) or not hasattr(values, "__len__"):
        raise ValueError(f"{name} is of type {type(values).__name__}, but must be a sequence with "
                         "one entry per structure")
    if len(values) != n_structures:
        raise ValueError(f"{name} has {len(values)} entries, but there are {n_structures} "
                         "structures; give one per structure, None where there is none")


def _check_forces(forces, n_atoms):
    _check_outer("forces", forces, len(n_atoms))
    return [_check_block("forces", forces[index], index, (n, 3))
            for index, n in enumerate(n_atoms)]


def _check_block(name, values, index, shape):
    """One structure's array, or None where all of it is missing."""
    if values is None or (np.ndim(values) == 0 and np.isnan(values)):
        return None
    values = np.asarray(values, dtype=np.float64)
    if values.shape != shape:
        raise ValueError(f"{name}[{index}] has the shape {values.shape}, but {shape} is needed; "
                         "are they in the order of the structures?")
    if np.isinf(values).any():
        raise ValueError(f"{name}[{index}] has infinite entries; "
                         "use NaN or None for what is missing")
    return values


def _check_virials(virials, n_structures):
    _check_outer("virials", virials, n_structures)
    result = np.full((n_structures, 6), np.nan)
    for index in range(n_structures):
        virial = _check_block("virials", virials[index], index, (3, 3))
        if virial is None:
            continue
        skew = np.abs(virial - virial.T).max()
        if skew > 1e-3 * max(np.abs(virial).max(), 1.0):
            raise ValueError(f"virials[{index}] is not symmetric (off by {skew:.3g} eV), but a "
                             "virial -dE/d(strain) is; check how it was unpacked")
        result[index] = 0.5 * (virial + virial.T)[VOIGT]
    return result


def _check_sigmas(sigmas, n_structures, defaults):
    result = np.tile(np.asarray(defaults, dtype=np.float64), (n_structures, 1))
    if sigmas is None:
        return result
    _check_outer("sigmas", sigmas, n_structures)
    sigmas = check_array(sigmas, dtype=np.float64, ensure_all_finite="allow-nan",
                         input_name="sigmas")
    if sigmas.shape[1] != 3:
        raise ValueError(f"sigmas has the shape {sigmas.shape}, but ({n_structures}, 3) is needed: "
                         "energy per atom, forces, virials; NaN for the default")
    given = np.isfinite(sigmas)
    if (sigmas[given] <= 0).any():
        index = np.argwhere(given & ~(np.where(given, sigmas, 1.0) > 0))[0]
        raise ValueError(f"sigmas[{index[0]}, {index[1]}] is {sigmas[tuple(index)]}, but must be "
                         "positive; leave out a target by None or NaN, not by its noise")
    result[given] = sigmas[given]
    return result


def atomic_number(key, name):
    """Atomic number of a dictionary's key, given as number or symbol.

    Parameters
    ----------
    key : int or str
        Such as 6 or "C".
    name : str
        How error messages call the dictionary.

    Returns
    -------
    int
        The number; 0 stands for rows of plain arrays.
    """
    number = atomic_numbers.get(key, -1) if isinstance(key, str) else key
    if not isinstance(number, (int, np.integer)) or not 0 <= number < len(atomic_numbers):
        raise ValueError(f"{name} has the key {key!r}, but keys must be chemical symbols or "
                         "atomic numbers")
    return int(number)
