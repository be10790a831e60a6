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
    steps, within a factor of two, and be small against the derivative.
    """
    errors = []
    for step in steps:
        numeric = (function(move(step)) - function(move(-step))) / (2 * step)
        errors.append(np.abs(numeric - derivative).max())
    scale = np.abs(derivative).max()
    ratio = (steps[0] / steps[-1]) ** 2
    assert errors[-1] < 1e-3 * scale, f"errors {errors} at a scale of {scale}"
    assert errors[0] / errors[-1] > 0.5 * ratio, f"errors {errors} do not fall by {ratio}"
