"""Fits of a search share the pass over the data, to the last digit."""

import numpy as np
import pytest
from helpers.toy_data import SPECIES, make_frames, reference
from helpers.toy_descriptor import ToyDescriptor

from skdesc import GAPRegressor
from skdesc.gaussian_process import _sharing
from skdesc.utils import shared_work
from skdesc.utils.shared_work import forget, sharing


@pytest.fixture(scope="module")
def data():
    frames = make_frames(8)
    return ToyDescriptor(SPECIES).transform(frames), *reference(frames)


@pytest.fixture
def passes(monkeypatch):
    """Number of passes over the data so far."""
    count = []

    class Counted(_sharing.Training):
        def absorb(self, *args):
            count.append(None)
            super().absorb(*args)

    monkeypatch.setattr(_sharing, "Training", Counted)
    yield count
    forget("search")
    assert not shared_work._store


def _fit(data, derivatives=True, **params):
    X, y, more = data
    gap = GAPRegressor(**{"n_sparse": 6, "random_state": 0, **params})
    return gap.fit(X, y, **(more if derivatives else {}))


def _same(first, second):
    for name in ("weights_", "loo_", "sparse_features_", "log_marginal_likelihood_", "e0_"):
        np.testing.assert_equal(getattr(first, name), getattr(second, name))


NOISE = {"sigma_energy": 3e-3, "sigma_forces": 0.02, "sigma_virials": 0.3, "energy_scale": 2.0}


@pytest.mark.parametrize("derivatives", [False, True])
@pytest.mark.parametrize("method", ["cur", "kmeans"])
def test_noise_and_scale_need_no_further_pass(data, passes, derivatives, method):
    with sharing("search"):
        _fit(data, derivatives, sparse_method=method)
        shared = [
            _fit(data, derivatives, sparse_method=method, **changes)
            for changes in (NOISE, {"optimize": "marginal_likelihood"})
        ]
    assert len(passes) == 1
    _same(shared[0], _fit(data, derivatives, sparse_method=method, **NOISE))
    _same(
        shared[1],
        _fit(data, derivatives, sparse_method=method, optimize="marginal_likelihood"),
    )
    assert len(passes) == 3


def test_other_exponents_share_the_sparse_points(data, passes, monkeypatch):
    chosen = []
    select = _sharing.select_points

    def counted(*args, **kwargs):
        chosen.append(kwargs["zetas"])
        return select(*args, **kwargs)

    monkeypatch.setattr(_sharing, "select_points", counted)
    with sharing("search"):
        fits = [_fit(data, zeta=zeta) for zeta in (2, 3)]
        # the points of a linear covariance are others
        fits.append(_fit(data, zeta=1))
    assert len(passes) == 3
    assert chosen == [[2.0], [1.0]]
    for zeta, fit in zip((2, 3, 1), fits, strict=True):
        _same(fit, _fit(data, zeta=zeta))


@pytest.mark.parametrize(
    "changes", [{"n_sparse": 5}, {"e0": None}, {"jitter": 1e-6}, {"sparse_method": "fps"}]
)
def test_what_the_pass_depends_on_is_told_apart(data, passes, changes):
    with sharing("search"):
        _fit(data)
        other = _fit(data, **changes)
    assert len(passes) == 2
    _same(other, _fit(data, **changes))


def test_other_data_are_told_apart(data, passes):
    X, y, more = data
    with sharing("search"):
        first = GAPRegressor(n_sparse=6).fit(X, y)
        part = GAPRegressor(n_sparse=6).fit(X[1:], y[1:])
        shifted = GAPRegressor(n_sparse=6).fit(X, y + 1.0)
        with_forces = GAPRegressor(n_sparse=6).fit(X, y, forces=more["forces"])
        sigmas = np.tile([1e-3, 0.1, 0.1], (len(y), 1))
        GAPRegressor(n_sparse=6).fit(X, y, sigmas=sigmas)
        sigmas[0] *= 2
        weighted = GAPRegressor(n_sparse=6).fit(X, y, sigmas=sigmas)
    assert len(passes) == 5  # sigmas equal to the defaults are none
    assert len({fit.weights_[0] for fit in (first, part, shifted, with_forces, weighted)}) == 5
    _same(weighted, GAPRegressor(n_sparse=6).fit(X, y, sigmas=sigmas))


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_points_that_would_not_be_chosen_again_are_not_shared(data, passes, random_state):
    with sharing("search"):
        for _ in range(2):
            _fit(data, sparse_method="random", random_state=random_state)
    assert len(passes) == 2


def test_nothing_is_shared_elsewhere(data, passes):
    for _ in range(2):
        _fit(data)
    assert len(passes) == 2
