"""``skdesc auto``: find the best potential within a given time, and write a report."""

from __future__ import annotations

import shlex
from argparse import Namespace

from ..auto import AutoPotential
from ._console import Progress
from ._data import read_more
from ._fit import read_training
from ._models import check_folder, is_xml, save_model


def auto(args: Namespace) -> int:
    """Search for a potential, save it, and print its errors."""
    progress = Progress(args)
    _check(args)
    frames, y, targets = read_training(args, progress)
    test = read_more(args.test, args) if args.test else None
    potential = AutoPotential(
        time_budget=60.0 * args.minutes,
        time_per_atom=None if args.time_per_atom is None else 1e-6 * args.time_per_atom,
        n_jobs=-1 if args.jobs is None else args.jobs,
        random_state=args.seed,
        verbose=0 if args.quiet else 1,
    )
    potential.fit(frames, y, **targets)
    chosen = potential.leaderboard_[0]
    progress.say(f"chosen: {chosen['candidate']}, {chosen['n_points']} sparse points")
    for name, ratio in potential.improvement_.items():
        progress.say(f"    {name.replace('_', ' ')} held back: {_number(name, chosen[name])}, "
                     f"{ratio:.2f} of the default pipeline's")
    save_model(potential.pipeline_, args.output)
    progress.say(f"wrote {args.output}")
    if test is not None:
        for name, value in potential.errors(test[0], test[1], **test[2]).items():
            progress.say(f"    {name.replace('_', ' ')} of test structures: {_number(name, value)}")
    if args.report is not None:
        potential.report(args.report, test=test, command=shlex.join(args.command_line))
        progress.say(f"wrote {args.report}")
    return 0


def _check(args: Namespace) -> None:
    """Refuse options that would fail after the search."""
    for path in (args.output, args.report):
        if path is not None:
            check_folder(path)
    if is_xml(args.output):
        raise ValueError(
            f"--output is {args.output!r}, but must be a .skd file: QUIP's format has no words for "
            "most of the descriptors that are tried; use skdesc tune with --radial-basis equispaced"
        )
    for flag, value in (("--minutes", args.minutes), ("--time-per-atom", args.time_per_atom)):
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"{flag} is {value:g}, but must be a positive number; give one")


def _number(name: str, value: float) -> str:
    return f"{1000 * value:.3g} {'meV/A' if name.startswith('forces') else 'meV/atom'}"
