"""Particle swarm in the unit cube, which proposes positions and receives their costs in batches.

The operators are those of ``pyswarms.backend``. This is the only module that imports pyswarms:
the package configures the root logger and opens a file when imported, and draws from NumPy's
global generator, so it is imported behind a guard and its operators are given a private one.
"""

from __future__ import annotations

import copy
import logging.config
import numbers
import threading
import types
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from ._pareto import crowding_distance, dominates, is_non_dominated

_IMPORT_LOCK = threading.RLock()


@dataclass(frozen=True)
class SwarmRules:
    """Rules by which particles move.

    Parameters
    ----------
    inertia : float or pair of float, default=(0.7, 0.2)
        Weight of the former velocity; a pair is a linear schedule from start to end. With 10 to
        30 iterations this schedule ends well below the errors of a constant 0.73 on smooth and
        on wavy test functions.
    cognitive, social : float, default=1.49618
        Attraction by the particle's own best position, and by the best of its neighbors.
    velocity_clamp : float or None, default=0.25
        Largest step along one axis, as a fraction of its range.
    bounds : {"reflective", "nearest", "redraw"}, default="reflective"
        What happens to a coordinate that leaves its range.
    leader : {"best", "iteration"}, default="best"
        Whether particles follow the best position so far or that of the current iteration.
    stratified : bool, default=True
        Whether to start from a Latin hypercube instead of independent positions.
    """

    inertia: float | tuple[float, float] = (0.7, 0.2)
    cognitive: float = 1.49618
    social: float = 1.49618
    velocity_clamp: float | None = 0.25
    bounds: str = "reflective"
    leader: str = "best"
    stratified: bool = True


# PPSO, the program of Natarajan and Caro: no inertia, lost coordinates drawn anew, the leader
# taken from the current iteration.
PRESETS = {
    "pso": SwarmRules(),
    "ppso": SwarmRules(
        inertia=0.0,
        cognitive=1.0,
        social=2.0,
        velocity_clamp=None,
        bounds="redraw",
        leader="iteration",
        stratified=False,
    ),
}


def make_rules(swarm):
    """Make rules from the user's parameter.

    Parameters
    ----------
    swarm : str or dict
        Name of a preset, or options.

    Returns
    -------
    SwarmRules
        The rules.
    """
    if isinstance(swarm, str) and swarm in ("auto", "guided"):
        return PRESETS["pso"]  # for several metrics
    if isinstance(swarm, str) and swarm in PRESETS:
        return PRESETS[swarm]
    if not isinstance(swarm, Mapping):
        names = ("auto", "guided", *PRESETS)
        raise ValueError(f"swarm is {swarm!r}, but must be one of {names} or a dict of options")
    options = {option.name for option in fields(SwarmRules)}
    unknown = sorted(set(swarm) - options)
    if unknown:
        raise ValueError(f"swarm has unknown options {unknown}; known are {sorted(options)}")
    rules = SwarmRules(**swarm)
    for name, (is_valid, rule) in _CHECKS.items():
        value = getattr(rules, name)
        if not is_valid(value):
            raise ValueError(f"swarm[{name!r}] is {value!r}, but must be {rule}")
    return rules


def _is_finite(value):
    return isinstance(value, numbers.Real) and bool(np.isfinite(value))


def _is_inertia(value):
    return all(_is_finite(weight) for weight in (value if np.shape(value) == (2,) else [value]))


def _is_positive(value):
    return _is_finite(value) and value >= 0


def _is_clamp(value):
    return value is None or (_is_finite(value) and 0 < value <= 1)


_BOUNDS = ("reflective", "nearest", "redraw")
_LEADERS = ("best", "iteration")
_CHECKS = {
    "bounds": (lambda value: value in _BOUNDS, f"one of {_BOUNDS}"),
    "leader": (lambda value: value in _LEADERS, f"one of {_LEADERS}"),
    "inertia": (_is_inertia, "a number or a pair"),
    "cognitive": (_is_positive, "a number of at least 0"),
    "social": (_is_positive, "a number of at least 0"),
    "velocity_clamp": (_is_clamp, "in (0, 1] or None"),
}


# few iterations leave no time to explore: particles turn sooner, and take longer steps
_SHORT = SwarmRules(inertia=(0.5, 0.2), velocity_clamp=0.4)
_FEW_ITERATIONS = 10
_FASTEST = 100.0


def rules_for(rules, n_iterations):
    """Adapt rules to the number of iterations: the preset "pso" differs if they are few.

    Parameters
    ----------
    rules : SwarmRules
        Rules of the user.
    n_iterations : int
        Number of iterations of the stage.

    Returns
    -------
    SwarmRules
        Rules of the swarm.
    """
    return _SHORT if rules is PRESETS["pso"] and n_iterations < _FEW_ITERATIONS else rules


class ParticleSwarm:
    """A swarm that minimizes one cost, or collects the Pareto front of several.

    Parameters
    ----------
    start : ndarray of shape (n_particles, n_dims)
        Starting positions; NaN for coordinates to be drawn.
    rules : SwarmRules
        Rules by which particles move.
    topology : {"star", "ring"}
        Whether a particle follows the best of all, or of its nearest two and itself.
    n_iterations : int
        Length of the inertia schedule.
    random_state : RandomState
        Private generator, the only source of randomness.
    width : float, default=1
        Edge of the cube in which positions are drawn, around the first, as a fraction of the
        range; also the factor of the steps.
    n_particles : int, default=None
        Number of particles that continue after the first iteration, those at the best positions;
        by default all.
    """

    finished = False

    def __init__(
        self, start, rules, topology, n_iterations, random_state, width=1.0, n_particles=None
    ):
        self._n_kept = n_particles or len(start)
        self._rules = rules
        self._random = random_state
        self._n_iterations = n_iterations
        self._iteration = 0
        backend = _backend()
        n_particles, n_dims = start.shape
        # a copy has its own neighbor index and avoids the constructor, which sets up logging
        self._topology = copy.copy(backend.star if topology == "star" else backend.ring)
        self._neighbors = {} if topology == "star" else {"p": 2, "k": min(3, n_particles)}
        self._handler = getattr(backend, rules.bounds, None)
        self._compute_pbest = backend.operators.compute_pbest
        self._compute_position = backend.operators.compute_position
        self._compute_velocity = _with_random(backend.operators.compute_velocity, random_state)
        generate_velocity = _with_random(backend.generators.generate_velocity, random_state)

        step = rules.velocity_clamp and width * rules.velocity_clamp
        self._clamp = step and (-step, step)
        self._unmodified = backend.unmodified
        self._cube = np.zeros(n_dims), np.ones(n_dims)
        drawn = self._draw(n_particles, n_dims)
        if width < 1.0:
            # the middle of the range for coordinates without a starting position
            middle = np.nan_to_num(start[0], nan=0.5)
            low = np.clip(middle - 0.5 * width, 0.0, 1.0 - width)
            drawn = low + width * drawn
        position = np.where(np.isnan(start), drawn, start)
        self._swarm = backend.Swarm(
            position,
            generate_velocity(n_particles, n_dims, self._clamp),
            options={"c1": rules.cognitive, "c2": rules.social, "w": self._inertia()},
        )
        self._swarm.pbest_pos = position.copy()
        self._swarm.pbest_cost = None
        self._archive = None

    def ask(self):
        """Return the positions to evaluate, ndarray of shape (n_particles, n_dims)."""
        return self._swarm.position.copy()

    def tell(self, costs):
        """Receive the costs of the current positions and move the particles.

        Parameters
        ----------
        costs : ndarray of shape (n_particles,) or (n_particles, n_objectives)
            Costs to be minimized; values that are not finite count as infinite.
        """
        swarm = self._swarm
        if len(costs) > self._n_kept:
            costs = self._keep_best(costs)
        finite = np.isfinite(costs)
        costs = np.where(finite if costs.ndim == 1 else finite.all(axis=1)[:, None], costs, np.inf)
        if swarm.pbest_cost is None:
            swarm.pbest_cost = np.full(costs.shape, np.inf)
        if costs.ndim == 2:
            self._follow_archive(costs)
        else:
            self._follow_best(costs)
        self._iteration += 1
        swarm.options["w"] = self._inertia()
        if not np.isfinite(swarm.pbest_cost).any():
            # no finite cost yet: redraw all particles
            swarm.position = self._draw(*swarm.position.shape)
            return
        velocity = self._compute_velocity(swarm, self._clamp, self._unmodified)
        # without a clamp the velocity is unbounded, and each reflection corrects only one range
        swarm.velocity = np.clip(velocity, -_FASTEST, _FASTEST)
        if self._handler is not None:
            swarm.position = self._compute_position(swarm, self._cube, self._handler)
            return
        position = self._compute_position(swarm, None, None)
        drawn = self._random.uniform(size=position.shape)
        swarm.position = np.where((position < 0) | (position > 1), drawn, position)

    def _keep_best(self, costs):
        """Remove the particles at the worst positions, and return the costs of the others."""
        swarm = self._swarm
        known = np.where(np.isfinite(costs), costs, np.inf)
        rows = known.reshape(len(known), -1)
        order = np.argsort([dominates(rows, row).sum() for row in rows], kind="stable")
        kept = np.sort(order[: self._n_kept])
        for name in ("position", "velocity", "pbest_pos"):
            setattr(swarm, name, getattr(swarm, name)[kept])
        return costs[kept]

    def _follow_best(self, costs):
        swarm = self._swarm
        swarm.current_cost = costs
        swarm.pbest_pos, swarm.pbest_cost = self._compute_pbest(swarm)
        if self._rules.leader == "iteration":
            swarm.best_pos = swarm.position[np.argmin(costs)].copy()
        else:
            swarm.best_pos, swarm.best_cost = self._topology.compute_gbest(swarm, **self._neighbors)

    def _follow_archive(self, costs):
        """Multi-objective step: leaders are drawn from an archive of non-dominated points."""
        swarm = self._swarm
        better = ~dominates(swarm.pbest_cost, costs)
        swarm.pbest_pos = np.where(better[:, np.newaxis], swarm.position, swarm.pbest_pos)
        swarm.pbest_cost = np.where(better[:, np.newaxis], costs, swarm.pbest_cost)
        points, values = swarm.position, costs
        if self._archive is not None:
            points = np.concatenate([self._archive[0], points])
            values = np.concatenate([self._archive[1], values])
        kept = is_non_dominated(values)
        if not kept.any():
            return
        self._archive = points[kept], values[kept]
        # the emptier of two archive members leads, which spreads the swarm along the front
        crowding = crowding_distance(self._archive[1])
        pairs = self._random.randint(len(crowding), size=(2, len(costs)))
        leaders = np.where(crowding[pairs[0]] >= crowding[pairs[1]], pairs[0], pairs[1])
        swarm.best_pos = self._archive[0][leaders]

    def _inertia(self):
        if np.ndim(self._rules.inertia) == 0:
            return self._rules.inertia
        start, end = self._rules.inertia
        return start + (end - start) * min(1.0, self._iteration / max(1, self._n_iterations - 1))

    def _draw(self, n_particles, n_dims):
        drawn = self._random.uniform(size=(n_particles, n_dims))
        if not self._rules.stratified:
            return drawn
        strata = [self._random.permutation(n_particles) for _ in range(n_dims)]
        return (np.reshape(strata, (n_dims, n_particles)).T + drawn) / n_particles


@contextmanager
def _logging_left_alone():
    """Ignore calls of ``logging.config.dictConfig`` by this thread only."""
    with _IMPORT_LOCK:
        original, owner = logging.config.dictConfig, threading.get_ident()

        def guarded(config):
            if threading.get_ident() != owner:
                original(config)

        logging.config.dictConfig = guarded
        try:
            yield
        finally:
            logging.config.dictConfig = original


@cache
def _backend():
    """Import pyswarms and create, once, the objects whose constructors set up logging."""
    with _logging_left_alone():
        from pyswarms.backend import generators, operators
        from pyswarms.backend.handlers import BoundaryHandler, VelocityHandler
        from pyswarms.backend.swarms import Swarm
        from pyswarms.backend.topology import Ring, Star

        return types.SimpleNamespace(
            generators=generators,
            operators=operators,
            Swarm=Swarm,
            star=Star(),
            ring=Ring(static=False),
            reflective=BoundaryHandler("reflective"),
            nearest=BoundaryHandler("nearest"),
            unmodified=VelocityHandler("unmodified"),
        )


class _PrivateNumpy:
    """NumPy with a private generator in place of ``random``."""

    def __init__(self, random_state):
        self.random = random_state

    def __getattr__(self, name):
        return getattr(np, name)


def _with_random(function, random_state):
    """Copy a function so that its global name ``np`` has a private random generator."""
    return types.FunctionType(
        function.__code__,
        {**function.__globals__, "np": _PrivateNumpy(random_state)},
        function.__name__,
        function.__defaults__,
    )
