"""Errors of potentials as scorers, for ``scoring=`` of scikit-learn.

scikit-learn has no public way to add names to its own list of scorers, so they have names in the
dict `SCORERS`: ``scoring=SCORERS["neg_forces_rmse"]`` for one, ``scoring=SCORERS`` for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Literal

import numpy as np
from sklearn.utils.metadata_routing import MetadataRequest

from ..structures._target_checks import check_forces
from ..utils.validation import is_choice
from ._errors import METRICS, energy_errors, force_errors
from ._relative_errors import QUANTITIES, combine, composition, find_scales, potential_errors
from ._samples import attached_forces, attached_targets, count_atoms, frames_of, structures_of


def make_energy_scorer(metric: Literal["rmse", "mae"] = "rmse") -> Callable[..., float]:
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


def make_forces_scorer(metric: Literal["rmse", "mae"] = "rmse") -> Callable[..., float]:
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


def make_potential_scorer() -> Callable[..., float]:
    """Scorer of energies, forces and virials together, for ``scoring=``.

    The score is minus the geometric mean over quantities of their relative errors, so that a per
    cent of any of them counts the same. Targets are compared with the spread of their quantity: a
    median absolute deviation, of energies per atom from a linear model of the composition, of force
    components from zero, of virials per atom from their median. A target far outside of its spread
    counts with the part of it that is missed, and errors beyond three spreads count little more
    than three: a few exploded structures do not decide. Squared errors are averaged over the
    components of a structure, over structures, and then over `config_types` where these are given.

    Returns
    -------
    callable
        Called as ``scorer(estimator, X, y, forces=..., virials=..., config_types=...)``. It has
        requested all of these. In a search it takes what `fit` was given, or else the structures
        carry.

    Examples
    --------
    >>> from skdesc.metrics import make_potential_scorer
    >>> make_potential_scorer()
    make_potential_scorer()
    """
    return _PotentialScorer()


def default_scorer():
    """Default scorer of searches: all quantities together, or R2 for energies alone."""
    return _PotentialScorer(is_default=True)


class _Scorer:
    """Base of the scorers, with the kind of mean that is requested.

    A search calls ``read_metadata`` before it computes anything, for what the samples themselves
    say and features may not, and to learn what is missing.
    """

    def __init__(self, metric):
        if not is_choice(metric, *METRICS):
            raise ValueError(f"metric is {metric!r}, but must be one of {tuple(METRICS)}")
        self.metric = metric

    @property
    def quantity(self):
        """What the metric compares: "energy", "forces" or "virials"."""
        return self.kind

    def get_metadata_routing(self):
        """Request the metadata that the scorer takes."""
        request = MetadataRequest(owner=self)
        for argument in self._arguments:
            request.score.add_request(param=argument, alias=True)
        return request

    def _accept_sample_weight(self):  # scikit-learn asks scorers of several metrics
        return False

    def __repr__(self):
        return f"{self._factory}({self.metric!r})"


class _EnergyScorer(_Scorer):
    _factory = "make_energy_scorer"
    _arguments = ("n_atoms",)
    kind = "energy"

    def read_metadata(self, estimator, X, y, given):
        """Numbers of atoms, which pooled features no longer contain."""
        try:
            return {} if "n_atoms" in given else {"n_atoms": np.asarray(count_atoms(X))}
        except TypeError:  # samples that the first step converts to structures
            return {}

    def __call__(self, estimator, X, y, n_atoms=None):
        n_atoms = n_atoms if n_atoms is not None and not hasattr(X, "n_atoms") else count_atoms(X)
        return -METRICS[self.metric](energy_errors(y, estimator.predict(X), n_atoms))


class _ForcesScorer(_Scorer):
    _factory = "make_forces_scorer"
    _arguments = ("forces",)
    kind = "forces"

    def read_metadata(self, estimator, X, y, given):
        """Forces of the samples, if none were passed to fit."""
        last = getattr(estimator, "steps", [(None, estimator)])[-1][1]
        if not _takes(getattr(last, "predict", None), "return_forces"):
            raise ValueError(
                f"scoring has {self!r}, but {type(last).__name__}.predict has no argument "
                "return_forces; score energies, or end the pipeline with a GAPRegressor"
            )
        if "forces" not in given:
            return {"forces": attached_forces(X)}
        frames = frames_of(X)
        if frames is not None:
            check_forces(given["forces"], np.array([len(atoms) for atoms in frames]))
        return {}

    def __call__(self, estimator, X, y=None, forces=None):
        if forces is None:
            forces = attached_forces(X)
        predicted = estimator.predict(X, return_forces=True)[-1]
        return -METRICS[self.metric](force_errors(forces, predicted))


class _PotentialScorer(_Scorer):
    """Error of all quantities together, the smaller of one relative to its spread."""

    _factory = "make_potential_scorer"
    _arguments = ("forces", "virials", "config_types", "scales")
    kind = None  # all of them

    def __init__(self, is_default=False):
        super().__init__("rmse")
        # of a search without a scorer: R2 of energies if nothing else is learned
        self._is_default = is_default

    def __repr__(self):
        return "make_potential_scorer()"

    def read_metadata(self, estimator, X, y, given):
        """Scales of all targets, the same for every fold."""
        structures = structures_of(X)
        if "scales" in given or structures is None or y is None:
            return {}
        read = {}
        if not self._is_default and not {"forces", "virials"} & {*given}:
            read = attached_targets(X)
        targets = {**given, **read}
        scales = find_scales(
            np.asarray(y, dtype=np.float64), structures.n_atoms, composition(structures),
            targets.get("forces"), targets.get("virials"),
        )
        spreads = [scales.spreads.get(quantity, np.nan) for quantity in QUANTITIES]
        table = np.column_stack([scales.reference, np.tile(spreads, (len(y), 1))])
        return {**read, "scales": table}

    def __call__(
        self, estimator, X, y, forces=None, virials=None, config_types=None, scales=None
    ):
        if self._is_default and forces is None and virials is None:
            return estimator.score(X, y)
        errors = potential_errors(
            estimator, X, y, forces=forces, virials=virials, config_types=config_types,
            scales=scales,
        )
        return -combine(errors)


def _takes(function, argument):
    """Whether the signature of a function has an argument."""
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        return function is not None
    return any(p.name == argument or p.kind is p.VAR_KEYWORD for p in parameters)


SCORERS = {
    "neg_energy_rmse_per_atom": make_energy_scorer("rmse"),
    "neg_energy_mae_per_atom": make_energy_scorer("mae"),
    "neg_forces_rmse": make_forces_scorer("rmse"),
    "neg_forces_mae": make_forces_scorer("mae"),
}
