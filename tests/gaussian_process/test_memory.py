"""Memory of a fit: bounded, and known beforehand."""

import numpy as np
import pytest
from ase.build import bulk
from helpers.memory import peak_of
from helpers.toy_data import make_frames
from sklearn.pipeline import make_union

from skdesc import (
    GAPRegressor,
    SOAPTransformer,
    TensorReducedTransformer,
    TwoBodyTransformer,
)
from skdesc.features import AtomicFeatures
from skdesc.gaussian_process._inputs import check_environments
from skdesc.gaussian_process._sparse_points import select_points


class Linear:
    """Descriptor whose derivatives are cheap random numbers, for counting bytes only."""

    def vjp(self, features, g):
        raise NotImplementedError

    def gradient_rows(self, features, Q, weights):
        n_atoms = int(features.n_atoms.sum())
        rng = np.random.default_rng(0)
        gradient = rng.standard_normal((n_atoms, 3, len(Q)))
        return gradient, np.zeros((len(features), 3, 3, len(Q)))


@pytest.fixture(scope="module")
def data(toy):
    """Many structures with long random features."""
    frames = make_frames(40) * 10
    structures = toy.transform(make_frames(40) * 10).structures
    rng = np.random.RandomState(0)
    values = np.abs(rng.normal(size=(len(structures.positions), 60)))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    X = AtomicFeatures(
        values, structures, np.arange(len(values)), structures.offsets, Linear()
    )
    y = rng.normal(size=len(frames))
    forces = [rng.normal(size=(n, 3)) for n in structures.n_atoms]
    return X, y, forces


def peak_of_fit(gap, X, y, forces):
    gap.fit(X[:2], y[:2], forces=forces[:2])  # lazy imports do not count
    return peak_of(lambda: gap.fit(X, y, forces=forces))


@pytest.mark.parametrize("memory_limit", [None, 20_000_000])
def test_estimate(data, memory_limit):
    X, y, forces = data
    gap = GAPRegressor(n_sparse=150, memory_limit=memory_limit, energy_scale=1.0)
    peak = peak_of_fit(gap, X, y, forces)
    estimate = gap.memory_estimate(X, virials=False)
    assert 0.7 < peak / estimate < 1.3
    if memory_limit is not None:
        assert peak < memory_limit


@pytest.mark.parametrize("memory_limit", [None, 40_000_000])
def test_estimate_for_a_real_descriptor(memory_limit):
    """Derivatives take memory beside the rows; the sum over descriptors does not add it up."""
    frames = make_frames(200)
    union = make_union(TwoBodyTransformer(), SOAPTransformer(n_max=6, l_max=5, n_jobs=1))
    X = union.fit_transform(frames)
    forces = [np.ones((n, 3)) for n in X.n_atoms]
    gap = GAPRegressor(
        zeta=[1, 4], n_sparse=[40, 150], memory_limit=memory_limit, energy_scale=1.0
    )
    y = np.zeros(len(frames))
    peak = peak_of_fit(gap, X, y, forces)
    estimate = gap.memory_estimate(X, virials=False)
    assert 0.7 < peak / estimate < 1.3
    if memory_limit is not None:
        assert peak < memory_limit


@pytest.mark.parametrize("transformer", [
    SOAPTransformer(cutoff=4.0, n_max=4, l_max=3, n_jobs=1),
    TensorReducedTransformer(cutoff=4.0, n_max=4, l_max=3, n_channels=16, random_state=0, n_jobs=1),
    TwoBodyTransformer(cutoff=4.0, n_gaussians=10, n_jobs=1),
], ids=["soap", "tensor-reduced", "two-body"])
def test_what_descriptors_need_for_rows(transformer):
    """Many sparse points take more than the derivatives themselves."""
    atoms = bulk("Cu", cubic=True).repeat(3)
    atoms.rattle(0.1, seed=0)
    X = transformer.fit_transform([atoms])
    Q, weights = np.ones((600, X.shape[1])), np.ones((len(atoms), 600))
    # rows of positions and strains are not meant
    peak = peak_of(lambda: X.gradient_rows(Q, weights)) - 8 * 600 * (3 * len(atoms) + 9)
    assert peak < 1.05 * X.descriptor.workspace_bytes(X.structures, 600)


@pytest.mark.parametrize("method", ["cur", "fps", "kmeans"])
def test_choosing_sparse_points(method):
    """It may take most, where features are many, and counts as well."""
    rng = np.random.RandomState(0)
    X, y = np.abs(rng.normal(size=(2500, 1200))), rng.normal(size=2500)
    gap = GAPRegressor(n_sparse=20, sparse_method=method, energy_scale=1.0, random_state=0)
    peak = peak_of(lambda: select_points(
        check_environments(X, GAPRegressor(), reset=True), method, 20, random_state=0
    ))
    estimate = gap.memory_estimate(X)
    # NumPy before 2.5 does not count the workspace of eigenvectors
    assert 0.6 < peak / estimate < 1.2
    with pytest.raises(ValueError, match=f"sparse_method='{method}' needs .* to choose sparse"):
        gap.set_params(memory_limit=estimate // 2).fit(X, y)


@pytest.mark.parametrize("memory_limit", [None, 40_000_000])
@pytest.mark.parametrize("zeta", [1, 4])
def test_plain_arrays(memory_limit, zeta):
    """Scaled to unit length, they are there a second time; with zeta=1, unit vectors suffice."""
    X = np.random.RandomState(0).normal(size=(30_000, 60))
    gap = GAPRegressor(zeta=zeta, n_sparse=80, memory_limit=memory_limit, energy_scale=1.0)
    gap.fit(X[:200], X[:200, 0])
    peak = peak_of(lambda: gap.fit(X, X[:, 0]))
    assert 0.85 < peak / gap.memory_estimate(X) < 1.15
    assert memory_limit is None or peak < memory_limit


def test_choosing_takes_no_more_of_more_data():
    X = np.abs(np.random.RandomState(0).normal(size=(8000, 300)))
    environments = check_environments(X, GAPRegressor(), reset=True)
    peaks = [
        peak_of(lambda part=part: select_points(environments[part], "cur", 20))
        for part in (slice(0, 4000), slice(0, 8000))
    ]
    assert peaks[1] < peaks[0] + 0.1 * X.nbytes


def test_more_data_do_not_take_more(data):
    X, y, forces = data
    limit = 6_000_000
    gap = GAPRegressor(n_sparse=100, memory_limit=limit, energy_scale=1.0)
    for n in (100, 400):
        assert peak_of_fit(gap, X[:n], y[:n], forces[:n]) < limit
    assert peak_of_fit(gap.set_params(memory_limit=None), X, y, forces) > 2 * limit


def test_a_limit_that_is_too_low(toy, features, targets):
    gap = GAPRegressor(memory_limit=50_000)
    with pytest.raises(ValueError, match=r"the largest structure .* raise it or lower n_sparse"):
        gap.fit(features, targets[0], **targets[1])
    with pytest.raises(ValueError, match="raise it or lower n_sparse"):
        gap.memory_estimate(features)


def test_parameters_are_checked(features):
    with pytest.raises(ValueError, match="sparse_method is 'best', but must be one of"):
        GAPRegressor(sparse_method="best").memory_estimate(features)
