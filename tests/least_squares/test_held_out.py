"""Normal equations of parts of the data, and noise of least held-out error."""

import itertools

import numpy as np
import pytest
from scipy.linalg import lapack

from skdesc.least_squares import (
    Cells,
    HeldOut,
    Observations,
    Posterior,
    Training,
    mean_errors,
    moment_scales,
    moment_scales_of_parts,
    tune_noise,
)

from .conftest import MEAN


def training_of(problem, cells, index):
    equations = cells.sum_equations(problem.prior, index)
    return Training(cells.sizes(problem.prior), MEAN, equations)


def held_out_of(problem, floors=(None, None)):
    cells = Cells(problem.parts)
    return [
        HeldOut(
            training_of(problem, cells, [j for j in range(4) if j != i]),
            cells.sum_equations(problem.prior, [i]), problem.scales, floors,
        )
        for i in range(4)
    ]


def solve_directly(problem, index, noise):
    observations = Observations(40)
    for i in index:
        observations.merge(problem.parts[i])
    rows = observations.subtract_mean(MEAN)
    return observations, Posterior.solve(
        problem.prior, observations, rows, problem.scales, noise
    )


@pytest.mark.parametrize("name", ["problem", "small_problem"])
@pytest.mark.parametrize("factor", [1.0, 1e-3, 1e-6])
def test_posterior_is_that_of_triangles(name, factor, request):
    """With any noise: where it is far too little, triangles take over."""
    problem = request.getfixturevalue(name)
    noise = {quantity: factor * value for quantity, value in problem.noise.items()}
    parts = [part.subtract_mean(MEAN) for part in problem.parts[1:]]
    training = training_of(problem, Cells(problem.parts), [1, 2, 3])
    found = training.posterior(problem.prior, problem.scales, noise, parts)
    _, expected = solve_directly(problem, [1, 2, 3], noise)
    scale = np.abs(expected.weights).max()
    np.testing.assert_allclose(found.weights, expected.weights, rtol=0, atol=1e-7 * scale)
    gram = expected.R.T @ expected.R
    np.testing.assert_allclose(found.R.T @ found.R, gram, rtol=0, atol=1e-10 * abs(gram).max())
    assert found.log_marginal_likelihood == pytest.approx(
        expected.log_marginal_likelihood, rel=1e-6
    )
    assert found.n_rows == expected.n_rows


@pytest.mark.parametrize("name", ["problem", "small_problem"])
def test_errors_and_their_gradients(name, request):
    problem = request.getfixturevalue(name)
    part, noise = held_out_of(problem)[0], problem.noise
    _, posterior = solve_directly(problem, [1, 2, 3], noise)
    errors = part.errors_and_gradients(noise, list(noise))
    for quantity, A in problem.parts[0].subtract_mean(MEAN).items():
        n_rows = problem.parts[0].triangles[quantity].n_rows
        expected = np.linalg.norm(A[:, :-1] @ posterior.weights - A[:, -1]) / np.sqrt(n_rows)
        assert errors[quantity][0] == pytest.approx(expected, rel=1e-8)
        for k, varied in enumerate(noise):
            up, down = (
                part.errors({**noise, varied: noise[varied] * np.exp(h)})[quantity]
                for h in (1e-5, -1e-5)
            )
            assert errors[quantity][1][k] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.7, 1.0, 3.0, 1e4, 1e8])
def test_errors_that_vanish(problem, factor):
    """Targets that are their mean: errors are as small as rounding, their derivatives finite."""
    parts = []
    for part in problem.parts:
        observations = Observations(40)
        for quantity, triangle in part.triangles.items():
            rows = triangle.compact().copy()
            mean = rows[:, -2] if quantity == "few" else np.zeros(len(rows))
            rows[:, -1] = factor * MEAN[0] * mean
            ones = np.ones(len(rows))
            observations.add(quantity, rows[:, :40], rows[:, 40:-1], rows[:, -1], ones)
        parts.append(observations)
    cells, mean = Cells(parts), factor * MEAN
    training = Training(
        cells.sizes(problem.prior), mean, cells.sum_equations(problem.prior, [1, 2, 3])
    )
    held_out = HeldOut(
        training, cells.sum_equations(problem.prior, [0]), problem.scales, (None, None)
    )
    errors = held_out.errors_and_gradients(problem.noise, list(problem.noise))
    for error, gradient in errors.values():
        assert 0.0 < error <= 1e-7 * max(factor, 1e-300)
        assert np.isfinite(np.log(error))
        assert np.all(np.abs(gradient / error) <= 10.0)
    bounds = dict.fromkeys(problem.noise, (1e-4, 10.0))
    found = tune_noise([held_out], problem.noise, bounds, dict.fromkeys(problem.noise, 1.0))
    assert all(0.99e-4 < value < 10.01 for value in found.values())


def test_few_rows_take_few_coordinates(small_problem, problem):
    assert Cells(small_problem.parts).sizes(small_problem.prior) == [8, 15]
    assert Cells(problem.parts).sizes(problem.prior) == [25, 15]


def test_noise_as_the_least_scale(problem):
    part = held_out_of(problem, floors=("many", None))[0]
    assert part.scales_for({"many": 0.1, "few": 1.0}) == [1.0, 2.0]
    assert part.scales_for({"many": 5.0, "few": 1.0}) == [5.0, 2.0]


def test_noise_is_as_good_as_any_of_a_grid(problem):
    held_out = held_out_of(problem)
    bounds = dict.fromkeys(problem.noise, (1e-4, 10.0))
    tuned = tune_noise(held_out, problem.noise, bounds, dict.fromkeys(problem.noise, 1.0))

    def badness(noise):
        return sum(map(np.log, mean_errors(held_out, noise).values()))

    grid = itertools.product(np.geomspace(1e-4, 10.0, 12), repeat=2)
    best = min(badness(dict(zip(problem.noise, values, strict=True))) for values in grid)
    assert badness(tuned) < best + 0.01


def test_given_noise_is_kept_where_nothing_better_is_found(problem):
    held_out, weights = held_out_of(problem), dict.fromkeys(problem.noise, 1.0)
    bounds = dict.fromkeys(problem.noise, (1e-4, 10.0))

    def badness(noise):
        return sum(map(np.log, mean_errors(held_out, noise).values()))

    tuned = tune_noise(held_out, problem.noise, bounds, weights)
    again = tune_noise(held_out, tuned, bounds, weights)
    assert badness(again) <= badness(tuned) + 1e-9
    for factor in (1e-2, 1.0, 30.0):  # wherever the search begins
        given = {quantity: factor * value for quantity, value in problem.noise.items()}
        assert badness(tune_noise(held_out, given, bounds, weights)) <= badness(given) + 1e-9


def test_cautious_where_parts_disagree(problem):
    """Noise that is far off is left, noise that is nearly right stays."""
    held_out, weights = held_out_of(problem), dict.fromkeys(problem.noise, 1.0)
    bounds = dict.fromkeys(problem.noise, (1e-4, 10.0))
    tuned = tune_noise(held_out, problem.noise, bounds, weights)
    near = {quantity: 1.02 * value for quantity, value in tuned.items()}
    far = {quantity: 100.0 * value for quantity, value in tuned.items()}
    assert tune_noise(held_out[:1], near, bounds, weights, cautious=True) == near
    found = tune_noise(held_out, far, bounds, weights, cautious=True)
    assert all(found[quantity] < 0.5 * far[quantity] for quantity in far)
    # what exceeds a ceiling cannot stay
    ceilings = {q: 0.5 * error for q, error in mean_errors(held_out, near).items()}
    assert tune_noise(held_out, near, bounds, weights, ceilings, cautious=True) != near


def test_ceilings(problem):
    held_out = held_out_of(problem)
    bounds = dict.fromkeys(problem.noise, (1e-4, 10.0))
    weights = {"few": 0.0, "many": 1.0}
    free = mean_errors(held_out, tune_noise(held_out, problem.noise, bounds, weights))
    limit = 0.5 * free["few"] + 0.5 * mean_errors(
        held_out, tune_noise(held_out, problem.noise, bounds, {"few": 1.0, "many": 0.0})
    )["few"]
    bounded = tune_noise(held_out, problem.noise, bounds, weights, {"few": limit})
    assert mean_errors(held_out, bounded)["few"] < limit * 1.02


def test_noise_that_is_too_little(small_problem):
    part = held_out_of(small_problem)[0]
    noise = dict.fromkeys(small_problem.noise, 1e-12)
    assert part.errors(noise) is None
    assert mean_errors([part], noise) is None
    bounds = dict.fromkeys(noise, (1e-20, 1e-19))
    tuned = tune_noise([part], noise, bounds, dict.fromkeys(noise, 1.0))
    assert all(1e-20 * 0.999 <= value <= 1e-19 * 1.001 for value in tuned.values())
    assert tune_noise([part], noise, {}, {}) == {}


@pytest.mark.parametrize("name", ["problem", "small_problem"])
def test_scales_of_parts(name, request):
    problem = request.getfixturevalue(name)
    training = training_of(problem, Cells(problem.parts), range(4))
    quantities = ["few", "many"]
    found = moment_scales_of_parts(problem.prior, training, problem.parts, quantities)
    rows = problem.everything.subtract_mean(MEAN)
    expected = moment_scales(problem.prior, problem.everything, rows, 0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_trial_costs_one_decomposition_for_each_part(problem, monkeypatch):
    """Folds and noise take a part of the flops of the pass, whatever the number of rows."""
    count = []
    decompose = lapack.dpotrf

    def counted(matrix, **options):
        count.append(len(matrix))
        return decompose(matrix, **options)

    monkeypatch.setattr(lapack, "dpotrf", counted)
    held_out = held_out_of(problem)
    tune_noise(held_out, problem.noise, dict.fromkeys(problem.noise, (1e-3, 1.0)),
               dict.fromkeys(problem.noise, 1.0))
    assert len(count) <= 6 + 8 + 4 * (6 + 1)
    assert set(count) == {40}
