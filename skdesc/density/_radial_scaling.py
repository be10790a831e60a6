"""Distance-dependent weights of neighbors, in addition to the cutoff function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np


@dataclass(frozen=True)
class RationalScaling:
    """``numerator / (offset + (r / scale)^exponent)``: Willatt's weight, and dscribe's "pow"."""

    numerator: float
    offset: float
    scale: float
    exponent: float

    breaks = ()

    def __call__(self, r):
        """Weight and its first two derivatives."""
        m, x = self.exponent, r / self.scale
        d, d1, d2 = (
            (self.offset if k == 0 else 0.0) + _power(x, m, k) / self.scale**k for k in range(3)
        )
        f = self.numerator / d
        return f, -f * d1 / d, f * (2 * (d1 / d) ** 2 - d2 / d)


@dataclass(frozen=True)
class ExponentialScaling:
    """``numerator / (offset + exp(-r / scale))``, dscribe's "exp"."""

    numerator: float
    offset: float
    scale: float

    breaks = ()

    def __call__(self, r):
        """Weight and its first two derivatives."""
        e = np.exp(-r / self.scale)
        f = self.numerator / (self.offset + e)
        s = e / (self.offset + e) / self.scale
        return f, f * s, f * (2 * s**2 - s / self.scale)


@dataclass(frozen=True)
class PolynomialScaling:
    """``numerator (1 - 3 x^2 + 2 x^3)^exponent``, x = r / end, zero beyond: dscribe's "poly"."""

    numerator: float
    end: float
    exponent: float

    @property
    def breaks(self):
        """Distances at which the weight is not analytic."""
        return (self.end,)

    def __call__(self, r):
        """Weight and its first two derivatives."""
        m, x = self.exponent, np.minimum(r / self.end, 1.0)
        # (1 - x)^2m (1 + 2 x)^m keeps all digits near the end
        a, a1, a2 = (_power(1 - x, 2 * m, k) * (-1) ** k for k in range(3))
        b, b1, b2 = (_power(1 + 2 * x, m, k) * 2**k for k in range(3))
        c = self.numerator * (r <= self.end)
        return (
            c * a * b,
            c * (a1 * b + a * b1) / self.end,
            c * (a2 * b + 2 * a1 * b1 + a * b2) / self.end**2,
        )


def _power(x, exponent, k):
    """Derivative k of x^exponent; exact zeros where its factor vanishes."""
    factor = np.prod([exponent - i for i in range(k)])
    return np.zeros_like(x) if factor == 0 else factor * x ** (exponent - k)


_FUNCTIONS = {
    "willatt": ("rate", "scale", "exponent"),
    "pow": ("c", "d", "r0", "m"),
    "exp": ("c", "d", "r0"),
    "poly": ("c", "r0", "m"),
}
_DEFAULTS = {"c": 1.0, "d": 1.0}


def make_radial_scaling(radial_scaling):
    """Return the weight that a parameter describes.

    Parameters
    ----------
    radial_scaling : None, tuple or dict
        ``(rate, scale, exponent)`` of the weight ``rate / (rate + (r / scale)^exponent)``, or a
        dict of these names; or a dict with ``"function"`` "pow", "exp" or "poly" and the names
        of that function's constants.

    Returns
    -------
    callable or None
        Takes distances, returns the weight and its first two derivatives; ``breaks`` are
        the distances at which it is not analytic.

    Raises
    ------
    ValueError
        If it is something else, or a constant is out of range.
    """
    if radial_scaling is None:
        return None
    function, constants = _read(radial_scaling)
    if function == "willatt":
        rate, scale, m = (constants[name] for name in _FUNCTIONS[function])
        return RationalScaling(rate, rate, scale, m)
    if function == "pow":
        return RationalScaling(constants["c"], constants["d"], constants["r0"], constants["m"])
    if function == "exp":
        return ExponentialScaling(constants["c"], constants["d"], constants["r0"])
    return PolynomialScaling(constants["c"], constants["r0"], constants["m"])


def _read(radial_scaling):
    """Name of the function, and its constants."""
    function, given = _split(radial_scaling)
    names = _FUNCTIONS[function]
    constants = {name: given.pop(name, _DEFAULTS.get(name)) for name in names}
    missing = [name for name, value in constants.items() if value is None]
    if given or missing:
        raise ValueError(f"radial_scaling of the function {function!r} has the constants "
                         f"{list(names)}; missing: {missing}, unknown: {list(given)}")
    for name, value in constants.items():
        _check(name, value, function)
    return function, {name: float(value) for name, value in constants.items()}


def _split(radial_scaling):
    """Name of the function, and its constants as given."""
    if isinstance(radial_scaling, (tuple, list)) and len(radial_scaling) == 3:
        radial_scaling = dict(zip(_FUNCTIONS["willatt"], radial_scaling, strict=True))
    given = dict(radial_scaling) if isinstance(radial_scaling, Mapping) else {"function": None}
    function = given.pop("function", "willatt")
    if not isinstance(function, str) or function not in _FUNCTIONS:
        raise ValueError(
            f"radial_scaling is {radial_scaling!r}, but must be None, (rate, scale, exponent), a "
            f"dict of these, or a dict with 'function' among {list(_FUNCTIONS)} and its constants"
        )
    return function, given


def _check(name, value, function):
    is_number = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(value)
    if name in ("exponent", "m"):
        # other powers have no second derivative where the weight begins or ends
        good = is_number and (value in (0, 1) or value >= (1 if function == "poly" else 2))
        rule = "0, or at least 1" if function == "poly" else "0, 1, or at least 2"
    else:
        good, rule = is_number and value > 0, "a finite number above 0"
    if not good:
        raise ValueError(f"{name} of radial_scaling is {value!r}, but must be {rule}")
