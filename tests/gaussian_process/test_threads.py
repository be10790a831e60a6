"""Fits in several threads at once, and fits that use several threads."""

import threading

import numpy as np
import pytest
from ase.build import bulk
from helpers.toy_data import make_frames
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_info, threadpool_limits

from skdesc import GAPRegressor, SOAPTransformer
from skdesc.gaussian_process import _memory
from skdesc.gaussian_process._accumulation import Accumulator
from skdesc.utils import blas
from skdesc.utils import threads as skdesc_threads
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


@pytest.fixture
def many_parts(monkeypatch):
    """Few data, cut as finely as many are."""
    monkeypatch.setattr(_memory, "_LEAST_ROWS", 20)
    monkeypatch.setattr(_memory, "_ROWS_PER_COLUMN", 1)
    monkeypatch.setattr(_memory, "BATCH_BYTES", 5000)


@pytest.fixture
def batches(monkeypatch):
    """Threads that made the rows of each batch."""
    made, make = [], Accumulator._rows

    def recorded(self, *args):
        made.append(threading.get_ident())
        return make(self, *args)

    monkeypatch.setattr(Accumulator, "_rows", recorded)
    return made


@pytest.mark.parametrize("options", [{}, {"optimize": "held_out"}, {"memory_limit": 2_000_000}])
def test_fits_are_the_same_bits(options, features, targets, many_parts, batches):
    found = []
    for n_jobs in (1, 2, 3):
        gap = GAPRegressor(n_sparse=6, n_jobs=n_jobs, **options)
        gap.fit(features, targets[0], **targets[1])
        found.append((gap.weights_, gap.loo_, gap.log_marginal_likelihood_))
    assert len(batches) > 30
    assert len(set(batches)) > 2
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_parts_change_rounding_errors_only(features, targets, monkeypatch):
    whole = GAPRegressor(n_sparse=6).fit(features, targets[0], **targets[1])
    monkeypatch.setattr(_memory, "_LEAST_ROWS", 20)
    monkeypatch.setattr(_memory, "_ROWS_PER_COLUMN", 1)
    assert len(_memory.parts_of_pass(1 + 3 * features.n_atoms, 15, None)) > 3
    parts = GAPRegressor(n_sparse=6).fit(features, targets[0], **targets[1])
    scale = np.abs(whole.weights_).max()
    np.testing.assert_allclose(parts.weights_, whole.weights_, rtol=0, atol=1e-8 * scale)


def test_partial_fits_are_the_same_bits(features, targets, many_parts):
    found = []
    for n_jobs in (1, 3):
        gap = GAPRegressor(n_sparse=6, n_jobs=n_jobs)
        half = len(features) // 2
        for part in (slice(0, half), slice(half, len(features))):
            metadata = {name: values[part] for name, values in targets[1].items()}
            gap.partial_fit(features[part], targets[0][part], **metadata)
        found.append(gap.weights_)
    np.testing.assert_array_equal(*found)


def test_parallel_config_counts(features, targets, many_parts, batches, monkeypatch):
    monkeypatch.setattr(skdesc_threads.joblib, "cpu_count", lambda: 4)
    with parallel_config(n_jobs=2):
        GAPRegressor(n_sparse=6).fit(features, targets[0], **targets[1])
    assert threading.get_ident() not in batches
    del batches[:]
    GAPRegressor(n_sparse=6).fit(features, targets[0], **targets[1])
    assert set(batches) == {threading.get_ident()}


def test_fits_in_threads_start_no_threads(features, targets, many_parts, batches):
    Parallel(2, backend="threading")(
        delayed(GAPRegressor(n_sparse=6, n_jobs=-1).fit)(features, targets[0], **targets[1])
        for _ in range(2)
    )
    assert len(set(batches)) <= 2


def test_a_limit_of_memory_allows_fewer_threads():
    costs = np.full(10, 2.0**24)
    assert _memory._limits(costs, np.inf, 4) == (2.0**24, 4)
    assert _memory._limits(costs, 5 * 2.0**24, 4) == (2.0**24, 2)
    assert _memory._limits(costs, 2.0**24, 4) == (2.0**24, 1)


def test_predictions_are_the_same_bits():
    structures = [bulk("Cu", cubic=True).repeat(5)]
    structures[0].rattle(0.1, seed=0)
    structures += make_frames(4)
    X = SOAPTransformer(n_max=4, l_max=3, n_jobs=1).fit_transform(structures)
    gap = GAPRegressor(n_sparse=60, e0=None).fit(X, np.arange(5.0))
    found = []
    for n_jobs in (1, 2, 3):
        gap.set_params(n_jobs=n_jobs)
        energies, std, forces, virials = gap.predict(X, True, True, True)
        found.append((energies, std, np.concatenate(forces), virials,
                      *gap.predict_local_energies(X, return_std=True)))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
