"""Checks of scikit-learn's estimators that come from a file.

scikit-learn validates its state in ``fit`` and relies on it in ``predict``. Therefore every fitted
estimator from a file is tried on two rows of numbers. The arrays that compiled code (libsvm) reads
without checks are compared with the number of features before that.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from math import comb
from numbers import Integral, Real

import numpy as np
from ase import Atoms
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ..utils._sklearn_compat import validate_parameters

_MOST_FEATURES = 10**6
_MOST_JOBS = 1024
# parameters that list estimators with their names
_NAMED = {
    "Pipeline": "steps",
    "FeatureUnion": "transformer_list",
    "ColumnTransformer": "transformers",
    "StackingRegressor": "estimators",
    "VotingRegressor": "estimators",
}
# allowed in place of an estimator, except in pipelines
_WORDS = {
    "estimators": ("drop",),
    "transformer_list": ("drop", "passthrough"),
    "transformers": ("drop", "passthrough"),
}
# attributes of every fitted wrapper
_FITTED = {
    "BaggingRegressor": ("estimators_", "estimators_features_"),
    "StackingRegressor": ("estimators_", "final_estimator_", "stack_method_"),
    "TransformedTargetRegressor": ("regressor_", "_training_dim"),
    "VotingRegressor": ("estimators_",),
}
# these accept any samples, which may be Atoms
_FOR_ANY_SAMPLES = ("DummyRegressor", "FunctionTransformer")
# transformers that a TransformedTargetRegressor may contain
_INVERTED = ("FunctionTransformer", "MaxAbsScaler", "MinMaxScaler", "PowerTransformer",
             "QuantileTransformer", "RobustScaler", "StandardScaler")
_LIBSVM = ("NuSVR", "SVR")
_SVM_KERNELS = ("linear", "poly", "precomputed", "rbf", "sigmoid")


def check_companion(estimator, *, in_use=True):
    """Refuse an estimator of scikit-learn that no fit could have produced.

    Parameters
    ----------
    estimator : estimator
        From a file, fitted or not.
    in_use : bool, default=True
        Whether to try it on data; its parts have been tried before.

    Raises
    ------
    ValueError
        If its parts contradict each other.
    """
    name = type(estimator).__name__
    validate_parameters(estimator)
    _check_n_jobs(vars(estimator).get("n_jobs"), name)
    if name in _NAMED:
        _check_named(estimator, name, getattr(estimator, _NAMED[name]))
        _check_weights(vars(estimator).get("transformer_weights"), name)
    state = vars(estimator)
    if name in _FITTED and _is_fitted(state):
        _check_wrapper(state, name)
    if name == "DummyRegressor" and "constant_" in state:
        size = np.size(state["constant_"])
        _rule(_is_integer(state.get("n_outputs_"), 1, size), name, "n_outputs_",
              state.get("n_outputs_"), f"an integer from 1 to {size}")
    # wrappers derive it from the wrapped estimator
    n_features = getattr(estimator, "n_features_in_", None)
    if n_features is None:
        _check_without_features(estimator, name, in_use)
        return
    _rule(_is_integer(n_features, 1, _MOST_FEATURES), name, "n_features_in_", n_features,
          f"an integer from 1 to {_MOST_FEATURES}")
    if name == "PolynomialFeatures":
        _fit_polynomials(estimator, n_features)
    if name in _LIBSVM:
        _check_libsvm(estimator, name, n_features)
    if in_use:
        _try(estimator, name, n_features)


def _check_n_jobs(n_jobs, name):
    if n_jobs is not None:
        _rule(_is_integer(n_jobs, -_MOST_JOBS, _MOST_JOBS) and n_jobs != 0, name, "n_jobs",
              n_jobs, f"None or an integer from {-_MOST_JOBS} to {_MOST_JOBS}, but not 0")


def _is_fitted(state):
    return any(attribute.endswith("_") for attribute in state)


def _check_without_features(estimator, name, in_use):
    """Check an estimator that is not fitted or has no number of features."""
    _rule(not _is_fitted(vars(estimator)) or name in _FITTED or name in _FOR_ANY_SAMPLES, name,
          "n_features_in_", "missing", "there after a fit")
    if in_use and name in ("FeatureUnion", "Pipeline"):
        _try_on_an_atom(estimator, name)


def _check_named(estimator, name, parts):
    """Check lists of (name, estimator) tuples, such as the steps of a pipeline."""
    parameter = _NAMED[name]
    length = 3 if name == "ColumnTransformer" else 2
    _rule(_are_named(parts, length), name, parameter, parts, "a list of names with estimators")
    _rule(len({part[0] for part in parts}) == len(parts), name, parameter,
          [part[0] for part in parts], "different names")
    for index, part in enumerate(parts):
        last_step = name == "Pipeline" and index == len(parts) - 1
        needed = "fit" if last_step or "Regressor" in name else "transform"
        if part[1] is None or isinstance(part[1], str):
            good = part[1] in ((None, "passthrough") if name == "Pipeline" else _WORDS[parameter])
        else:
            good = hasattr(part[1], needed)
        _rule(good and not isinstance(part[1], type), name, parameter, part[0],
              f"an estimator with a method {needed}")


def _are_named(parts, length):
    return isinstance(parts, (list, tuple)) and all(
        isinstance(part, tuple) and len(part) == length and isinstance(part[0], str)
        for part in parts
    )


def _check_weights(weights, name):
    good = weights is None or (isinstance(weights, Mapping) and all(
        isinstance(weight, Real) and np.isfinite(weight) for weight in weights.values()
    ))
    _rule(good, name, "transformer_weights", weights, "None or a dict from names to finite numbers")


def _check_wrapper(state, name):
    fitted = _FITTED[name]
    missing = [attribute for attribute in fitted if attribute not in state]
    _rule(not missing, name, "state", f"without {missing}", "complete")
    for attribute in fitted:
        value = state[attribute]
        if attribute == "_training_dim":
            _rule(_is_integer(value, 1, 2), name, attribute, value, "1 or 2")
        elif attribute == "stack_method_":
            expected = ["predict"] * np.size(state["estimators_"])
            good = isinstance(value, list) and value == expected
            _rule(good, name, attribute, value, f"{expected}")
        elif attribute != "estimators_features_":
            parts = value if attribute == "estimators_" else [value]
            good = isinstance(parts, (list, tuple, np.ndarray))
            good = good and all(hasattr(part, "predict") for part in parts)
            _rule(good, name, attribute, value, "estimators that predict")
    if name == "TransformedTargetRegressor":
        value = state.get("transformer_")
        _rule(hasattr(value, "inverse_transform"), name, "transformer_", value, "a transformer")


def _check_libsvm(estimator, name, n_features):
    """Check the shapes and types of all arrays that libsvm reads."""
    state = vars(estimator)
    _rule(estimator.kernel in _SVM_KERNELS, name, "kernel", estimator.kernel,
          f"among {list(_SVM_KERNELS)}")
    _rule(state.get("_sparse") is False, name, "_sparse", state.get("_sparse"), "False")
    shape = state.get("shape_fit_")
    is_pair = isinstance(shape, tuple) and len(shape) == 2 and _is_integer(shape[0], 1, 2**31)
    _rule(is_pair and shape[1] == n_features and _is_integer(shape[1], 1, 2**31), name,
          "shape_fit_", shape, f"(n_samples, {n_features})")
    support = np.asarray(state.get("support_"))
    n = support.size
    rows = 0 if estimator.kernel == "precomputed" else n
    shapes = {
        "support_": ("int32", (n,)), "_n_support": ("int32", (2,)),
        "support_vectors_": ("float64", (rows, n_features if rows else None)),
        "_dual_coef_": ("float64", (1, n)), "dual_coef_": ("float64", (1, n)),
        "_intercept_": ("float64", (1,)), "intercept_": ("float64", (1,)),
        "_probA": ("float64", (None,)), "_probB": ("float64", (None,)),
    }
    for attribute, (dtype, expected) in shapes.items():
        array = state.get(attribute)
        _rule(_has_layout(array, dtype, expected), name, attribute, np.shape(array),
              f"{dtype} of shape {expected}")
        _rule(np.isfinite(array).all(), name, attribute, "not finite", "finite")
    _rule(n == 0 or (support.min() >= 0 and support.max() < shape[0]), name, "support_", support,
          f"from 0 to {shape[0] - 1}")
    counts = state["_n_support"]
    _rule((counts >= 0).all() and (counts <= n).all(), name, "_n_support", counts, f"at most {n}")
    for attribute in ("_probA", "_probB"):
        _rule(state[attribute].size <= 1, name, attribute, state[attribute], "one number or none")
    _check_numbers_of_libsvm(estimator, name)


def _has_layout(array, dtype, shape):
    """Whether an object is a C-contiguous array of a type and shape; None stands for any length."""
    return (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and array.flags.c_contiguous
        and len(array.shape) == len(shape)
        and all(a in (None, b) for a, b in zip(shape, array.shape, strict=True))
    )


def _check_numbers_of_libsvm(estimator, name):
    gamma = vars(estimator).get("_gamma")
    for attribute, value in [("_gamma", gamma), ("coef0", estimator.coef0),
                             ("cache_size", estimator.cache_size)]:
        is_finite = isinstance(value, Real) and np.isfinite(value)
        _rule(is_finite, name, attribute, value, "a finite number")
    _rule(_is_integer(estimator.degree, 0, 1000), name, "degree", estimator.degree, "an integer")


def _fit_polynomials(estimator, n_features):
    """Rebuild the table of exponents from the parameters and the number of features."""
    degree = estimator.degree
    highest = degree[-1] if isinstance(degree, (tuple, list)) and degree else degree
    good = _is_integer(highest, 0, 10**4) and comb(n_features + highest, highest) <= _MOST_FEATURES
    _rule(good, "PolynomialFeatures", "degree", degree,
          f"so low that there are at most {_MOST_FEATURES} products")
    fitted = clone(estimator).fit(np.zeros((1, n_features)))
    vars(estimator).update(vars(fitted))


def _try(estimator, name, n_features):
    """Use an estimator on two rows, which fails if its parts contradict each other."""
    X = np.random.default_rng(0).uniform(0.1, 0.9, (2, n_features))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            repr(estimator)
            for method in ("transform", "predict"):
                if not hasattr(estimator, method):
                    continue
                result = getattr(estimator, method)(X)
                if len(result) != 2:
                    raise ValueError(f"its output for 2 rows has {len(result)} rows")
                if method == "transform" and name in _INVERTED:
                    estimator.inverse_transform(result)
            if name in ("ARDRegression", "BayesianRidge", "GaussianProcessRegressor"):
                estimator.predict(X, return_std=True)
    except NotFittedError:
        return  # some steps are not fitted, which is reported when the pipeline is used
    except Exception as error:
        raise _unusable(name, error) from error


def _try_on_an_atom(pipeline, name):
    """Use an estimator that begins with a descriptor on one atom, which fails if steps mismatch."""
    species = _species(pipeline)
    if species is None or len(species) == 0:
        return
    method = "predict" if hasattr(pipeline, "predict") else "transform"
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            repr(pipeline)
            if hasattr(pipeline, method):
                getattr(pipeline, method)([Atoms([species[0]])])
    except ValueError:
        return  # not fitted, or for other structures, which is reported when it is used
    except Exception as error:
        raise _unusable(name, error) from error


def _species(estimator):
    """Elements of the descriptor that an estimator begins with; None if there is none."""
    for parameter in ("steps", "transformer_list"):
        if hasattr(estimator, parameter):
            return _species(getattr(estimator, parameter)[0][1])
    return getattr(estimator, "species_", None)


def _unusable(name, error):
    return ValueError(
        f"{name} cannot be used ({type(error).__name__}: {error!s:.200}), but must be a fitted "
        "estimator; the model was damaged or changed, take another copy"
    )


def _is_integer(value, low, high):
    return isinstance(value, Integral) and not isinstance(value, bool) and low <= value <= high


def _rule(good, name, attribute, value, rule):
    if not good:
        # the text of nested estimators can be very long
        shown = f"{value!s:.200}" if isinstance(value, (np.ndarray, Real, str)) else type(value)
        raise ValueError(f"{attribute} of {name} is {shown}, but must be {rule}; the model "
                         "was damaged or changed, take another copy")
