"""Parameters that may be arrays are never compared with strings entry by entry."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdesc import GAPRegressor, TwoBodyTransformer, TwoStagePSOSearchCV, suggest_space
from skdesc.metrics import make_forces_scorer
from skdesc.structures import extract_targets

ARRAY = np.array([1.0, 2.0])


@pytest.fixture(scope="module")
def data():
    X = np.random.RandomState(0).rand(30, 4)
    return X, X @ np.arange(4.0)


def test_sparse_points_in_a_search(data):
    X, y = data
    gap = GAPRegressor(sparse_method=X[:8], zeta=2)
    grid = GridSearchCV(gap, {"sigma_energy": [1e-3, 1e-1]}, cv=2).fit(X, y)
    pipeline = make_pipeline(FunctionTransformer(), gap)
    search = TwoStagePSOSearchCV(
        pipeline, {},
        {"gapregressor__sigma_energy": [1e-3, 1e-1]},
        n_particles=2, n_iterations=1, cv=2, random_state=0,
    ).fit(X, y)
    assert 0.0 < search.best_score_ <= grid.best_score_ + 1e-9


def test_sparse_points_with_a_memory_limit(data):
    X, y = data
    points = X[:8]
    free = GAPRegressor(sparse_method=points).fit(X, y)
    limited = GAPRegressor(sparse_method=points, memory_limit=10**7).fit(X, y)
    np.testing.assert_allclose(limited.weights_, free.weights_, rtol=1e-9)
    with pytest.raises(ValueError, match="memory_limit is 1000 bytes"):
        GAPRegressor(sparse_method=points, memory_limit=1000).fit(X, y)


@pytest.mark.parametrize("name", ["e0", "jitter", "optimize", "sigma_energy", "memory_limit"])
def test_an_array_in_place_of_a_number(data, name):
    with pytest.raises((TypeError, ValueError), match=f"{name} is array"):
        GAPRegressor(**{name: ARRAY}).fit(*data)


def with_energies(frames):
    frames = [atoms.copy() for atoms in frames]
    for atoms in frames:
        atoms.info["energy"] = 0.0
    return frames


@pytest.mark.parametrize("call", [
    lambda X: TwoBodyTransformer(pooling=ARRAY).fit(X),
    lambda X: suggest_space(X, dialect=ARRAY),
    lambda X: make_forces_scorer(ARRAY),
    lambda X: extract_targets(with_energies(X), forces=ARRAY),
], ids=["pooling", "dialect", "metric", "forces"])
def test_an_array_in_place_of_a_name(frames, call):
    with pytest.raises(ValueError, match=r"(is|got) array\("):
        call(frames)


@pytest.mark.parametrize(
    "name", ["topology", "strategy", "stage_one_objective", "stage_two_objective", "error_score"]
)
def test_an_array_in_place_of_an_option_of_the_search(data, name):
    space = {"sigma_energy": [1e-3, 1e-1]}
    search = TwoStagePSOSearchCV(GAPRegressor(), {}, space, **{name: ARRAY})
    with pytest.raises(ValueError, match=f"{name} is array"):
        search.fit(*data)
