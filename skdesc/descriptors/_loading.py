"""Loading of descriptors: parameters are checked before anything is built from them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from ..structures._target_checks import LARGEST
from ._parameters import check_species

_HIGHEST_NUMBER = 118


def arguments_of_part(transformer, name, kind):
    """Read the arguments of a fitted part, before the part is built.

    Parameters
    ----------
    transformer : estimator
        From a file; what is not fitted loses all attributes of a fit.
    name : str
        The attribute, a class with arguments that has not been called.
    kind : type
        Class that it must be.

    Returns
    -------
    dict or tuple or None
        The arguments; None if the transformer is not fitted.
    """
    part = vars(transformer).get(name)
    if part is None:
        for attribute in [key for key in vars(transformer) if key == name or key.endswith("_")]:
            del vars(transformer)[attribute]
        return None
    if not (isinstance(part, partial) and part.func is kind):
        raise ValueError(f"{name} of {type(transformer).__name__} is of type "
                         f"{type(part).__name__}, but must be a {kind.__name__}; fit it anew")
    return part.keywords or part.args


def check_fitted_species(species, given):
    """Check atomic numbers of a fit.

    Parameters
    ----------
    species : ndarray of int
        From a file.
    given : sequence or None
        Parameter of the transformer.

    Returns
    -------
    ndarray of intp
        The same.
    """
    array = np.asarray(species)
    good = array.dtype.kind in "iu" and array.ndim == 1 and array.size
    if not (good and array.min() >= 0 and array.max() <= _HIGHEST_NUMBER
            and (array[1:] > array[:-1]).all()):
        raise ValueError(f"species_ is {array!s:.200}, but must be ascending atomic numbers from 0 "
                         f"to {_HIGHEST_NUMBER}, each once; fit anew")
    if given is not None and not np.array_equal(check_species(given), array):
        raise ValueError(f"species is {given!r}, but must have the elements {array.tolist()} that "
                         "were fitted; fit anew")
    return array.astype(np.intp, copy=False)


def check_fitted_parameters(transformer, used):
    """Check the parameters that a fit has used, by the rules of the constructor's.

    Parameters
    ----------
    transformer : estimator
        Its parameters are what the user sees.
    used : dict of str to object
        What its tables were made with.

    Returns
    -------
    dict of str to object
        What the tables are made with, from the method ``_check_parameters``.

    Raises
    ------
    ValueError
        If one is out of range, or the transformer has another one.
    """
    stated = transformer.get_params(deep=False)
    _check_are_data(stated, used)
    known = {name: used[name] for name in stated if name in used}
    as_used = type(transformer)(**{**stated, **known})._check_parameters()
    as_stated = transformer._check_parameters()
    for name, value in as_used.items():
        if name == "n_jobs" or (isinstance(stated.get(name), str) and stated[name] == "auto"):
            continue
        if not same(as_stated[name], value):
            raise ValueError(
                f"{name} is {stated.get(name)!r}, but must be {value!r}, with which "
                f"{type(transformer).__name__} was fitted; fit it again"
            )
    return as_used


def _check_are_data(stated, used):
    if not (isinstance(used, Mapping) and all(isinstance(name, str) for name in used)):
        raise ValueError(f"parameters of the fit are {used!s:.200}, but must be a dict; fit anew")
    if any(isinstance(value, type) for value in [*stated.values(), *used.values()]):
        raise ValueError("a parameter is a type, but must be data; fit anew")


def check_numbers(name, values, shape):
    """Check an array of a fit.

    Parameters
    ----------
    name : str
        Name of the attribute.
    values : object
        From a file.
    shape : tuple
        What its shape must be; None stands for any length.

    Returns
    -------
    ndarray of float64
        The array.
    """
    array = np.asarray(values)
    good = array.dtype.kind in "fiu" and array.ndim == len(shape)
    good = good and all(a in (None, b) for a, b in zip(shape, array.shape, strict=True))
    if not (good and (np.abs(array) <= LARGEST).all()):
        raise ValueError(f"{name} is {values!s:.200}, but must have finite numbers and the shape "
                         f"{tuple('any' if n is None else n for n in shape)}; fit anew")
    return array


def same(first, second):
    """Whether two parameters are the same data."""
    if np.ndarray in (type(first), type(second)):
        return np.array_equal(np.asarray(first), np.asarray(second))
    if first is second:
        return True
    if _are_both((list, tuple), first, second):
        return len(first) == len(second) and all(map(same, first, second))
    if _are_both(Mapping, first, second):
        return first.keys() == second.keys() and same(
            [first[key] for key in first], [second[key] for key in first]
        )
    if hasattr(first, "get_params") and hasattr(second, "get_params"):
        return type(first) is type(second) and same(
            first.get_params(deep=False), second.get_params(deep=False)
        )
    return bool(first == second)


def _are_both(kind, first, second):
    return isinstance(first, kind) and isinstance(second, kind)
