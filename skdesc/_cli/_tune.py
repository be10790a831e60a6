"""``skdesc tune``: search for good parameters, then fit."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import KFold, PredefinedSplit

from ..auto._report_model import why_stopped
from ..exceptions import SuspiciousTargetsWarning, UntrustworthyFitWarning
from ..metrics import make_energy_scorer, make_forces_scorer
from ..model_selection import TwoStagePSOSearchCV
from ._build import make_pipeline, make_spaces
from ._console import Progress
from ._fit import check_pages, fit_and_save, make_metadata, read_others, read_training
from ._models import check_output


def tune(args):
    """Search for parameters, fit with them and save."""
    progress = Progress(args)
    if args.every < 1:
        raise ValueError(f"--every is {args.every}, but must be at least 1")
    pipeline = make_pipeline(args)
    check_output(args.output, pipeline)
    check_pages(args)
    frames, y, targets = read_training(args, progress)
    others = read_others(args)
    some = slice(None, None, args.every)
    if "valid" not in others:
        _check_folds(args, len(frames[some]))
    metadata = make_metadata(frames, targets, args)
    chosen = {key: values[some] for key, values in metadata.items()}
    data, cv = (frames[some], y[some], chosen), _make_folds(args)
    if "valid" in others:
        data, cv = _with_valid(data, others["valid"], args)
    spaces = make_spaces(args, pipeline, frames[some], targets)
    if args.score == "forces" and "forces" not in targets:
        raise ValueError("--score is forces, but there are none; use --score energy")
    n_jobs = -1 if args.jobs is None else args.jobs
    searched = clone(pipeline).set_params(
        gap__n_sparse=args.search_n_sparse, soap__n_jobs=n_jobs, gap__n_jobs=n_jobs
    )
    search = TwoStagePSOSearchCV(
        searched,
        *spaces,
        n_particles=args.n_particles,
        n_iterations=args.n_iterations,
        stage_one_objective=args.objective,
        scoring=_make_scorer(args.score, targets),
        cv=cv,
        refit=False,
        max_time=args.max_time,
        checkpoint=args.checkpoint,
        random_state=args.seed,
        verbose=0 if args.quiet else 1,
    )
    with config_context(enable_metadata_routing=True), warnings.catch_warnings():
        # swarms visit bad settings, too; the final fit warns for itself
        for category in (SuspiciousTargetsWarning, UntrustworthyFitWarning):
            warnings.simplefilter("ignore", category)
        search.fit(data[0], data[1], **data[2])
    _tell(search, progress)
    pipeline.set_params(**search.best_params_)
    fit_and_save(pipeline, frames, y, targets, args, progress, others, search)
    return 0


def _tell(search, progress):
    """Print what the search found, and why it stopped."""
    for number, stage in enumerate(search.stage_results_, 1):
        progress.say(f"stage {number} of the search ended as {why_stopped(stage)}")
    progress.say(f"{search.n_models_trained_} models trained; cross-validated RMSE of the best:")
    for quantity, unit in (("energy", "eV/atom"), ("forces", "eV/A"), ("virials", "eV/atom")):
        if quantity in search.comparison_:
            errors = search.comparison_[quantity]
            progress.say(
                f"    {quantity} {errors['found']:.4g} {unit}, before the search "
                f"{errors['present']:.4g}"
            )
    for name, value in search.best_params_.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        progress.say(f"    {name} = {shown}")


def _make_folds(args):
    return KFold(args.folds, shuffle=True, random_state=args.seed)


def _with_valid(data, valid, args):
    """Join training and validation structures; return them with the one fold they define."""
    frames, y, metadata = data
    new_frames, new_y, targets = valid
    more = make_metadata(new_frames, targets, args)
    fold = PredefinedSplit([-1] * len(frames) + [0] * len(new_frames))
    joined = {}
    for name in metadata.keys() | more.keys():
        parts = [part.get(name, [None] * len(of)) for part, of in
                 ((metadata, frames), (more, new_frames))]
        if name in ("virials", "sigmas"):
            shape = (3, 3) if name == "virials" else (3,)
            parts = [np.full((len(part), *shape), np.nan) if part[0] is None else part
                     for part in parts]
            joined[name] = np.concatenate(parts)
        else:
            joined[name] = [*parts[0], *parts[1]]
    return ([*frames, *new_frames], np.concatenate([y, new_y]), joined), fold


def _make_scorer(score, targets):
    """Return the scorer for ``--score``; None for all quantities together."""
    if score == "forces":
        return make_forces_scorer()
    learns_derivatives = "forces" in targets or "virials" in targets
    return None if score == "auto" and learns_derivatives else make_energy_scorer()


def _check_folds(args, n_structures):
    """Refuse more folds than structures before the computation."""
    if args.folds < 2:
        raise ValueError(f"--folds is {args.folds}, but must be at least 2")
    if args.folds > n_structures:
        every = f" (one of {args.every}, --every)" if args.every > 1 else ""
        raise ValueError(
            f"--folds is {args.folds}, but must not exceed the number of structures of the search, "
            f"{n_structures}{every}; give more structures, lower --folds, or use skdesc fit"
        )
