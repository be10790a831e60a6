"""Slow, dense descriptor in NumPy: the tests' stand-in for, and oracle of, compiled ones.

Features of an atom are sums of Gaussians of the distances to its neighbors of each species,
times a smooth cutoff, beside a constant; by default they are scaled to unit length. Jacobians
are analytic and dense.
"""

import itertools

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from skdesc.features import AtomicFeatures, Blocks, Jacobian
from skdesc.structures import check_structures


class ToyDescriptor:
    """Pair Gaussians; open and periodic structures."""

    def __init__(self, species, *, cutoff=4.0, n_gaussians=6, constant=0.5, normalize=True):
        self.species = sorted(species)
        self.cutoff = cutoff
        self.centers = np.linspace(0.8, cutoff, n_gaussians)
        self.width = 0.9 * (cutoff - 0.8) / n_gaussians
        self.constant = constant
        self.normalize = normalize

    @property
    def n_features(self):
        return 1 + len(self.species) * len(self.centers)

    def transform(self, X):
        structures = check_structures(X)
        raw = np.concatenate(
            [self._raw(structures, index)[0] for index in range(len(structures))]
        )
        if self.normalize:
            raw = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        centers = np.arange(len(raw))
        return AtomicFeatures(raw, structures, centers, structures.offsets, self)

    def vjp(self, features, g):
        gradient = np.zeros_like(features.structures.positions)
        strain = np.zeros((len(features), 3, 3))
        for index, rows, J, J_strain in self._jacobians(features):
            gradient[rows] = np.einsum("iqax,iq->ax", J, g[rows])
            strain[index] = np.einsum("iqxy,iq->xy", J_strain, g[rows])
        return gradient, strain

    def gradient_rows(self, features, Q, weights):
        gradient = np.zeros((*features.structures.positions.shape, len(Q)))
        strain = np.zeros((len(features), 3, 3, len(Q)))
        for index, rows, J, J_strain in self._jacobians(features):
            w = weights[rows]
            gradient[rows] = np.einsum("iqax,im,mq->axm", J, w, Q, optimize=True)
            strain[index] = np.einsum("iqxy,im,mq->xym", J_strain, w, Q, optimize=True)
        return gradient, strain

    def jacobian(self, features, strain=False):
        blocks, by_strain = [], []
        for _, rows, J, J_strain in self._jacobians(features):
            by_strain.append(J_strain.transpose(0, 2, 3, 1))
            center, atom = (part.ravel() + rows.start for part in np.indices((len(J), len(J))))
            values = J.transpose(0, 2, 3, 1).reshape(-1, 3, J.shape[1])
            every = np.arange(J.shape[1])
            blocks.append(Blocks(center, atom, every, values, np.zeros((len(center), 3))))
        by_strain = np.concatenate(by_strain) if strain else None
        return Jacobian(features.values, blocks, len(features.structures.positions), by_strain)

    def _jacobians(self, features):
        structures = features.structures
        for index in range(len(structures)):
            rows = slice(structures.offsets[index], structures.offsets[index + 1])
            raw, J, J_strain = self._raw(structures, index)
            if self.normalize:
                norm = np.linalg.norm(raw, axis=1)
                unit = raw / norm[:, None]
                project = np.eye(raw.shape[1]) - unit[:, :, None] * unit[:, None, :]
                project /= norm[:, None, None]
                J = np.einsum("ipq,iqax->ipax", project, J, optimize=True)
                J_strain = np.einsum("ipq,iqxy->ipxy", project, J_strain, optimize=True)
            yield index, rows, J, J_strain

    def _raw(self, structures, index):
        """Features before scaling, their Jacobians by positions and by strain."""
        rows = slice(structures.offsets[index], structures.offsets[index + 1])
        positions, numbers = structures.positions[rows], structures.numbers[rows]
        n, n_gaussians = len(numbers), len(self.centers)
        raw = np.zeros((n, self.n_features))
        raw[:, 0] = self.constant
        J = np.zeros((n, self.n_features, n, 3))
        J_strain = np.zeros((n, self.n_features, 3, 3))
        shifts = _lattice_shifts(structures.cells[index], structures.pbc[index], self.cutoff)
        for i, j, shift in itertools.product(range(n), range(n), shifts):
            vector = positions[j] + shift - positions[i]
            r = np.linalg.norm(vector)
            if not 1e-9 < r < self.cutoff:
                continue
            start = 1 + self.species.index(numbers[j]) * n_gaussians
            columns = slice(start, start + n_gaussians)
            value, slope = self._radial(r)
            raw[i, columns] += value
            direction = slope[:, None] * (vector / r)
            J[i, columns, j] += direction
            J[i, columns, i] -= direction
            J_strain[i, columns] += direction[:, :, None] * vector
        return raw, J, J_strain

    def _radial(self, r):
        x = np.pi * r / self.cutoff
        cut, cut_slope = 0.5 * (1 + np.cos(x)), -0.5 * np.pi / self.cutoff * np.sin(x)
        # squared, so that second derivatives vanish at the cutoff as well
        cut, cut_slope = cut**2, 2 * cut * cut_slope
        offset = (r - self.centers) / self.width
        gaussian = np.exp(-0.5 * offset**2)
        return gaussian * cut, gaussian * (cut_slope - cut * offset / self.width)


class ToyTransformer(TransformerMixin, BaseEstimator):
    """The toy descriptor of hydrogen and oxygen with scikit-learn's manners."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return ToyDescriptor((1, 8)).transform(X)


def _lattice_shifts(cell, pbc, cutoff):
    """All lattice vectors that can bring an image within the cutoff of atoms in the cell."""
    ranges = []
    for axis in range(3):
        if not pbc[axis]:
            ranges.append([0])
            continue
        normal = np.cross(cell[(axis + 1) % 3], cell[(axis + 2) % 3])
        height = abs(np.dot(cell[axis], normal)) / np.linalg.norm(normal)
        # one more than needed for atoms inside the cell, for those a little outside
        count = int(np.ceil(cutoff / height)) + 1
        ranges.append(range(-count, count + 1))
    return [np.array(shift) @ cell for shift in itertools.product(*ranges)]
