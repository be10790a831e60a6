"""The spline of a set of parameters, computed once per process."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..utils.process_cache import ProcessCache
from ._radial_basis import make_radial_basis
from ._radial_scaling import make_radial_scaling
from ._spline import RadialSpline

SPLINES = ProcessCache(2**25)
"""Splines of this process; one takes up to a megabyte, and 10 to 20 ms to make."""

_NUMBERS = ("cutoff", "cutoff_width", "n_max", "l_max", "atom_sigma")


def make_spline(parameters: Mapping) -> RadialSpline:
    """Compute the spline of all radial functions, or return it from the cache.

    Parameters
    ----------
    parameters : mapping
        Has `cutoff`, `cutoff_width`, `n_max`, `l_max`, `atom_sigma`, `radial_basis` and
        `radial_scaling`, which are validated. Functions of a user are called anew each time:
        nobody knows whether they have changed.

    Returns
    -------
    RadialSpline
        Shared, so that its table can't be written to.
    """

    def make():
        p = {name: parameters[name] for name in _NUMBERS}
        cutoff, cutoff_width = p.pop("cutoff"), p.pop("cutoff_width")
        basis = make_radial_basis(parameters["radial_basis"], cutoff=float(cutoff), **p)
        spline = RadialSpline(
            basis, cutoff=float(cutoff), cutoff_width=cutoff_width, atom_sigma=p["atom_sigma"],
            scaling=make_radial_scaling(parameters["radial_scaling"]),
        )
        spline.table.flags.writeable = spline.center.flags.writeable = False
        return spline

    key = _key(parameters)
    if key is None:
        return make()
    return SPLINES.get(key, make, lambda spline: spline.table.nbytes + spline.center.nbytes)


def _key(parameters):
    """Everything that the spline depends on; None for functions that cannot be compared."""
    basis = parameters["radial_basis"]
    if callable(basis):
        return None
    if not isinstance(basis, str):
        table = np.asarray(basis, dtype=np.float64)
        basis = (table.shape, table.tobytes())
    numbers = tuple(float(parameters[name]) for name in _NUMBERS)
    scaling = parameters["radial_scaling"]
    return numbers, basis, repr(dict(scaling) if isinstance(scaling, Mapping) else scaling)
