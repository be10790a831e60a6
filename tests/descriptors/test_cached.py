"""Descriptors that remember: the same features, computed once."""

import copy
import pickle
import threading

import joblib
import numpy as np
import pytest
from helpers.tools import SPECIES, forces_of, molecules, soap
from helpers.workers import misses_of_process
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline

from skdesc import (
    CachedDescriptor,
    FeatureCache,
    GAPRegressor,
    SOAPTransformer,
    Structures,
    TensorReducedTransformer,
)
from skdesc.testing import parametrize_with_atoms_checks

CACHE = FeatureCache()


@parametrize_with_atoms_checks(
    [
        CachedDescriptor(SOAPTransformer(cutoff=3.0, n_max=3, l_max=2), CACHE),
        CachedDescriptor(SOAPTransformer(cutoff=3.0, n_max=3, l_max=2, pooling="mean"), CACHE),
    ],
    # its required parameters have no default
    skip=["check_without_data"],
)
def test_checks(estimator, check):
    check(estimator)


def pipeline(cache, **parameters):
    descriptor = soap(**parameters)
    if cache is not None:
        descriptor = CachedDescriptor(descriptor, cache)
    return make_pipeline(descriptor, GAPRegressor(n_sparse=5))


@pytest.mark.parametrize("pack", [list, Structures.from_atoms])
def test_cross_validation_describes_each_structure_once(pack):
    frames, y = molecules()
    forces = forces_of(frames)
    cache = FeatureCache()
    options = {
        "cv": KFold(4), "return_train_score": True, "error_score": "raise",
        "params": {"gapregressor__forces": forces},
    }
    result = cross_validate(pipeline(cache), pack(frames), y, **options)
    assert cache.n_computed == len(frames)
    # each fold transforms training structures twice, and test structures once
    assert cache.n_computed + cache.n_found == 4 * len(frames) + 3 * len(frames)
    expected = cross_validate(pipeline(None), frames, y, **options)
    for name in ("test_score", "train_score"):
        np.testing.assert_allclose(result[name], expected[name], rtol=1e-9)


def test_searches_describe_each_structure_once_per_set_of_parameters():
    frames, y = molecules()
    cache = FeatureCache()
    grid = {
        "cacheddescriptor__transformer__cutoff": [2.0, 2.5],
        "gapregressor__zeta": [1, 2, 3],
    }
    search = GridSearchCV(pipeline(cache), grid, cv=KFold(3), error_score="raise").fit(frames, y)
    assert cache.n_computed == 2 * len(frames)
    plain = {"soaptransformer__cutoff": [2.0, 2.5], "gapregressor__zeta": [1, 2, 3]}
    expected = GridSearchCV(pipeline(None), plain, cv=KFold(3)).fit(frames, y)
    assert by_params(search) == pytest.approx(by_params(expected), rel=1e-9)


def by_params(search):
    """Scores by the values of parameters, whatever these are called."""
    results = search.cv_results_
    return {
        (next(v for k, v in params.items() if k.endswith("cutoff")), params["gapregressor__zeta"]):
        score for params, score in zip(results["params"], results["mean_test_score"], strict=True)
    }


def test_in_worker_processes():
    """A worker has its own cache, and keeps it from task to task."""
    frames, y = molecules()
    cache = FeatureCache()
    search = GridSearchCV(
        pipeline(cache), {"gapregressor__zeta": [1, 2, 3, 4]}, cv=KFold(3), n_jobs=2, refit=False,
        error_score="raise",
    )
    with joblib.parallel_config("loky"):
        search.fit(frames, y)
        known = joblib.Parallel(n_jobs=2)(
            joblib.delayed(misses_of_process)(cache) for _ in range(8)
        )
    assert cache.n_computed == 0
    by_process = dict(known)
    assert max(by_process.values()) == len(frames)  # of 96 for 12 tasks


@pytest.mark.parametrize("change", ["position", "cell", "periodicity", "element"])
def test_whatever_makes_a_structure_is_looked_at(change):
    frames, _ = molecules()
    atoms = frames[0]
    atoms.cell = np.eye(3) * 5.0
    cached = CachedDescriptor(soap(), FeatureCache()).fit([atoms])
    before = cached.transform([atoms]).values
    if change == "position":
        atoms.positions[0, 0] += 0.01
    elif change == "cell":
        atoms.pbc = True
        cached.transform([atoms])
        atoms.cell = np.eye(3) * 2.3
    elif change == "periodicity":
        atoms.cell = np.eye(3) * 2.3
        cached.transform([atoms])
        atoms.pbc = True
    else:
        atoms.numbers[0] = 7
    after = cached.transform([atoms]).values
    np.testing.assert_array_equal(after, soap().fit([atoms]).transform([atoms]).values)
    assert np.abs(after - before).max() > 1e-6


def test_random_weights_are_not_confused():
    """Each seed has its own features; without one, no two fits have the same."""
    frames, _ = molecules()
    transformer = TensorReducedTransformer(SPECIES, cutoff=2.5, n_max=2, l_max=1, n_channels=4)
    cached = CachedDescriptor(transformer, FeatureCache())
    with pytest.raises(TypeError, match="TensorReducedTransformer may depend on"):
        cached.fit(frames)
    for seed in (0, 1, 0):
        cached.set_params(transformer__random_state=seed)
        got = cached.fit(frames).transform(frames)
        expected = cached.transformer_.transform(frames)
        np.testing.assert_allclose(got.values, expected.values, rtol=1e-12)
    assert cached.cache.n_computed == 2 * len(frames)


def test_order_and_repetition():
    frames, _ = molecules()
    cached = CachedDescriptor(soap(), FeatureCache()).fit(frames)
    index = [3, 3, 0, 5, 3]
    X = [frames[i] for i in index]
    expected = soap().fit(frames).transform(X)
    for _ in range(2):
        got = cached.transform(X)
        np.testing.assert_array_equal(got.values, expected.values)
        np.testing.assert_array_equal(got.centers, expected.centers)
        np.testing.assert_array_equal(got.offsets, expected.offsets)
        g = np.cos(np.arange(got.values.size)).reshape(got.values.shape)
        np.testing.assert_allclose(got.vjp(g)[0], expected.vjp(g)[0], rtol=1e-12, atol=1e-14)
    assert cached.cache.n_computed == 3


def test_room_is_limited():
    frames, _ = molecules()
    one = soap().fit(frames).transform(frames[:1]).values.nbytes + 8 * len(frames[0])
    cache = FeatureCache(max_bytes=3 * one)
    cached = CachedDescriptor(soap(), cache).fit(frames)
    water = [frames[i] for i in (0, 3, 6, 9)]
    for atoms in water:
        cached.transform([atoms])
    cached.transform(water[1:])  # the last three are there
    assert (cache.n_computed, cache.n_found) == (4, 3)
    cached.transform(water[:1])
    assert cache.n_computed == 5
    assert cache._n_bytes <= cache.max_bytes
    cache.clear()
    cached.transform(water[:1])
    assert cache.n_computed == 6
    FeatureCache(max_bytes=1).put("key", (np.zeros(9),))  # too large to be kept


def test_copies_share_the_cache():
    cached = CachedDescriptor(soap(), FeatureCache())
    for other in (clone(cached), copy.deepcopy(cached), pickle.loads(pickle.dumps(cached))):
        assert other.cache is cached.cache


def test_threads():
    frames, _ = molecules(30)
    cached = CachedDescriptor(soap(), FeatureCache(max_bytes=20_000)).fit(frames)
    expected = soap().fit(frames).transform(frames).values
    failures = []

    def work():
        for _ in range(5):
            if not np.array_equal(cached.transform(frames).values, expected):
                failures.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_what_cannot_be_cached_is_refused():
    frames, _ = molecules()
    with pytest.raises(TypeError, match="features of PCA may depend on the data it was fitted to"):
        CachedDescriptor(PCA(), FeatureCache()).fit(frames)
    with pytest.raises(TypeError, match="cache is of type dict, but must be a FeatureCache"):
        CachedDescriptor(soap(), {}).fit(frames)
