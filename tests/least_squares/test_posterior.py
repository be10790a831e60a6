"""Observations, prior and posterior against dense formulas."""

import copy

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.optimize import approx_fprime

from skdesc.exceptions import UntrustworthyFitError, UntrustworthyFitWarning
from skdesc.least_squares import (
    Observations,
    Posterior,
    Prior,
    Triangle,
    evidence_and_gradient,
    factorize,
    leave_one_out,
    leave_one_out_by_covariance,
    maximize_evidence,
    moment_scales,
)

from .conftest import GROUPS, MEAN, covariance


def rows_of(problem):
    return problem.everything.subtract_mean(MEAN)


def dense(problem):
    """Covariances among points, rows divided by noise, and targets divided by noise."""
    scale = np.repeat(problem.scales, [25, 15])
    K = block_diag(*(covariance(problem.points[g], problem.points[g]) for g in GROUPS))
    K = K * np.multiply.outer(scale, scale)
    A = np.concatenate([A / problem.noise[q] for q, A in rows_of(problem).items()])
    return K, A[:, :-1] * scale**2, A[:, -1], scale


@pytest.fixture(scope="module")
def posterior(problem):
    return Posterior.solve(
        problem.prior, problem.everything, rows_of(problem), problem.scales, problem.noise
    )


def test_weights(problem, posterior):
    K, A, y, scale = dense(problem)
    weights = np.linalg.solve(K + A.T @ A, A.T @ y)
    np.testing.assert_allclose(posterior.weights, weights * scale**2, rtol=1e-6)


def test_evidence(problem, posterior):
    K, A, y, _ = dense(problem)
    C = A @ np.linalg.solve(K, A.T) + np.eye(len(y))
    expected = -0.5 * (y @ np.linalg.solve(C, y) + np.linalg.slogdet(C)[1])
    for quantity, n in problem.everything.n_rows().items():
        expected -= n * np.log(problem.noise[quantity]) + problem.everything.log_noise[quantity]
        expected -= 0.5 * n * np.log(2 * np.pi)
    # rows were compressed: what is in no triangle has a misfit all the same
    many = problem.everything.triangles["many"]
    assert many.n_rows == 400
    assert posterior.log_marginal_likelihood == pytest.approx(expected, rel=1e-8)


def test_variance(problem, posterior):
    K, A, _, scale = dense(problem)
    X = np.random.default_rng(1).normal(size=(5, 6))
    rows = covariance(X, problem.points)
    prior_variance = np.full((2, 5), 2.0)
    k = rows * scale**2
    expected = problem.scales[0] ** 2 * 2.0 + problem.scales[1] ** 2 * 2.0
    expected -= np.einsum("ij,ij->i", k, np.linalg.solve(K, k.T).T)
    expected += np.einsum("ij,ij->i", k, np.linalg.solve(K + A.T @ A, k.T).T)
    variances = posterior.variances(rows, prior_variance)
    np.testing.assert_allclose(variances.sum(axis=0), expected, rtol=1e-6)
    inside = np.einsum("ij,ij->i", k, np.linalg.solve(K + A.T @ A, k.T).T)
    np.testing.assert_allclose(variances[0], inside, rtol=1e-6)
    H = posterior.covariance_factor(rows)
    inverse = np.linalg.solve(K + A.T @ A, k.T)
    np.testing.assert_allclose(H @ H.T, k @ inverse, rtol=1e-6)


def test_gradient_of_the_evidence(problem):
    rows = rows_of(problem)

    def solved(x):
        noise = dict(zip(rows, np.exp(x[2:]), strict=True))
        return Posterior.solve(problem.prior, problem.everything, rows, np.exp(x[:2]), noise)

    x = np.log([1.0, 2.0, 0.05, 0.3])
    value, gradient = evidence_and_gradient(solved(x), rows)
    numeric = approx_fprime(x, lambda x: solved(x).log_marginal_likelihood, 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-4 * abs(gradient).max())
    scales, noise = maximize_evidence(
        problem.prior, problem.everything, rows, problem.scales, problem.noise
    )
    best = Posterior.solve(problem.prior, problem.everything, rows, scales, noise)
    assert best.log_marginal_likelihood > value


def test_leave_one_out(problem):
    """Both ways are what remains when a row is left out."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 6))
    y, noise = np.sin(X.sum(axis=1)), np.full(60, 0.2)
    rows = covariance(X, problem.points)
    noise_of = {"y": 0.2}

    def solve(index):
        observations = Observations(40)
        observations.add("y", rows[index], None, y[index], np.ones(len(index)))
        return observations, Posterior.solve(
            problem.prior, observations, observations.subtract_mean(np.empty(0)),
            problem.scales, noise_of,
        )

    observations, posterior = solve(np.arange(60))
    models = [solve(np.delete(np.arange(60), i))[1] for i in range(10)]
    expected = [y[i] - rows[i] @ without.weights for i, without in enumerate(models)]
    deviations = [
        np.hypot(0.2, np.linalg.norm(without.covariance_factor(rows[i : i + 1])))
        for i, without in enumerate(models)
    ]
    batches = [(slice(0, 25), rows[:25]), (slice(25, 60), rows[25:])]
    for residuals, predicted in (
        leave_one_out(posterior, batches, y, noise),
        leave_one_out_by_covariance(posterior, observations, {}, rows, y, noise),
    ):
        np.testing.assert_allclose(residuals[:10], expected, rtol=1e-8)
        np.testing.assert_allclose(predicted[:10], deviations, rtol=1e-8)


def test_scales_of_the_targets(problem):
    rows = rows_of(problem)
    scales = moment_scales(problem.prior, problem.everything, rows, 0.0)
    factor = {q: A * 3.0 for q, A in rows.items()}
    assert (scales > 0.1).all()
    assert (scales < 10.0).all()
    assert (moment_scales(problem.prior, problem.everything, rows, 100.0) == 100.0).all()
    tripled = {q: np.column_stack([rows[q][:, :-1], A[:, -1]]) for q, A in factor.items()}
    more = moment_scales(problem.prior, problem.everything, tripled, 0.0)
    assert (more >= scales).all()


def test_observations_are_copied_and_selected(problem):
    part = problem.parts[0]
    before = copy.deepcopy(part)
    grown = part.copy()
    grown.merge(problem.parts[1])
    for quantity in part.triangles:
        np.testing.assert_array_equal(part.triangles[quantity].R, before.triangles[quantity].R)
    index = np.array([3, 30, 7])
    some = problem.everything.select_columns(index)
    for quantity, A in some.subtract_mean(MEAN).items():
        full = rows_of(problem)[quantity]
        columns = [*index, 40]
        np.testing.assert_allclose(
            A.T @ A, full[:, columns].T @ full[:, columns], rtol=1e-9, atol=1e-9
        )
        assert some.n_rows()[quantity] == problem.everything.n_rows()[quantity]


def test_missing_targets_are_left_out():
    observations = Observations(3)
    rows = np.arange(12.0).reshape(4, 3)
    observations.add("y", rows, None, np.full(4, np.nan), np.ones(4))
    assert not observations.triangles
    observations.add("y", rows, None, np.array([1.0, np.nan, 2.0, np.nan]), np.full(4, 2.0))
    assert observations.n_rows() == {"y": 2}
    assert observations.log_noise["y"] == pytest.approx(2 * np.log(2.0))


def test_means_of_any_number_of_rows():
    """Few rows are kept as they are, many as triangles; their products are the same."""
    rng = np.random.default_rng(0)
    for n_rows in (1, 3, 4, 5, 6, 50):
        rows, means = rng.normal(size=(n_rows, 4)), rng.normal(size=(n_rows, 2))
        y = rng.normal(size=n_rows)
        observations = Observations(4)
        observations.add("y", rows, means, y, np.ones(n_rows))
        A = observations.subtract_mean(np.array([1.0, -2.0]))["y"]
        full = np.column_stack([rows, y - means @ [1.0, -2.0]])
        np.testing.assert_allclose(A.T @ A, full.T @ full, atol=1e-12)
        assert len(A) <= 5
        if len(A) == 5:
            assert np.array_equal(A, np.triu(A))


def test_jitter():
    K = np.ones((3, 3))
    L, jitter = factorize(K)
    assert 0 < jitter <= 1e-8
    np.testing.assert_allclose(L @ L.T, K, atol=1e-7)
    assert factorize(-K) == (None, None)
    with pytest.raises(UntrustworthyFitError, match="of the 3 sparse points of some are not"):
        Prior.factorize([("some", slice(0, 3), -K)], [slice(0, 3)])
    with pytest.warns(UntrustworthyFitWarning, match="a jitter of") as caught:
        Prior.factorize([("some", slice(0, 3), K - 1e-7 * np.eye(3))], [slice(0, 3)])
    assert caught[0].filename == __file__


def test_what_no_weights_can_solve(problem):
    rows = {quantity: A * 1e200 for quantity, A in rows_of(problem).items()}
    noise = dict.fromkeys(problem.noise, 1e-150)
    with np.errstate(all="ignore"), pytest.raises(UntrustworthyFitError, match="not finite"):
        Posterior.solve(problem.prior, problem.everything, rows, problem.scales, noise)


def test_a_copy_of_a_triangle_goes_its_own_way():
    rng = np.random.default_rng(0)
    for n_rows in (0, 5, 600):
        triangle, rows = Triangle(7), rng.normal(size=(600, 7))
        triangle.fold(rows[:n_rows], rows[:n_rows, 7:], np.ones(n_rows))
        before, other = triangle.R.copy(), triangle.copy()
        other.fold(rows, rows[:, 7:], np.ones(600))
        np.testing.assert_array_equal(triangle.R, before)
        assert (other.n_rows, triangle.n_rows) == (n_rows + 600, n_rows)
