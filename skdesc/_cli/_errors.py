"""Errors of a model: tables by config_type and element, and parity plots."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ._data import config_types
from ._models import check_folder
from ._predict import predict_in_chunks

_UNITS = {"energy": "meV/atom", "forces": "meV/A", "virials": "meV/atom"}


def predictions(model: Any, frames: Sequence[Atoms], args: Namespace) -> dict[str, Any]:
    """Predict energies, forces and virials.

    Parameters
    ----------
    model : Pipeline
        Fitted model.
    frames : sequence of ase.Atoms
        The structures.
    args : argparse.Namespace
        Arguments of the command.

    Returns
    -------
    dict
        "energy", "forces" and "virials".
    """
    args.std = False
    parts = [predicted for _, predicted in predict_in_chunks(model, frames, args)]
    return {
        "energy": np.concatenate([part[0] for part in parts]),
        "forces": [block for part in parts for block in part[-2]],
        "virials": np.concatenate([part[-1] for part in parts]),
    }


def error_table(
    predicted: dict[str, Any], frames: Sequence[Atoms], y: np.ndarray, targets: dict,
    by: Sequence[str] = (),
) -> dict[str, dict]:
    """Compute errors of predictions.

    Parameters
    ----------
    predicted : dict
        From :func:`predictions`.
    frames : sequence of ase.Atoms
        The structures.
    y : ndarray of shape (n_structures,)
        Energies, in eV.
    targets : dict
        Forces and virials, if there are some.
    by : sequence of str, default=()
        Groups for which to add errors: "config_type", "element".

    Returns
    -------
    dict of str to dict
        For each group and quantity "count", "rmse", "mae" and "max", in eV per atom and eV/A.
    """
    n_atoms = np.array([len(atoms) for atoms in frames])
    errors = {"energy": _differences(predicted["energy"][:, None], y[:, None], n_atoms)}
    if "forces" in targets:
        errors["forces"] = _differences(predicted["forces"], targets["forces"],
                                        np.ones(len(frames)))
    if "virials" in targets:
        errors["virials"] = _differences(predicted["virials"], targets["virials"], n_atoms)
    table = {"all": _summaries(errors, range(len(frames)))}
    if "config_type" in by:
        kinds = np.array(config_types(frames))
        table |= {str(kind): _summaries(errors, np.flatnonzero(kinds == kind))
                  for kind in np.unique(kinds)}
    if "element" in by and "forces" in targets:
        table |= _forces_by_element(predicted["forces"], targets["forces"], frames)
    return table


def _forces_by_element(predicted, true, frames):
    symbols = np.concatenate([atoms.symbols for atoms in frames])
    true = np.concatenate([np.full((len(atoms), 3), np.nan) if block is None else block
                           for atoms, block in zip(frames, true, strict=True)])
    difference = np.concatenate(predicted) - true
    result = {}
    for symbol in np.unique(symbols):
        of_element = difference[symbols == symbol].ravel()
        result[f"atoms of {symbol}"] = {"forces": _summary([of_element[np.isfinite(of_element)]])}
    return result


def _summaries(errors, index):
    return {quantity: _summary([values[i] for i in index]) for quantity, values in errors.items()}


def _differences(predicted, true, divisors):
    """Return a flat array of errors per structure, empty where it has no reference data."""
    result = []
    for one, other, divisor in zip(predicted, true, divisors, strict=True):
        if other is None or not np.isfinite(other).any():
            result.append(np.empty(0))
        else:
            difference = (np.asarray(one) - other).ravel() / divisor
            result.append(difference[np.isfinite(difference)])
    return result


def _summary(errors):
    errors = np.concatenate(errors)
    if errors.size == 0:
        return {"count": 0, "rmse": None, "mae": None, "max": None}
    return {
        "count": int(errors.size),
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "mae": float(np.mean(np.abs(errors))),
        "max": float(np.abs(errors).max()),
    }


def format_table(table: dict[str, dict]) -> str:
    """Format a table for the screen.

    Parameters
    ----------
    table : dict
        From :func:`error_table`.

    Returns
    -------
    str
        Text of the table, in meV and angstrom.
    """
    width = max(len(name) for name in table)
    lines = [f"{'':{width}}  {'':16}  {'count':>9}  {'RMSE':>10}  {'MAE':>10}  {'max':>10}"]
    for name, rows in table.items():
        for quantity, row in rows.items():
            label = f"{quantity} {_UNITS[quantity]}"
            values = "".join(
                f"  {'-' if row[key] is None else format(1000 * row[key], '.4g'):>10}"
                for key in ("rmse", "mae", "max")
            )
            lines.append(f"{name:{width}}  {label:16}  {row['count']:>9}{values}")
    return "\n".join(lines)


def check_picture(path: str | None) -> None:
    """Refuse a picture that could not be written, before the computation.

    Parameters
    ----------
    path : str or None
        File of the picture.
    """
    if path is None:
        return
    check_folder(path)
    if Path(path).suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ValueError(f"--plot is {path!r}, but its name must end with .png, .pdf or .svg")


def draw(path: str, sets: dict[str, tuple]) -> None:
    """Plot predictions against reference data.

    Parameters
    ----------
    path : str
        File of the picture.
    sets : dict of str to tuple
        Structures, energies, targets and predictions, by the name of the set.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from ..plotting import ParityDisplay

    has_forces = any("forces" in targets for _, _, targets, _ in sets.values())
    figure = Figure(figsize=(10 if has_forces else 5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(1, 2 if has_forces else 1))
    for name, (frames, y, targets, predicted) in sets.items():
        known = np.isfinite(y)
        n_atoms = np.array([len(atoms) for atoms in frames])
        if known.any():
            ParityDisplay.from_predictions(y[known], predicted["energy"][known],
                                           n_atoms=n_atoms[known], name=name, ax=axes[0])
        blocks = [(true, block) for true, block in
                  zip(targets.get("forces", ()), predicted["forces"], strict=False)
                  if true is not None and np.isfinite(true).all()]
        if blocks:
            true, block = zip(*blocks, strict=True)
            ParityDisplay.from_predictions(true, block, quantity="forces", name=name, ax=axes[1])
    figure.savefig(path, dpi=150)
