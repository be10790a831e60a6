"""The commands."""

from __future__ import annotations

import json
import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.pipeline import FeatureUnion, Pipeline
from tqdm import tqdm

from ..exceptions import SuspiciousTargetsWarning, UntrustworthyFitWarning
from ..gaussian_process import GAPRegressor
from ..io import load, read_quip_xml, save, write_quip_xml
from ..io._quip_packing import BASES
from ._build import make_pipeline, make_spaces, sigmas_of_each
from ._data import config_types, count, read_frames, read_targets, write_frames

_ATOMS_PER_CHUNK = 2000


class _Progress:
    """Tells what is done, and how long it took."""

    def __init__(self, quiet):
        self.quiet, self.start = quiet, time.perf_counter()

    def say(self, text):
        if not self.quiet:
            print(f"[{time.perf_counter() - self.start:7.1f} s] {text}", file=sys.stderr)


def fit(args):
    """Fit a potential and save it."""
    progress = _Progress(args.quiet)
    pipeline = make_pipeline(args)
    _check_output(args.output, pipeline)
    frames, y, targets = _read_training(args, progress)
    _fit_and_save(pipeline, frames, y, targets, args, progress)
    return 0


def tune(args):
    """Search for parameters, fit with them and save."""
    from ..metrics import make_energy_scorer, make_forces_scorer
    from ..model_selection import TwoStagePSOSearchCV

    progress = _Progress(args.quiet)
    if args.every < 1:
        raise ValueError(f"--every is {args.every}, but must be at least 1")
    pipeline = make_pipeline(args)
    _check_output(args.output, pipeline)
    frames, y, targets = _read_training(args, progress)
    some = slice(None, None, args.every)
    metadata = _metadata(frames, targets, args)
    chosen = {key: values[some] for key, values in metadata.items()}
    spaces = make_spaces(args, pipeline, frames[some], targets)
    score = "forces" if args.score == "auto" and "forces" in targets else args.score
    if score == "forces" and "forces" not in targets:
        raise ValueError("--score is forces, but there are none; use --score energy")
    searched = clone(pipeline).set_params(gap__n_sparse=args.search_n_sparse)
    search = TwoStagePSOSearchCV(
        searched,
        *spaces,
        n_particles=args.n_particles,
        n_iterations=args.n_iterations,
        stage_one_objective=args.objective,
        scoring=make_forces_scorer() if score == "forces" else make_energy_scorer(),
        cv=KFold(args.folds, shuffle=True, random_state=args.seed),
        refit=False,
        max_time=args.max_time,
        checkpoint=args.checkpoint,
        random_state=args.seed,
        verbose=0 if args.quiet else 1,
    )
    with config_context(enable_metadata_routing=True), warnings.catch_warnings():
        # swarms visit the worst of settings; the fit of the best warns of its own
        for category in (SuspiciousTargetsWarning, UntrustworthyFitWarning):
            warnings.simplefilter("ignore", category)
        search.fit(frames[some], y[some], **chosen)
    unit = "eV/A" if score == "forces" else "eV/atom"
    progress.say(
        f"{search.n_models_trained_} models trained; cross-validated RMSE of the best: "
        f"{-search.best_score_:.4g} {unit}"
    )
    for name, value in search.best_params_.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        progress.say(f"    {name} = {shown}")
    pipeline.set_params(**search.best_params_)
    _fit_and_save(pipeline, frames, y, targets, args, progress)
    return 0


def predict(args):
    """Write structures with predictions."""
    progress = _Progress(args.quiet)
    _check_folder(args.output)
    model = _load(args)
    frames = read_frames(args.files)
    progress.say(f"read {len(frames)} structures")
    results = []
    for part, predicted in _predict_in_chunks(model, frames, args):
        energies, forces, virials = predicted[0], predicted[-2], predicted[-1]
        for index, atoms in enumerate(part):
            copy = atoms.copy()
            found = {"energy": float(energies[index]), "forces": forces[index]}
            if copy.cell.rank == 3:
                found["stress"] = full_3x3_to_voigt_6_stress(
                    -virials[index] / copy.get_volume()
                )
            for key in found:  # what came along under the same names would hide the results
                copy.info.pop(key, None)
                copy.arrays.pop(key, None)
            if args.std:
                copy.info["energy_std"] = float(predicted[1][index])
            copy.calc = SinglePointCalculator(copy, **found)
            results.append(copy)
    write_frames(args.output, results)
    progress.say(f"wrote {args.output}")
    return 0


def evaluate(args):
    """Print errors of a model."""
    args.std = False
    model = _load(args)
    frames = read_frames(args.files)
    y, targets = read_targets(frames, args)
    parts = [predicted for _, predicted in _predict_in_chunks(model, frames, args)]
    energies = np.concatenate([part[0] for part in parts])
    n_atoms = np.array([len(atoms) for atoms in frames])
    errors = {"energy": list(((energies - y) / n_atoms)[:, None])}
    if "forces" in targets:
        predicted = [block for part in parts for block in part[-2]]
        errors["forces"] = _differences(predicted, targets["forces"], np.ones(len(frames)))
    if "virials" in targets:
        predicted = np.concatenate([part[-1] for part in parts])
        errors["virials"] = _differences(predicted, targets["virials"], n_atoms)
    kinds = np.array(config_types(frames))
    groups = {"all": np.arange(len(frames))}
    if args.by_config_type:
        groups |= {kind: np.flatnonzero(kinds == kind) for kind in np.unique(kinds)}
    table = {name: {quantity: _summary([values[i] for i in index])
                    for quantity, values in errors.items()}
             for name, index in groups.items()}  # fmt: skip
    print(json.dumps(table, indent=1) if args.json else _format(table))
    return 0


def convert(args):
    """Turn a model into another kind of file."""
    _check_folder(args.output)
    args.jobs = None
    _save(_load(args), args.output)
    return 0


COMMANDS = {"fit": fit, "tune": tune, "predict": predict, "evaluate": evaluate, "convert": convert}


def _check_folder(path):
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{path} cannot be written, its folder does not exist; make it")


def _check_output(path, pipeline):
    _check_folder(path)
    if not _is_xml(path):
        return
    basis = pipeline["soap"].radial_basis
    if basis not in BASES:
        raise ValueError(f"{path} shall be a potential for QUIP, which has no radial basis "
                         f"{basis}; give --radial-basis equispaced")
    if pipeline["gap"].baseline is not None:
        raise ValueError(f"{path} shall be a potential for QUIP, whose format has no baseline; "
                         "leave out --zbl")


def _read_training(args, progress):
    frames = read_frames(args.files)
    y, targets = read_targets(frames, args)
    n_forces, n_virials = count(targets)
    progress.say(
        f"read {len(frames)} structures with {sum(map(len, frames))} atoms: {len(y)} energies, "
        f"{n_forces} force components, {n_virials} virials"
    )
    return frames, y, targets


def _metadata(frames, targets, args):
    """What fit takes beside structures and energies."""
    metadata = dict(targets)
    if args.sparse_method == "config":
        metadata["config_types"] = config_types(frames)
    if args.config_sigma:
        metadata["sigmas"] = sigmas_of_each(args, config_types(frames))
    return metadata


def _fit_and_save(pipeline, frames, y, targets, args, progress):
    metadata = _metadata(frames, targets, args)
    pipeline.fit(frames, y, **{f"gap__{key}": value for key, value in metadata.items()})
    gap = pipeline["gap"]
    n_atoms = np.array([len(atoms) for atoms in frames])
    loo = np.sqrt(np.mean((gap.loo_ / n_atoms) ** 2))
    progress.say(
        f"fitted {len(gap.weights_)} sparse points; leave-one-out RMSE of energies: "
        f"{1000 * loo:.3g} meV/atom"
    )
    _save(pipeline, args.output)
    progress.say(f"wrote {args.output}")


def _is_xml(path):
    return Path(path).suffix.lower() == ".xml"


def _save(pipeline, path):
    if _is_xml(path):
        write_quip_xml(pipeline, path)
    else:
        save(pipeline, path)


def _load(args):
    model = read_quip_xml(args.model) if _is_xml(args.model) else load(args.model)
    if not isinstance(model, Pipeline) or not isinstance(model[-1], GAPRegressor):
        raise ValueError(f"{args.model} holds a {type(model).__name__}, but a pipeline that ends "
                         "in a GAPRegressor is needed")
    if args.jobs is not None:
        first, last = model[0], model[-1]
        members = [step for _, step in first.transformer_list] if isinstance(
            first, FeatureUnion) else [first]  # fmt: skip
        for step in (*members, last):
            step.set_params(n_jobs=args.jobs)
    return model


def _predict_in_chunks(model, frames, args):
    """Yield structures, and energies, [std,] forces, virials."""
    ends = np.cumsum([len(atoms) for atoms in frames]) // _ATOMS_PER_CHUNK
    starts = [*np.flatnonzero(np.diff(ends, prepend=-1)), len(frames)]
    with tqdm(total=len(frames), unit="structure", disable=args.quiet) as bar:
        for start, stop in pairwise(starts):
            part = frames[start:stop]
            yield part, model.predict(
                part, return_std=args.std, return_forces=True, return_virials=True
            )
            bar.update(len(part))


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
