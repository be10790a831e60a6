"""``skdesc fit``: fit a potential and save it."""

from __future__ import annotations

import shlex
from contextlib import nullcontext

import numpy as np
from joblib import parallel_config

from ..auto._data import LabeledStructures
from ..auto._report_model import model_page
from ..utils.files import replace_file
from ._build import make_pipeline, sigmas_of_each
from ._console import Progress
from ._data import config_types, count, read_frames, read_more, read_targets
from ._errors import check_picture, draw, error_table, format_table, predictions
from ._models import check_folder, check_output, save_model

# names of the sets in a report, by their options
_NAMES = {"train": "training", "valid": "validation", "test": "test"}


def fit(args):
    """Fit a potential and save it."""
    progress = Progress(args)
    pipeline = make_pipeline(args)
    check_output(args.output, pipeline)
    check_pages(args)
    frames, y, targets = read_training(args, progress)
    others = read_others(args)
    fit_and_save(pipeline, frames, y, targets, args, progress, others)
    return 0


def read_others(args):
    """Read the structures of ``--valid`` and ``--test`` early, so that errors come first."""
    return {name: read_more(getattr(args, name), args)
            for name in ("valid", "test") if getattr(args, name)}


def read_training(args, progress):
    frames = read_frames(args)
    y, targets = read_targets(frames, args)
    n_energies = np.isfinite(y).sum()
    n_forces, n_virials = count(targets)
    progress.say(
        f"read {len(frames)} structures with {sum(map(len, frames))} atoms: {n_energies} "
        f"energies, {n_forces} force components, {n_virials} virials"
    )
    return frames, y, targets


def make_metadata(frames, targets, args):
    """Collect the arguments of ``fit`` other than structures and energies."""
    metadata = dict(targets)
    if args.sparse_method == "config":
        metadata["config_types"] = config_types(frames)
    if args.config_sigma:
        asked = sigmas_of_each(args, config_types(frames))
        metadata["sigmas"] = np.where(np.isnan(asked), metadata.get("sigmas", np.nan), asked)
    return metadata


def check_pages(args):
    """Refuse pictures and reports that could not be written, before the computation."""
    check_picture(args.plot)
    if args.report is not None:
        check_folder(args.report)


def fit_and_save(pipeline, frames, y, targets, args, progress, others, search=None):
    metadata = make_metadata(frames, targets, args)
    # all cores by default; stored models do not keep this setting
    with nullcontext() if args.jobs is not None else parallel_config(n_jobs=-1):
        pipeline.fit(frames, y, **{f"gap__{key}": value for key, value in metadata.items()})
    gap = pipeline["gap"]
    n_atoms = np.array([len(atoms) for atoms in frames])
    loo = np.sqrt(np.nanmean((gap.loo_ / n_atoms) ** 2))
    progress.say(
        f"fitted {len(gap.weights_)} sparse points; leave-one-out RMSE of energies: "
        f"{1000 * loo:.3g} meV/atom"
    )
    save_model(pipeline, args.output)
    progress.say(f"wrote {args.output}")
    data = {"train": (frames, y, targets), **others}
    if others or args.plot is not None:
        _tell_errors(pipeline, data, args, progress)
    if args.report is not None:
        _report(pipeline, data, args, search)
        progress.say(f"wrote {args.report}")


def _tell_errors(pipeline, all_data, args, progress):
    sets = {}
    for name, data in all_data.items():
        sets[name] = (*data, predictions(pipeline, data[0], args))
        by = ("config_type", "element")
        table = error_table(sets[name][-1], *data, by=by)
        progress.say(f"errors of {name} structures:\n{format_table(table)}")
    if args.plot is not None:
        draw(args.plot, sets)
        progress.say(f"wrote {args.plot}")


def _report(pipeline, all_data, args, search):
    """Write the page of ``--report``."""
    sets = {}
    for name, (frames, y, targets) in all_data.items():
        kinds = config_types(frames)
        known = kinds if any("config_type" in atoms.info for atoms in frames) else None
        sets[_NAMES[name]] = LabeledStructures(
            list(frames), y, targets.get("forces"), targets.get("virials"), config_types=known
        )
    page = model_page(pipeline, sets, command=shlex.join(args.command_line),
                      warnings=args.warnings, search=search)
    with replace_file(args.report, "--report") as file:
        file.write(page.encode("utf-8"))
