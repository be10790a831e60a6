r"""The loss of mixing weights, and its gradient.

For given weights W, the best linear model of the pooled features F(W), and of their derivatives by
the positions, is a ridge regression. What remains is a function of W alone (variable projection;
Golub and Pereyra, SIAM J. Numer. Anal. 10, 413 (1973)),

.. math::

    L(W) = \min_a \tfrac1S |y - F(W) a|^2 + \tfrac{\lambda}{N} |f - G(W) a|^2 + \alpha |a|^2 ,

whose gradient is that of the residuals with the best a held fixed: dL/dF = -2/S (y - F a) a^T, and
the descriptor's adjoint carries it on to W; for the forces f see `ForceTerm`. Elements enter
through a short vector each, :math:`W_{k,sn} = \sum_e u_{se} v_{enk}`, so that few parameters are
shared by many elements.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ..invariants._environments import neighborhoods
from ..invariants._packed_coefficients_cy import PackedCoefficients
from ..utils.memory import check_fits_memory
from ..utils.threads import ordered_map
from ._force_loss import ForceTerm

ALPHAS = 10.0 ** np.arange(-12.0, 0.0)
"""Ridge parameters that are tried, relative to the mean square of the features."""

N_RUNS = 16
"""Sums over centers are cut into as many, whatever the number of threads."""


def pack_coefficients(descriptor, structures, n_copies=1):
    """Density coefficients of all atoms, species by species, without those that are zero.

    Parameters
    ----------
    descriptor : TensorReducedDescriptor
        The descriptor, with any weights.
    structures : Structures
        The structures.
    n_copies : int, default=1
        Number of arrays of this size that memory must have room for.

    Returns
    -------
    PackedCoefficients
        The coefficients.
    """
    expansion = descriptor.density_expansion
    data, species, counts = [], [], []
    n_bytes, n_centers = 0, len(structures.positions)
    for batch in neighborhoods(descriptor, structures, np.arange(n_centers), structures.offsets):
        c = batch.environments(batch.pairs(), False, expansion=expansion).coefficients()
        c = np.ascontiguousarray(c.transpose(0, 2, 1, 3))
        present = c.any(axis=(2, 3))
        data.append(c[present])
        species.append(np.nonzero(present)[1])
        counts.append(present.sum(axis=1))
        n_bytes += (1 + n_copies) * data[-1].nbytes  # twice while they are concatenated
        check_fits_memory(
            n_bytes * n_centers / batch.rows.stop, f"stored coefficients of {n_centers} atoms",
            "learn from fewer structures, or lower n_max or l_max",
        )
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return PackedCoefficients(
        descriptor.invariant, np.concatenate(data), np.concatenate(species).astype(np.intp),
        offsets.astype(np.intp),
    )


class LinearModel(NamedTuple):
    """Features and normal equations of a ridge regression for given weights."""

    columns: np.ndarray
    """Weights as the expansion takes them."""
    F: np.ndarray
    """Features averaged over the atoms of each structure, beside the composition."""
    matrix: np.ndarray
    """Of the normal equations, without the ridge."""
    target: np.ndarray
    """Right-hand side of the normal equations."""


class MixingProblem:
    """The loss as a function of the parameters of the weights.

    Parameters
    ----------
    descriptor : TensorReducedDescriptor
        The descriptor.
    structures : Structures
        The structures.
    y : ndarray of shape (n_structures,)
        Target.
    forces : ndarray of shape (n_atoms, 3) or None
        Negative gradient of the target by the positions; NaN where it is not known.
    shape : tuple of int
        Shape of the weights, (n_factors, l, species, n, n_channels).
    n_embedding : int
        Length of an element's vector.
    validation : ndarray of bool of shape (n_structures,)
        Structures that judge when to stop.
    alpha : float or None
        Ridge parameter relative to the mean square of the features; by default the best for
        the validation structures at the first weights.
    forces_weight : float
        Weight of the forces: squared errors count relative to the mean squares of forces and of
        energies per atom beside the composition, and those of the forces this many times.
    """

    def __init__(self, descriptor, structures, y, forces, *, shape, n_embedding, validation, alpha,
                 forces_weight):
        self.descriptor, self.layout = descriptor, descriptor.layout
        self.starts, self.n_atoms = structures.offsets[:-1], structures.n_atoms
        self.y = y / self.n_atoms
        self.validation, self.train = validation, ~validation
        self.shape = shape
        self.n_embedding = min(n_embedding, shape[2])
        index = descriptor.species_index(structures.numbers)
        structure = structures.structure_index
        composition = np.zeros((len(y), shape[2]))
        known = index >= 0
        np.add.at(composition, (structure[known], index[known]), 1.0)
        composition /= self.n_atoms[:, None]
        # energies by composition; with a tiny ridge, as it may be rank-deficient
        own = composition[self.train]
        self.solver = np.linalg.solve(own.T @ own + 1e-8 * np.eye(shape[2]), own.T)
        self.composition = composition
        self.rest = self.beside_composition(self.y)
        self.alpha = alpha
        self.packed = pack_coefficients(descriptor, structures, 1 if forces is None else 2)
        self.force_term, self.error_names = None, ("train", "validation")
        if forces is not None:
            self.force_term = ForceTerm(
                descriptor, self.packed, structures, forces, validation
            )
            self.error_names += ("train_forces", "validation_forces")
            self.forces_weight = (
                forces_weight * (self.rest[self.train] ** 2).mean() / self.force_term.mean_square
            )

    def over_centers(self, function):
        """Apply a function to runs of centers, on several threads; results are in order."""
        bounds = self.packed.n_centers * np.arange(N_RUNS + 1) // N_RUNS
        return ordered_map(function, pairwise(bounds.tolist()), self.descriptor.n_threads)

    def beside_composition(self, values):
        """Residuals of a fit of the composition to the training structures."""
        return values - self.composition @ (self.solver @ values[self.train])

    def start(self, rng):
        """Random parameters."""
        t, l, s, n, k = self.shape
        u = rng.normal(size=(s, self.n_embedding))
        v = rng.normal(size=(self.n_embedding, t, l, n, k))
        return np.concatenate([u.ravel(), v.ravel()])

    def split(self, parameters):
        """Vectors of the elements, and the map from them to weights."""
        t, l, s, n, k = self.shape
        u, v = np.split(parameters, [s * self.n_embedding])
        return u.reshape(s, -1), v.reshape(self.n_embedding, t, l, n, k)

    def weights(self, parameters):
        """Weights whose mean square is one in every channel, and the norms taken out."""
        u, v = self.split(parameters)
        raw = np.einsum("se,etlnk->tlsnk", u, v)
        norms = np.sqrt((raw**2).mean(axis=(2, 3), keepdims=True))
        return raw / norms, norms

    def linear_model(self, weights):
        """Features of all structures, and normal equations of the training structures."""
        columns = self.layout.columns(weights)
        rows = np.empty((self.packed.n_centers, self.layout.n_features))
        for _ in self.over_centers(lambda part: self.packed.features(columns, rows, *part)):
            pass
        F = self.beside_composition(
            np.add.reduceat(rows, self.starts, axis=0) / self.n_atoms[:, None]
        )
        own = F[self.train]
        matrix, target = own.T @ own / len(own), own.T @ self.rest[self.train] / len(own)
        if self.force_term is not None:
            self.force_term.set_weights(columns, rows)
            of_forces = self.force_term.normal_equations()
            matrix += self.forces_weight * of_forces[0]
            target += self.forces_weight * of_forces[1]
        return LinearModel(columns, F, matrix, target)

    def solve(self, model, alpha):
        """Ridge coefficients of the training structures."""
        matrix = model.matrix.copy()
        matrix.flat[:: len(matrix) + 1] += alpha * self.scale
        return cho_solve(cho_factor(matrix), model.target)

    def residuals(self, model, a):
        """Residuals of energies and forces, and their root mean squares, see `error_names`."""
        left = self.rest - model.F @ a
        errors = [np.sqrt((left[part] ** 2).mean()) for part in (self.train, self.validation)]
        if self.force_term is None:
            return left, None, tuple(errors)
        of_forces, more = self.force_term.residuals(a)
        return left, of_forces, (*errors, *more)

    def validation_error(self, errors):
        """Combined error of the validation structures, for early stopping."""
        if self.force_term is None:
            return errors[1]
        return np.sqrt(errors[1] ** 2 + self.forces_weight * errors[3] ** 2)

    def choose_alpha(self, parameters):
        """Set the scale of the ridge parameter, and the parameter itself if it is not given."""
        model = self.linear_model(self.weights(parameters)[0])
        self.scale = np.trace(model.matrix)
        if self.alpha is None:
            errors = [
                self.validation_error(self.residuals(model, self.solve(model, alpha))[2])
                for alpha in ALPHAS
            ]
            self.alpha = float(ALPHAS[int(np.argmin(errors))])

    def loss_and_gradient(self, parameters):
        """L, its gradient by the parameters, and the errors."""
        weights, norms = self.weights(parameters)
        model = self.linear_model(weights)
        a = self.solve(model, self.alpha)
        left, left_of_forces, errors = self.residuals(model, a)
        left = np.where(self.train, left, 0.0)
        n_train = self.train.sum()
        loss = (left**2).sum() / n_train + self.alpha * self.scale * (a @ a)
        # the fit of the composition is symmetric as a map of the training structures
        pulled = np.where(self.train, self.beside_composition(left), 0.0)
        factors = np.repeat(-2 / n_train * pulled / self.n_atoms, self.n_atoms)
        change = moved = None
        if self.force_term is not None:
            loss += self.forces_weight * errors[2] ** 2
            change, moved = self.force_term.coefficient_change(
                left_of_forces, 2 * self.forces_weight
            )
        columns = sum(self.over_centers(
            lambda part: self.packed.weight_gradient(
                model.columns, a, factors, change, moved, *part
            )
        ))
        gradient = self.layout.from_columns(columns)
        # the mean square of a channel is fixed: only the orthogonal part counts
        along = (gradient * weights).mean(axis=(2, 3), keepdims=True)
        gradient = (gradient - along * weights) / norms
        u, v = self.split(parameters)
        of_u = np.einsum("tlsnk,etlnk->se", gradient, v)
        of_v = np.einsum("tlsnk,se->etlnk", gradient, u)
        return loss, np.concatenate([of_u.ravel(), of_v.ravel()]), errors
