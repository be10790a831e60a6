"""Fits over partitions: the weights of a local fit, whatever happens to workers."""

import copy
import gc
import subprocess
import sys

import numpy as np
import pytest
from helpers.memory import peak_of
from helpers.partitions import load, load_or_die, shaken_methanol
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import skdesc
from skdesc import GAPRegressor, SOAPTransformer

dask = pytest.importorskip("dask")
from skdesc import distributed  # noqa: E402


@pytest.fixture
def pipeline():
    return make_pipeline(
        SOAPTransformer(n_max=4, l_max=3, cutoff=3.0, n_jobs=1), GAPRegressor(n_sparse=10)
    )


def cut(data, size):
    return [
        (data.frames[i : i + size], data.y[i : i + size], {"forces": data.forces[i : i + size]})
        for i in range(0, len(data.y), size)
    ]


def assert_same_model(pipeline, expected):
    weights, others = pipeline[-1].weights_, expected[-1].weights_
    np.testing.assert_allclose(weights, others, rtol=0, atol=1e-8 * np.abs(others).max())
    for name in ("log_marginal_likelihood_", "energy_scale_"):
        assert getattr(pipeline[-1], name) == pytest.approx(getattr(expected[-1], name), rel=1e-8)
    assert pipeline[-1].e0_ == pytest.approx(expected[-1].e0_, rel=1e-8)


@pytest.fixture
def local(pipeline, data):
    return clone(pipeline).fit(data.frames, data.y, gapregressor__forces=data.forces)


@pytest.mark.parametrize("size", [24, 7, 1])
def test_any_partitions_give_the_local_weights(pipeline, local, data, size):
    fitted = distributed.fit(pipeline, cut(data, size))
    assert fitted is pipeline
    assert_same_model(fitted, local)
    predicted = fitted.predict(data.frames[:3], return_forces=True)
    expected = local.predict(data.frames[:3], return_forces=True)
    np.testing.assert_allclose(predicted[0], expected[0], atol=1e-8)
    np.testing.assert_allclose(
        np.concatenate(predicted[1]), np.concatenate(expected[1]), atol=1e-7
    )
    assert not hasattr(fitted[-1], "loo_")


def test_sparse_points_from_a_sample(pipeline, data):
    fitted = distributed.fit(pipeline, cut(data, 5), n_sample=3, random_state=0)
    gap = fitted[-1]
    assert set(gap.elements_) == {1, 6, 7, 8}  # though three structures need not have all
    points = {int(z): gap.sparse_features_[gap.sparse_species_ == z] for z in gap.elements_}
    expected = clone(pipeline).set_params(gapregressor__sparse_method=points)
    expected.fit(data.frames, data.y, gapregressor__forces=data.forces)
    assert_same_model(fitted, expected)
    again = distributed.fit(clone(pipeline), cut(data, 5), n_sample=3, random_state=0)
    np.testing.assert_array_equal(again[-1].sparse_features_, gap.sparse_features_)


def test_a_fit_can_go_on(pipeline, local, data):
    """Partitions first, then what comes later."""
    fitted = distributed.fit(pipeline, cut(data, 8)[:2], n_sample=100)
    Z = fitted[:-1].transform(data.frames[16:])
    fitted[-1].partial_fit(Z, data.y[16:], forces=data.forces[16:])
    expected = clone(pipeline)
    Z = expected[:-1].fit_transform(data.frames)
    gap = expected[-1].partial_fit(Z[:16], data.y[:16], forces=data.forces[:16])
    gap.partial_fit(Z[16:], data.y[16:], forces=data.forces[16:])
    assert_same_model(fitted, expected)


def test_bags_of_labelled_structures(pipeline, local, data, client):
    from dask import bag

    structures = bag.from_sequence(data.labelled, npartitions=5)
    assert_same_model(distributed.fit(clone(pipeline), structures), local)
    # a filter may leave partitions empty
    water = structures.filter(len).filter(lambda atoms: len(atoms) == 3)
    mask = [len(atoms) == 3 for atoms in data.frames]
    expected = clone(pipeline).fit(
        [f for f, m in zip(data.frames, mask, strict=True) if m], data.y[mask],
        gapregressor__forces=[f for f, m in zip(data.forces, mask, strict=True) if m],
    )
    assert_same_model(distributed.fit(pipeline, water), expected)


def test_delayed_partitions_on_a_cluster(pipeline, local, data, client):
    parts = [dask.delayed(load)(*part) for part in cut(data, 5)]
    assert_same_model(distributed.fit(pipeline, parts), local)


def test_a_worker_dies_in_mid_fit(pipeline, local, data, client, tmp_path):
    marker = tmp_path / "count"
    parts = cut(data, 4)
    parts[3] = dask.delayed(load_or_die)(dask.delayed(parts[3], traverse=False), str(marker))
    before = set(client.run(lambda: __import__("os").getpid()).values())
    assert_same_model(distributed.fit(pipeline, parts), local)
    assert int(marker.read_text()) > 3
    client.wait_for_workers(2, timeout=60)
    assert len(before & set(client.run(lambda: __import__("os").getpid()).values())) == 1


@pytest.mark.filterwarnings("ignore:the forces are all zero")  # they don't matter here
def test_memory_does_not_grow_with_the_data(pipeline):
    """Eight times the data need little more than what one partition and the triangles do."""
    peaks = {}
    # what a long session has left must not delay the collection of cycles
    gc.collect()
    gc.freeze()
    gc.collect()  # which counts anew what is left
    with dask.config.set(scheduler="synchronous"):
        for count in (1, 3, 24):  # the first is for what is imported on the way
            parts = [dask.delayed(shaken_methanol)(seed, 12) for seed in range(count)]
            peaks[count] = peak_of(lambda parts=parts: distributed.fit(
                clone(pipeline), parts, n_sample=12, random_state=0
            ))
    gc.unfreeze()
    features = 8 * 312 * 6 * 12 * (24 - 3)  # of the further environments
    # three more levels of the tree, each with triangles that wait to be merged: a fifth of it
    assert peaks[24] - peaks[3] < 0.5 * features


def test_schedulers_know_the_size_of_triangles(pipeline, data):
    """They move and spill results by it."""
    sizeof = pytest.importorskip("dask.sizeof").sizeof
    template = distributed._start(clone(pipeline), [(data.frames, None)])
    seen = distributed._see(template, cut(data, 24)[0], 0)
    assert sizeof(seen) > sum(triangle.R.nbytes for triangle in seen[0].triangles.values())
    points, prior = template[2].points, template[2].prior
    kept = points.features.nbytes + sum(L.nbytes for _, L in prior.factors)
    assert kept < sizeof(template) < 1.5 * kept + 10_000


def test_merging_leaves_its_arguments_alone(pipeline, data):
    """As the scheduler may run a task twice."""
    template = distributed._start(clone(pipeline), [(data.frames, None)])
    first, second = (
        distributed._see(template, part, index) for index, part in enumerate(cut(data, 12))
    )
    before = copy.deepcopy((first, second))
    results = [distributed._merge(first, second)[0].triangles["forces"].R for _ in range(2)]
    np.testing.assert_array_equal(*results)
    for one, other in zip(before, (first, second), strict=True):
        for kind, triangle in one[0].triangles.items():
            np.testing.assert_array_equal(triangle.R, other[0].triangles[kind].R)


def test_kinds_of_structures(pipeline, data):
    kinds = ["gas" if index % 3 else "liquid" for index in range(24)]
    pipeline.set_params(gapregressor__sparse_method="config")
    sigmas = {"liquid": (0.01, 0.2, np.nan)}
    expected = clone(pipeline).fit(
        data.frames, data.y, gapregressor__config_types=kinds, gapregressor__sigmas=sigmas
    )
    parts = [
        (data.frames[i : i + 8], data.y[i : i + 8],
         {"config_types": kinds[i : i + 8], "sigmas": sigmas})
        for i in range(0, 24, 8)
    ]
    assert_same_model(distributed.fit(pipeline, parts), expected)


def test_errors_come_before_any_fit(pipeline, data):
    parts = cut(data, 12)
    stateful = make_pipeline(SOAPTransformer(pooling="mean"), PCA(2), GAPRegressor())
    with pytest.raises(ValueError, match="step 'pca' would have to be fitted to all data"):
        distributed.fit(stateful, parts)
    with pytest.raises(TypeError, match="must be a Pipeline that ends in a GAPRegressor"):
        distributed.fit(make_pipeline(SOAPTransformer(pooling="mean"), Ridge()), parts)
    with pytest.raises(ValueError, match="no descriptor before the regressor"):
        distributed.fit(make_pipeline(GAPRegressor()), parts)
    with pytest.raises(ValueError, match="n_sample is 0"):
        distributed.fit(pipeline, parts, n_sample=0)
    with pytest.raises(TypeError, match="partitions are of type Atoms"):
        distributed.fit(pipeline, data.frames[0])
    with pytest.raises(ValueError, match="0 partitions"):
        distributed.fit(pipeline, [])
    with pytest.raises(ValueError, match="all partitions are empty"):
        distributed.fit(pipeline, [([], [])])
    assert not hasattr(pipeline[-1], "weights_")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda X, y, m: (X, y, {"force": 1}), r"partition 1: its metadata has \['force'\]"),
        (lambda X, y, m: (X, y, m, None), "partition 1: it is a tuple of 4"),
        (lambda X, y, m: (X[:-1], y, m), "partition 1: Found input variables with inconsistent"),
        (lambda X, y, m: (X[0], y, m), "partition 1: X is a single Atoms"),
        (lambda X, y, m: X, "partition 1: .*energy"),
        (lambda X, y, m: (X, y, {"forces": m["forces"][:-1]}), "partition 1: forces has 11"),
    ],
)
def test_bad_partitions_are_named(pipeline, data, change, match):
    parts = cut(data, 12)
    parts[1] = change(*parts[1])
    with pytest.raises((TypeError, ValueError), match=match):
        distributed.fit(pipeline, parts)


def test_workers_without_the_package(pipeline, data, client):
    worker = next(iter(client.scheduler_info()["workers"]))
    hide = "import sys, skdesc; sys.kept = skdesc; sys.modules['skdesc'] = None"
    show = "import sys; sys.modules['skdesc'] = sys.kept; del sys.kept"
    client.run(exec, hide, workers=[worker])
    with pytest.raises(RuntimeError, match=f"the worker {worker} cannot import skdesc"):
        distributed.fit(pipeline, cut(data, 12))
    client.run(exec, show, workers=[worker])
    change = "import skdesc; skdesc.__version__ = {!r}"
    client.run(exec, change.format("0.0.1"), workers=[worker])
    with pytest.raises(RuntimeError, match=r"has skdesc 0\.0\.1, but this process has"):
        distributed.fit(pipeline, cut(data, 12))
    client.run(exec, change.format(skdesc.__version__), workers=[worker])
    distributed.check_workers()


def test_without_dask():
    code = (
        "import sys; sys.modules['dask'] = None\n"
        "from skdesc import distributed\n"
        "try: distributed.fit(None, [])\n"
        "except ImportError as error: assert 'skdesc[integration]' in str(error)\n"
        "else: raise SystemExit('no error')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
