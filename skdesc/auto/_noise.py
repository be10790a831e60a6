"""Noise levels with the least errors on structures held back."""

from __future__ import annotations

from collections.abc import Callable

# Least noise: labels of electronic structure theory are not converged beyond it, and models that
# follow all of their errors err most where there are few data.
LEAST = {"sigma_energy": 1e-6, "sigma_forces": 1e-3, "sigma_virials": 0.01}
LARGEST = {"sigma_energy": 1.0, "sigma_forces": 10.0, "sigma_virials": 10.0}

# a smaller gain of the score does not justify other noise: few structures are held back
_LEAST_GAIN = 0.01

PARAMETERS = {"energy": "sigma_energy", "forces": "sigma_forces", "virials": "sigma_virials"}


def adjust_noise(
    noise: dict[str, float],
    quantities: tuple[str, ...],
    factors: tuple[float, ...],
    evaluate: Callable[[dict[str, float]], float],
    has_time: Callable[[], bool],
) -> dict[str, float]:
    """Change noise levels by factors, up and down, as long as a score improves.

    All levels together come first, which decides how closely the model follows the data, then
    single ones, which decide how much each quantity counts.

    Parameters
    ----------
    noise : dict of str to float
        Levels to begin with, by parameter.
    quantities : tuple of str
        Quantities that are learned.
    factors : tuple of float
        Steps, coarse ones first.
    evaluate : callable
        Score of some noise levels; the larger, the better, minus infinity for what must not be.
    has_time : callable
        Whether another evaluation may begin.

    Returns
    -------
    dict of str to float
        The best levels.
    """
    names = [PARAMETERS[quantity] for quantity in quantities]
    groups = [names] if len(names) == 1 else [names, *([name] for name in names)]
    best, best_score = dict(noise), evaluate(noise)

    def follow(group, factor):
        """Multiply levels by a factor while the score improves."""
        nonlocal best, best_score
        has_improved = False
        while has_time():
            tried = {**best, **{name: best[name] * factor for name in group}}
            if any(not LEAST[name] <= tried[name] <= LARGEST[name] for name in group):
                break
            tried_score = evaluate(tried)
            if tried_score <= best_score + _LEAST_GAIN:
                break
            best, best_score, has_improved = tried, tried_score, True
        return has_improved

    for factor in factors:
        for group in groups:
            if not follow(group, 1.0 / factor):
                follow(group, factor)
    return best
