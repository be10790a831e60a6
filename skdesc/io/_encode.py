"""Encode a fitted model as plain data and arrays.

Values that JSON cannot express are written as a list whose first entry names their type; a list
of the model becomes ``["list", ...]``. One table holds estimators and their parts, another one
arrays; each of them is stored once, however often it is used.
"""

from __future__ import annotations

import math

import numpy as np
from sklearn.base import BaseEstimator

from ._classes import BY_ARGUMENTS, has_own_reduce, type_name

ARRAY_KINDS = "biufcUS"


class Encoder:
    """Collects the objects and arrays of a model.

    Parameters
    ----------
    classes : Classes
        Allowed classes.

    Attributes
    ----------
    objects : list of dict
        Class and attributes of each object, encoded.
    arrays : list of ndarray
        Arrays that the objects refer to.
    """

    def __init__(self, classes):
        self.classes = classes
        self.objects = []
        self.arrays = []
        self._places = {}
        self._alive = []  # keeps encoded objects alive, so that no other object gets the same id

    def encode(self, value, where):
        """Encode a value.

        Parameters
        ----------
        value : object
            The value.
        where : str
            Its name in error messages.

        Returns
        -------
        object
            Equivalent that JSON can express.
        """
        if value is None or isinstance(value, (bool, str)) or type(value) is int:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else ["float", str(value)]
        if isinstance(value, type):
            return self._type(value, where)
        for kind, method in _METHODS:
            if isinstance(value, kind):
                return method(self, value, where)
        return self._object(value, where)

    def _items(self, values, where):
        return [self.encode(value, f"{where}[{index}]") for index, value in enumerate(values)]

    def _list(self, value, where):
        return ["list", *self._items(value, where)]

    def _tuple(self, value, where):
        return ["tuple", *self._items(value, where)]

    def _set(self, value, where):
        return ["set", *self._items(sorted(value, key=repr), where)]

    def _dict(self, value, where):
        if type(value) is not dict and self.classes.name(type(value)) is None:
            raise _refusal(value, where)
        kind = "dict" if type(value) is dict else self.classes.name(type(value))
        return [kind, *([self.encode(key, f"{where}'s key"), self.encode(item, f"{where}[{key!r}]")]
                        for key, item in value.items())]

    def _slice(self, value, where):
        return ["slice", *self._items((value.start, value.stop, value.step), where)]

    def _dtype(self, value, where):
        if value.kind not in ARRAY_KINDS:
            raise _refusal(value, where)
        return ["dtype", value.str]

    def _scalar(self, value, where):
        if value.dtype.kind not in ARRAY_KINDS or value.dtype.itemsize > 16:
            raise _refusal(value, where)
        return ["scalar", self._array_index(np.array(value))]

    def _array(self, value, where):
        if type(value) not in (np.ndarray, np.memmap):
            raise _refusal(value, where)
        if value.dtype == object:
            return ["objects", list(value.shape), *self._items(value.ravel(), where)]
        if value.dtype.kind not in ARRAY_KINDS:
            raise _refusal(value, where)
        return ["array", self._array_index(value)]

    def _array_index(self, array):
        if id(array) not in self._places:
            self._places[id(array)] = len(self.arrays)
            self._alive.append(array)
            # views become compact but keep their memory order, which affects the last digits
            compact = array if array.flags.forc else array.copy(order="K")
            self.arrays.append(compact)
        return self._places[id(array)]

    def _random(self, value, where):
        return ["random_state", self.encode(value.get_state(legacy=False), where)]

    def _type(self, value, where):
        name = type_name(value)
        if name is None:
            raise _refusal(value, where)
        return ["type", name]

    def _object(self, value, where):
        if id(value) not in self._places:
            name = self.classes.name(type(value))
            if name is None:
                raise _refusal(value, where)
            # an object gets its index after its parts, so that cycles are detected
            self._places[id(value)] = None
            content = {"class": name, **self._content(value, name, where)}
            self._places[id(value)] = len(self.objects)
            self._alive.append(value)
            self.objects.append(content)
        place = self._places[id(value)]
        if place is None:
            raise TypeError(f"{where} holds itself, which a model file cannot express")
        return ["object", place]

    def _content(self, value, name, where):
        if name in BY_ARGUMENTS:
            arguments = {key: getattr(value, key) for key in BY_ARGUMENTS[name]}
            return {"parameters": self._attributes(arguments, where), "state": {}}
        if isinstance(value, BaseEstimator):
            if hasattr(type(value), "_check_saved"):
                value._check_saved()
            parameters = value.get_params(deep=False)
            state = {key: item for key, item in value.__getstate__().items()
                     if key not in parameters}
            return {"parameters": self._attributes(parameters, where),
                    "state": self._attributes(state, where)}
        reduced = value.__reduce__() if has_own_reduce(type(value)) else None
        if reduced is not None:
            if reduced[0] is not type(value) or len(reduced) != 2:
                raise _refusal(value, where)
            return {"arguments": self._items(reduced[1], where)}
        return {"state": self._attributes(value.__getstate__() or {}, where)}

    def _attributes(self, values, where):
        if not isinstance(values, dict):
            raise _refusal(values, where)
        return {key: self.encode(value, f"{where}.{key}") for key, value in values.items()}


# subclasses before their base classes
_METHODS = (
    (np.generic, Encoder._scalar),
    (np.ndarray, Encoder._array),
    (list, Encoder._list),
    (tuple, Encoder._tuple),
    ((set, frozenset), Encoder._set),
    (dict, Encoder._dict),
    (slice, Encoder._slice),
    (np.dtype, Encoder._dtype),
    (np.random.RandomState, Encoder._random),
)


def _refusal(value, where):
    if hasattr(value, "best_estimator_"):
        return TypeError(f"{where} is a search ({type(value).__name__}), which a model file cannot "
                         "hold; save its best_estimator_")
    if callable(value) and hasattr(value, "__name__"):
        kind = "class" if isinstance(value, type) else "function"
        # ufuncs of NumPy before 2.2 have neither attribute
        module = getattr(value, "__module__", type(value).__module__)
        name = getattr(value, "__qualname__", value.__name__)
        return TypeError(
            f"{where} is the {kind} {module}.{name}, and a model file holds no code; use a "
            "parameter that is data, such as a name or an array"
        )
    return TypeError(
        f"{where} is of type {type(value).__module__}.{type(value).__qualname__}, which a model "
        "file cannot hold; leave this part out, or, if the class is your own, name it in trusted"
    )
