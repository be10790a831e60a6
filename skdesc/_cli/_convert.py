"""``skdesc convert``: convert a model to another kind of file."""

from __future__ import annotations

from ._models import check_folder, load_model, save_model


def convert(args):
    """Convert a model to another kind of file."""
    check_folder(args.output)
    save_model(load_model(args), args.output)
    return 0
