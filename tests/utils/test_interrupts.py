"""Every method that changes an estimator, interrupted at random lines of any package."""

import inspect
import pickle
import random
import sys
import warnings
from inspect import CO_GENERATOR

import numpy as np
import pytest
from helpers.stored_models import structures, targets
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

import skdesc
from skdesc import (
    AutoPotential,
    CachedDescriptor,
    FeatureCache,
    GAPRegressor,
    SOAPTransformer,
    TensorReducedTransformer,
    TwoBodyTransformer,
    TwoStagePSOSearchCV,
)

PACKAGES = ("skdesc", "sklearn", "numpy", "scipy", "ase", "pyswarms")
# what ends blocks of `with` and what keeps processes and threads in order has to be completed
SPARED = ("skdesc.utils.blas", "skdesc.utils.threads")


class InterruptAtLine:
    """Raises before the n-th line; counts lines if n is None."""

    def __init__(self, n, kind=KeyboardInterrupt):
        self.n, self.kind, self.count, self.place = n, kind, 0, None

    def __call__(self, frame, event, argument):
        name, code = frame.f_globals.get("__name__") or "", frame.f_code
        if (name.partition(".")[0] not in PACKAGES or name in SPARED
                or code.co_flags & CO_GENERATOR
                or code.co_name in ("__del__", "__exit__", "__enter__", "<module>")):
            return None
        return self.line

    def line(self, frame, event, argument):
        if event == "line":
            self.count += 1
            if self.count == self.n:
                sys.settrace(None)
                frame.f_trace = None
                self.place = f"{frame.f_globals['__name__']}:{frame.f_lineno}"
                raise self.kind("interrupted")
        return self.line

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *exception):
        sys.settrace(self.before)


def soap(**parameters):
    return SOAPTransformer(n_max=2, l_max=1, cutoff=3.5, **parameters)


def learned():
    return TensorReducedTransformer(
        n_max=2, l_max=1, n_channels=2, weights="learned",
        learning={"max_iter": 1, "n_embedding": 2}, random_state=np.random.RandomState(0),
    )


def gap():
    return GAPRegressor(n_sparse=4, sparse_method="random", random_state=np.random.RandomState(0))


def on_atoms(method, part=slice(None)):
    def change(estimator):
        frames = structures()[part]
        getattr(estimator, method)(frames, targets(frames)[0])

    return change


def on_features(method, part=slice(None)):
    features = soap(species=["H", "C", "O"]).fit_transform(structures()[part])

    def change(estimator):
        y, forces, virials = targets(structures()[part])
        getattr(estimator, method)(features, y, forces=forces, virials=virials)

    return change


def search():
    return TwoStagePSOSearchCV(
        make_pipeline(soap(pooling="mean"), Ridge()), {"soaptransformer__cutoff": [3.0, 4.0]},
        {"ridge__alpha": [0.1, 1.0]}, n_particles=2, n_iterations=1, cv=2, random_state=0,
    )


def auto():
    return AutoPotential(time_budget=0.01, random_state=np.random.RandomState(0))


# by class: an estimator, what fits it first, and the changes that are interrupted
CHANGES = {
    "SOAPTransformer": (soap, on_atoms("fit"), {
        "fit": on_atoms("fit", slice(None, None, -1)),
        "set_output": lambda estimator: estimator.set_output(transform="default"),
    }),
    "TensorReducedTransformer": (learned, on_atoms("fit"), {"fit": on_atoms("fit", slice(4))}),
    "TwoBodyTransformer": (TwoBodyTransformer, on_atoms("fit"), {"fit": on_atoms("fit", slice(4))}),
    "CachedDescriptor": (
        lambda: CachedDescriptor(soap(), FeatureCache()), on_atoms("fit"),
        {"fit": on_atoms("fit", slice(4))},
    ),
    "GAPRegressor": (gap, on_features("partial_fit", slice(4)), {
        "fit": on_features("fit"),
        "partial_fit": on_features("partial_fit", slice(4, None)),
        "solve": lambda estimator: estimator.solve(),
    }),
    "held-out noise": (
        lambda: gap().set_params(optimize="held_out"), on_features("fit", slice(5)),
        {"fit": on_features("fit")},
    ),
    "TwoStagePSOSearchCV": (search, on_atoms("fit"), {"fit": on_atoms("fit", slice(4))}),
    "AutoPotential": (auto, on_atoms("fit", slice(4)), {
        "fit": on_atoms("fit", slice(2, 6)), "select": lambda estimator: estimator.select(0),
    }),
}
SEARCHES = ("TwoStagePSOSearchCV", "AutoPotential")


def test_every_estimator_is_tried():
    estimators = {name for name in skdesc.__all__ if inspect.isclass(getattr(skdesc, name))
                  and issubclass(getattr(skdesc, name), BaseEstimator)}
    assert estimators == set(CHANGES) - {"held-out noise"}


def interrupt(name, method, n_tries, seed=0):
    make, first, changes = CHANGES[name]
    change, rng = changes[method], random.Random(seed)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for fitted in (False, True) if method == "fit" else (True,):
            estimator = make()
            if fitted:
                first(estimator)
            interrupt_one(estimator, change, name, rng, n_tries)


def interrupt_one(estimator, change, name, rng, n_tries):
    before = pickle.dumps(estimator)
    for _ in range(2):  # imports and caches make the first run longer
        with InterruptAtLine(None) as counter:
            change(pickle.loads(before))
    n_raised = 0
    points = [*range(counter.count - 3, counter.count + 1), *rng.sample(
        range(1, counter.count + 1), min(n_tries, counter.count))]
    for index, n in enumerate(points):
        kind = (KeyboardInterrupt, MemoryError)[index % 2]
        estimator = pickle.loads(before)
        before_here = pickle.dumps(estimator)
        trace = InterruptAtLine(n, kind)
        message = None
        try:
            with trace:
                change(estimator)
        except (KeyboardInterrupt, MemoryError, ValueError) as error:
            message = str(error)  # a ValueError of searches, all of whose candidates have failed
        if message is not None:
            assert "interrupted" in message
            assert pickle.dumps(estimator) == before_here, f"line {n}: {trace.place}"
            n_raised += 1
        elif name in SEARCHES:  # which go on with what they have
            check_is_fitted(estimator)
            estimator.predict(structures()[:4])
    assert n_raised > 0


@pytest.mark.parametrize(
    ("name", "method"), [(name, method) for name in CHANGES for method in CHANGES[name][2]]
)
def test_random_interrupts(name, method):
    interrupt(name, method, 6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method"), [(name, method) for name in CHANGES for method in CHANGES[name][2]]
)
def test_many_random_interrupts(name, method):
    interrupt(name, method, 150, seed=1)


@pytest.mark.slow
def test_interrupted_search_for_a_potential():
    def fit(estimator):
        frames = structures(12)
        y, forces, _ = targets(frames)
        estimator.fit(frames, y, forces=forces)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interrupt_one(auto(), fit, "AutoPotential", random.Random(2), 20)
