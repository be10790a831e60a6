"""Marginal likelihood: its gradient, and what maximising it finds."""

import numpy as np
import pytest
from helpers.toy_data import make_frames, reference
from scipy.optimize import approx_fprime

from skdesc import GAPRegressor
from skdesc.gaussian_process._targets import QUANTITIES
from skdesc.least_squares import Posterior, evidence_and_gradient


def test_gradient(features, targets):
    gap = GAPRegressor(n_sparse=5).fit(features, targets[0], **targets[1])
    training = gap._training
    observations = training.observations
    rows = observations.subtract_mean(np.array(list(gap.e0_.values())), QUANTITIES)

    def posterior(x):
        scale, *sigmas = np.exp(x)
        noise = dict(zip(QUANTITIES, sigmas, strict=True))
        return Posterior.solve(training.prior, observations, rows, [scale], noise)

    for x in (np.log([0.3, 0.01, 0.2, 0.1]), np.log([1.0, 0.1, 0.05, 2.0])):
        value, gradient = evidence_and_gradient(posterior(x), rows)
        numeric = approx_fprime(x, lambda x: posterior(x).log_marginal_likelihood, 1e-6)
        assert value == posterior(x).log_marginal_likelihood
        np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-3 * abs(gradient).max())


def test_noise_is_found():
    """Targets with noise of known size that the covariance can represent without it."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 4))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y = 0.5 * (X @ rng.normal(size=4)) ** 2 + 0.03 * rng.normal(size=400)
    gap = GAPRegressor(zeta=2, optimize="marginal_likelihood").fit(X, y)
    assert gap.sigma_energy_ == pytest.approx(0.03, rel=0.1)
    assert gap.sigma_energy == 0.001


def test_likelihood_rises_and_errors_fall(toy, features, targets):
    y, derivatives = targets
    fixed = GAPRegressor(n_sparse=8).fit(features, y, **derivatives)
    free = GAPRegressor(n_sparse=8, optimize="marginal_likelihood")
    free.fit(features, y, **derivatives)
    assert free.log_marginal_likelihood_ > fixed.log_marginal_likelihood_ + 1.0
    frames = make_frames(30, seed=21)
    new, expected = toy.transform(frames), reference(frames)[0]
    errors = [np.sqrt(np.mean((gap.predict(new) - expected) ** 2)) for gap in (fixed, free)]
    assert errors[1] < errors[0]


def test_refined_noise_is_used_for_leave_one_out(features, targets):
    gap = GAPRegressor(n_sparse=5, optimize="marginal_likelihood").fit(features, targets[0])
    again = GAPRegressor(
        n_sparse=5, energy_scale=gap.energy_scale_, sigma_energy=gap.sigma_energy_
    ).fit(features, targets[0])
    np.testing.assert_allclose(gap.loo_, again.loo_, rtol=1e-5)
