"""Methods that change an object completely or not at all, under interrupts at any point."""

import copy
import pickle
import random
import sys
import warnings
from inspect import CO_GENERATOR

import numpy as np
import pytest
from ase.build import molecule
from helpers.toy_data import SPECIES, make_frames, reference
from helpers.toy_descriptor import ToyDescriptor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skdesc import (
    CachedDescriptor,
    FeatureCache,
    GAPRegressor,
    SOAPTransformer,
    TensorReducedTransformer,
    TwoStagePSOSearchCV,
)
from skdesc.calculator import SkdescCalculator
from skdesc.utils.atomic import atomic


class Interrupt:
    """Raises at the n-th call of a function of this package; counts them if n is None."""

    def __init__(self, n, kind=KeyboardInterrupt):
        self.n, self.kind, self.count = n, kind, 0

    def __call__(self, frame, event, argument):
        name = frame.f_globals.get("__name__", "")
        # blocks of `with` must end, and what is raised while garbage is collected is ignored
        ignored = frame.f_code.co_flags & CO_GENERATOR or frame.f_code.co_name == "__del__"
        if name.startswith("skdesc.") and name != "skdesc.utils.blas" and not ignored:
            self.count += 1
            if self.count == self.n:
                sys.settrace(None)
                raise self.kind("interrupted")

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *exception):
        sys.settrace(self.before)


def count_calls(change, estimator):
    change(copy.deepcopy(estimator))  # imports and caches make the first run longer
    estimator = copy.deepcopy(estimator)
    with Interrupt(None) as counter:
        change(estimator)
    return counter.count


def interrupt_everywhere(change, estimator, n_tries, kinds=(KeyboardInterrupt, MemoryError)):
    """Interrupt a change of an estimator at random calls; each must leave no trace."""
    n_calls, rng = count_calls(change, estimator), random.Random(0)
    before = pickle.dumps(estimator)
    points = [1, 2, n_calls - 2, n_calls - 1, n_calls]
    points += [rng.randrange(3, n_calls) for _ in range(n_tries)]
    n_interrupted = 0
    for index, n in enumerate(points):
        kind = kinds[index % len(kinds)]
        try:
            with Interrupt(n, kind):
                change(estimator)
        except kind:
            n_interrupted += 1
        else:  # caches
            estimator = pickle.loads(before)
            before = pickle.dumps(estimator)
        assert pickle.dumps(estimator) == before, f"call {n} of {n_calls}"
    assert n_interrupted > 0.5 * len(points)


@pytest.fixture(scope="module")
def seen():
    frames = make_frames()
    y, derivatives = reference(frames)
    return ToyDescriptor(SPECIES).transform(frames), y, derivatives


@pytest.fixture
def toy_call(seen):
    X, y, derivatives = seen

    def call(method, part):
        forces, virials = derivatives["forces"][part], derivatives["virials"][part]
        return method(X[part], y[part], forces=forces, virials=virials)

    return call


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("fitted", [False, True])
def test_interrupted_fits(toy_call, method, fitted):
    gap = GAPRegressor(
        n_sparse=4, sparse_method="random", random_state=np.random.RandomState(0)
    )
    if fitted:
        toy_call(gap.partial_fit, slice(0, 6))
    interrupt_everywhere(lambda gap: toy_call(getattr(gap, method), slice(6, 12)), gap, 20)


def test_an_interrupted_and_repeated_partial_fit_is_one(toy_call):
    expected = GAPRegressor(n_sparse=4)
    toy_call(expected.partial_fit, slice(0, 6))
    gap = copy.deepcopy(expected)
    toy_call(expected.partial_fit, slice(6, 12))
    n_calls = count_calls(lambda gap: toy_call(gap.partial_fit, slice(6, 12)), gap)
    for n in random.Random(1).sample(range(1, n_calls // 2), 10):
        with Interrupt(n), pytest.raises(KeyboardInterrupt):
            toy_call(gap.partial_fit, slice(6, 12))
    toy_call(gap.partial_fit, slice(6, 12))
    np.testing.assert_array_equal(gap.weights_, expected.weights_)


def test_interrupted_solve(toy_call):
    gap = toy_call(GAPRegressor(n_sparse=4).fit, slice(0, 12)).set_params(sigma_forces=0.3)
    interrupt_everywhere(lambda gap: gap.solve(), gap, 20)


def test_a_refused_fit_does_not_start_anew(toy_call, seen):
    X, y, _ = seen
    gap = toy_call(GAPRegressor(n_sparse=4).partial_fit, slice(0, 6))
    expected = copy.deepcopy(gap)
    toy_call(expected.partial_fit, slice(6, 12))
    for refused in (
        lambda: gap.fit(X, y[:-1]),
        lambda: gap.fit(X, np.full(len(y), np.nan)),
        lambda: gap.fit(X, y, forces=[[1.0]]),
        lambda: copy.copy(gap.set_params(zeta=0.5)).fit(X, y),
    ):
        with pytest.raises(ValueError, match=" "):
            refused()
    toy_call(gap.set_params(zeta=4).partial_fit, slice(6, 12))
    np.testing.assert_array_equal(gap.weights_, expected.weights_)


def test_a_warning_that_is_an_error(seen):
    X, y, derivatives = seen
    gap = GAPRegressor(n_sparse=8).fit(X[:6], y[:6])
    before = pickle.dumps(gap)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="virials"):
            gap.partial_fit(X, y, forces=derivatives["forces"], virials=-derivatives["virials"])
    assert pickle.dumps(gap) == before


MOLECULES = [molecule(name) for name in ("H2O", "CH4", "CH3OH", "C2H6")]


@pytest.mark.parametrize("make", [
    lambda: SOAPTransformer(n_max=2, l_max=1),
    lambda: TensorReducedTransformer(
        n_max=2, l_max=1, n_channels=4, weights="learned", learning={"max_iter": 1},
        random_state=np.random.RandomState(0),
    ),
    lambda: CachedDescriptor(SOAPTransformer(n_max=2, l_max=1), FeatureCache()),
], ids=["soap", "learned", "cached"])
def test_interrupted_descriptors(make):
    y = np.array([-14.0, -24.0, -30.0, -40.0])
    descriptor = make()
    interrupt_everywhere(lambda d: d.fit(MOLECULES, y), descriptor, 4)
    descriptor.fit(MOLECULES, y)
    interrupt_everywhere(lambda d: d.fit(MOLECULES[::-1], y), descriptor, 4)


def test_interrupted_set_output():
    descriptor = SOAPTransformer(n_max=2, l_max=1, pooling="mean")
    interrupt_everywhere(lambda d: d.set_output(transform="pandas"), descriptor, 0)


def test_interrupted_search():
    X = np.random.RandomState(0).rand(12, 3)
    search = TwoStagePSOSearchCV(
        Ridge(), {}, {"alpha": [0.1, 1.0, 10.0]}, n_particles=2, n_iterations=1, cv=2,
        random_state=0,
    )
    search.fit(X, X[:, 0])
    before = pickle.dumps(search)
    with pytest.raises(ValueError, match=" "):
        search.fit(X, X[:-1, 0])
    assert pickle.dumps(search) == before


def test_interrupted_calculator():
    y = [-14.0, -24.0, -30.0, -40.0]
    pipeline = make_pipeline(SOAPTransformer(n_max=2, l_max=1), GAPRegressor()).fit(MOLECULES, y)
    calculator = SkdescCalculator(pipeline)
    calculator.get_property("energy", MOLECULES[0])
    before = dict(calculator.results)
    n_calls = count_calls(lambda c: c.calculate(MOLECULES[1], ["energy_std"]), calculator)
    for n in random.Random(0).sample(range(1, n_calls // 2), 10):
        with Interrupt(n), pytest.raises(KeyboardInterrupt):
            calculator.calculate(MOLECULES[1], ["energy_std"])
        assert calculator.results == before
        assert calculator.atoms == MOLECULES[0]


def test_the_swap():
    class Counter:
        def __init__(self):
            self.n = 0

        @atomic
        def add(self, n):
            """Add."""
            self.n += 1
            if n == 0:
                raise ValueError("zero")
            return self if n == 1 else n

    counter = Counter()
    assert counter.add(1) is counter
    assert counter.add(2) == 2
    with pytest.raises(ValueError, match="zero"):
        counter.add(0)
    assert counter.n == 2
    assert Counter.add.__doc__ == "Add."
