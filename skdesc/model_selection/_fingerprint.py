"""Identity of objects across processes: equal content gives equal hashes, doubt is refused.

Objects are decomposed into text. Functions and classes of installed packages are identified by
name and version, all others by their code, their closures, and the globals that they use.
Instances are identified by their class and the state that pickling would keep.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import inspect
import json
import pathlib
import sys
import types
from collections.abc import Mapping

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator

from ._code_identity import (
    all_codes,
    describe_code,
    find_globals,
    find_logs,
    installed_version,
)

# attributes of a class that Python adds itself, and documentation
_OF_EVERY_CLASS = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__",
    "__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl", "__slots__",
    "__orig_bases__", "__parameters__", "__annotate__", "__annotate_func__",
    "__annotations_cache__", "__dataclass_fields__", "__dataclass_params__", "__match_args__",
}
# attributes of an estimator, other than parameters, that clones keep
_KEPT_BY_CLONES = ("_metadata_request", "_sklearn_output_config")
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), type(NotImplemented))


class UnidentifiableError(ValueError):
    """An object that cannot be compared reliably with that of another process."""


def fingerprint(**parts):
    """Hash named objects so that equal content gives equal hashes in another process.

    Parameters
    ----------
    **parts : object
        Objects of any type.

    Returns
    -------
    dict of str to str
        One hash per part.

    Raises
    ------
    UnidentifiableError
        If a part holds an object that cannot be identified for certain; the message names it.
    """
    hashes = {}
    for name, value in parts.items():
        text = json.dumps(_Description(name).of(value))
        hashes[name] = hashlib.sha256(text.encode()).hexdigest()
    return hashes


class _Description:
    """Decomposes one part, and detects cycles."""

    def __init__(self, part):
        self._part = part
        self._above = set()
        self._known = {}

    def of(self, value):
        """Return nested lists of strings that are equal for equal content."""
        if isinstance(value, _PLAIN) and type(value) in _PLAIN:
            return [type(value).__name__, repr(value)]
        if id(value) in self._above:
            return ["again", getattr(value, "__qualname__", type(value).__name__)]
        if id(value) in self._known:
            return self._known[id(value)][1]
        self._above.add(id(value))
        try:
            described = self._compound(value)
        except RecursionError as error:
            raise self._refusal(value, "is nested too deeply") from error
        finally:
            self._above.remove(id(value))
        if isinstance(value, (type, types.FunctionType)):
            self._known[id(value)] = value, described
        return described

    def _compound(self, value):
        for kinds, describe in _RULES:
            if isinstance(value, kinds):
                return describe(self, value)
        if hasattr(value, "iloc") and hasattr(value, "to_numpy"):
            return self._table(value)
        return self._instance(value)

    def _refusal(self, value, why):
        return UnidentifiableError(
            f"checkpoint is set, but {self._part} holds {_shown(value)}, which {why}, so that "
            "another search could be taken for this one; use a function or class of a module, "
            "with plain values, or search without checkpoint"
        )

    def _sequence(self, value):
        if not _is_of_builtin_type(value, (list, tuple)):
            return self._instance(value)
        return [type(value).__name__, *map(self.of, value)]

    def _set(self, value):
        return [type(value).__name__, *sorted(map(self.of, value), key=json.dumps)]

    def _mapping(self, value):
        items = sorted(([self.of(k), self.of(v)] for k, v in value.items()), key=json.dumps)
        rest = [] if type(value) is dict else self._state(value)
        return [type(value).__name__, items, *rest]

    def _state(self, value):
        return [self.of(type(value)), self.of(getattr(value, "__dict__", {}))]

    def _array(self, value):
        if value.dtype.hasobject:
            return ["array", str(value.shape), *map(self.of, value.ravel().tolist())]
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return ["array", type(value).__name__, str(value.dtype.descr), str(value.shape), content]

    def _number(self, value):
        return ["number", str(value.dtype), value.tobytes().hex()]

    def _table(self, value):
        columns = value.items() if value.ndim == 2 else [("", value)]
        content = [[self.of(name), self.of(column.to_numpy())] for name, column in columns]
        return ["table", type(value).__name__, self.of(value.index.to_numpy()), content]

    def _generator(self, value):
        if isinstance(value, np.random.RandomState):
            return ["RandomState", self.of(value.get_state(legacy=False))]
        return ["Generator", self.of(value.bit_generator.state)]

    def _frozen_distribution(self, value):
        return ["frozen", self.of(value.dist), self.of(value.args), self.of(value.kwds)]

    def _distribution(self, value):
        # quantiles do not depend on the source of randomness
        state = {k: v for k, v in value.__getstate__().items() if k != "_random_state"}
        return ["distribution", self.of(type(value)), self.of(state)]

    def _estimator(self, value):
        keeps_state = type(value).__sklearn_clone__ is not BaseEstimator.__sklearn_clone__
        state = value.get_params(deep=False)
        kept = vars(value) if keeps_state else {
            name: vars(value)[name] for name in _KEPT_BY_CLONES if name in vars(value)
        }
        return ["estimator", self.of(type(value)), self.of(state), self.of(kept)]

    def _module(self, value):
        version = installed_version(value.__name__)
        if version is None:
            raise self._refusal(value, "is a module that may have changed since")
        return ["module", value.__name__, version]

    def _by_name(self, value, name=None):
        """Identify an object of an installed package by its name; None if that fails."""
        module = getattr(value, "__module__", None)
        name = name or getattr(value, "__qualname__", getattr(value, "__name__", None))
        version = installed_version(module) if isinstance(module, str) else None
        if version is None or not isinstance(name, str):
            return None
        try:
            there = functools.reduce(getattr, name.split("."), sys.modules[module])
        except (KeyError, AttributeError):
            return None
        return ["name", module, name, version] if there is value else None

    def _class(self, value):
        named = self._by_name(value)
        if named is not None:
            return named
        ignored = _OF_EVERY_CLASS | _logs_of(value)
        own = {k: v for k, v in vars(value).items() if k not in ignored}
        slots = {k for k, v in own.items() if inspect.ismemberdescriptor(v)}
        content = {k: v for k, v in own.items() if k not in slots}
        bases = [self.of(base) for base in value.__bases__]
        return ["class", value.__qualname__, bases, sorted(slots), self.of(content)]

    def _function(self, value):
        named = self._by_name(value)
        if named is not None:
            return named
        used, doubt = find_globals(value)
        if doubt:
            raise self._refusal(value, doubt)
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        for name, cell in cells:
            try:
                used[f"closure {name}"] = cell.cell_contents
            except ValueError:  # an empty cell of a closure
                used[f"closure {name}"] = NotImplemented
        logs = find_logs(all_codes(value.__code__))
        used = {
            name: self.of(there)
            for name, there in sorted(used.items())
            if name.removeprefix("closure ") not in logs
        }
        more = value.__defaults__, value.__kwdefaults__, value.__dict__
        return ["function", value.__qualname__, describe_code(value.__code__), used,
                *map(self.of, more)]

    def _method(self, value):
        return ["method", self.of(value.__func__), self.of(value.__self__)]

    def _builtin(self, value):
        owner = getattr(value, "__self__", None)
        if owner is not None and not isinstance(owner, types.ModuleType):
            return ["bound", value.__name__, self.of(owner)]
        named = self._by_name(value)
        if named is None:
            raise self._refusal(value, "is compiled, and not found under its name")
        return named

    def _descriptor(self, value):
        return ["descriptor", value.__name__, self.of(value.__objclass__)]

    def _wrapper(self, value):
        return [type(value).__name__, self.of(value.__func__)]

    def _property(self, value):
        return ["property", *map(self.of, (value.fget, value.fset, value.fdel))]

    def _partial(self, value):
        return ["partial", *map(self.of, (value.func, value.args, value.keywords))]

    def _instance(self, value):
        """Identify an instance by its class and the state that pickling would keep."""
        named = self._by_name(value) if callable(value) else None
        if named is not None:  # compiled functions, for example
            return named
        if isinstance(value, np.ufunc):
            return self._ufunc(value)
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:  # pickling runs code of the object, which may raise anything
            raise self._refusal(value, "cannot be taken apart") from error
        if isinstance(reduced, str):
            raise self._refusal(value, "is identified by its name only")
        build, arguments, state, *items = [*reduced, None, None, None][:5]
        if isinstance(state, dict):
            logs = _logs_of(type(value))
            state = {name: content for name, content in state.items() if name not in logs}
        items = [None if item is None else list(item) for item in items]
        parts = [build, arguments, state, *items, *reduced[5:]]
        return ["instance", self.of(type(value)), *map(self.of, parts)]

    def _ufunc(self, value):
        if getattr(np, value.__name__, None) is value:
            return ["ufunc", value.__name__, np.__version__]
        from scipy import special

        if getattr(special, value.__name__, None) is value:
            return ["ufunc", value.__name__, installed_version("scipy")]
        raise self._refusal(value, "is compiled, and not found under its name")

    def _stream(self, value):
        raise self._refusal(value, "is consumed by iterating over it")

    def _atom(self, value):
        return [type(value).__name__, repr(value)]


def _logs_of(kind):
    """Return attributes that the methods of a user's class write to and never read."""
    if installed_version(kind.__module__) is not None:
        return set()
    functions = [
        getattr(member, "__func__", getattr(member, "fget", member))
        for owner in kind.__mro__
        if installed_version(owner.__module__) is None
        for member in vars(owner).values()
    ]
    return find_logs(
        code for f in functions if hasattr(f, "__code__") for code in all_codes(f.__code__)
    )


def _is_of_builtin_type(value, kinds):
    return type(value) in kinds


def _shown(value):
    name = getattr(value, "__qualname__", None)
    return f"{name} of {value.__module__}" if name and hasattr(value, "__module__") else repr(value)


_RULES = [
    (enum.Enum, lambda d, v: ["enum", d.of(type(v)), v.name]),
    ((pathlib.PurePath, slice, range, np.dtype), _Description._atom),
    ((list, tuple), _Description._sequence),
    ((set, frozenset), _Description._set),
    (np.ndarray, _Description._array),
    (np.generic, _Description._number),
    (BaseEstimator, _Description._estimator),
    ((np.random.RandomState, np.random.Generator), _Description._generator),
    ((stats.rv_continuous, stats.rv_discrete), _Description._distribution),
    (type(stats.norm(0, 1)).__mro__[-2], _Description._frozen_distribution),
    (types.ModuleType, _Description._module),
    (type, _Description._class),
    (types.FunctionType, _Description._function),
    (types.MethodType, _Description._method),
    ((types.BuiltinFunctionType, types.MethodWrapperType), _Description._builtin),
    (
        (types.MethodDescriptorType, types.WrapperDescriptorType, types.GetSetDescriptorType,
         types.MemberDescriptorType, types.ClassMethodDescriptorType),
        _Description._descriptor,
    ),
    ((staticmethod, classmethod), _Description._wrapper),
    (property, _Description._property),
    (functools.partial, _Description._partial),
    (types.MappingProxyType, lambda d, v: d.of(dict(v))),
    (Mapping, _Description._mapping),
    ((types.GeneratorType, types.CoroutineType, map, filter, zip), _Description._stream),
]
