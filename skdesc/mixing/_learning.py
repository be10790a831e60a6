"""Learning of mixing weights from a target of the structures: options and minimization."""

from __future__ import annotations

import logging

import numpy as np
from scipy.optimize import minimize

from ..structures._target_checks import check_forces, flatten_forces

logger = logging.getLogger("skdesc")

OPTIONS = {
    "n_embedding": 8, "alpha": None, "max_iter": 100, "validation_fraction": 0.15, "patience": 10,
    "forces_weight": 1.0,
}


def _is_count(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1


def _is_positive(value):
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 < value < np.inf


_COUNT = (_is_count, "an integer of at least 1")
_RULES = {
    "n_embedding": _COUNT,
    "max_iter": _COUNT,
    "patience": _COUNT,
    "validation_fraction": (
        lambda value: isinstance(value, float) and 0 < value < 1, "a number between 0 and 1"
    ),
    "alpha": (lambda value: value is None or _is_positive(value), "None or a number above 0"),
    "forces_weight": (_is_positive, "a number above 0"),
}


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
    for name, (is_valid, rule) in _RULES.items():
        if not is_valid(result[name]):
            raise ValueError(f"learning[{name!r}] is {result[name]!r}, but must be {rule}")
    return result


def check_targets(y, forces, structures):
    """Check the targets.

    Parameters
    ----------
    y : array-like of shape (n_structures,)
        One number per structure, such as its total energy.
    forces : sequence or None
        Of each structure, (n_atoms, 3), or None or NaN where they are not known.
    structures : Structures
        The structures.

    Returns
    -------
    y : ndarray of shape (n_structures,)
        The target.
    forces : ndarray of shape (n_atoms, 3) or None
        Forces of all atoms, NaN where they are not known.

    Raises
    ------
    ValueError
        If there is no target, or not one finite number per structure, or forces do not fit.
    """
    n_structures = len(structures)
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
    if forces is None:
        return y, None
    forces = flatten_forces(check_forces(forces, structures.n_atoms), structures.n_atoms)
    return y, forces if np.isfinite(forces).any() else None


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
        "train" and "validation": root mean square errors per atom of every iteration; with
        forces, "train_forces" and "validation_forces" too.
    """
    x = problem.start(rng)
    problem.choose_alpha(x)
    history = {name: [] for name in problem.error_names}
    best = {"x": x, "iteration": 0, "error": np.inf}
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
        error = problem.validation_error(errors)
        if error <= best["error"]:
            best.update(x=x.copy(), iteration=iteration, error=error)
        logger.info(
            "learned mixing, iteration %d: root mean square errors %s", iteration,
            ", ".join(f"{name} {error:.4g}" for name, error in zip(history, errors, strict=True)),
        )
        if iteration - best["iteration"] >= patience:
            raise StopIteration

    reference = problem.loss_and_gradient(x)[0]
    record(x)
    minimize(evaluate, x, jac=True, method="L-BFGS-B", callback=record,
             options={"maxiter": max_iter, "maxcor": 20})
    return problem.weights(best["x"])[0], history
