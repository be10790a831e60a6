"""Errors of potentials relative to the spread of their targets, on one scale for all quantities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..utils.typing import PerStructure, Samples
from ._samples import attached_targets, structures_of

QUANTITIES = ("energy", "forces", "virials")
# larger relative errors hardly count, so that a few exploded structures do not dominate
_LARGEST = 3.0
# practically exact; keeps the logarithm of a mean finite
_LEAST = 1e-12
_N_REWEIGHTED = 30
# of a normal distribution, for a median absolute deviation
_MAD_TO_STD = 1.4826


@dataclass(frozen=True)
class Scales:
    """Scales that errors are compared with.

    Parameters
    ----------
    reference : ndarray of shape (n_structures,)
        Energies that the composition alone explains, in eV.
    spreads : dict of str to float
        Typical deviation of each quantity: energies per atom from the reference in eV, forces in
        eV/angstrom, virials per atom in eV.
    """

    reference: np.ndarray
    spreads: dict[str, float]


def find_scales(y, n_atoms, composition, forces=None, virials=None):
    """Spreads of the targets of a data set.

    They are median absolute deviations, which outliers do not move, times 1.4826: of energies per
    atom from a linear model of the composition, of force components from zero, and of virials per
    atom from their median.

    Parameters
    ----------
    y : ndarray of shape (n_structures,)
        Total energies; NaN where they are not known.
    n_atoms : ndarray of shape (n_structures,)
        Numbers of atoms.
    composition : ndarray of shape (n_structures, n_elements)
        Numbers of atoms of each element.
    forces : list of (ndarray of shape (n_atoms, 3) or None), default=None
        NaN where they are not known.
    virials : ndarray of shape (n_structures, 3, 3), default=None
        NaN where they are not known.

    Returns
    -------
    Scales
        A quantity without spread has that of the unit.
    """
    known = np.isfinite(y)
    reference = np.zeros(len(y))
    if known.sum() < 2 * composition.shape[1]:
        # too few to separate energies by composition
        reference = n_atoms * (np.median(y[known] / n_atoms[known]) if known.any() else 0.0)
    else:
        design = composition[known] / n_atoms[known][:, np.newaxis]
        reference = composition @ _least_absolute(design, y[known] / n_atoms[known])
    spreads = {"energy": _spread((y - reference)[known] / n_atoms[known])}
    if forces is not None:
        blocks = [np.ravel(block) for block in forces if block is not None]
        flat = np.concatenate(blocks) if blocks else np.empty(0)
        spreads["forces"] = _spread(flat, 0.0)
    if virials is not None:
        spreads["virials"] = _spread(_per_atom(virials, n_atoms).ravel())
    return Scales(reference, spreads)


def _least_absolute(design, targets):
    """Coefficients with the least sum of absolute errors, by reweighted least squares."""
    weights = np.ones(len(targets))
    for _ in range(_N_REWEIGHTED):
        rows = design * weights[:, np.newaxis], targets * weights
        model = np.linalg.lstsq(*rows, rcond=None)[0]
        size = np.abs(targets - design @ model)
        # small errors have no more weight than the median one
        weights = 1.0 / np.sqrt(np.maximum(size, 1e-3 * np.median(size) + 1e-12))
    return model


def _spread(values, centre=None):
    values = values[np.isfinite(values)]
    if values.size == 0:
        return np.nan
    centre = np.median(values) if centre is None else centre
    for spread in (_MAD_TO_STD * np.median(np.abs(values - centre)), np.std(values)):
        if spread > 0:
            return float(spread)
    return 1.0


def composition(structures):
    """Numbers of atoms of each element, ndarray of shape (n_structures, n_elements)."""
    elements, code = np.unique(structures.numbers, return_inverse=True)
    sample = np.repeat(np.arange(len(structures)), structures.n_atoms)
    counts = np.zeros((len(structures), len(elements)))
    np.add.at(counts, (sample, code), 1.0)
    return counts


def relative_errors(scales, n_atoms, true, predicted, groups=None):
    """Relative error of each quantity.

    An error is divided by the root of the square of the spread plus that of the target itself (of
    energies, of its deviation from the reference), so that a structure with absurd targets counts
    with what part of them is missed; beyond three, errors count little more. Squares are averaged
    over the components of a structure, over the structures of a group, and over groups.

    Parameters
    ----------
    scales : Scales
        Of these structures.
    n_atoms : ndarray of shape (n_structures,)
        Numbers of atoms.
    true, predicted : dict of str to array-like
        By quantity; None and NaN among `true` are left out.
    groups : sequence of length n_structures, default=None
        Such as config_type. None is one group.

    Returns
    -------
    dict of str to float
        Of the quantities of which anything is known.
    """
    errors = {}
    for quantity, targets in true.items():
        squares = _squares_by_structure(scales, n_atoms, quantity, targets, predicted[quantity])
        mean = _mean_over_groups(squares, groups)
        if mean is not None:
            errors[quantity] = float(np.sqrt(mean))
    return errors


def _squares_by_structure(scales, n_atoms, quantity, true, predicted):
    spread = scales.spreads[quantity]
    if quantity == "energy":
        true, predicted = ((np.asarray(v) - scales.reference) / n_atoms for v in (true, predicted))
        true, predicted = true[:, np.newaxis], predicted[:, np.newaxis]
    elif quantity == "virials":
        true, predicted = (_per_atom(np.asarray(v), n_atoms) for v in (true, predicted))
    squares = np.full(len(n_atoms), np.nan)
    for index, (target, value) in enumerate(zip(true, predicted, strict=True)):
        if target is None:
            continue
        target = np.asarray(target, dtype=np.float64)
        scale = np.hypot(spread, target)
        error = ((np.asarray(value) - target) / scale)[np.isfinite(target)]
        if error.size:
            squares[index] = np.mean(error**2 / (1.0 + (error / _LARGEST) ** 2))
    return squares


def _mean_over_groups(squares, groups):
    known = ~np.isnan(squares)
    if not known.any():
        return None
    if groups is None:
        return squares[known].mean()
    _, code = np.unique(np.asarray(list(map(str, groups)))[known], return_inverse=True)
    totals = np.bincount(code, squares[known]), np.bincount(code)
    return np.mean(totals[0] / totals[1])


def combine(errors):
    """Geometric mean over quantities: one per cent of any quantity counts the same.

    Parameters
    ----------
    errors : dict of str to float
        As :func:`relative_errors` gives them.

    Returns
    -------
    float
        NaN if there are none.
    """
    if not errors:
        return np.nan
    return float(np.exp(np.mean(np.log(np.maximum(list(errors.values()), _LEAST)))))


def _per_atom(virials, n_atoms):
    virials = np.asarray(virials, dtype=np.float64).reshape(-1, 9)[:, [0, 4, 8, 5, 2, 1]]
    return virials / np.asarray(n_atoms)[:, np.newaxis]


def potential_errors(
    estimator: Any,
    X: Samples,
    y: PerStructure,
    *,
    forces: PerStructure | None = None,
    virials: PerStructure | None = None,
    config_types: Sequence[Any] | None = None,
    scales: np.ndarray | None = None,
) -> dict[str, float]:
    """Errors of energies, forces and virials, each relative to the spread of its targets.

    Parameters
    ----------
    estimator : estimator
        Fitted; predicts as :class:`~skdesc.GAPRegressor` does.
    X : sequence
        Atoms, `Structures` or `AtomicFeatures`.
    y : array-like of shape (n_structures,)
        Total energies, in eV; NaN where they are not known.
    forces : sequence of array-like of shape (n_atoms, 3), default=None
        In eV/angstrom. If these and virials are None, those attached to Atoms are taken.
    virials : array-like of shape (n_structures, 3, 3), default=None
        In eV.
    config_types : sequence of length n_structures, default=None
        Kinds of the structures, over which errors are averaged.
    scales : ndarray of shape (n_structures, 4), default=None
        Energies that the composition explains, and spreads of energies per atom, forces and virials
        per atom; by default those of these structures.

    Returns
    -------
    dict of str to float
        By quantity: root mean square errors, in units of the spread for ordinary targets, and of
        the target itself where that is larger.
    """
    structures = structures_of(X)
    if structures is None:
        raise TypeError(
            f"X is of type {type(X).__name__}, whose atoms are not known; score on Atoms, "
            "Structures or AtomicFeatures"
        )
    if forces is None and virials is None and scales is None:
        attached = attached_targets(X)
        forces, virials = attached.get("forces"), attached.get("virials")
    y, n_atoms = np.asarray(y, dtype=np.float64), structures.n_atoms
    if scales is None:
        scales = find_scales(y, n_atoms, composition(structures), forces, virials)
    else:
        spreads = dict(zip(QUANTITIES, scales[0, 1:], strict=True))
        scales = Scales(scales[:, 0], spreads)
    true = {"energy": y, "forces": forces, "virials": virials}
    true = {quantity: values for quantity, values in true.items() if values is not None}
    wanted = {f"return_{quantity}": True for quantity in true if quantity != "energy"}
    predicted = estimator.predict(X, **wanted)
    predicted = dict(zip(true, predicted if wanted else [predicted], strict=True))
    return relative_errors(scales, n_atoms, true, predicted, config_types)
