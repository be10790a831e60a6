"""Fits in several threads at once."""

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_info, threadpool_limits

from skdesc import GAPRegressor
from skdesc.utils import blas
from skdesc.utils.blas import one_thread, threads


def blas_threads():
    return {library["num_threads"] for library in threadpool_info()
            if library["user_api"] == "blas"}


def fit(n_sparse, X, y):
    return GAPRegressor(n_sparse=n_sparse).fit(X, y).weights_


def test_limit_is_set_and_reset():
    with threadpool_limits(2, "blas"):
        before = blas_threads()  # a serial library, if there is one, stays at 1
        with one_thread, one_thread:
            assert blas_threads() == {1}
        assert blas_threads() == before


def test_threads_leave_no_limit_behind():
    rng = np.random.RandomState(0)
    X, y = rng.rand(200, 20), rng.rand(200)
    sizes = [40 + i for i in range(16)]
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        for _ in range(5):
            found = Parallel(4, backend="threading")(delayed(fit)(n, X, y) for n in sizes)
            assert blas_threads() == before
    for n, weights in zip(sizes, found, strict=True):
        np.testing.assert_allclose(weights, fit(n, X, y), rtol=1e-8)


def test_the_lowest_limit_counts(monkeypatch):
    monkeypatch.setattr(blas, "cpu_count", lambda: 2)  # on a machine with one core, too
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        with threads(2):
            with one_thread, threads(2):
                assert blas_threads() == {1}
            assert blas_threads() == before
        assert blas_threads() == before


def test_limits_are_left_in_any_order():
    """As threads of Python do that predict with n_jobs=1."""
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        first, second = threads(1), threads(1)
        first.__enter__()
        second.__enter__()
        first.__exit__()
        assert blas_threads() == {1}
        second.__exit__()
        assert blas_threads() == before
