"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replace_file(path, name="path"):
    """Open a new file that takes the place of an old one when all is written.

    Until then the old file stays as it is, whatever happens: the new one is written beside it,
    brought to the disk, and only then given its name.

    Parameters
    ----------
    path : str or path-like
        Where the file shall be. Of a link, what it points at is replaced.
    name : str, default="path"
        How error messages call the argument.

    Yields
    ------
    file : binary file
        To write to.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"{name}={str(path)!r} cannot be written, the folder {str(target.parent)!r} does not "
            "exist; make it"
        )
    if target.is_dir():
        raise IsADirectoryError(f"{name}={str(path)!r} is a folder; name a file")
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        with open(partial, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(partial)
        raise
    # the name, too, has to reach the disk; not every system lets a folder be opened
    with suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
