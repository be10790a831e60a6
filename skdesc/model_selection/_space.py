"""Search spaces: mapping between parameters and the unit cube."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence

import numpy as np

# A swarm may reach the faces of the cube, where ``ppf`` is infinite for unbounded distributions
# and one below the support for discrete ones.
_EDGE = 1e-9
# kinds of numbers that are distinguished
_FLAG, _INTEGER, _REAL = "flag", "integer", "real"


class _Choice:
    """A list of unordered values, which have equal shares of [0, 1)."""

    def __init__(self, values):
        self.values = values
        self.n_values = len(values)
        is_number = all(_kind(value) in (_INTEGER, _REAL) for value in values)
        self.is_ordered = is_number and list(values) == sorted(values)

    def indices(self, places):
        """Indices of the values that positions stand for."""
        return np.minimum(places * self.n_values, self.n_values - 1).astype(int)

    def decode(self, u):
        return self.values[min(int(u * self.n_values), self.n_values - 1)]

    def encode(self, value):
        """Return the middle of the share of `value`, None if it is not in the list."""
        index = self._index(value)
        return None if index is None else (index + 0.5) / self.n_values

    def snap(self, places):
        """Positions of the values that positions stand for, ndarray of the same shape."""
        return np.array([self.encode(value) for value in self.values])[self.indices(places)]

    def nearest(self, value):
        return min(self._numeric(), key=lambda item: abs(item - value), default=None)

    def spacing(self, u):
        """Distance between values at a position."""
        return 1.0 / self.n_values

    def bounds(self):
        numeric = self._numeric()
        return (min(numeric), max(numeric)) if numeric else None

    def _numeric(self):
        return [item for item in self.values if isinstance(item, numbers.Real)]

    def own(self, value):
        """The item that equals `value`."""
        return self.values[self._index(value)]

    def token(self, value):
        index = self._index(value)
        known = index is not None and _kind(self.values[index]) == _kind(value)
        return f"#{index}" if known else _token(value)

    def _index(self, value):
        """Return the index of an equal item, preferably of the same kind."""
        equal = [
            index
            for index, item in enumerate(self.values)
            if item is value or (_is_plain(item) and _is_plain(value) and item == value)
        ]
        same = [index for index in equal if _kind(self.values[index]) == _kind(value)]
        return next(iter(same or equal), None)


class _Distribution:
    """A scipy.stats distribution, decoded by its quantile function."""

    def __init__(self, distribution):
        self.distribution = distribution
        self.discrete = hasattr(distribution, "pmf")
        low, high = distribution.ppf(_EDGE), distribution.ppf(1.0 - _EDGE)
        self.n_values = 1 if low == high else np.inf

    def decode(self, u):
        value = float(self.distribution.ppf(min(max(u, _EDGE), 1.0 - _EDGE)))
        return int(value) if self.discrete and value.is_integer() else value

    def encode(self, value):
        """Return the position of `value`, None if the distribution never yields it."""
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            return None
        if self.discrete:
            mass = self.distribution.pmf(value)
            return float(self.distribution.cdf(value) - 0.5 * mass) if mass > 0 else None
        low, high = self.distribution.support()
        return float(self.distribution.cdf(value)) if low <= value <= high else None

    def snap(self, places):
        """Positions of the values that positions stand for, ndarray of the same shape."""
        if not self.discrete:
            return places
        values = self.distribution.ppf(np.clip(places, _EDGE, 1.0 - _EDGE))
        mass = self.distribution.pmf(values)
        return np.where(mass > 0, self.distribution.cdf(values) - 0.5 * mass, np.nan)

    def nearest(self, value):
        """Return the value nearest to a number, which may be outside the support."""
        # by position, because the ends of the support may not be among the values
        return self.decode(float(self.distribution.cdf(value)))

    def spacing(self, u):
        """Distance between values at a position; 0 for a continuous distribution."""
        if not self.discrete:
            return 0.0
        near = [self.decode(u) + change for change in (-1, 0, 1)]
        return float(max(self.distribution.pmf(value) for value in near))

    def bounds(self):
        return self.decode(0.0), self.decode(1.0)

    def own(self, value):
        """Return the value, as an integer if the distribution yields integers."""
        return int(value) if self.discrete and float(value).is_integer() else value

    def token(self, value):
        return _token(value if self.discrete or _kind(value) != _INTEGER else float(value))


class SearchSpace:
    """Named dimensions, each a list of values or a scipy.stats distribution.

    Dimensions with a single value are constants and not part of the cube.

    Parameters
    ----------
    space : dict of str to list or distribution
        Values as in :class:`sklearn.model_selection.RandomizedSearchCV`.
    argument : str
        Name of the space in error messages.

    Attributes
    ----------
    names : list of str
        All parameters, sorted, so that the order of the dict does not matter.
    free : list of str
        Parameters with more than one value: the axes of the cube.
    """

    def __init__(self, space, argument="space"):
        if not isinstance(space, Mapping):
            raise TypeError(
                f"{argument} is of type {type(space).__name__}, but a dict from parameter "
                "names to lists or scipy.stats distributions is needed"
            )
        unnamed = [name for name in space if not isinstance(name, str)]
        if unnamed:
            raise TypeError(f"{argument} has the key {unnamed[0]!r}, but names must be strings")
        self.names = sorted(space)
        self._dimensions = {
            name: _make_dimension(space[name], f"{argument}[{name!r}]") for name in self.names
        }
        self.free = [name for name in self.names if self._dimensions[name].n_values > 1]

    @property
    def n_dims(self):
        """Number of axes of the cube."""
        return len(self.free)

    def decode(self, position):
        """Convert a point of the unit cube to parameters.

        Parameters
        ----------
        position : ndarray of shape (n_dims,)
            The point.

        Returns
        -------
        dict of str to object
            One value for every name, including constants.
        """
        coordinates = dict(zip(self.free, position, strict=True))
        return {
            name: self._dimensions[name].decode(coordinates.get(name, 0.5)) for name in self.names
        }

    def encode(self, params):
        """Convert parameters to a point of the unit cube.

        Parameters
        ----------
        params : dict of str to object
            Parameters, which may be missing, unknown or outside the space.

        Returns
        -------
        ndarray of shape (n_dims,)
            The point; NaN along every axis whose value is missing or outside the space.
        """
        position = np.full(self.n_dims, np.nan)
        for axis, name in enumerate(self.free):
            value = self._dimensions[name].encode(params[name]) if name in params else None
            if value is not None:
                position[axis] = value
        return position

    def snap(self, positions):
        """Move positions to the middle of the region that stands for the same values.

        Parameters
        ----------
        positions : ndarray of shape (n_points, n_dims)
            Points of the unit cube.

        Returns
        -------
        ndarray of shape (n_points, n_dims)
            Positions, which are equal for equal candidates.
        """
        snapped = np.array(positions, dtype=np.float64)
        for axis, name in enumerate(self.free):
            snapped[:, axis] = self._dimensions[name].snap(snapped[:, axis])
        return snapped

    def embed(self, positions):
        """Convert positions to coordinates for a model of costs: unordered values are one-hot.

        Parameters
        ----------
        positions : ndarray of shape (n_points, n_dims)
            Points of the unit cube.

        Returns
        -------
        ndarray of shape (n_points, n_coordinates)
            The coordinates.
        """
        columns = []
        for axis, name in enumerate(self.free):
            dimension, column = self._dimensions[name], np.asarray(positions)[:, axis]
            if getattr(dimension, "is_ordered", True):
                columns.append(column[:, np.newaxis])
            else:
                one_hot = np.eye(dimension.n_values)[dimension.indices(column)]
                columns.append(one_hot / np.sqrt(2.0))
        return np.hstack(columns)

    def neighbors(self, position, axis, step):
        """Propose positions along an axis.

        Parameters
        ----------
        position : ndarray of shape (n_dims,)
            Position to begin with.
        axis : int
            The axis.
        step : float
            Least length of the step. If there are few values, the next one on either side is
            proposed; if values are unordered, all of them.

        Returns
        -------
        list of ndarray of shape (n_dims,)
            Positions; may be empty at a face of the cube.
        """
        dimension, here = self._dimensions[self.free[axis]], position[axis]
        if getattr(dimension, "is_ordered", True):
            places = [here + sign * max(step, dimension.spacing(here)) for sign in (1.0, -1.0)]
        else:
            places = [(index + 0.5) / dimension.n_values for index in range(dimension.n_values)]
        points = []
        for place in places:
            point = position.copy()
            point[axis] = np.clip(place, 0.0, 1.0)
            if point[axis] != here:
                points.append(point)
        return points

    def restrict(self, params):
        """Select parameters whose value is in this space.

        Parameters
        ----------
        params : dict of str to object
            Any parameters.

        Returns
        -------
        dict of str to object
            Values of the space that equal those given: 3 for 3.0 if it has integers.
        """
        return {
            name: self._dimensions[name].own(params[name])
            for name in self.names
            if name in params and self._dimensions[name].encode(params[name]) is not None
        }

    def nearest(self, params):
        """Return the values of this space that are nearest to given numbers.

        Parameters
        ----------
        params : dict of str to float
            Any parameters.

        Returns
        -------
        dict of str to object
            Values in the space, as Python numbers; numbers inside are unchanged.
        """
        inside = self.restrict(params)
        near = {
            name: self._dimensions[name].nearest(params[name])
            for name in self.names
            if name in params and name not in inside
        }
        found = inside | {name: value for name, value in near.items() if value is not None}
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in found.items()}

    def start(self, params):
        """Return initial values for all parameters.

        Parameters
        ----------
        params : dict of str to object
            Preferred values, which may be missing or outside the space.

        Returns
        -------
        dict of str to object
            A value of the space for every name: the given value if it is inside, the nearest one
            for a number outside, otherwise the middle.
        """
        known = {k: v for k, v in params.items() if _kind(v) in (_INTEGER, _REAL) and v == v}
        middle = self.decode(np.full(self.n_dims, 0.5))
        return middle | self.nearest(known) | self.restrict(params)

    def bounds(self):
        """Return the least and largest value of every parameter with numeric values."""
        ends = {name: self._dimensions[name].bounds() for name in self.names}
        return {name: pair for name, pair in ends.items() if pair is not None}

    def token(self, name, value):
        """Return a string that is equal for equal values of the parameter `name`."""
        return self._dimensions[name].token(value)


def _make_dimension(values, where):
    if hasattr(values, "ppf"):
        return _make_distribution(values, where)
    if hasattr(values, "rvs"):
        raise TypeError(
            f"{where} is {values!r}, which draws values but has no quantile function `ppf`; "
            "use a scipy.stats distribution or a list"
        )
    if isinstance(values, np.ndarray) and values.ndim == 1:
        values = values.tolist()
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(
            f"{where} is {values!r}, but a list of values or a scipy.stats distribution is "
            f"needed; for a single value pass [{values!r}]"
        )
    if len(values) == 0:
        raise ValueError(f"{where} is empty, but at least one value is needed; remove the name")
    return _Choice(list(values))


def _make_distribution(distribution, where):
    try:
        quantiles = distribution.ppf([_EDGE, 0.5, 1.0 - _EDGE])
    except TypeError as error:
        raise TypeError(
            f"{where} is a distribution without its parameters; give them, as in "
            "loguniform(1e-4, 1)"
        ) from error
    if not np.all(np.isfinite(quantiles)):
        raise ValueError(
            f"{where} is a distribution whose quantiles are not finite numbers; check its "
            "parameters (scipy's uniform takes the lower end and the width, randint excludes "
            "its upper end)"
        )
    return _Distribution(distribution)


def _is_plain(value):
    if isinstance(value, (tuple, list, Mapping)):
        return all(map(_is_plain, value.values() if isinstance(value, Mapping) else value))
    return value is None or isinstance(value, (str, numbers.Number, np.bool_))


def _kind(value):
    """Whether values are equal and of the same kind: 1, 1.0 and True can differ in meaning."""
    kinds = {_FLAG: (bool, np.bool_), _INTEGER: numbers.Integral, _REAL: numbers.Real}
    return next((kind for kind, types in kinds.items() if isinstance(value, types)), None)


def _token(value):
    convert = {_INTEGER: int, _REAL: float}.get(_kind(value))
    return repr(value if convert is None else convert(value))
