"""The surrogate, the swarm that it guides, and steps along the axes."""

import numpy as np
import pytest
from scipy.stats import randint, uniform

from skdesc.model_selection._compass import CompassSearch
from skdesc.model_selection._guided_swarm import GuidedSwarm
from skdesc.model_selection._space import SearchSpace
from skdesc.model_selection._surrogate import Surrogate
from skdesc.model_selection._swarm import ParticleSwarm, make_rules, rules_for

SPACE = SearchSpace(
    {"a": uniform(0, 1), "b": uniform(0, 1), "c": randint(1, 9), "d": ["x", "y", "z"]}
)


def _cost(params):
    """A valley, with ripples, steps and a choice."""
    a, b = params["a"] - 0.3, params["b"] - 0.7
    ripple = 0.05 * np.sin(12 * params["a"])
    return a**2 + 3 * b**2 + 0.02 * (params["c"] - 4) ** 2 + 0.1 * (params["d"] != "y") + ripple


def _run(swarm, n_iterations, cost=_cost):
    best, positions = np.inf, []
    for _ in range(n_iterations):
        if swarm.finished:
            break
        positions.append(swarm.ask())
        costs = np.array([cost(SPACE.decode(position)) for position in positions[-1]])
        best = min(best, np.nanmin(costs))
        swarm.tell(costs)
    return best, positions


def _guided(seed, n_first=16, start=None):
    start = np.full((n_first, SPACE.n_dims), np.nan) if start is None else start
    return GuidedSwarm(start, SPACE, np.random.RandomState(seed), 1.0, 5)


def test_it_learns_more_than_a_plain_swarm():
    guided = [_run(_guided(seed), 6)[0] for seed in range(5)]
    rules = rules_for(make_rules("pso"), 6)
    plain = [
        _run(ParticleSwarm(np.full((16, 4), np.nan), rules, "star", 6,
                           np.random.RandomState(seed), 1.0, 5), 6)[0]
        for seed in range(5)
    ]
    assert np.median(guided) < np.median(plain)
    assert max(guided) < -0.03  # the least value is -0.0437


def test_the_same_seed_gives_the_same_positions():
    first, second = (_run(_guided(3), 4)[1] for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], _run(_guided(4), 1)[1][0])


def test_given_positions_are_the_first():
    start = np.full((8, SPACE.n_dims), np.nan)
    start[0] = 0.25, 0.5, 0.125, 0.9
    start[1, 2] = 0.75
    positions = _guided(0, start=start).ask()
    np.testing.assert_array_equal(positions[0], start[0])
    assert positions[1, 2] == 0.75
    assert ((positions >= 0) & (positions <= 1)).all()


def test_no_candidate_twice():
    _, positions = _run(_guided(0), 8)
    seen = SPACE.snap(np.vstack(positions))
    assert len(np.unique(seen, axis=0)) == len(seen)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_failures_and_absurd_costs_do_no_harm(bad):
    def cost(params):
        return bad if params["d"] == "x" and bad != -np.inf else _cost(params)

    best, positions = _run(_guided(1), 6, cost)
    assert best < 0.0
    assert ((np.vstack(positions) >= 0) & (np.vstack(positions) <= 1)).all()


def test_all_failures():
    swarm = _guided(0)
    for _ in range(3):
        swarm.tell(np.full(len(swarm.ask()), np.nan))
    assert np.isfinite(swarm.ask()).all()


def test_hints_of_a_smaller_part_help():
    """Costs of a part differ by an offset and a factor, and still show where to look."""
    part = _guided(0)
    _run(part, 6, lambda params: 5.0 + 3.0 * _cost(params))
    bests = []
    for hinted in (True, False):
        swarm = _guided(1, n_first=3)
        if hinted:
            swarm.remember(part)
        bests.append(_run(swarm, 3)[0])
    assert bests[0] < bests[1]


def test_expected_improvement_is_largest_where_a_parabola_has_its_least():
    points = np.linspace(0, 1, 8)[:, np.newaxis]
    surrogate = Surrogate(points, [(points[:, 0] - 0.62) ** 2])
    grid = np.linspace(0, 1, 101)[:, np.newaxis]
    best = grid[np.argmax(surrogate.expected_improvement(grid)), 0]
    assert best == pytest.approx(0.62, abs=0.05)
    before = surrogate.expected_improvement(np.array([[best]]))
    surrogate.believe(np.array([best]))
    assert surrogate.expected_improvement(np.array([[best]])) < before


def test_values_without_an_order_are_equally_far():
    rows = SPACE.embed(np.array([[0.1, 0.2, 0.3, u] for u in (0.1, 0.5, 0.9)]))
    assert rows.shape == (3, 6)
    distances = [np.linalg.norm(rows[i] - rows[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(distances, 1.0)
    ordered = SearchSpace({"zeta": [1, 2, 4], "flag": [False, True]})
    assert ordered.embed(np.array([[0.1, 0.5]])).shape == (1, 3)


def test_positions_of_equal_candidates_are_equal():
    pair = SPACE.snap(np.array([[0.1, 0.2, 0.26, 0.4], [0.1, 0.2, 0.30, 0.6]]))
    np.testing.assert_array_equal(pair[0], pair[1])
    assert SPACE.decode(pair[0]) == SPACE.decode(np.array([0.1, 0.2, 0.30, 0.6]))


def test_compass_goes_downhill_and_ends():
    start = np.array([[0.9, 0.1, 0.9, 0.1]])
    compass = CompassSearch(start, SPACE, 1.0, 60)
    best, positions = _run(compass, 100)
    assert compass.finished
    assert len(np.vstack(positions)) <= 60
    assert best < _cost(SPACE.decode(start[0])) - 0.5
    np.testing.assert_array_equal(positions[0][0], start[0])


@pytest.mark.parametrize("cost", [lambda params: 1.0, lambda params: np.nan])
def test_compass_stops_where_steps_do_not_pay(cost):
    compass = CompassSearch(np.full((1, 4), 0.5), SPACE, 1.0, 1000)
    with np.errstate(all="ignore"):
        for _ in range(100):
            if compass.finished:
                break
            compass.tell(np.array([cost(None) for _ in compass.ask()]))
    assert compass.finished


def test_compass_keeps_to_its_number_of_settings():
    compass = CompassSearch(np.full((1, 4), 0.5), SPACE, 0.5, 5)
    _, positions = _run(compass, 100)
    assert sum(map(len, positions)) == 5


