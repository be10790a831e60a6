"""Selection of batches against refitting, and against chance."""

import numpy as np
import pytest
from helpers.toy_data import make_frames, reference
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdesc import GAPRegressor
from skdesc.gaussian_process import select_batch


@pytest.fixture(scope="module")
def pool(toy):
    return toy.transform(make_frames(20, seed=11))


@pytest.fixture(scope="module")
def gap(features, targets):
    gap = GAPRegressor(n_sparse=6, energy_scale=0.3, sigma_energy=0.01, calibrate=False)
    return gap.fit(features, targets[0])


def test_variances_are_those_of_refitting(gap, toy, frames, features, targets, pool):
    """In the dense limit, conditioning on a chosen structure equals fitting to it as well."""
    every = toy.transform(frames + make_frames(20, seed=11))
    table = {z: every.values[every.species == z] for z in (1, 8)}
    dense = clone(gap).set_params(sparse_method=table, e0=None, jitter=1e-12)
    dense.fit(features, targets[0])
    chosen, std = select_batch(dense, pool, 4)
    assert len(set(chosen)) == 4
    assert std[0] == pytest.approx(dense.predict(pool, return_std=True)[1][chosen[0]])
    for step in range(1, 4):
        dense.partial_fit(pool[chosen[step - 1 : step]], [0.0])
        expected = dense.predict(pool, return_std=True)[1]
        assert std[step] == pytest.approx(expected[chosen[step]], rel=1e-3)
        ratio = expected / np.sqrt(pool.n_atoms)
        ratio[chosen[:step]] = 0.0
        assert np.argmax(ratio) == chosen[step]


def test_copies_are_not_all_taken(gap, toy):
    frames = make_frames(6, seed=11)
    pool = toy.transform([*frames, *frames, *frames])
    chosen = select_batch(gap, pool, 6)[0]
    assert len(set(chosen % 6)) == 6


def test_beats_chance(toy):
    candidates = make_frames(60, seed=5)
    # most of the pool are near copies of a few structures
    candidates += candidates[:2] * 60
    y = reference(candidates)[0]
    X = toy.transform(candidates)
    test = make_frames(40, seed=6)
    Z, expected = toy.transform(test), reference(test)[0]
    start = np.arange(60, 64)
    gap = GAPRegressor(energy_scale=0.3).fit(X[start], y[start])
    chosen = select_batch(gap, X, 20)[0]

    def error(selected):
        index = np.concatenate([start, selected])
        predicted = GAPRegressor(energy_scale=0.3).fit(X[index], y[index]).predict(Z)
        return np.sqrt(np.mean((predicted - expected) ** 2))

    rng = np.random.RandomState(0)
    by_chance = [error(rng.choice(len(X), 20, replace=False)) for _ in range(5)]
    assert error(chosen) < 0.7 * np.mean(by_chance)


def test_pipelines_and_arrays(gap, pool):
    pipeline = make_pipeline(FunctionTransformer(), gap)
    np.testing.assert_array_equal(select_batch(pipeline, pool, 5)[0],
                                  select_batch(gap, pool, 5)[0])
    rng = np.random.RandomState(0)
    X = rng.normal(size=(30, 4))
    plain = GAPRegressor().fit(X[:10], rng.normal(size=10))
    chosen, std = select_batch(make_pipeline(plain), X, 30)
    assert sorted(chosen) == list(range(30))
    assert np.isfinite(std).all()


def test_what_is_no_potential(gap, features, targets, pool):
    search = GridSearchCV(gap, {"n_sparse": [5]}, cv=2).fit(features, targets[0])
    with pytest.raises(TypeError, match=r"a GridSearchCV, but must be .* pass best_estimator_"):
        select_batch(search, pool, 3)
    with pytest.raises(TypeError, match="ends in, a Ridge"):
        select_batch(make_pipeline(FunctionTransformer(), Ridge()), pool, 3)
    with pytest.raises(NotFittedError):
        select_batch(GAPRegressor(), pool, 3)


@pytest.mark.parametrize("n", [0, 21, 2.0, True])
def test_number(gap, pool, n):
    with pytest.raises(ValueError, match="must be an integer from 1 to the 20 structures"):
        select_batch(gap, pool, n)
