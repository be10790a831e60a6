"""A small sparse Gaussian process with two terms, two quantities and a mean, in four parts."""

from types import SimpleNamespace

import numpy as np
import pytest

from skdesc.least_squares import Observations, Prior

GROUPS = (slice(0, 15), slice(15, 25), slice(25, 40))
TERMS = [slice(0, 25), slice(25, 40)]
MEAN = np.array([2.0])


def covariance(A, B):
    return np.exp(-0.1 * np.square(A[:, None] - B).sum(axis=-1))


def make_prior(points, **options):
    groups = [(f"group {g.start}", g, covariance(points[g], points[g])) for g in GROUPS]
    return Prior.factorize(groups, TERMS, **options)


def make_problem(n_few=10, n_many=100):
    rng = np.random.default_rng(0)
    points, parts = rng.normal(size=(40, 6)), []
    prior = make_prior(points)
    for _ in range(4):
        observations = Observations(40)
        for quantity, n in (("few", n_few), ("many", n_many)):
            X = rng.normal(size=(n, 6))
            y = np.sin(X.sum(axis=1)) + 0.1 * rng.normal(size=n)
            ones = np.ones((n, 1)) if quantity == "few" else None
            shift = MEAN[0] if quantity == "few" else 0.0
            noise = rng.uniform(0.5, 2.0, size=n)
            if n:
                observations.add(quantity, covariance(X, points), ones, y + shift, noise)
        parts.append(observations)
    everything = Observations(40)
    for part in parts:
        everything.merge(part)
    return SimpleNamespace(
        points=points, prior=prior, parts=parts, everything=everything,
        scales=[1.0, 2.0], noise={"few": 0.05, "many": 0.3},
    )


@pytest.fixture(scope="session")
def problem():
    return make_problem()


@pytest.fixture(scope="session")
def small_problem():
    """With far fewer rows than points."""
    return make_problem(n_few=1, n_many=1)
