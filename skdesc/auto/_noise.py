"""Adjust noise levels to minimize the errors on held-back structures."""

from __future__ import annotations

from collections.abc import Callable

# Least noise: labels from electronic structure calculations are not more precise, and a model that
# reproduces their errors generalizes badly where data are sparse.
LEAST = {"sigma_energy": 1e-6, "sigma_forces": 1e-3, "sigma_virials": 0.01}
LARGEST = {"sigma_energy": 1.0, "sigma_forces": 10.0, "sigma_virials": 10.0}

# a smaller gain of the score is not significant, because few structures are held back
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

    All levels are changed together first, which determines how closely the model follows the data,
    then one by one, which determines the weight of each quantity.

    Parameters
    ----------
    noise : dict of str to float
        Initial levels by parameter.
    quantities : tuple of str
        Quantities that are learned.
    factors : tuple of float
        Factors to try, coarse ones first.
    evaluate : callable
        Returns the score of noise levels; the larger, the better; minus infinity if forbidden.
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
