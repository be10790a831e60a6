"""Errors of potentials: energies per atom, force components; as functions and as scorers.

The functions take arrays; the scorers go where scikit-learn takes ``scoring=``. scikit-learn has
no public way to add names to its own list of scorers, so they have names in the dict `SCORERS`:
``scoring=SCORERS["neg_forces_rmse"]`` for one, ``scoring=SCORERS`` for all of them at once.
"""

from __future__ import annotations

from inspect import signature

import numpy as np
from ase import Atoms
from sklearn.utils.metadata_routing import MetadataRequest

from .structures import Structures, extract_targets
from .structures._target_checks import check_forces
from .utils.validation import is_choice

__all__ = [
    "SCORERS",
    "energy_mae_per_atom",
    "energy_rmse_per_atom",
    "forces_mae",
    "forces_rmse",
    "make_energy_scorer",
    "make_forces_scorer",
]


def energy_rmse_per_atom(y_true, y_pred, n_atoms):
    """Root mean square error of energies per atom.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_structures,)
        Total energies, in eV. Where the true one is NaN, it does not count.
    n_atoms : array-like of shape (n_structures,)
        Numbers of atoms, such as ``structures.n_atoms``.

    Returns
    -------
    float
        In eV per atom.

    Examples
    --------
    >>> from skdesc.metrics import energy_rmse_per_atom
    >>> round(energy_rmse_per_atom([-10.0, -20.0], [-10.2, -20.4], [2, 4]), 6)
    0.1
    """
    return _rms(_energy_errors(y_true, y_pred, n_atoms))


def energy_mae_per_atom(y_true, y_pred, n_atoms):
    """Mean absolute error of energies per atom.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_structures,)
        Total energies, in eV. Where the true one is NaN, it does not count.
    n_atoms : array-like of shape (n_structures,)
        Numbers of atoms, such as ``structures.n_atoms``.

    Returns
    -------
    float
        In eV per atom.
    """
    return _mean_absolute(_energy_errors(y_true, y_pred, n_atoms))


def forces_rmse(forces_true, forces_pred):
    """Root mean square error of force components.

    Parameters
    ----------
    forces_true, forces_pred : sequence of array-like of shape (n_atoms, 3)
        Forces of each structure, in eV/angstrom. Where the true ones are None or NaN, they
        don't count.

    Returns
    -------
    float
        In eV/angstrom.

    Examples
    --------
    >>> from skdesc.metrics import forces_rmse
    >>> forces_rmse([[[0.0, 0.0, 0.0]], None], [[[0.5, 0.5, 0.5]], [[1.0, 0.0, 0.0]]])
    0.5
    """
    return _rms(_force_errors(forces_true, forces_pred))


def forces_mae(forces_true, forces_pred):
    """Mean absolute error of force components.

    Parameters
    ----------
    forces_true, forces_pred : sequence of array-like of shape (n_atoms, 3)
        Forces of each structure, in eV/angstrom. Where the true ones are None or NaN, they
        don't count.

    Returns
    -------
    float
        In eV/angstrom.
    """
    return _mean_absolute(_force_errors(forces_true, forces_pred))


def make_energy_scorer(metric="rmse"):
    """Scorer of energies per atom, for ``scoring=``.

    Parameters
    ----------
    metric : {"rmse", "mae"}, default="rmse"
        Root mean square or mean absolute error; the score is its negative, in eV per atom.

    Returns
    -------
    callable
        Called as ``scorer(estimator, X, y)``, where `X` is a sequence of Atoms, `Structures`
        or `AtomicFeatures`.

    Examples
    --------
    >>> from skdesc.metrics import make_energy_scorer
    >>> make_energy_scorer()
    make_energy_scorer('rmse')
    """
    return _EnergyScorer(metric)


def make_forces_scorer(metric="rmse"):
    """Scorer of force components, for ``scoring=``.

    Parameters
    ----------
    metric : {"rmse", "mae"}, default="rmse"
        Root mean square or mean absolute error; the score is its negative, in eV/angstrom.

    Returns
    -------
    callable
        Called as ``scorer(estimator, X, y, forces=forces)``. It has requested `forces`, so
        that with ``sklearn.set_config(enable_metadata_routing=True)`` cross-validation and
        searches pass on the forces of each fold. Without them it reads the forces that are
        attached to the Atoms in `X`.

    Examples
    --------
    >>> from skdesc.metrics import make_forces_scorer
    >>> make_forces_scorer("mae")
    make_forces_scorer('mae')
    """
    return _ForcesScorer(metric)


class _Scorer:
    """Base of the scorers: remembers which mean of errors is wanted.

    A search calls ``read_metadata`` before it computes anything, for what the samples themselves
    say and features may not, and to learn what is missing.
    """

    def __init__(self, metric):
        if not is_choice(metric, *_METRICS):
            raise ValueError(f"metric is {metric!r}, but must be one of {tuple(_METRICS)}")
        self.metric = metric

    @property
    def quantity(self):
        """What the metric compares: "energy", "forces" or "virials"."""
        return self.kind

    def get_metadata_routing(self):
        """Request the metadata that the scorer takes."""
        request = MetadataRequest(owner=self)
        request.score.add_request(param=self._argument, alias=True)
        return request

    def _accept_sample_weight(self):  # scikit-learn asks scorers of several metrics
        return False

    def __repr__(self):
        return f"{self._factory}({self.metric!r})"


class _EnergyScorer(_Scorer):
    _factory = "make_energy_scorer"
    _argument = "n_atoms"
    kind = "energy"

    def read_metadata(self, estimator, X, given):
        """Numbers of atoms, as pooled features no longer know them."""
        try:
            return {} if "n_atoms" in given else {"n_atoms": np.asarray(_n_atoms(X))}
        except TypeError:  # samples that a first step makes structures of
            return {}

    def __call__(self, estimator, X, y, n_atoms=None):
        n_atoms = n_atoms if n_atoms is not None and not hasattr(X, "n_atoms") else _n_atoms(X)
        return -_METRICS[self.metric](_energy_errors(y, estimator.predict(X), n_atoms))


class _ForcesScorer(_Scorer):
    _factory = "make_forces_scorer"
    _argument = "forces"
    kind = "forces"

    def read_metadata(self, estimator, X, given):
        """Forces of the samples, if fit was given none."""
        last = getattr(estimator, "steps", [(None, estimator)])[-1][1]
        if not _takes(getattr(last, "predict", None), "return_forces"):
            raise ValueError(
                f"scoring has {self!r}, but {type(last).__name__}.predict has no argument "
                "return_forces; score energies, or end the pipeline with a GAPRegressor"
            )
        if "forces" not in given:
            return {"forces": _attached_forces(X)}
        frames = _frames(X)
        if frames is not None:
            check_forces(given["forces"], np.array([len(atoms) for atoms in frames]))
        return {}

    def __call__(self, estimator, X, y=None, forces=None):
        if forces is None:
            forces = _attached_forces(X)
        predicted = estimator.predict(X, return_forces=True)[-1]
        return -_METRICS[self.metric](_force_errors(forces, predicted))


def _takes(function, argument):
    """Whether a function takes an argument, as far as its signature tells."""
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        return function is not None
    return any(p.name == argument or p.kind is p.VAR_KEYWORD for p in parameters)


def _energy_errors(y_true, y_pred, n_atoms):
    y_true, y_pred, n_atoms = (
        np.asarray(values, dtype=np.float64) for values in (y_true, y_pred, n_atoms)
    )
    if not y_true.shape == y_pred.shape == n_atoms.shape or y_true.ndim != 1:
        raise ValueError(f"y_true, y_pred and n_atoms have the shapes {y_true.shape}, "
                         f"{y_pred.shape} and {n_atoms.shape}, but must have one entry per "
                         "structure")
    if not (n_atoms > 0).all():
        raise ValueError("n_atoms must be positive")
    known = ~np.isnan(y_true)
    if not known.any():
        raise ValueError("y_true has no energy to compare with; give at least one that is not NaN")
    return ((y_true - y_pred) / n_atoms)[known]


def _force_errors(forces_true, forces_pred):
    if len(forces_true) != len(forces_pred):
        raise ValueError(f"there are forces of {len(forces_true)} structures to compare with "
                         f"those of {len(forces_pred)}; give them for the same structures")
    errors = []
    for index, (true, predicted) in enumerate(zip(forces_true, forces_pred, strict=True)):
        if true is None or (np.ndim(true) == 0 and np.isnan(true)):
            continue
        true = np.asarray(true, dtype=np.float64)
        predicted = np.asarray(predicted, dtype=np.float64)
        if true.shape != predicted.shape:
            raise ValueError(f"forces_true[{index}] has the shape {true.shape}, "
                             f"but forces_pred[{index}] {predicted.shape}")
        difference = (true - predicted).reshape(-1)
        errors.append(difference[~np.isnan(true.reshape(-1))])
    errors = np.concatenate(errors) if errors else np.empty(0)
    if errors.size == 0:
        raise ValueError("no structure has forces to compare with")
    return errors


def _rms(errors):
    return float(np.sqrt(np.mean(np.square(errors))))


def _mean_absolute(errors):
    return float(np.mean(np.abs(errors)))


_METRICS = {"rmse": _rms, "mae": _mean_absolute}


def _n_atoms(X):
    """Numbers of atoms from whatever holds structures."""
    if hasattr(X, "n_atoms"):
        return X.n_atoms
    frames = _frames(X)
    if frames is None:
        raise TypeError(
            f"X is of type {type(X).__name__}, whose numbers of atoms are not known; score on "
            "Atoms, Structures or AtomicFeatures"
        )
    return np.array([len(atoms) for atoms in frames])


def _attached_forces(X):
    frames, forces, reason = _frames(X), None, None
    if frames is not None:
        try:
            forces = extract_targets(frames, energies=False, virials=False)[1].get("forces")
        except ValueError as error:
            reason = error
    if forces is None:
        raise ValueError(
            "the scorer of forces has got none; pass them to fit of a search as gap__forces=forces "
            "(forces=forces if metadata routing is enabled), and to cross_validate as "
            "params={'forces': forces} after sklearn.set_config(enable_metadata_routing=True); or "
            "score on Atoms with forces attached, which no step has turned into features"
        ) from reason
    return forces


def _frames(X):
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


SCORERS = {
    "neg_energy_rmse_per_atom": make_energy_scorer("rmse"),
    "neg_energy_mae_per_atom": make_energy_scorer("mae"),
    "neg_forces_rmse": make_forces_scorer("rmse"),
    "neg_forces_mae": make_forces_scorer("mae"),
}
