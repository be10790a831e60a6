"""``AtomicDescriptor``: what a descriptor offers to features, regressors and searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from ..structures import Structures
    from ._atomic_features import AtomicFeatures
    from ._jacobian import Jacobian


class AtomicDescriptor(Protocol):
    """Computes derivatives of the features that :class:`AtomicFeatures` hold.

    Derive from it and write :meth:`jacobian`: the other methods then follow, though slowly. Or
    offer all of these methods and `cutoff` without deriving from it.

    Attributes
    ----------
    cutoff : float or None
        Atoms at this distance from a center, in angstrom, or farther away have no influence on
        its features; None where that is not known. A class without it counts as None.

    See Also
    --------
    AtomicFeatures : Holds values, structures and a descriptor.

    Examples
    --------
    The sum of the squared distances to all other atoms, in open structures:

    >>> import numpy as np
    >>> from ase.build import molecule
    >>> from skdesc import AtomicDescriptor, AtomicFeatures, check_structures
    >>> from skdesc.features import Blocks, Jacobian
    >>> class Spread(AtomicDescriptor):
    ...     def jacobian(self, features, strain=False):
    ...         blocks, offsets = [], features.structures.offsets
    ...         for start, stop in zip(offsets[:-1], offsets[1:], strict=True):
    ...             r = features.structures.positions[start:stop]
    ...             vectors = 2 * (r - r[:, np.newaxis])  # [center, other atom]
    ...             i, j = np.indices(vectors.shape[:2]).reshape(2, -1)
    ...             zero = np.zeros((len(i), 3))
    ...             for atom, change in ((j, vectors[i, j]), (i, -vectors[i, j])):
    ...                 blocks.append(Blocks(start + i, start + atom, np.array([0]),
    ...                                      change[:, :, np.newaxis], zero))
    ...         return Jacobian(features.values, blocks, len(features.structures.positions))
    >>> structures = check_structures([molecule("H2O")])
    >>> r = structures.positions
    >>> values = ((r - r[:, np.newaxis]) ** 2).sum(axis=(1, 2))[:, np.newaxis]
    >>> features = AtomicFeatures(values, structures, [0, 1, 2], [0, 3], Spread())
    >>> gradient = features.jacobian().vjp(np.ones((3, 1)))
    >>> bool(np.allclose(gradient, 4 * (3 * r - r.sum(axis=0))))
    True
    """

    cutoff: float | None

    def __init__(self) -> None:
        """Take no parameters; subclasses may."""

    def jacobian(self, features: AtomicFeatures, strain: bool = False) -> Jacobian:
        """Compute the derivatives of all features.

        Parameters
        ----------
        features : AtomicFeatures
            Features of this descriptor.
        strain : bool, default=False
            Whether derivatives by the strain are wanted too.

        Returns
        -------
        Jacobian
            As :meth:`AtomicFeatures.jacobian` gives it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method jacobian")

    def vjp(self, features: AtomicFeatures, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Contract the derivatives with a cotangent.

        Parameters
        ----------
        features : AtomicFeatures
            Features of this descriptor.
        g : ndarray of shape (n_centers, n_features)
            Derivative of a scalar function by the features.

        Returns
        -------
        gradient : ndarray of shape (n_atoms, 3)
            Its derivative by the positions.
        strain_gradient : ndarray of shape (n_structures, 3, 3)
            Its derivative by the strain of each structure.
        """
        g = np.asarray(g, dtype=np.float64)
        jacobian = self.jacobian(features, strain=True)
        if jacobian.strain is None:
            raise NotImplementedError(
                f"{type(self).__name__}.jacobian gives no derivatives by the strain"
            )
        strain = np.einsum("if,iabf->iab", g, jacobian.strain)
        gradients = np.zeros((len(features), 3, 3))
        np.add.at(gradients, features.structures.structure_index[features.centers], strain)
        return jacobian.vjp(g), gradients

    def gradient_rows(
        self, features: AtomicFeatures, Q: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Differentiate many linear functions of the features at once.

        Parameters
        ----------
        features : AtomicFeatures
            Features of this descriptor.
        Q : ndarray of shape (n_rows, n_features)
            Coefficients of the linear functions.
        weights : ndarray of shape (n_centers, n_rows)
            Weight of each center in each function.

        Returns
        -------
        gradient : ndarray of shape (n_atoms, 3, n_rows)
            Derivatives by the positions.
        strain_gradient : ndarray of shape (n_structures, 3, 3, n_rows)
            Derivatives by the strain of each structure.
        """
        gradient = np.empty((len(features.structures.positions), 3, len(Q)))
        strain = np.empty((len(features), 3, 3, len(Q)))
        for m, row in enumerate(np.asarray(Q, dtype=np.float64)):
            gradient[..., m], strain[..., m] = self.vjp(features, np.outer(weights[:, m], row))
        return gradient, strain

    def workspace_bytes(self, structures: Structures, n_rows: int) -> int:
        """Bound the memory that :meth:`gradient_rows` takes beside its result.

        Parameters
        ----------
        structures : Structures
            The structures.
        n_rows : int
            Number of linear functions.

        Returns
        -------
        int
            In bytes; 0 where it is not worth counting.
        """
        return 0


_MEMBERS = ("cutoff", "jacobian", "vjp", "gradient_rows", "workspace_bytes")


class _Completed(AtomicDescriptor):
    """A descriptor whose missing methods are those of the base class."""

    def __init__(self, descriptor):
        self.cutoff = None
        for name in _MEMBERS:
            if hasattr(descriptor, name):
                setattr(self, name, getattr(descriptor, name))


def complete(descriptor: object) -> AtomicDescriptor:
    """Return a descriptor with all methods of :class:`AtomicDescriptor`.

    Parameters
    ----------
    descriptor : object
        An `AtomicDescriptor`, or an object that has some of its methods.

    Returns
    -------
    AtomicDescriptor
        The same object, unless something had to be added.
    """
    if all(hasattr(descriptor, name) for name in _MEMBERS):
        return descriptor
    return _Completed(descriptor)
