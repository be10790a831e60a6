"""``skdesc evaluate``: compare predictions with reference data."""

from __future__ import annotations

import json

import numpy as np

from ._data import config_types, read_frames, read_targets
from ._models import load_model
from ._predict import predict_in_chunks


def evaluate(args):
    """Print errors of a model."""
    args.std = False
    model = load_model(args)
    frames = read_frames(args)
    y, targets = read_targets(frames, args)
    parts = [predicted for _, predicted in predict_in_chunks(model, frames, args)]
    energies = np.concatenate([part[0] for part in parts])
    n_atoms = np.array([len(atoms) for atoms in frames])
    errors = {"energy": _differences(energies[:, None], y[:, None], n_atoms)}
    if "forces" in targets:
        predicted = [block for part in parts for block in part[-2]]
        errors["forces"] = _differences(predicted, targets["forces"], np.ones(len(frames)))
    if "virials" in targets:
        predicted = np.concatenate([part[-1] for part in parts])
        errors["virials"] = _differences(predicted, targets["virials"], n_atoms)
    groups = {"all": np.arange(len(frames))}
    if args.by_config_type:
        kinds = np.array(config_types(frames))
        groups |= {kind: np.flatnonzero(kinds == kind) for kind in np.unique(kinds)}
    table = _summarize_groups(errors, groups)
    print(json.dumps(table, indent=1) if args.json else _format(table))
    return 0


def _summarize_groups(errors, groups):
    return {
        name: {
            quantity: _summary([values[i] for i in index]) for quantity, values in errors.items()
        }
        for name, index in groups.items()
    }


def _differences(predicted, true, divisors):
    """Errors of each structure, flat; empty where there is nothing to compare with."""
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


def _format(table):
    units = {"energy": "meV/atom", "forces": "meV/A", "virials": "meV/atom"}
    width = max(len(name) for name in table)
    lines = [f"{'':{width}}  {'':16}  {'count':>9}  {'RMSE':>10}  {'MAE':>10}  {'max':>10}"]
    for name, rows in table.items():
        for quantity, row in rows.items():
            label = f"{quantity} {units[quantity]}"
            values = "".join(
                f"  {'-' if row[key] is None else format(1000 * row[key], '.4g'):>10}"
                for key in ("rmse", "mae", "max")
            )
            lines.append(f"{name:{width}}  {label:16}  {row['count']:>9}{values}")
    return "\n".join(lines)
