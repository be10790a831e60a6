"""Identity of a function's code and of the objects it refers to, as far as bytecode tells."""

from __future__ import annotations

import dis
import functools
import importlib.metadata
import site
import sys
import sysconfig
import types
from itertools import pairwise
from pathlib import Path

_OWN = __name__.partition(".")[0]
# builtins that run code which the bytecode does not show
_OPAQUE = {"eval", "exec", "compile", "__import__", "globals", "locals"}
_LOOK_UPS = ("LOAD_ATTR", "LOAD_METHOD")
# methods that add to a container or empty it without returning any of its content
_ADDING = {"append", "extend", "add", "insert", "clear", "appendleft"}


def installed_version(module):
    """Return the version of a module's package, None if the user may have written it.

    Parameters
    ----------
    module : str
        Dotted name.

    Returns
    -------
    str or None
        The version; Python's version for its own modules.
    """
    package = module.partition(".")[0]
    if package == "builtins" or package in sys.stdlib_module_names:
        return "Python " + sys.version.split()[0]
    loaded = sys.modules.get(package)
    return None if package == "__main__" or loaded is None else _version_of(package, loaded)


@functools.cache
def _version_of(package, loaded):
    path = getattr(loaded, "__file__", None)
    inside = path is not None and any(Path(path).is_relative_to(place) for place in _places())
    if not inside and package != _OWN:
        return None
    version = getattr(loaded, "__version__", None)
    if version is None:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None
    return f"{package} {version}"


@functools.cache
def _places():
    """Return the folders of installed packages."""
    return {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}


def describe_code(code):
    """Describe compiled code without its line numbers.

    Parameters
    ----------
    code : code object
        Code of a function.

    Returns
    -------
    list
        Nested list of strings.
    """
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    table = getattr(code, "co_exceptiontable", b"")
    constants = [_describe_constant(constant) for constant in code.co_consts]
    return [code.co_code.hex(), table.hex(), repr(names), repr(counts), constants]


def _describe_constant(constant):
    if isinstance(constant, types.CodeType):
        return describe_code(constant)
    if isinstance(constant, tuple):
        return ["tuple", *map(_describe_constant, constant)]
    if isinstance(constant, frozenset):  # the order depends on hashes, which differ by process
        return ["frozenset", *sorted(map(repr, constant))]
    return [type(constant).__name__, repr(constant)]


def find_globals(function):
    """Find the objects to which a function refers by global names.

    Modules of the user are replaced by those of their attributes that the function looks up.

    Parameters
    ----------
    function : function
        A function written in Python.

    Returns
    -------
    used : dict of str to object
        Objects by dotted name.
    doubt : str
        Why there may be more objects; empty if all are known.
    """
    used, doubts = {}, set()
    for code in all_codes(function.__code__):
        instructions = _instructions(code)
        for index, (operation, name) in enumerate(instructions):
            if operation == "IMPORT_NAME" and installed_version(name) is None:
                doubts.add(f"imports {name}, which may have changed since")
            if operation not in ("LOAD_GLOBAL", "LOAD_NAME"):
                continue
            if name in function.__globals__:
                value = function.__globals__[name]
                name, value, doubt = _resolve(name, value, iter(instructions[index + 1 :]))
                used[name] = value
                doubts |= {doubt} - {""}
            elif name in _OPAQUE:
                doubts.add(f"calls {name}")
    return used, "; ".join(sorted(doubts))


def find_logs(codes):
    """Find names that code writes to and never reads, such as lists of calls.

    Parameters
    ----------
    codes : iterable of code object
        All code that may refer to the names.

    Returns
    -------
    set of str
        Names of variables and attributes whose content does not affect the code's results.
    """
    written, read = set(), set()
    for code in codes:
        instructions = _instructions(code)
        for (operation, name), following in pairwise([*instructions, (None, None)]):
            if operation in ("STORE_ATTR", "STORE_GLOBAL", "STORE_DEREF", "STORE_FAST"):
                written.add(name)
            elif operation.startswith("LOAD_") and isinstance(name, str):
                adds = following[0] in _LOOK_UPS and following[1] in _ADDING
                (written if adds else read).add(name)
    return written - read


def _instructions(code):
    """Return pairs of an operation and its name or value."""
    idle = ("CACHE", "PUSH_NULL", "NOP", "RESUME", "COPY_FREE_VARS")
    return [(i.opname, i.argval) for i in dis.get_instructions(code) if i.opname not in idle]


def _resolve(name, value, following):
    """Resolve attributes of the user's own modules."""
    while isinstance(value, types.ModuleType) and installed_version(value.__name__) is None:
        operation, attribute = next(following, (None, None))
        if operation not in _LOOK_UPS:
            return name, None, f"uses the module {name}, which may have changed since"
        if not hasattr(value, attribute):
            return name, None, ""
        name, value = f"{name}.{attribute}", getattr(value, attribute)
    return name, value, ""


def all_codes(code):
    """Yield the code of a function and of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from all_codes(constant)
