"""Central differences by positions and by strain, and the order at which they converge."""

import numpy as np


def displaced(structures, directions, step):
    """Move all atoms along directions (n_atoms, 3)."""
    return structures.with_positions(structures.positions + step * directions)


def strained(structures, strain, step):
    """Deform positions and cells by a strain (3, 3)."""
    deformation = np.eye(3) + step * strain
    return structures.with_positions(
        structures.positions @ deformation, structures.cells @ deformation
    )


def assert_second_order(derivative, function, move, steps):
    """Central differences of ``function(move(step))`` approach the derivative as step^2.

    Errors at the last step must be below those at the first by the square of the ratio of
    steps, within a factor of two and what rounding of the function adds, and be small against the
    derivative.
    """

    def deviation(step):
        return np.abs(function(move(step)) - function(move(-step)) - 2 * step * derivative).max()

    errors = [deviation(step) / (2 * step) for step in steps]
    # for tiny steps, rounding is all that is left
    rounding = max(deviation(factor * steps[-1]) for factor in (1e-5, 3e-5, 1e-4))
    scale = np.abs(derivative).max()
    ratio = (steps[0] / steps[-1]) ** 2
    assert errors[-1] < 1e-3 * scale, f"errors {errors} at a scale of {scale}"
    limit = 2 * errors[0] / ratio + rounding / steps[-1]
    assert errors[-1] < limit, f"errors {errors} do not fall by {ratio}"
