"""Environments of many structures, from any input accepted as X."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from ase.geometry import minkowski_reduce
from sklearn.utils.validation import check_array, validate_data

from ..features import AtomicFeatures
from ..structures import Structures
from ..utils.indexing import count_pairs, segments_to_indices


@dataclass(frozen=True)
class Environments:
    """Environments of many structures, whatever their source.

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
    blocks : tuple of slice
        Columns of each descriptor; the covariance is a sum over them.
    features : AtomicFeatures or None
        Knows the derivatives; None for plain arrays.
    """

    values: np.ndarray
    offsets: np.ndarray
    species: np.ndarray
    n_atoms: np.ndarray
    blocks: tuple
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
            self.blocks,
            None if self.features is None else self.features[part],
        )

    def take(self, index):
        """Structures of an index array, as copies."""
        if self.features is None:
            rows, offsets = segments_to_indices(self.offsets, index)
            return Environments(
                self.values[rows], offsets, self.species[rows], self.n_atoms[index], self.blocks
            )
        features = self.features[index]
        return Environments(
            features.values, features.offsets, features.species, features.n_atoms, self.blocks,
            features,
        )

    def without_derivatives(self):
        """The same environments; their slices cost nothing."""
        return replace(self, features=None)

    def as_single_environments(self):
        """The same environments, each as a structure of its own."""
        n = len(self.values)
        ones = np.ones(n, dtype=np.intp)
        return Environments(self.values, np.arange(n + 1), self.species, ones, self.blocks)

    def copied_bytes(self):
        """Memory of what plain arrays need once more: rows of unit length, numbers of each."""
        return 0 if self.features is not None else self.values.nbytes + 100 * len(self)

    def elements(self):
        """Elements of all atoms, not only of the centers; ascending."""
        return np.unique(self.species if self.features is None else self.structures.numbers)

    def composition(self, elements):
        """Number of atoms of each element, ndarray of shape (n_structures, n_elements)."""
        if self.features is None:
            return self.n_atoms[:, np.newaxis].astype(np.float64)
        structures = self.structures
        code = np.searchsorted(elements, structures.numbers)
        shape = len(self), len(elements)
        return count_pairs(structures.structure_index, code, shape).astype(np.float64)

    def centers_of_species(self):
        """Number of centers of each species, ndarray of int of shape (n_structures, n_species)."""
        species, code = np.unique(self.species, return_inverse=True)
        owner = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        return count_pairs(owner, code, (len(self), len(species)))

    def isolated(self):
        """Mask of the structures that are a single atom without images in reach."""
        if self.features is None:
            return np.zeros(len(self), dtype=bool)
        structures = self.structures
        # a lone atom in a large periodic box is isolated, too, if the cutoff is known
        reach = self.features.descriptor.cutoff
        alone = (structures.n_atoms == 1) & ~structures.pbc.any(axis=1)
        if isinstance(reach, (int, float)):
            length = np.linalg.norm(structures.cells, axis=2)
            far = ((length > reach) | ~structures.pbc).all(axis=1)
            for index in np.flatnonzero((structures.n_atoms == 1) & ~alone & far):
                pbc = structures.pbc[index]
                # the shortest lattice vector is among those of a reduced cell
                vectors = minkowski_reduce(structures.cells[index], pbc)[0][pbc]
                alone[index] = np.linalg.norm(vectors, axis=1).min() > reach
        return alone

    @property
    def structures(self):
        """`Structures`; see :meth:`require_structures`."""
        self.require_structures()
        return self.features.structures

    def require_structures(self):
        """Refuse plain arrays, which have neither structures nor derivatives."""
        if self.features is None:
            raise ValueError(
                "X is a plain array, which knows nothing of structures, their derivatives or a "
                "baseline; pass AtomicFeatures, the output of a descriptor with pooling=None"
            )


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
        return Environments(X.values, X.offsets, X.species, X.n_atoms, X.blocks, X)
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
        rows = validate_data(estimator, X, dtype=np.float64, copy=True, reset=reset)
        counts = np.ones(len(rows), dtype=np.intp)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    species, blocks = np.zeros(len(rows), dtype=np.intp), (slice(0, rows.shape[1]),)
    _scale_to_unit(rows)
    return Environments(rows, offsets, species, counts, blocks)


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


def _scale_to_unit(rows):
    """Scale rows to unit length, in place."""
    # by the largest entry first, so that huge and tiny rows do not overflow
    largest = np.maximum(rows.max(axis=1), -rows.min(axis=1))
    rows /= np.where(largest > 0, largest, 1.0)[:, np.newaxis]
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    rows /= np.where(length > 0, length, 1.0)[:, np.newaxis]


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


def check_elements(environments, known):
    """Refuse elements that a fit has not seen.

    Parameters
    ----------
    environments : Environments
        New structures.
    known : ndarray
        Atomic numbers.
    """
    unknown = np.setdiff1d(environments.elements(), known)
    if unknown.size:
        raise ValueError(
            f"X has atoms of {', '.join(chemical_symbols[z] for z in unknown)}, but the first fit "
            f"saw {', '.join(chemical_symbols[z] for z in known)} only; fit to structures with "
            "all elements"
        )


def check_config_types(config_types, n_structures, reason):
    """Refuse kinds of structures that are missing or not one per structure.

    Parameters
    ----------
    config_types : sequence or None
        The kinds.
    n_structures : int
        Number of structures.
    reason : str
        Why kinds are needed, for the message.
    """
    if isinstance(config_types, str) or not hasattr(config_types, "__len__"):
        raise ValueError(f"{reason}, but no config types are given; pass config_types=, one per "
                         "structure, to fit")
    if len(config_types) != n_structures:
        raise ValueError(f"config_types has {len(config_types)} entries, but there are "
                         f"{n_structures} structures; give one per structure")
