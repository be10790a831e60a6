"""``suggest_space``: search spaces of hyperparameters, from the structures."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from scipy.stats import loguniform, randint, uniform
from sklearn.pipeline import Pipeline

from .descriptors._auto_parameters import HYDROGEN, LONGEST_PAIR, LengthScales
from .neighbors import FARTHEST_NEIGHBOR, nearest_distances
from .structures import as_column, check_structures
from .utils.typing import PerStructure, Samples
from .utils.validation import is_choice

__all__ = ["suggest_space"]

# ranges around the values that "auto" stands for: multiples of these
_CUTOFFS, _WIDTHS = (0.72, 1.1), (0.15, 1.15)
_LARGEST_CUTOFF = 8.0
# widths of the atomic densities, as fractions of the distance of nearest neighbors
_ATOM_SIGMAS = (0.12, 0.35)
# a hydrogen is 0.1 angstrom off its place in any molecule; wider than this, it is blurred
_WIDEST_WITH_HYDROGEN = 0.5
# weights by distance beside none: multiples of the scale, and exponents
_SCALINGS = ((1.0, 2), (0.8, 2), (1.4, 3))
# descriptors longer than this take more time than they are worth in a search
_MAX_FEATURES = 6000
# sparse points: at most a quarter of the environments; beyond some hundreds a search is slow
_SPARSE_LIMITS = (20, 500)
# parameters that SOAP and GAP do not have
_RARE = ("n_channels", "alpha")


@dataclass(frozen=True)
class _Real:
    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class _Integer:
    """Both ends included."""

    low: int
    high: int


@dataclass(frozen=True)
class _Choice:
    values: list
    # for whom a choice must be a word, a number or None
    plain: list | None = None

    def words(self):
        """Choices that every tool can store."""
        return self.values if self.plain is None else self.plain


def suggest_space(
    X: Samples,
    estimator: Any = None,
    *,
    transformer: str | None = "soap",
    regressor: str | None = "gap",
    forces: PerStructure | bool | None = None,
    virials: bool = False,
    dialect: str = "sklearn",
) -> Any:
    """Suggest search spaces for a descriptor and a regressor.

    Cutoff, its width and the weight by distance vary around what "auto" stands for, see
    :class:`skdesc.SOAPTransformer`: cutoffs from 0.72 to 1.1 times that, so from 1.6 to 2.4 times
    the distance of nearest neighbors where there is no hydrogen, and up to 8 angstrom; widths of
    the cutoff from 0.15 to 1.15 times, but never more than the least cutoff. Widths of atomic
    densities are 0.12 to 0.35 of the typical distance of nearest neighbors, and no more than 0.5
    angstrom where there is hydrogen. Numbers of basis functions are limited by the length of the
    descriptor, which grows with the number of elements. Sparse points are up to a quarter of the
    environments, and at most 500.

    Parameters
    ----------
    X : sequence of ase.Atoms
        The structures that will be learned.
    estimator : sklearn.pipeline.Pipeline, default=None
        The pipeline to be tuned. It decides on the names of the steps, and parameters that it
        does not have are left out.
    transformer, regressor : str, default="soap" and "gap"
        Names of the steps if `estimator` is None.
    forces, virials : bool, default=None and False
        Whether the fit is to these as well, so that their noise matters. If `forces` is None,
        whether each structure carries forces.
    dialect : {"sklearn", "optuna", "flaml", "ray", "skopt", "configspace"}, default="sklearn"
        For whom the spaces are written.

    Returns
    -------
    tuple of two dicts, or dict, or ConfigSpace.ConfigurationSpace
        For "sklearn", the spaces of :class:`skdesc.TwoStagePSOSearchCV`, of lists and scipy
        distributions. All others know one stage, and get one space: a dict from names to
        Optuna's distributions, to domains of ``flaml.tune`` or ``ray.tune``, to dimensions of
        scikit-optimize; or a ``ConfigurationSpace``.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from skdesc import suggest_space
    >>> transformer_space, regressor_space = suggest_space([bulk("Cu", cubic=True)])
    >>> list(transformer_space)[:3]
    ['soap__cutoff', 'soap__cutoff_width', 'soap__atom_sigma']
    >>> low, high = transformer_space["soap__cutoff"].support()
    >>> print(f"{low:.1f} to {high:.1f} angstrom")
    4.0 to 6.2 angstrom
    """
    if not is_choice(dialect, *_DIALECTS):
        raise ValueError(f"dialect is {dialect!r}, but must be one of {tuple(_DIALECTS)}")
    structures = check_structures(X)
    if forces is None:
        forces = _carries_forces(X)
    spaces = {
        "transformer": _transformer_space(structures),
        "regressor": _regressor_space(structures, forces, virials),
    }
    if estimator is None:
        named = [
            {f"{step}__{name}": dimension for name, dimension in space.items() if name not in _RARE}
            for step, space in zip((transformer, regressor), spaces.values(), strict=True)
        ]
    else:
        named = _spaces_of(estimator, **spaces)
    translate, whole = _DIALECTS[dialect]
    translated = [
        {name: translate(name, dimension) for name, dimension in space.items()} for space in named
    ]
    return whole(*translated)


def _transformer_space(structures):
    lengths = LengthScales.of(structures)
    suited = lengths.parameters()
    cutoff, width, nearest = suited["cutoff"], suited["cutoff_width"], _nearest(structures)
    widest = _ATOM_SIGMAS[1] * nearest
    if (structures.numbers == HYDROGEN).any():
        widest = min(widest, _WIDEST_WITH_HYDROGEN)
    low = min(_CUTOFFS[0] * cutoff, _LARGEST_CUTOFF - 1.0)
    high = min(_CUTOFFS[1] * cutoff, _LARGEST_CUTOFF)
    if lengths.longest_pair is not None:
        low = cutoff * LONGEST_PAIR  # all pairs of the data within
    # in a dimer all directions are alike, and a few l say all there is
    l_low, l_high = (2, 8) if lengths.longest_pair is None else (0, 4)
    n_high = 10
    n_species = len(np.unique(structures.numbers))
    while n_high > 4 and _length(n_species, n_high, l_high) > _MAX_FEATURES:
        l_high, n_high = (l_high, n_high - 1) if n_high >= l_high else (l_high - 1, n_high)
    return {
        "cutoff": _Real(_rounded(low), _rounded(high)),
        # any width goes with any cutoff
        "cutoff_width": _Real(_rounded(_WIDTHS[0] * width), _rounded(min(_WIDTHS[1] * width, low))),
        "atom_sigma": _Real(_rounded(_ATOM_SIGMAS[0] * nearest), _rounded(widest)),
        "radial_scaling": _Choice(
            _scalings(lengths, suited["radial_scaling"]), plain=[None, "auto"]
        ),
        "n_max": _Integer(min(4, n_high - 2), n_high),
        "l_max": _Integer(min(l_low, l_high - 1), l_high),
        "n_channels": _Choice([16, 32, 64, 128]),
    }


def _nearest(structures):
    """Median distance of nearest neighbors, of all elements."""
    distances = nearest_distances(structures)
    near = distances[np.isfinite(distances)]
    if len(near) == 0:
        raise ValueError(
            f"no two atoms in X are nearer than {FARTHEST_NEIGHBOR} angstrom, so there is no "
            "distance to judge by; check units and cells"
        )
    return float(np.median(near))


def _scalings(lengths, suited):
    """Weights by distance: none, what "auto" stands for, and some beside it."""
    rate, scale, _ = suited or (1.0, lengths.typical, 2)
    return [None, *((rate, _rounded(factor * scale), power) for factor, power in _SCALINGS)]


def _regressor_space(structures, forces, virials):
    most = int(np.clip(np.bincount(structures.numbers).max() // 4, *_SPARSE_LIMITS))
    space = {
        "zeta": _Choice([1, 2, 3, 4, 6]),
        "n_sparse": _Choice([most // 4, most // 2, most]),
        "sigma_energy": _Real(1e-4, 1e-1, log=True),
    }
    if forces:
        space["sigma_forces"] = _Real(1e-3, 1.0, log=True)
    if virials:
        space["sigma_virials"] = _Real(1e-3, 1.0, log=True)
    # for linear and kernel models on pooled descriptors, which are of the order of one
    return {**space, "alpha": _Real(1e-8, 1e2, log=True)}


def _spaces_of(estimator, transformer, regressor):
    """Spaces by the full names of the parameters that a pipeline has."""
    if not isinstance(estimator, Pipeline):
        raise TypeError(
            f"estimator is a {type(estimator).__name__}, but must be a Pipeline of a descriptor "
            "and a regressor; use make_pipeline(descriptor, regressor)"
        )
    spaces = [{}, {}]
    last = len(estimator.steps) - 1
    for index, (step, part) in enumerate(estimator.steps):
        if not hasattr(part, "get_params"):
            continue
        known = part.get_params(deep=False)
        if index < last and "cutoff" not in known:  # no descriptor
            continue
        for name, dimension in (regressor if index == last else transformer).items():
            if name in known:
                spaces[index == last][f"{step}__{name}"] = dimension
    if not spaces[0]:
        raise ValueError(
            "no step of estimator before the last has a cutoff, so none is known to be a "
            "descriptor; give a pipeline with a SOAPTransformer or another descriptor"
        )
    return spaces


def _length(n_species, n_max, l_max):
    """Length of a power spectrum."""
    channels = n_species * n_max
    return channels * (channels + 1) // 2 * (l_max + 1)


def _carries_forces(X):
    if hasattr(X, "positions"):
        return False  # Structures keep no results
    frames = as_column(X)[:, 0]
    return all("forces" in getattr(atoms.calc, "results", {}) or "forces" in atoms.arrays
               for atoms in frames)


def _rounded(value):
    return round(float(value), 2)


def _to_sklearn(name, dimension):
    if isinstance(dimension, _Choice):
        return dimension.values
    if isinstance(dimension, _Integer):
        return randint(dimension.low, dimension.high + 1)
    if dimension.log:
        return loguniform(dimension.low, dimension.high)
    return uniform(dimension.low, dimension.high - dimension.low)


def _to_optuna(name, dimension):
    distributions = _load("optuna", "optuna").distributions
    if isinstance(dimension, _Choice):
        return distributions.CategoricalDistribution(dimension.words())
    if isinstance(dimension, _Integer):
        return distributions.IntDistribution(dimension.low, dimension.high)
    return distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _to_flaml(name, dimension):
    return _to_tune(_load("flaml.tune", "flaml"), dimension)


def _to_ray(name, dimension):
    return _to_tune(_load("ray.tune", "ray[tune]"), dimension)


def _to_tune(tune, dimension):
    if isinstance(dimension, _Choice):
        return tune.choice(dimension.words())
    if isinstance(dimension, _Integer):
        return tune.randint(dimension.low, dimension.high + 1)
    return (tune.loguniform if dimension.log else tune.uniform)(dimension.low, dimension.high)


def _to_skopt(name, dimension):
    space = _load("skopt.space", "scikit-optimize")
    if isinstance(dimension, _Choice):
        return space.Categorical(dimension.words(), name=name)
    if isinstance(dimension, _Integer):
        return space.Integer(dimension.low, dimension.high, name=name)
    prior = "log-uniform" if dimension.log else "uniform"
    return space.Real(dimension.low, dimension.high, prior=prior, name=name)


def _to_configspace(name, dimension):
    package = _load("ConfigSpace", "ConfigSpace")
    if isinstance(dimension, _Choice):
        return package.Categorical(name, dimension.words())
    bounds = (dimension.low, dimension.high)
    if isinstance(dimension, _Integer):
        return package.Integer(name, bounds)
    return package.Float(name, bounds, log=dimension.log)


def _load(module, package):
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"this dialect of suggest_space needs {package}; pip install {package}"
        ) from error


def _merged(transformer, regressor):
    return {**transformer, **regressor}


def _configuration_space(transformer, regressor):
    space = _load("ConfigSpace", "ConfigSpace").ConfigurationSpace()
    space.add(list(_merged(transformer, regressor).values()))
    return space


def _pair(transformer, regressor):
    return transformer, regressor


_DIALECTS = {
    "sklearn": (_to_sklearn, _pair),
    "optuna": (_to_optuna, _merged),
    "flaml": (_to_flaml, _merged),
    "ray": (_to_ray, _merged),
    "skopt": (_to_skopt, _merged),
    "configspace": (_to_configspace, _configuration_space),
}
