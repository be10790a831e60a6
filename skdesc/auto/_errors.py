"""Errors of predictions by quantity, and comparison of models by their errors."""

from __future__ import annotations

import numpy as np

from ._data import LabeledStructures

TOLERANCE = 1.02
"""A model is no worse than another if no error exceeds that of the other by this factor."""

ENERGY_WEIGHT = 0.25
"""Tolerance for energies in small fits, whose few energies vary more with the choice of structures
than the many forces."""

# penalty on the score per unit of the logarithm of an error relative to the default's, if above 1
_PENALTY = 10.0
# keeps logarithms finite if a model is exact, in eV
_SMALLEST = 1e-9


def predict_all(model, data: LabeledStructures, X=None) -> dict:
    """Predict all quantities for which some structures have targets.

    Parameters
    ----------
    model : GAPRegressor or Pipeline
        Fitted model.
    data : LabeledStructures
        The structures.
    X : AtomicFeatures, default=None
        Input of the model; by default the structures.

    Returns
    -------
    dict
        Predictions by quantity: "energy", and "forces" and "virials" if the data have them.
    """
    derivatives = [name for name in ("forces", "virials") if name in data.quantities]
    X = data.frames if X is None else X
    predicted = model.predict(X, **{f"return_{name}": True for name in derivatives})
    names = ["energy", *derivatives]
    return dict(zip(names, predicted if derivatives else [predicted], strict=True))


def residuals(data: LabeledStructures, predicted: dict) -> dict[str, list[np.ndarray]]:
    """Compute differences of predictions and targets, structure by structure.

    Parameters
    ----------
    data : LabeledStructures
        The structures.
    predicted : dict
        Predictions by quantity, from :func:`predict_all`.

    Returns
    -------
    dict of str to list of ndarray
        A flat array for each structure, empty if it has no target: energies and virials in eV per
        atom, forces in eV/angstrom.
    """
    n_atoms = data.n_atoms
    targets = {"energy": data.y, "forces": data.forces, "virials": data.virials}
    result = {}
    for quantity in data.quantities:
        if quantity not in predicted:
            continue
        divisors = np.ones(len(data)) if quantity == "forces" else n_atoms
        result[quantity] = [
            _known_differences(value, target, divisor)
            for value, target, divisor in zip(
                predicted[quantity], targets[quantity], divisors, strict=True
            )
        ]
    return result


def _known_differences(predicted, target, divisor) -> np.ndarray:
    if target is None:
        return np.empty(0)
    difference = (np.ravel(predicted) - np.ravel(target)) / divisor
    return difference[np.isfinite(difference)]


def composition_residuals(data: LabeledStructures, split) -> dict[str, list[np.ndarray]]:
    """Compute residuals of a linear fit of the energies to the composition.

    Parameters
    ----------
    data : LabeledStructures
        All structures.
    split : list of (train, held_back)
        Index arrays.

    Returns
    -------
    dict of str to list of ndarray
        Residuals of "energy" of the held-back structures, fold after fold.
    """
    fractions = data.n_atoms_of_elements / data.n_atoms[:, np.newaxis]
    y = data.y / data.n_atoms
    blocks = []
    for train, held_back in split:
        known = train[np.isfinite(y[train])]
        slopes = np.linalg.lstsq(fractions[known], y[known], rcond=None)[0]
        differences = fractions[held_back] @ slopes - y[held_back]
        blocks += [value[np.isfinite(value)] for value in differences[:, np.newaxis]]
    return {"energy": blocks}


def tightest(references, step: int = 1) -> dict[str, float] | None:
    """Return the smallest errors among several models, over every `step`-th structure.

    Parameters
    ----------
    references : sequence of dict of str to list of ndarray
        Residuals of each model.
    step : int, default=1
        Step between the structures that are used.

    Returns
    -------
    dict of str to float or None
        Errors as in :func:`errors_of`; None if there are no models.
    """
    limits: dict[str, float] = {}
    for reference in references:
        errors = errors_of({name: blocks[::step] for name, blocks in reference.items()})
        for name, value in errors.items():
            limits[name] = min(value, limits.get(name, np.inf))
    return limits or None


def errors_of(differences: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """Compute mean absolute and root mean square errors.

    Parameters
    ----------
    differences : dict of str to list of ndarray
        Residuals from :func:`residuals`.

    Returns
    -------
    dict of str to float
        Keys such as "energy_mae" and "forces_rmse", in the units of the differences; quantities
        without any known value are left out.
    """
    errors = {}
    for quantity, blocks in differences.items():
        values = np.concatenate([np.empty(0), *blocks])
        if values.size:
            errors[f"{quantity}_mae"] = float(np.mean(np.abs(values)))
            errors[f"{quantity}_rmse"] = float(np.sqrt(np.mean(np.square(values))))
    return errors


def ratios(errors: dict[str, float], reference: dict[str, float]) -> dict[str, float]:
    """Divide errors by those of another model, for all quantities that both have."""
    return {
        name: max(errors[name], _SMALLEST) / max(reference[name], _SMALLEST)
        for name in errors
        if name in reference
    }


def is_no_worse(errors: dict[str, float], reference: dict[str, float] | None) -> bool:
    """Whether no error exceeds that of another model by more than :data:`TOLERANCE`."""
    return reference is None or all(r <= TOLERANCE for r in ratios(errors, reference).values())


def score(
    errors: dict[str, float],
    reference: dict[str, float] | None = None,
    energy_weight: float = 0.5,
) -> float:
    """Compute minus the mean logarithm of the errors of energies and forces.

    Relative improvements count equally, whatever the units. Absolute and square errors both
    count, because square errors are often dominated by one or two structures.

    Parameters
    ----------
    errors : dict of str to float
        Errors from :func:`errors_of`.
    reference : dict of str to float, default=None
        Errors that should not be exceeded; every quantity that exceeds them, virials included,
        lowers the score.
    energy_weight : float, default=0.5
        Weight of energies if there are forces, whose weight is ``1 - energy_weight``.

    Returns
    -------
    float
        The score; the larger, the better.
    """
    logarithms = {name: np.log(max(value, _SMALLEST)) for name, value in errors.items()}
    means = [
        np.mean([value for name, value in logarithms.items() if name.startswith(quantity)])
        for quantity in ("energy", "forces")
        if f"{quantity}_mae" in errors
    ]
    weights = [energy_weight, 1.0 - energy_weight][: len(means)]
    result = -float(np.average(means, weights=weights if len(means) > 1 else None))
    if reference is not None:
        excess = [np.log(r) for r in ratios(errors, reference).values()]
        result -= _PENALTY * sum(max(0.0, value) for value in excess)
    return result
