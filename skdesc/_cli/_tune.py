"""``skdesc tune``: search for good parameters, then fit."""

from __future__ import annotations

import warnings

from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import KFold

from ..exceptions import SuspiciousTargetsWarning, UntrustworthyFitWarning
from ..metrics import make_energy_scorer, make_forces_scorer
from ..model_selection import TwoStagePSOSearchCV
from ._build import make_pipeline, make_spaces
from ._console import Progress
from ._fit import fit_and_save, make_metadata, read_training
from ._models import check_output


def tune(args):
    """Search for parameters, fit with them and save."""
    progress = Progress(args.quiet)
    if args.every < 1:
        raise ValueError(f"--every is {args.every}, but must be at least 1")
    pipeline = make_pipeline(args)
    check_output(args.output, pipeline)
    frames, y, targets = read_training(args, progress)
    some = slice(None, None, args.every)
    _check_folds(args, len(frames[some]))
    metadata = make_metadata(frames, targets, args)
    chosen = {key: values[some] for key, values in metadata.items()}
    spaces = make_spaces(args, pipeline, frames[some], targets)
    if args.score == "forces" and "forces" not in targets:
        raise ValueError("--score is forces, but there are none; use --score energy")
    searched = clone(pipeline).set_params(gap__n_sparse=args.search_n_sparse)
    search = TwoStagePSOSearchCV(
        searched,
        *spaces,
        n_particles=args.n_particles,
        n_iterations=args.n_iterations,
        stage_one_objective=args.objective,
        scoring=_make_scorer(args.score, targets),
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
    pipeline.set_params(**search.best_params_)
    fit_and_save(pipeline, frames, y, targets, args, progress)
    return 0


def _make_scorer(score, targets):
    """Scorer that ``--score`` asks for; None stands for all quantities together."""
    if score == "forces":
        return make_forces_scorer()
    learns_derivatives = "forces" in targets or "virials" in targets
    return None if score == "auto" and learns_derivatives else make_energy_scorer()


def _check_folds(args, n_structures):
    """Refuse more folds than structures before anything is computed."""
    if args.folds < 2:
        raise ValueError(f"--folds is {args.folds}, but must be at least 2")
    if args.folds > n_structures:
        every = f" (one of {args.every}, --every)" if args.every > 1 else ""
        raise ValueError(
            f"--folds is {args.folds}, but must not exceed the number of structures of the search, "
            f"{n_structures}{every}; give more structures, lower --folds, or use skdesc fit"
        )
