r"""Mixing weights that are learned from a target of the structures.

For given weights W, the best linear model of the pooled features F(W) is a ridge regression. What
remains is a function of W alone (variable projection; Golub and Pereyra, SIAM J. Numer. Anal. 10,
413 (1973)),

.. math:: L(W) = \min_a \tfrac1S |y - F(W) a|^2 + \alpha |a|^2 ,

whose gradient is that of the residual with the best a held fixed: dL/dF = -2/S (y - F a) a^T, and
the descriptor's adjoint carries it on to W. Elements enter through a short vector each,
:math:`W_{k,sn} = \sum_e u_{se} v_{enk}`, so that few parameters are shared by many elements.
"""

from __future__ import annotations

import logging

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from ..density._expansion_cy import DensityExpansion
from ..invariants._environments import neighborhoods
from ..invariants._environments_cy import Neighborhoods
from ..invariants._packed_coefficients_cy import PackedCoefficients
from ..utils.memory import check_fits_memory

logger = logging.getLogger("skdesc")

OPTIONS = {
    "n_embedding": 8, "alpha": None, "max_iter": 100, "validation_fraction": 0.15, "patience": 10,
}  # fmt: skip

ALPHAS = 10.0 ** np.arange(-12.0, 0.0)
"""Ridge parameters that are tried, relative to the mean square of the features."""


def check_options(options):
    """Check the options of learning and fill in defaults.

    Parameters
    ----------
    options : dict or None
        Some of `OPTIONS`.

    Returns
    -------
    dict
        All of them.

    Raises
    ------
    ValueError
        If one is unknown or out of range.
    """
    if not isinstance(options, (dict, type(None))):
        raise ValueError(f"learning must be a dict with some of {sorted(OPTIONS)}, got {options!r}")
    unknown = sorted(set(options or ()) - set(OPTIONS))
    if unknown:
        raise ValueError(f"learning has {unknown}, but its options are {sorted(OPTIONS)}")
    result = {**OPTIONS, **(options or {})}
    for name in ("n_embedding", "max_iter", "patience"):
        value = result[name]
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ValueError(f"learning[{name!r}] must be an integer of at least 1, got {value!r}")
    fraction = result["validation_fraction"]
    if not isinstance(fraction, float) or not 0 < fraction < 1:
        raise ValueError(
            f"learning['validation_fraction'] must be a number between 0 and 1, got {fraction!r}"
        )
    alpha = result["alpha"]
    if alpha is not None and not (isinstance(alpha, (int, float)) and 0 < alpha < np.inf):
        raise ValueError(f"learning['alpha'] must be None or a number above 0, got {alpha!r}")
    return result


def check_target(y, n_structures):
    """Check the target.

    Parameters
    ----------
    y : array-like of shape (n_structures,)
        One number per structure, such as its total energy.
    n_structures : int
        Number of structures.

    Returns
    -------
    ndarray of shape (n_structures,)
        The target.

    Raises
    ------
    ValueError
        If there is none, or not one finite number per structure.
    """
    if y is None:
        raise ValueError(
            "weights='learned' needs y, one number per structure, such as total energies: "
            "fit(X, y); or use weights='normal'"
        )
    y = np.asarray(y, dtype=np.float64)
    if y.shape != (n_structures,) or not np.isfinite(y).all():
        raise ValueError(
            f"weights='learned' needs one finite number per structure in y: {n_structures} "
            f"structures, y of shape {y.shape}"
        )
    if n_structures < 4:
        raise ValueError(
            f"weights='learned' needs at least 4 structures, some of them to stop early, got "
            f"{n_structures}"
        )
    return y


def pack_coefficients(engine, structures):
    """Density coefficients of all atoms, species by species, as far as they are present.

    Parameters
    ----------
    engine : TensorReducedEngine
        The descriptor, with any weights.
    structures : Structures
        The structures.

    Returns
    -------
    PackedCoefficients
        The coefficients.
    """
    p = engine.parameters
    expansion = DensityExpansion(engine._make_spline(), len(engine.species), p["center_weight"])
    data, species, counts = [], [], []
    n_bytes, n_centers = 0, len(structures.positions)
    for _, rows, _, index, own, pairs in neighborhoods(
        engine, structures, np.arange(n_centers), structures.offsets
    ):
        c = Neighborhoods(expansion, None, pairs, index, own, 1, False).coefficients()
        c = np.ascontiguousarray(c.transpose(0, 2, 1, 3))
        present = c.any(axis=(2, 3))
        data.append(c[present])
        species.append(np.nonzero(present)[1])
        counts.append(present.sum(axis=1))
        n_bytes += 2 * data[-1].nbytes  # once more when they are joined
        check_fits_memory(
            n_bytes * n_centers / rows.stop, f"stored coefficients of {n_centers} atoms",
            "learn from fewer structures, or lower n_max or l_max",
        )  # fmt: skip
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return PackedCoefficients(
        engine.invariant, np.concatenate(data), np.concatenate(species).astype(np.intp),
        offsets.astype(np.intp), engine.n_threads,
    )  # fmt: skip


class MixingProblem:
    """The loss as a function of the parameters of the weights.

    Parameters
    ----------
    engine : TensorReducedEngine
        The descriptor.
    structures : Structures
        The structures.
    y : ndarray of shape (n_structures,)
        Target.
    shape : tuple of int
        Shape of the weights, (n_factors, l, species, n, n_channels).
    n_embedding : int
        Length of an element's vector.
    validation : ndarray of bool of shape (n_structures,)
        Structures that judge when to stop.
    alpha : float or None
        Ridge parameter relative to the mean square of the features; by default the best for
        the validation structures at the first weights.
    """

    def __init__(self, engine, structures, y, *, shape, n_embedding, validation, alpha):
        self.layout = engine.layout
        self.packed = pack_coefficients(engine, structures)
        self.starts, self.n_atoms = structures.offsets[:-1], structures.n_atoms
        self.y = y / self.n_atoms
        self.validation, self.train = validation, ~validation
        self.shape = shape
        self.n_embedding = min(n_embedding, shape[2])
        index = engine.species_index(structures.numbers)
        structure = structures.structure_index
        composition = np.zeros((len(y), shape[2]))
        known = index >= 0
        np.add.at(composition, (structure[known], index[known]), 1.0)
        composition /= self.n_atoms[:, None]
        # the composition explains what it can; a trace of ridge, as it may be rank-deficient
        own = composition[self.train]
        self.solver = np.linalg.solve(own.T @ own + 1e-8 * np.eye(shape[2]), own.T)
        self.composition = composition
        self.rest = self.beside_composition(self.y)
        self.alpha = alpha

    def beside_composition(self, values):
        """What a fit of the composition to the training structures leaves."""
        return values - self.composition @ (self.solver @ values[self.train])

    def start(self, rng):
        """Random parameters."""
        t, l, s, n, k = self.shape
        u = rng.normal(size=(s, self.n_embedding))
        v = rng.normal(size=(self.n_embedding, t, l, n, k))
        return np.concatenate([u.ravel(), v.ravel()])

    def split(self, parameters):
        """Vectors of the elements, and what turns them into weights."""
        t, l, s, n, k = self.shape
        u, v = np.split(parameters, [s * self.n_embedding])
        return u.reshape(s, -1), v.reshape(self.n_embedding, t, l, n, k)

    def weights(self, parameters):
        """Weights whose mean square is one in every channel, and the norms taken out."""
        u, v = self.split(parameters)
        raw = np.einsum("se,etlnk->tlsnk", u, v)
        norms = np.sqrt((raw**2).mean(axis=(2, 3), keepdims=True))
        return raw / norms, norms

    def pooled(self, weights):
        """Features averaged over the atoms of each structure, and what depends on them alone."""
        rows = np.empty((self.packed.n_centers, self.layout.n_features))
        self.packed.features(self.layout.columns(weights), rows)
        return self.beside_composition(
            np.add.reduceat(rows, self.starts, axis=0) / self.n_atoms[:, None]
        )

    def solve(self, F, alpha):
        """Ridge coefficients of the training structures."""
        F = F[self.train]
        matrix = F.T @ F / len(F)
        matrix.flat[:: len(matrix) + 1] += alpha * self.scale
        return cho_solve(cho_factor(matrix), F.T @ self.rest[self.train] / len(F))

    def errors(self, F, a):
        """Root mean square errors of training and validation."""
        residual = self.rest - F @ a
        return tuple(np.sqrt((residual[part] ** 2).mean())
                     for part in (self.train, self.validation))  # fmt: skip

    def choose_alpha(self, parameters):
        """Set the scale of the ridge parameter, and the parameter itself if it is not given."""
        F = self.pooled(self.weights(parameters)[0])
        self.scale = (F[self.train] ** 2).mean() * F.shape[1]
        if self.alpha is None:
            errors = [self.errors(F, self.solve(F, alpha))[1] for alpha in ALPHAS]
            self.alpha = float(ALPHAS[int(np.argmin(errors))])

    def loss_and_gradient(self, parameters):
        """L, its gradient by the parameters, and the errors of training and validation."""
        weights, norms = self.weights(parameters)
        F = self.pooled(weights)
        a = self.solve(F, self.alpha)
        n_train = self.train.sum()
        residual = np.where(self.train, self.rest - F @ a, 0.0)
        loss = (residual**2).sum() / n_train + self.alpha * self.scale * (a @ a)
        # the fit of the composition is symmetric as a map of the training structures
        pulled = np.where(self.train, self.beside_composition(residual), 0.0)
        per_atom = np.repeat(-2 / n_train * pulled / self.n_atoms, self.n_atoms)
        columns = self.packed.weight_gradient(
            self.layout.columns(weights), np.multiply.outer(per_atom, a)
        )
        gradient = self.layout.from_columns(columns)
        # the mean square of a channel is fixed: only what is orthogonal to it counts
        along = (gradient * weights).mean(axis=(2, 3), keepdims=True)
        gradient = (gradient - along * weights) / norms
        u, v = self.split(parameters)
        of_u = np.einsum("tlsnk,etlnk->se", gradient, v)
        of_v = np.einsum("tlsnk,se->etlnk", gradient, u)
        return loss, np.concatenate([of_u.ravel(), of_v.ravel()]), self.errors(F, a)


def element_embedding(weights, n_embedding):
    """Vectors of the elements: scalar products are those of their weights.

    Parameters
    ----------
    weights : ndarray of shape (n_factors, l, species, n, n_channels)
        Mixing weights.
    n_embedding : int
        Length of the vectors.

    Returns
    -------
    ndarray of shape (n_species, n_embedding)
        Along principal axes, the longest first.
    """
    rows = weights.transpose(2, 0, 1, 3, 4).reshape(weights.shape[2], -1)
    u, s, _ = np.linalg.svd(rows / np.sqrt(rows.shape[1]), full_matrices=False)
    u *= np.sign(u[np.abs(u).argmax(axis=0), np.arange(u.shape[1])])  # a sign for good
    return (u * s)[:, :n_embedding]


def learn(problem, rng, *, max_iter, patience):
    """Minimize the loss; stop when the validation error no longer falls.

    Parameters
    ----------
    problem : MixingProblem
        The loss.
    rng : Generator
        Draws the first weights.
    max_iter, patience : int
        Most iterations, and most without a smaller validation error.

    Returns
    -------
    weights : ndarray
        Those with the smallest validation error.
    history : dict
        "train" and "validation": root mean square errors per atom of every iteration.
    """
    x = problem.start(rng)
    problem.choose_alpha(x)
    history = {"train": [], "validation": []}
    best = {"x": x, "iteration": 0}
    last = {}

    def evaluate(x):
        loss, gradient, errors = problem.loss_and_gradient(x)
        last[x.tobytes()] = errors
        return loss / reference, gradient / reference

    def record(x):
        errors = last.get(x.tobytes()) or problem.loss_and_gradient(x)[2]
        last.clear()
        for name, error in zip(history, errors, strict=True):
            history[name].append(float(error))
        iteration = len(history["train"]) - 1
        if errors[1] <= min(history["validation"]):
            best.update(x=x.copy(), iteration=iteration)
        logger.info(
            "learned mixing, iteration %d: RMSE per atom %.4g (training), %.4g (validation)",
            iteration, *errors,
        )  # fmt: skip
        if iteration - best["iteration"] >= patience:
            raise StopIteration

    reference = problem.loss_and_gradient(x)[0]
    record(x)
    minimize(evaluate, x, jac=True, method="L-BFGS-B", callback=record,
             options={"maxiter": max_iter, "maxcor": 20})  # fmt: skip
    return problem.weights(best["x"])[0], history
