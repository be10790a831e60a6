"""Decode a model from plain data and arrays: the counterpart of the encoder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator

from ._classes import BY_ARGUMENTS, find_type, has_own_reduce
from ._companions import check_companion
from ._encode import ARRAY_KINDS

# more than any real ensemble has
_MOST_ESTIMATORS = 20_000
# optional methods of estimators that scikit-learn looks up by name
_METHOD_NAMES = (
    "decision_function", "fit", "fit_predict", "fit_transform", "get_feature_names_out",
    "get_metadata_routing", "get_params", "inverse_transform", "partial_fit", "predict",
    "predict_log_proba", "predict_proba", "sample_y", "score", "score_samples", "set_output",
    "set_params", "transform",
)
# classes that are tried only as a whole, because their parts cannot be used alone
_MOST_TRIED = 200


class Decoder:
    """Builds the objects of a model from the content of a file.

    Parameters
    ----------
    classes : Classes
        Allowed classes.
    objects : list of dict
        Class and attributes of each object, encoded; each refers to earlier ones only.
    arrays : list of ndarray
        Arrays that the objects refer to.
    """

    def __init__(self, classes, objects, arrays):
        self.classes = classes
        self.arrays = arrays
        self._objects, self._sizes = [], []
        for content in objects:
            self._size = 1
            made = self._make(content)
            if self._size > _MOST_ESTIMATORS:
                raise ValueError(f"it nests {self._size} estimators in one, but at most "
                                 f"{_MOST_ESTIMATORS} are possible")
            self._objects.append(made)
            self._sizes.append(self._size)

    def decode(self, node):
        """Decode a value that an encoder wrote.

        Parameters
        ----------
        node : object
            The value as read from JSON.

        Returns
        -------
        object
            The value that was encoded.
        """
        if node is None or isinstance(node, (bool, str, int, float)):
            return node
        if not (isinstance(node, list) and node and isinstance(node[0], str)):
            raise ValueError("it has a node of an unknown kind")
        kind, *rest = node
        if kind in _METHODS:
            return _METHODS[kind](self, rest)
        made = self.find_class(kind, dict)()
        made.update((self.decode(key), self.decode(value)) for key, value in rest)
        return made

    def find_class(self, name, kind=object):
        """Look up a class that is allowed and of the expected kind."""
        found = self.classes.find(name)
        if found is None or not issubclass(found, kind):
            raise ValueError(
                f"it names the class {name}, which is not among those that may be loaded; if it is "
                "your own and you trust the file, pass the class in trusted"
            )
        return found

    def _items(self, nodes):
        return [self.decode(node) for node in nodes]

    def _attributes(self, nodes):
        return {key: self.decode(node) for key, node in nodes.items()}

    def _array(self, rest):
        return self.arrays[_index(*rest)]

    def _scalar(self, rest):
        array = self._array(rest)
        if array.ndim:
            raise ValueError(f"a number in it has the shape {array.shape}")
        return array[()]

    def _shaped(self, rest):
        shape, *nodes = rest
        array = np.empty(len(nodes), dtype=object)
        array[:] = self._items(nodes)
        return array.reshape([_index(length) for length in shape])

    def _dtype(self, rest):
        dtype = np.dtype(str(rest[0]))
        if dtype.kind not in ARRAY_KINDS:
            raise ValueError(f"it names the type {rest[0]!r}, which may not be loaded")
        return dtype

    def _object(self, rest):
        index = _index(*rest)
        # an object may be referred to many times, at every level of nesting: code that visits
        # all references would take exponential time
        self._size += self._sizes[index]
        return self._objects[index]

    def _random(self, rest):
        state = self.decode(*rest)
        inner = state.get("state") if isinstance(state, Mapping) else None
        key, position = (inner.get(name) for name in ("key", "pos")) if inner else (None, None)
        # NumPy does not check the position, at which it reads
        if not (isinstance(position, Integral) and 0 <= position <= 624
                and np.shape(key) == (624,) and state.get("bit_generator") == "MT19937"):
            raise ValueError("it has an invalid state of a random number generator")
        random_state = np.random.RandomState()
        random_state.set_state(state)
        return random_state

    def _type(self, rest):
        found = find_type(*rest)
        if found is None:
            raise ValueError(f"it names the type {rest[0]!r}, which may not be loaded")
        return found

    def _make(self, content):
        name = content["class"]
        cls = self.find_class(name)
        if "arguments" in content:
            if not has_own_reduce(cls):
                raise ValueError(f"it has arguments for {name}, which is not built from arguments")
            arguments = self._items(content["arguments"])
            # the estimator that owns the object checks its arguments before it is built
            return partial(cls, *arguments) if _is_part(cls) else cls(*arguments)
        state = self._attributes(content["state"])
        _check_names(cls, state)
        if "parameters" not in content:
            return self._make_part(cls, state)
        if not issubclass(cls, BaseEstimator) and _full_name(cls) not in BY_ARGUMENTS:
            raise ValueError(f"it has parameters of {name}, which is not an estimator")
        return self._make_estimator(cls, self._attributes(content["parameters"]), state)

    def _make_part(self, cls, state):
        """Build an object that has attributes but no parameters."""
        if _is_part(cls):
            return partial(cls, **state)
        if issubclass(cls, BaseEstimator) or _full_name(cls) in BY_ARGUMENTS:
            raise ValueError(f"it has no parameters of {cls.__name__}")
        made = cls.__new__(cls)
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
        else:
            made.__dict__.update(state)
        return made

    def _make_estimator(self, cls, parameters, state):
        """Build an estimator and check that its parts are consistent."""
        name = cls.__name__
        if any(isinstance(value, partial) for value in parameters.values()):
            raise ValueError(f"it has a parameter of {name} that {name} lacks")
        # parameters added since the file was written get the value that describes old behavior
        parameters = {**getattr(cls, "_before_they_existed", {}), **parameters}
        if cls.__module__.startswith("skdesc."):
            missing = set(_parameter_names(cls)) - parameters.keys()
            if missing:
                raise ValueError(f"it lacks the parameters {sorted(missing)} of {name}")
        try:
            made = cls(**parameters)
        except TypeError as error:
            raise ValueError(
                f"{name} of this version does not know all parameters in it ({error})"
            ) from error
        if state:
            made.__setstate__(state)
        if hasattr(cls, "_check_loaded"):
            made._check_loaded()
        elif cls.__module__.startswith("sklearn."):
            check_companion(made, in_use=self._size <= _MOST_TRIED)
        return made


def _full_name(cls):
    return f"{cls.__module__}.{cls.__qualname__}"


def _is_part(cls):
    return getattr(cls, "_saved_with_estimator", False)


def _parameter_names(cls):
    return cls._get_param_names() if issubclass(cls, BaseEstimator) else BY_ARGUMENTS[
        f"{cls.__module__}.{cls.__qualname__}"]


def _check_names(cls, state):
    """Refuse attributes that would hide a method or property."""
    for name in state:
        shadowed = getattr(cls, name, None)
        hides = callable(shadowed) or isinstance(shadowed, property) or name in _METHOD_NAMES
        if hides or name.startswith("__"):
            raise ValueError(f"it sets {name!r} of {cls.__name__}, which is not an attribute")


def _index(number):
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError(f"{number!r} is not a valid index")
    return number


_METHODS = {
    "list": Decoder._items,
    "tuple": lambda self, rest: tuple(self._items(rest)),
    "set": lambda self, rest: set(self._items(rest)),
    "dict": lambda self, rest: {self.decode(key): self.decode(value) for key, value in rest},
    "slice": lambda self, rest: slice(*self._items(rest)),
    "float": lambda self, rest: {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}[rest[0]],
    "dtype": Decoder._dtype,
    "scalar": Decoder._scalar,
    "array": Decoder._array,
    "objects": Decoder._shaped,
    "random_state": Decoder._random,
    "type": Decoder._type,
    "object": Decoder._object,
}
