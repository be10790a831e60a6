"""A swarm whose particles choose their moves by the expected improvement of a surrogate."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.stats import qmc

from ..utils.blas import one_thread
from ._surrogate import Surrogate

# numbers of proposals of a particle: moves of a plain swarm, small steps, and points of the whole
# cube
_N_MOVES, _N_STEPS, _N_ANYWHERE = 24, 20, 16
_INERTIA, _COGNITIVE, _SOCIAL = 0.5, 1.5, 1.5
# lengths of small steps along each axis, drawn between these
_STEPS = (0.02, 0.3)


class GuidedSwarm:
    """Particles with a memory and a leader that choose among many moves.

    The first positions are a Sobol sequence that includes the given ones; the best particles
    continue. Each particle then draws proposals: moves of a particle swarm, with inertia and
    attraction by its own best position and by the leader; small steps from both; and random points.
    It chooses the one with the largest expected improvement according to a Gaussian process of all
    costs so far, in which earlier choices of this iteration count with their expected cost.

    Parameters
    ----------
    start : ndarray of shape (n_first, n_dims)
        Starting positions; NaN for coordinates to be drawn.
    space : SearchSpace
        Space that defines which positions stand for the same values.
    random_state : RandomState
        The only source of randomness.
    width : float
        Edge of the cube in which the first positions are drawn, around the first of them.
    n_particles : int
        Number of particles after the first iteration.
    """

    finished = False

    def __init__(self, start, space, random_state, width, n_particles):
        self._space = space
        self._random = random_state
        self._n_particles = n_particles
        drawn = self._sobol(len(start), start.shape[1])
        if width < 1.0:
            middle = np.nan_to_num(start[0], nan=0.5)
            low = np.clip(middle - 0.5 * width, 0.0, 1.0 - width)
            drawn = low + width * drawn
        self._position = np.where(np.isnan(start), drawn, start)
        self._velocity = np.zeros_like(self._position)
        self._former = []
        self._points = np.empty((0, start.shape[1]))
        self._costs = np.empty(0)
        self._best, self._best_cost = self._position, np.full(len(start), np.inf)

    def remember(self, other):
        """Use the costs that another swarm found on a subset of the samples as hints.

        Parameters
        ----------
        other : GuidedSwarm
            Swarm in the same space.
        """
        self._former = [*other._former, (other._points, other._costs)]

    def ask(self):
        """Return the positions to evaluate, ndarray of shape (n_particles, n_dims)."""
        return self._position.copy()

    def tell(self, costs):
        """Receive the costs of the current positions and move the particles.

        Parameters
        ----------
        costs : ndarray of shape (n_particles,)
            Costs to be minimized; values that are not finite count as infinite.
        """
        costs = np.where(np.isfinite(costs), costs, np.inf)
        self._points = np.vstack([self._points, self._space.snap(self._position)])
        self._costs = np.append(self._costs, costs)
        better = costs < self._best_cost
        self._best = np.where(better[:, np.newaxis], self._position, self._best)
        self._best_cost = np.where(better, costs, self._best_cost)
        if len(costs) > self._n_particles:
            kept = np.sort(np.argsort(costs, kind="stable")[: self._n_particles])
            for name in ("_position", "_velocity", "_best", "_best_cost"):
                setattr(self, name, getattr(self, name)[kept])
        with one_thread:
            self._move()

    def _move(self):
        surrogate = Surrogate(*self._known())
        leader = self._best[np.argmin(self._best_cost)]
        tried = {point.tobytes() for point in self._points}
        position = np.empty_like(self._position)
        for index, best in enumerate(self._best):
            proposals = self._propose(index, best, leader)
            snapped = self._space.snap(proposals)
            gain = surrogate.expected_improvement(self._embed(snapped))
            gain[[point.tobytes() in tried for point in snapped]] = -np.inf
            chosen = int(np.argmax(gain))
            position[index] = proposals[chosen]
            tried.add(snapped[chosen].tobytes())
            surrogate.believe(self._embed(snapped[chosen : chosen + 1])[0])
        self._velocity = position - self._position
        self._position = position

    def _known(self):
        """Return all points, with the fraction of samples as a further coordinate, and costs."""
        rungs = [*self._former, (self._points, self._costs)]
        points = [self._embed(points, level) for level, (points, _) in enumerate(rungs)]
        return np.vstack(points), [costs for _, costs in rungs]

    def _embed(self, points, level=None):
        level = len(self._former) if level is None else level
        embedded = self._space.embed(points)
        if not self._former:
            return embedded
        return np.column_stack([embedded, np.full(len(points), level / len(self._former))])

    def _propose(self, index, best, leader):
        here, n_dims = self._position[index], len(leader)
        pulls = self._random.uniform(size=(2, _N_MOVES, n_dims))
        moves = (
            here
            + _INERTIA * self._velocity[index]
            + _COGNITIVE * pulls[0] * (best - here)
            + _SOCIAL * pulls[1] * (leader - here)
        )
        lengths = np.exp(self._random.uniform(*np.log(_STEPS), size=(_N_STEPS, 1)))
        origins = np.where(self._random.uniform(size=(_N_STEPS, 1)) < 0.5, best, leader)
        steps = origins + lengths * self._random.normal(size=(_N_STEPS, n_dims))
        # only along some axes, because few parameters matter at a time
        steps = np.where(self._random.uniform(size=steps.shape) < 0.5, steps, origins)
        anywhere = self._random.uniform(size=(_N_ANYWHERE, n_dims))
        return _reflect(np.vstack([moves, steps, anywhere]))

    def _sobol(self, n_points, n_dims):
        with warnings.catch_warnings():
            # Sobol's warning that only powers of two are balanced
            warnings.simplefilter("ignore", UserWarning)
            return qmc.Sobol(n_dims, rng=self._random.randint(2**31 - 1)).random(n_points)


def _reflect(positions):
    folded = np.mod(positions, 2.0)
    return np.where(folded > 1.0, 2.0 - folded, folded)
