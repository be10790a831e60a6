"""What scikit-learn asks of every estimator, as far as it does not take arrays to check."""

from __future__ import annotations

import copy
import io
import logging
import os
import pickle
import random
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import sklearn
from ase.calculators.emt import EMT
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks, get_tags

from ._tools import require, require_same

_WITHOUT_DATA = (
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)


def check_without_data(transformer, structures):
    """scikit-learn's own checks that need no data."""
    for name in _WITHOUT_DATA:
        getattr(estimator_checks, name)(type(transformer).__name__, clone(transformer))


def check_tags(transformer, structures):
    """The tags must not promise to take numbers."""
    require(not get_tags(transformer).input_tags.two_d_array,
            "the tag input_tags.two_d_array is True, but a table of numbers is no input")


def check_not_fitted(transformer, structures):
    """Transforming needs a fit, except for transformers whose tags deny it."""
    if not get_tags(transformer).requires_fit:
        return
    try:
        transformer.transform(structures)
    except NotFittedError:
        return
    raise AssertionError("transform before fit raises no NotFittedError")


def check_fit_returns_self(transformer, structures):
    """As ``fit(X).transform(X)`` needs it; with and without a target."""
    require(transformer.fit(structures) is transformer, "fit does not return self")
    y = np.zeros(len(structures))
    require(transformer.fit(structures, y) is transformer, "fit(X, y) does not return self")


def check_fit_transform(transformer, structures):
    """The same as one after the other."""
    at_once = clone(transformer).fit_transform(structures)
    require_same(at_once, transformer.fit(structures).transform(structures),
                 "fit_transform differs from fit and transform", rtol=1e-12, atol=1e-14)


def check_fit_twice(transformer, structures):
    """A second fit forgets the first."""
    once = clone(transformer).fit(structures).transform(structures)
    twice = transformer.fit(structures[::-1]).fit(structures).transform(structures)
    require_same(once, twice, "a second fit gives other features")


def check_parameters_stay(transformer, structures):
    """Neither fit nor transform may alter a parameter."""
    before = copy.deepcopy(transformer.get_params())
    transformer.fit(structures).transform(structures)
    after = transformer.get_params()
    require(joblib.hash(before) == joblib.hash(after), "fit alters the parameters")


def check_attributes(transformer, structures):
    """What fit adds ends in an underscore or begins with one, and transform adds nothing."""
    before = set(vars(transformer))
    transformer.fit(structures)
    added = set(vars(transformer)) - before
    public = {name for name in added if not name.startswith("_") and not name.endswith("_")}
    require(not public, f"fit adds attributes without a trailing underscore: {sorted(public)}")
    transformer.transform(structures)
    extra = set(vars(transformer)) - before - added
    require(not extra, f"transform adds attributes: {sorted(extra)}")


def check_copies(transformer, structures):
    """Fitted copies transform as the original, by whatever way they were made."""
    expected = transformer.fit(structures).transform(structures)
    file = io.BytesIO()
    joblib.dump(transformer, file)
    file.seek(0)
    copies = {"pickle": pickle.loads(pickle.dumps(transformer)), "joblib": joblib.load(file),
              "deepcopy": copy.deepcopy(transformer)}
    try:
        import cloudpickle
    except ImportError:
        pass
    else:
        copies["cloudpickle"] = cloudpickle.loads(cloudpickle.dumps(transformer))
    for way, other in copies.items():
        require_same(other.transform(structures), expected, f"a copy by {way} differs")
    require_same(clone(transformer).fit(structures).transform(structures), expected,
                 "a clone differs")


def check_global_state(transformer, structures):
    """Random streams, warnings, logging, environment and configuration are left alone."""
    def state():
        return (
            repr(np.random.get_state()), np.random.get_state()[1].tolist(),  # noqa: NPY002
            random.getstate(), dict(np.geterr()),
            list(warnings.filters), dict(os.environ), os.getcwd(), sklearn.get_config(),
            logging.getLogger().level, list(logging.getLogger().handlers),
        )

    before = state()
    transformer.fit(structures).transform(structures)
    names = ("numpy.random", "numpy.random", "random", "numpy.errstate", "warnings.filters",
             "os.environ", "the working directory", "scikit-learn's configuration",
             "the root logger's level", "the root logger's handlers")
    changed = [
        name for name, one, other in zip(names, before, state(), strict=True) if one != other
    ]
    require(not changed, f"fit and transform change {changed}")


def check_repr(transformer, structures):
    """Text and HTML, before and after fit."""
    for estimator in (transformer, clone(transformer).fit(structures)):
        require(type(transformer).__name__ in repr(estimator), "repr lacks the class")
        require(type(transformer).__name__ in estimator._repr_html_(), "HTML lacks the class")


def check_threads(transformer, structures):
    """The same digits with any number of threads, and in threads at once."""
    expected = transformer.fit(structures).transform(structures)
    if "n_jobs" in transformer.get_params():
        for n_jobs in (1, 2):
            other = clone(transformer).set_params(n_jobs=n_jobs).fit(structures)
            require_same(other.transform(structures), expected, f"n_jobs={n_jobs} differs")
    with ThreadPoolExecutor(2) as pool:
        for output in pool.map(transformer.transform, [structures] * 4):
            require_same(output, expected, "calls from several threads differ")


def check_routing(transformer, structures):
    """In a pipeline with metadata routing enabled."""
    expected = clone(transformer).fit_transform(structures)
    with sklearn.config_context(enable_metadata_routing=True):
        got = make_pipeline(transformer).fit(structures, np.zeros(len(structures)))
        require_same(got.transform(structures), expected, "metadata routing changes features")


def check_structures_stay(transformer, structures):
    """Structures, and what is attached to them, are left alone."""
    for atoms in structures:
        atoms.info["kind"], atoms.calc = "test", EMT()
        atoms.set_array("tag", np.arange(len(atoms)))
    before = [
        (atoms.positions.copy(), atoms.cell.array.copy(), atoms.numbers.copy(), dict(atoms.info),
         sorted(atoms.arrays), atoms.calc, atoms.pbc.copy())
        for atoms in structures
    ]
    transformer.fit(structures).transform(structures)
    for index, (atoms, old) in enumerate(zip(structures, before, strict=True)):
        new = (atoms.positions, atoms.cell.array, atoms.numbers, dict(atoms.info),
               sorted(atoms.arrays), atoms.calc, atoms.pbc)
        require(
            all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
                for a, b in zip(old, new, strict=True)),
            f"structure {index} has been changed",
        )
