import threading

import numpy as np
import pytest
from model_selection.processes import run_python
from scipy.spatial import cKDTree

from skdesc.model_selection._pareto import is_non_dominated
from skdesc.model_selection._swarm import PRESETS, ParticleSwarm, SwarmRules, rules_for


class NumpySwarm:
    """The same swarm in plain NumPy, after the equations of Kennedy and Eberhart."""

    def __init__(self, start, rules, topology, n_iterations, random_state, width=1.0):
        n, d = start.shape
        self.rules, self.topology, self.random = rules, topology, random_state
        self.n_iterations, self.t = n_iterations, 0
        self.shape = n, d
        x = self.draw()
        if width < 1:
            low = np.where(np.isnan(start[0]), 0.5, start[0]) - width / 2
            x = np.minimum(np.maximum(low, 0), 1 - width) + width * x
        self.x = np.where(np.isnan(start), x, start)
        step = None if rules.velocity_clamp is None else width * rules.velocity_clamp
        self.step = step
        low, high = (0, 1) if step is None else (-step, step)
        self.v = (high - low) * random_state.random_sample((n, d)) + low
        self.best_x, self.best_f = self.x.copy(), np.full(n, np.inf)
        self.leader, self.leader_f = self.x[0], np.inf

    def draw(self):
        n, d = self.shape
        x = self.random.uniform(size=(n, d))
        if self.rules.stratified:
            strata = np.array([self.random.permutation(n) for _ in range(d)]).T
            x = (strata + x) / n
        return x

    def ask(self):
        return self.x.copy()

    def tell(self, f):
        rules = self.rules
        f = np.where(np.isfinite(f), f, np.inf)
        better = f < self.best_f
        self.best_x = np.where(better[:, None], self.x, self.best_x)
        self.best_f = np.where(better, f, self.best_f)
        if rules.leader == "iteration":
            self.leader = self.x[np.argmin(f)]
        elif self.topology == "star":
            if self.best_f.min() < self.leader_f:
                self.leader, self.leader_f = self.best_x[np.argmin(self.best_f)], self.best_f.min()
        else:
            _, near = cKDTree(self.x).query(self.x, k=min(3, len(self.x)))
            near = near.reshape(len(self.x), -1)
            chosen = near[np.arange(len(self.x)), self.best_f[near].argmin(axis=1)]
            self.leader = self.best_x[chosen]
        self.t += 1
        if np.isinf(self.best_f).all():
            self.x = self.draw()
            return
        w = rules.inertia
        if np.ndim(w):
            w = w[0] + (w[1] - w[0]) * min(1.0, self.t / max(1, self.n_iterations - 1))
        own = rules.cognitive * self.random.uniform(size=self.x.shape) * (self.best_x - self.x)
        social = rules.social * self.random.uniform(size=self.x.shape) * (self.leader - self.x)
        self.v = w * self.v + own + social
        if self.step is not None:
            self.v = np.clip(self.v, -self.step, self.step)
        x = self.x + self.v
        if rules.bounds == "nearest":
            x = np.clip(x, 0, 1)
        elif rules.bounds == "redraw":
            drawn = self.random.uniform(size=x.shape)
            x = np.where((x < 0) | (x > 1), drawn, x)
        else:
            while (outside := (x < 0) | (x > 1)).any():
                x = np.where(outside & (x < 0), -x, x)
                x = np.where(x > 1, 2 - x, x)
        self.x = x


def _wavy(x, optimum=0.37):
    d = x - optimum
    return (d**2).sum(axis=1) + 0.02 * (1 - np.cos(15 * d)).sum(axis=1)


RULES = {
    **PRESETS,
    "constant": SwarmRules(inertia=0.7298, velocity_clamp=0.5),
    "nearest": SwarmRules(bounds="nearest", stratified=False),
    "unclamped": SwarmRules(velocity_clamp=None),
    "iteration": SwarmRules(leader="iteration"),
}


@pytest.mark.parametrize("topology", ["star", "ring"])
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize(
    ("shape", "width"), [((12, 4), 1), ((12, 4), 0.3), ((1, 2), 1), ((2, 1), 1)]
)
def test_equal_to_numpy_twin(rules, topology, shape, width):
    start = np.full(shape, np.nan)
    start[0, 0] = 0.25
    swarms = [
        kind(start, rules, topology, 20, np.random.RandomState(7), width)
        for kind in (ParticleSwarm, NumpySwarm)
    ]
    for iteration in range(25):
        positions = [swarm.ask() for swarm in swarms]
        np.testing.assert_array_equal(*positions)
        assert positions[0].min() >= 0
        assert positions[0].max() <= 1
        if iteration == 0:
            assert positions[0][0, 0] == 0.25
        costs = _wavy(positions[0])
        costs[iteration % shape[0]] = [np.nan, np.inf, -np.inf][iteration % 3]
        for swarm in swarms:
            swarm.tell(costs)


@pytest.mark.parametrize("middle", [0.02, 0.5, 0.9])
def test_a_narrow_start_is_around_the_first(middle):
    start = np.full((8, 3), np.nan)
    start[0, :2] = middle
    swarm = ParticleSwarm(
        start, SwarmRules(), "star", 5, np.random.RandomState(0), width=0.25
    )
    first = swarm.ask()
    assert np.ptp(first[:, :2], axis=0).max() <= 0.25
    assert np.abs(first[:, :2] - middle).max() <= 0.25
    assert 0.375 <= first[:, 2].min() <= first[:, 2].max() <= 0.625
    swarm.tell(_wavy(first))
    assert np.abs(swarm.ask() - first).max() <= 0.25 * SwarmRules().velocity_clamp + 1e-12


def test_iterations_without_a_finite_cost_are_survived():
    swarm = ParticleSwarm(
        np.full((5, 3), np.nan), PRESETS["pso"], "star", 30, np.random.RandomState(0)
    )
    seen = []
    for _ in range(3):
        seen.append(swarm.ask())
        swarm.tell(np.full(5, np.nan))
    # nothing known, nothing narrowed: each iteration covers the cube anew
    assert min(np.ptp(positions, axis=0).min() for positions in seen) > 0.6
    for _ in range(27):
        swarm.tell(_wavy(swarm.ask()))
    assert _wavy(swarm.ask()).min() < 0.05


def test_finds_the_optimum():
    best = []
    for seed in range(5):
        swarm = ParticleSwarm(
            np.full((12, 3), np.nan), PRESETS["pso"], "star", 25, np.random.RandomState(seed)
        )
        values = []
        for _ in range(25):
            costs = _wavy(swarm.ask())
            values.append(costs.min())
            swarm.tell(costs)
        best.append(min(values))
    assert np.median(best) < 1e-4


def test_global_state_is_left_alone(tmp_path):
    """In a fresh process, since pyswarms may be imported here already."""
    code = """
import logging, os
import numpy as np
root = logging.getLogger()
handler = logging.FileHandler("mine.log", mode="w")
root.addHandler(handler)
np.random.seed(3)
before = np.random.get_state()[1].copy(), root.level, list(root.handlers), set(os.listdir())
configure = logging.config.dictConfig if hasattr(logging, "config") else None
import warnings
warnings.simplefilter("error")
from skdesc.model_selection._swarm import PRESETS, ParticleSwarm
for topology in ("star", "ring"):
    for rules in PRESETS.values():
        swarm = ParticleSwarm(np.full((4, 2), np.nan), rules, topology, 5, np.random.RandomState(0))
        for _ in range(5):
            swarm.tell(swarm.ask().sum(axis=1))
assert (np.random.get_state()[1] == before[0]).all()
assert root.level == before[1] and root.handlers == before[2] and set(os.listdir()) == before[3]
assert logging.config.dictConfig.__module__ == "logging.config"
logging.warning("still written")
assert open("mine.log").read() == "still written\\n"
import sys
assert "matplotlib" not in sys.modules
"""
    run_python(code, cwd=tmp_path)


def test_threads_do_not_disturb_each_other():
    def run(seed):
        swarm = ParticleSwarm(
            np.full((6, 3), np.nan), PRESETS["pso"], "ring", 30, np.random.RandomState(seed)
        )
        for _ in range(30):
            swarm.tell(_wavy(swarm.ask()))
        return swarm.ask()

    alone = [run(seed) for seed in range(4)]
    together = [None] * 4
    threads = [
        threading.Thread(target=lambda seed=seed: together.__setitem__(seed, run(seed)))
        for seed in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_several_objectives_spread_along_the_front():
    """Schaffer's problem: the front is the segment between both optima."""
    swarm = ParticleSwarm(
        np.full((10, 2), np.nan), PRESETS["pso"], "star", 25, np.random.RandomState(0)
    )
    seen = []
    for iteration in range(25):
        x = swarm.ask()
        costs = np.column_stack([((x - 0.2) ** 2).sum(axis=1), ((x - 0.8) ** 2).sum(axis=1)])
        if iteration < 2:
            costs[:, iteration] = np.nan
        seen.append(costs)
        swarm.tell(costs)
    seen = np.concatenate(seen)
    front = seen[is_non_dominated(seen)]
    assert len(front) > 15
    # on the true front sqrt(f1) + sqrt(f2) is the distance of the optima
    excess = np.sqrt(front).sum(axis=1) - 0.6 * np.sqrt(2)
    assert np.median(excess) < 0.02
    assert np.ptp(front[:, 0]) > 0.4


@pytest.mark.parametrize("bounds", ["reflective", "nearest", "redraw"])
def test_velocities_that_explode_end_somewhere(bounds):
    rules = SwarmRules(inertia=3.0, velocity_clamp=None, bounds=bounds)
    swarm = ParticleSwarm(np.full((4, 2), np.nan), rules, "star", 60, np.random.RandomState(0))
    for _ in range(60):
        swarm.tell(_wavy(swarm.ask()))
        assert ((swarm.ask() >= 0) & (swarm.ask() <= 1)).all()


def test_short_stages_have_rules_of_their_own():
    long, other = PRESETS["pso"], SwarmRules(inertia=0.3)
    short = rules_for(long, 5)
    assert rules_for(long, 10) is long
    assert short.velocity_clamp > long.velocity_clamp
    assert short.inertia[0] < long.inertia[0]
    for rules in (other, PRESETS["ppso"]):  # what was asked for is what is done
        assert rules_for(rules, 5) is rules
