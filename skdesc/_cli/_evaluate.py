"""``skdesc evaluate``: compare predictions with reference data."""

from __future__ import annotations

import json

from ._console import Progress
from ._data import read_frames, read_targets
from ._errors import check_picture, draw, error_table, format_table, predictions
from ._models import load_for_predictions


def evaluate(args):
    """Print the errors of a model."""
    check_picture(args.plot)
    model = load_for_predictions(args)
    frames = read_frames(args)
    y, targets = read_targets(frames, args)
    predicted = predictions(model, frames, args)
    by = [name for name in ("config_type", "element") if getattr(args, f"by_{name}")]
    table = error_table(predicted, frames, y, targets, by)
    text = json.dumps(table, indent=1) if args.json else format_table(table)
    print(text)
    progress = Progress(args)
    progress.log(text)
    if args.plot:
        draw(args.plot, {"": (frames, y, targets, predicted)})
        progress.say(f"wrote {args.plot}")
    return 0
