"""joblib's dask backend: searches, transforms and fits on worker processes."""

import joblib
import numpy as np
import pytest
from helpers.tools import GRID, molecules, pooled, potential, soap
from sklearn.ensemble import BaggingRegressor, StackingRegressor
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import FeatureUnion

from skdesc import GAPRegressor, Structures, TwoBodyTransformer, TwoStagePSOSearchCV, as_column
from skdesc.utils import blas


def swarm(n_jobs):
    return TwoStagePSOSearchCV(
        potential(), {"soaptransformer__cutoff": [2.0, 2.5, 3.0]}, GRID, n_particles=3,
        n_iterations=2, cv=KFold(2), error_score="raise", random_state=0, n_jobs=n_jobs,
    )


@pytest.fixture
def on_cluster(client):
    def run(function):
        before = tasks(client)
        with joblib.parallel_config(backend="dask"):
            result = function()
        assert tasks(client) > before  # it was not done here
        return result

    return run


def tasks(client):
    """Number of tasks that workers have run."""
    streams = client.get_task_stream(start=0)
    return len(streams)


def test_searches(on_cluster):
    frames, y = molecules()
    expected = swarm(None).fit(frames, y)
    found = on_cluster(lambda: swarm(2).fit(frames, y))
    assert found.best_params_ == expected.best_params_
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], rtol=1e-8
    )
    X = Structures.from_atoms(frames)
    grid = on_cluster(lambda: GridSearchCV(potential(), GRID, cv=KFold(2), n_jobs=2).fit(X, y))
    one = GridSearchCV(potential(), GRID, cv=KFold(2)).fit(X, y)
    np.testing.assert_allclose(
        grid.cv_results_["mean_test_score"], one.cv_results_["mean_test_score"], rtol=1e-8
    )


def test_transforms(on_cluster):
    frames, _ = molecules()
    parts = [("soap", soap()), ("pairs", TwoBodyTransformer(["H", "C", "N", "O"]))]
    expected = FeatureUnion(parts).fit(frames)
    got = on_cluster(lambda: FeatureUnion(parts, n_jobs=2).fit_transform(frames))
    np.testing.assert_array_equal(got.values, expected.transform(frames).values)
    again = on_cluster(lambda: FeatureUnion(parts, n_jobs=2).fit(frames).transform(frames))
    np.testing.assert_array_equal(again.values, got.values)
    # derivatives survive the way back
    g = np.ones_like(got.values)
    np.testing.assert_array_equal(got.vjp(g)[0], expected.transform(frames).vjp(g)[0])


def test_fits(on_cluster):
    frames, y = molecules()
    bagging = BaggingRegressor(potential(), n_estimators=3, random_state=0)
    expected = bagging.fit(as_column(frames), y).predict(as_column(frames))
    bagging.set_params(n_jobs=2)
    got = on_cluster(lambda: bagging.fit(as_column(frames), y)).predict(as_column(frames))
    np.testing.assert_allclose(got, expected, rtol=1e-8)
    parts = [("gap", potential()), ("ridge", pooled())]
    stack = StackingRegressor(parts, cv=KFold(2))
    expected = stack.fit(frames, y).predict(frames)
    stack.set_params(n_jobs=2)
    np.testing.assert_allclose(
        on_cluster(lambda: stack.fit(frames, y)).predict(frames), expected, rtol=1e-8
    )
    scores = on_cluster(lambda: cross_val_score(potential(), frames, y, cv=KFold(3), n_jobs=2))
    np.testing.assert_allclose(scores, cross_val_score(potential(), frames, y, cv=KFold(3)))


def test_threads_of_a_fit_are_those_of_this_machine(client, monkeypatch):
    """Not as many as the cluster has workers."""
    seen = []
    change = blas._Limit._change
    monkeypatch.setattr(
        blas._Limit, "_change",
        lambda limit, before: seen.extend(limit._wanted) or change(limit, before),
    )
    monkeypatch.setattr(blas, "cpu_count", lambda: 1)
    with joblib.parallel_config(backend="dask"):
        assert joblib.effective_n_jobs(-1) == 2
        GAPRegressor(n_jobs=-1, n_sparse=2).fit(np.eye(3), np.arange(3.0))
    assert set(seen) == {1}
