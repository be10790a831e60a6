"""``skdesc fit``: fit a potential and save it."""

from __future__ import annotations

import numpy as np

from ._build import make_pipeline, sigmas_of_each
from ._console import Progress
from ._data import config_types, count, read_frames, read_targets
from ._models import check_output, save_model


def fit(args):
    """Fit a potential and save it."""
    progress = Progress(args.quiet)
    pipeline = make_pipeline(args)
    check_output(args.output, pipeline)
    frames, y, targets = read_training(args, progress)
    fit_and_save(pipeline, frames, y, targets, args, progress)
    return 0


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
    """What fit takes beside structures and energies."""
    metadata = dict(targets)
    if args.sparse_method == "config":
        metadata["config_types"] = config_types(frames)
    if args.config_sigma:
        asked = sigmas_of_each(args, config_types(frames))
        metadata["sigmas"] = np.where(np.isnan(asked), metadata.get("sigmas", np.nan), asked)
    return metadata


def fit_and_save(pipeline, frames, y, targets, args, progress):
    metadata = make_metadata(frames, targets, args)
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
