"""Checks of parameters, and of a fit that arrives as plain data: shapes, types and ranges.

What follows from other entries is compared with them, so that no array that a fit could not have
given reaches compiled code or a solver.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np

from ..least_squares import CHUNK, Covariance, as_covariance
from ..neighbors import is_table
from ..structures._target_checks import LARGEST
from ..utils.threads import check_n_jobs
from ..utils.validation import check_reals, is_auto, is_choice, is_number
from ._baseline import check_baseline, is_fitted_baseline
from ._sparse_points import one_per_term
from ._targets import QUANTITIES, UNCALIBRATED

_SMALLEST = 1e-30  # squares of ratios of numbers below it do not fit into floating point numbers
_MODEL = ("elements", "e0", "features", "species", "block", "columns", "zetas", "weights",
          "energy_scales")
_POSTERIOR = ("factors", "jitter", "R", "sigmas", "log_marginal_likelihood", "n_rows")
_SEEN = ("e0", "isolated", "composition", "triangles", "log_noise")
_LARGEST_NUMBER = 118
_LARGEST_ENTRY = 1e100  # whose squares don't overflow
# of numbers in a file from what they follow from, relative to the magnitudes of all products
_TOLERANCE = 1e-10


def check_parameters(regressor):
    """Refuse numbers out of range; what concerns the data is checked with them.

    Parameters
    ----------
    regressor : GAPRegressor
        The regressor.
    """
    def check(name, rule, remedy, is_other=None):
        check_reals(name, getattr(regressor, name), rule, (_SMALLEST, LARGEST), remedy, is_other)

    check("zeta", "at least 1", ", a Covariance, or a list of these",
          lambda value: isinstance(value, Covariance))
    for name in QUANTITIES:
        check(f"sigma_{name}", "above 0", "; to ignore it, leave it out")
    check("energy_scale", "above 0", ", a list of these, or 'auto'", is_auto)
    check("jitter", "at least 0", ", or 'auto'", is_auto)
    if not is_choice(regressor.optimize, None, "marginal_likelihood", "held_out"):
        raise ValueError(f"optimize is {regressor.optimize!r}, but must be None, "
                         "'marginal_likelihood' or 'held_out'")
    check_baseline(regressor.baseline)
    if not is_choice(regressor.calibrate, True, False):
        raise ValueError(f"calibrate is {regressor.calibrate!r}, but must be True or False")
    check_n_jobs(regressor.n_jobs)
    if regressor.memory_limit is not None:
        check("memory_limit", "above 0", ", or None")


def check_state(state):
    """Check the plain data of a fit before any object is built from them.

    Parameters
    ----------
    state : dict
        As :func:`skdesc.gaussian_process._serialization.pack` makes it.

    Returns
    -------
    dict
        The same, with arrays in double precision and C order, or as they were where that matters
        to the last digit.

    Raises
    ------
    ValueError
        If something is missing, or has a type, shape or value that no fit gives.
    """
    _require(state, "state", _MODEL)
    state = dict(state)
    points = state["species"] = _integers("species", state["species"], 0, _LARGEST_NUMBER)
    n_points = len(points)
    state["features"] = _array("features", state["features"], (n_points, None))
    state["columns"] = _check_columns(state["columns"], state["features"].shape[1])
    n_blocks = len(state["columns"])
    state["block"] = _integers("block", state["block"], 0, n_blocks - 1, (n_points,))
    _check_order(state)
    state["elements"] = _integers("elements", state["elements"], 0, _LARGEST_NUMBER)
    _rule((np.diff(state["elements"]) > 0).all(), "elements", state["elements"],
          "ascending atomic numbers, each once")
    _rule(np.isin(points, state["elements"]).all(), "species", np.unique(points),
          f"among the elements {state['elements'].tolist()}")
    state["e0"] = _array("e0", state["e0"], state["elements"].shape)
    state["weights"] = _array("weights", state["weights"], (n_points,))
    state["zetas"] = [zeta if isinstance(zeta, Covariance) else _real("zetas", zeta, 1.0)
                      for zeta in _list("zetas", state["zetas"])]
    _rule(len(state["zetas"]) == n_blocks, "zetas", state["zetas"], f"{n_blocks} numbers")
    scales = state["energy_scales"] = _array("energy_scales", state["energy_scales"], (n_blocks,))
    _rule((scales > 0).all(), "energy_scales", scales, "above 0")
    # weights alone, or everything that their covariance needs
    if any(name in state for name in (*_POSTERIOR, "seen")):
        _check_posterior(state, n_points)
        if "seen" in state:
            state["seen"] = _check_seen(state["seen"], n_points, len(state["elements"]))
    return state


def check_loaded(regressor):
    """Check a regressor from a file, in addition to its state.

    Parameters
    ----------
    regressor : GAPRegressor
        Fitted or not.

    Raises
    ------
    ValueError
        If its parameters are out of range, or do not belong to its model.
    """
    check_parameters(regressor)
    state = vars(regressor)
    model = state.get("_model")
    if model is None:
        for name in [name for name in state if name.endswith("_") or name == "_baseline"]:
            del state[name]
        return
    state.setdefault("_baseline", None)
    check_saved(regressor)
    if hasattr(regressor, "loo_"):
        regressor.loo_ = _array("loo_", regressor.loo_, (None,), finite=False)
    verify_factors(model)
    verify_solution(model, regressor._training)


def check_saved(regressor):
    """Refuse parameters of a fitted regressor that its fit does not have.

    Parameters
    ----------
    regressor : GAPRegressor
        Fitted.

    Raises
    ------
    ValueError
        If `zeta` or `baseline` was changed after the fit.
    """
    model = regressor._model
    used, zetas = regressor._baseline, one_per_term("zeta", regressor.zeta, len(model.zetas))
    _rule(list(map(as_covariance, zetas)) == model.covariances, "zeta", regressor.zeta,
          f"{model.zetas}, with which it was fitted")
    _rule(is_fitted_baseline(regressor.baseline, used, regressor._training), "baseline",
          regressor.baseline, f"{used}, with which it was fitted")


def verify_factors(model):
    """Compare Cholesky factors from a file with the covariances of the sparse points.

    A vector of random numbers is multiplied by both, which takes a small part of what the
    decomposition took, and finds any entry that is not what it must be.

    Parameters
    ----------
    model : Model
        From a file.

    Raises
    ------
    ValueError
        If a factor is not that of its covariances, with the jitter that the file names.
    """
    prior = getattr(model.posterior, "prior", None)
    for group, (_, L) in zip(model.points.groups(), getattr(prior, "factors", ()), strict=False):
        Q = model.points.features_of(group)
        v = np.random.default_rng(0).uniform(0.5, 1.5, len(Q))
        K = model.covariances[group.term].matrix(Q, Q)
        bound = np.abs(K) @ v
        residual = L @ (L.T @ v) - K @ v
        # the jitter of this group is that of the file at most: a common multiple of v
        shift = float(np.median(residual / v))
        limit = prior.jitter * np.trace(K) / len(K)
        good = np.isfinite(residual).all() and (
            np.abs(residual - shift * v) <= _TOLERANCE * bound
        ).all() and -_TOLERANCE * bound.max() <= shift <= 1.001 * limit + 1e-12 * bound.max()
        _rule(good, "factors", f"another for species {group.species}",
              "the Cholesky factor of the covariances of the sparse points")


def verify_solution(model, training):
    """Compare weights from a file with the data that the same file says they were solved from.

    Parameters
    ----------
    model : Model
        From a file.
    training : Accumulator or None
        What the fit has seen, from the same file; None where the file does not say.

    Raises
    ------
    ValueError
        If the triangle, the weights or the energies of single atoms are not those that follow
        from the data.
    """
    if training is None or not hasattr(model.posterior, "R"):
        return
    posterior, e0 = model.posterior, training.atom_energies.solve()
    scale = np.abs(e0) + np.abs(model.e0)
    _rule((np.abs(e0 - model.e0) <= 1e-6 * scale + 1e-9).all(), "e0", model.e0,
          f"{e0}, which the energies determine")
    _rule(training.observations.triangles.keys() == posterior.n_rows.keys(), "n_rows",
          posterior.n_rows, "numbers of rows of what was fitted to")
    for kind, triangle in training.observations.triangles.items():
        _rule(triangle.n_rows == posterior.n_rows[kind], "n_rows", posterior.n_rows[kind],
              f"{triangle.n_rows} for {kind}")
    triangles = training.observations.subtract_mean(model.e0)
    prior, scales = posterior.prior, posterior.scales
    R, n = posterior.R, len(model.points)
    v = np.random.default_rng(0).uniform(0.5, 1.5, n)
    parts = [prior.triangle(scales)]
    parts += [T / posterior.noise[kind] for kind, T in triangles.items()]
    expected = sum(T[:, :n].T @ (T[:, :n] @ v) for T in parts)
    bound = sum(np.abs(T[:, :n]).T @ (np.abs(T[:, :n]) @ v) for T in parts)
    good = (np.abs(R.T @ (R @ v) - expected) <= _TOLERANCE * bound).all()
    _rule(good, "R", "another triangle", "that of the prior and of the data")
    # the gradient of the sum of squares vanishes at the weights
    gradient = sum(T[:, :n].T @ (T[:, :n] @ posterior.weights - T[:, n]) for T in parts)
    bound = sum(
        np.abs(T[:, :n]).T @ (np.abs(T[:, :n]) @ np.abs(posterior.weights) + np.abs(T[:, n]))
        for T in parts
    )
    good = (np.abs(gradient) <= _TOLERANCE * bound).all()
    _rule(good, "weights", "others", "those that the data determine")


def _check_columns(columns, n_features):
    bounds = [_list("columns", pair) for pair in _list("columns", columns)]
    flat = [bound for pair in bounds for bound in pair]
    good = bool(bounds) and all(len(pair) == 2 for pair in bounds)
    good = good and all(is_number(bound, Integral) for bound in flat)
    good = good and flat[::2] == [0, *flat[1:-1:2]] and flat[-1] == n_features
    good = good and all(start < stop for start, stop in bounds)
    _rule(good, "columns", columns, f"ranges that follow one another from 0 to {n_features}")
    return bounds


def _check_order(state):
    """Sparse points are ordered by block and then species, and zero outside of their block."""
    species, block, features = state["species"], state["block"], state["features"]
    good = (np.diff(block) >= 0).all() and (np.diff(species)[np.diff(block) == 0] >= 0).all()
    _rule(good, "species", species, "in the order of the blocks, and ascending within each")
    for index, (start, stop) in enumerate(state["columns"]):
        own = features[block == index]
        _rule(not (own[:, :start].any() or own[:, stop:].any()), "features", "not zero",
              "zero outside of the block of each point")


def _check_posterior(state, n_points):
    _require(state, "state", _POSTERIOR)
    keys = np.column_stack([state["block"], state["species"]])
    sizes = np.unique(keys, axis=0, return_counts=True)[1].tolist()
    factors = _list("factors", state["factors"])
    _rule(len(factors) == len(sizes), "factors", len(factors), f"{len(sizes)} triangles")
    state["factors"] = [
        _triangle("factors", L, size, lower=True) for L, size in zip(factors, sizes, strict=True)
    ]
    if "calibration" in state:
        state["calibration"] = _check_calibration(state["calibration"])
    state["R"] = _triangle("R", state["R"], n_points, lower=False)
    state["jitter"] = _real("jitter", state["jitter"], 0.0)
    sigmas = state["sigmas"] = _check_kinds("sigmas", state["sigmas"], _positive)
    counts = state["n_rows"] = _check_kinds("n_rows", state["n_rows"], _count)
    _rule(set(counts) <= set(sigmas), "n_rows", counts, f"for kinds with noise, {sorted(sigmas)}")
    # infinite if the data are impossible under the prior
    _rule(isinstance(state["log_marginal_likelihood"], Real), "log_marginal_likelihood",
          state["log_marginal_likelihood"], "a number")


def _check_calibration(calibration):
    checked = _check_kinds("calibration", calibration, _factors)
    found, expected = (
        {kind: len(factors) for kind, factors in table.items()} for table in (checked, UNCALIBRATED)
    )
    _rule(found == expected, "numbers of factors in calibration", found, expected)
    return checked


def _factors(name, values):
    factors = _array(name, values, (None,))
    _rule((factors >= 0).all(), name, factors, "at least 0")
    return factors


def _check_seen(seen, n_points, n_elements):
    _require(seen, "seen", _SEEN)
    seen = dict(seen)
    isolated = seen["isolated"] = _array("isolated", seen["isolated"], (n_elements,), finite=False)
    _rule((isolated > -np.inf).all(), "isolated", isolated, "energies, infinite where not known")
    seen["composition"] = _check_triangle("composition", seen["composition"], n_elements + 1)
    sizes = {"energy": n_points + n_elements + 1}
    seen["triangles"] = {
        kind: _check_triangle(kind, triangle, sizes.get(kind, n_points + 1))
        for kind, triangle in _check_kinds("triangles", seen["triangles"]).items()
    }
    if "distances" in seen:
        _rule(is_table(seen["distances"], n_elements), "distances", "another table", "sorted")
    seen["log_noise"] = _check_kinds("log_noise", seen["log_noise"], _real)
    _rule(seen["log_noise"].keys() == seen["triangles"].keys(), "log_noise",
          sorted(seen["log_noise"]), f"for {sorted(seen['triangles'])}")
    _rule("energy" in seen["triangles"], "triangles", sorted(seen["triangles"]), "with energies")
    return seen


def _check_triangle(name, state, size):
    """State of a `Triangle` of so many columns."""
    _require(state, name, ("n_columns", "upper", "waiting", "n_rows"))
    n_columns = _count(f"n_columns of {name}", state["n_columns"])
    _rule(n_columns == size, f"n_columns of {name}", n_columns, size)
    upper = _array(name, state["upper"], (size * (size + 1) // 2,))
    waiting = _array(name, state["waiting"], (None, size))
    _rule(len(waiting) < CHUNK, name, f"{len(waiting)} waiting rows", f"fewer than {CHUNK}")
    n_rows = _count(f"n_rows of {name}", state["n_rows"])
    _rule(n_rows >= len(waiting), f"n_rows of {name}", n_rows, f"at least {len(waiting)}")
    return {"n_columns": size, "upper": upper, "waiting": waiting, "n_rows": n_rows}


def _triangle(name, values, size, *, lower):
    array = _array(name, values, (size, size), keep_order=True)
    others = np.triu(array, 1) if lower else np.tril(array, -1)
    good = not others.any() and np.all(np.diag(array) > 0 if lower else np.diag(array))
    _rule(good, name, "another matrix",
          f"{'lower' if lower else 'upper'} triangles without zeros in their diagonal")
    return array


def _check_kinds(name, values, check=lambda name, value: value):
    _rule(isinstance(values, Mapping) and set(values) <= set(QUANTITIES), name, values,
          f"a dict with some of {list(QUANTITIES)}")
    return {kind: check(f"{name}[{kind!r}]", value) for kind, value in values.items()}


def _array(name, values, shape, *, finite=True, keep_order=False):
    """Array in double precision of a shape, where None stands for any length."""
    array = np.asarray(values)
    good = array.dtype.kind == "f" and array.ndim == len(shape)
    good = good and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    _rule(good, name, f"{array.dtype} of shape {array.shape}",
          f"real numbers of shape {tuple('any' if n is None else n for n in shape)}")
    if finite:
        _rule((np.abs(array) <= _LARGEST_ENTRY).all(), name, "not finite, or too large",
              f"at most {_LARGEST_ENTRY:g}")
    return np.asarray(array, np.float64, order="A" if keep_order else "C")


def _integers(name, values, low, high, shape=(None,)):
    array = np.asarray(values)
    good = array.dtype.kind in "iu" and array.ndim == 1 and shape[0] in (None, len(array))
    _rule(good and len(array), name, f"{array.dtype} of shape {array.shape}",
          "a list of integers, one for each point" if shape[0] else "a list of integers")
    _rule(array.min() >= low and array.max() <= high, name, [int(array.min()), int(array.max())],
          f"from {low} to {high}")
    return array.astype(np.intp, copy=False)


def _real(name, value, low=-np.inf):
    good = isinstance(value, Real) and not isinstance(value, bool) and low <= value
    _rule(good and abs(value) <= LARGEST, name, value, f"a number from {low:g} to {LARGEST:g}")
    return value


def _positive(name, value):
    _rule(_real(name, value, 0.0) > 0, name, value, "above 0")
    return value


def _count(name, value):
    good = isinstance(value, Integral) and not isinstance(value, bool) and 0 <= value < 2**62
    _rule(good, name, value, "an integer of at least 0")
    return int(value)


def _list(name, values):
    _rule(isinstance(values, (list, tuple)), name, values, "a list")
    return values


def _require(state, name, keys):
    _rule(isinstance(state, Mapping), name, type(state).__name__, "a dict")
    missing = [key for key in keys if key not in state]
    _rule(not missing, name, f"without {missing}", "complete")


def _rule(good, name, value, rule):
    if not good:
        raise ValueError(f"{name} of the fit is {value!s:.200}, but must be {rule}; the fit was "
                         "damaged or changed, take another copy")
