"""``suggest_space``: which hyper-parameters to search, and where, judged by the structures."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import numpy as np
from scipy.stats import loguniform, randint, uniform
from sklearn.pipeline import Pipeline

from .neighbors import find_pairs
from .structures import as_column, check_structures
from .utils.validation import is_choice

__all__ = ["suggest_space"]

# a sample of so many atoms tells the distances of a data set
_MAX_ATOMS = 3000
# largest cutoff that is looked at, and ever suggested, in angstrom
_REACH = 8.0
# neighbors within the shortest and the longest cutoff: a close-packed shell, and about four
_NEIGHBORS = (12.0, 80.0)
# widths of the atomic densities, as fractions of the distance of nearest neighbors
_WIDTHS = (0.12, 0.35)
# a hydrogen is 0.1 angstrom off its place in any molecule; wider than this, it is blurred
_WIDEST_WITH_H = 0.5
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


def suggest_space(
    X, estimator=None, *, transformer="soap", regressor="gap", forces=None, virials=False,
    dialect="sklearn",
):  # fmt: skip
    """Suggest search spaces for a descriptor and a regressor.

    Cutoffs reach from the radius that holds 12 neighbors on average, a close-packed shell (or
    2.5 times the distance of nearest neighbors, if that is less, but never below 1.5 times), to
    the radius that holds 80, by the integrated radial distribution function; in molecules, as
    far as there are atoms.
    Widths of atomic densities are 0.12 to 0.35 of the typical distance of nearest neighbors,
    and no more than 0.5 angstrom where there is hydrogen. Numbers of basis functions are
    limited by the length of the descriptor, which grows with the number of elements. Sparse
    points are up to a quarter of the environments, and at most 500.

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
    >>> sorted(transformer_space)
    ['soap__atom_sigma', 'soap__cutoff', 'soap__l_max', 'soap__n_max']
    >>> low, high = transformer_space["soap__cutoff"].support()
    >>> print(f"{low:.1f} to {high:.1f} angstrom")
    3.8 to 6.2 angstrom
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
    sample = _sample(structures)
    distances = _Distances(sample)
    nearest = distances.nearest()
    low, high = _cutoffs(distances, nearest)
    widest = _WIDTHS[1] * nearest
    if (structures.numbers == 1).any():
        widest = min(widest, _WIDEST_WITH_H)
    # in a dimer all directions are alike, and a few l say all there is
    l_low, l_high = (2, 8) if distances.counts.max(initial=0) > 1 else (0, 4)
    n_high = 10
    n_species = len(np.unique(structures.numbers))
    while n_high > 4 and _length(n_species, n_high, l_high) > _MAX_FEATURES:
        l_high, n_high = (l_high, n_high - 1) if n_high >= l_high else (l_high - 1, n_high)
    return {
        "cutoff": _Real(low, high),
        "atom_sigma": _Real(_rounded(_WIDTHS[0] * nearest), _rounded(widest)),
        "n_max": _Integer(min(4, n_high - 2), n_high),
        "l_max": _Integer(min(l_low, l_high - 1), l_high),
        "n_channels": _Choice([16, 32, 64, 128]),
    }


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


def _cutoffs(distances, nearest):
    low, high = (distances.radius_of(count) for count in _NEIGHBORS)
    # molecules end before a shell is full: up to where there are atoms
    extent = min(1.1 * distances.largest(), 6.0)
    high = high if high is not None else max(extent, 2.5 * nearest)
    low = min(low or np.inf, 2.5 * nearest)
    high = min(high, _REACH)
    low = min(max(low, 1.5 * nearest), high - 1.0)
    return _rounded(max(low, nearest)), _rounded(max(high, nearest + 1.0))


class _Distances:
    """Distances between the atoms of a sample, by center."""

    def __init__(self, structures):
        n_atoms = len(structures.numbers)
        pairs = find_pairs(
            structures, _REACH, np.arange(n_atoms), np.zeros(n_atoms, dtype=np.intp)
        )
        self.counts = np.diff(pairs.offsets)
        self._sorted = np.sort(pairs.distance)
        if len(self._sorted) == 0:
            raise ValueError(
                f"no two atoms in X are nearer than {_REACH} angstrom, so there is no distance to "
                "judge by; check units and cells"
            )
        occupied = np.flatnonzero(self.counts)
        self._nearest = np.minimum.reduceat(pairs.distance, pairs.offsets[occupied])

    def nearest(self):
        """Typical distance of nearest neighbors."""
        return float(np.median(self._nearest))

    def largest(self):
        """Largest distance but for a few."""
        return float(np.quantile(self._sorted, 0.99))

    def radius_of(self, count):
        """Radius within which atoms have so many neighbors on average, None if nowhere."""
        index = round(count * len(self.counts))
        return float(self._sorted[index]) if index < len(self._sorted) else None


def _sample(structures):
    """Structures spread evenly over all, with no more atoms than are needed."""
    mean = len(structures.numbers) / len(structures)
    count = int(np.clip(_MAX_ATOMS // mean, 1, len(structures)))
    index = np.unique(np.linspace(0, len(structures) - 1, count).round().astype(np.intp))
    return structures[index]


def _carries_forces(X):
    if hasattr(X, "positions"):
        return False  # Structures keep no results
    frames = as_column(X)[:, 0]
    return all("forces" in getattr(atoms.calc, "results", {}) or "forces" in atoms.arrays
               for atoms in frames)  # fmt: skip


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
        return distributions.CategoricalDistribution(dimension.values)
    if isinstance(dimension, _Integer):
        return distributions.IntDistribution(dimension.low, dimension.high)
    return distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _to_flaml(name, dimension):
    return _to_tune(_load("flaml.tune", "flaml"), dimension)


def _to_ray(name, dimension):
    return _to_tune(_load("ray.tune", "ray[tune]"), dimension)


def _to_tune(tune, dimension):
    if isinstance(dimension, _Choice):
        return tune.choice(dimension.values)
    if isinstance(dimension, _Integer):
        return tune.randint(dimension.low, dimension.high + 1)
    return (tune.loguniform if dimension.log else tune.uniform)(dimension.low, dimension.high)


def _to_skopt(name, dimension):
    space = _load("skopt.space", "scikit-optimize")
    if isinstance(dimension, _Choice):
        return space.Categorical(dimension.values, name=name)
    if isinstance(dimension, _Integer):
        return space.Integer(dimension.low, dimension.high, name=name)
    prior = "log-uniform" if dimension.log else "uniform"
    return space.Real(dimension.low, dimension.high, prior=prior, name=name)


def _to_configspace(name, dimension):
    package = _load("ConfigSpace", "ConfigSpace")
    if isinstance(dimension, _Choice):
        return package.Categorical(name, dimension.values)
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
