"""Atomic writing of files."""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed anyway
    fcntl = None

# age in seconds at which temporary files of killed processes are removed
_OLD = 3600.0


def check_regular(path, name="path"):
    """Refuse pipes and devices, from which reading may never end.

    Parameters
    ----------
    path : str or path-like
        A file that exists; links are followed.
    name : str, default="path"
        Name of the argument in error messages.

    Raises
    ------
    ValueError
        If the path is not a regular file.
    FileNotFoundError
        If the path does not exist.
    IsADirectoryError
        If the path is a folder.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{name} is {str(path)!r}, but must be a file, not a folder; name "
                                "a file in it")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{name} is {str(path)!r}, but must be a regular file, not a pipe, socket "
                         "or device; copy its content to a file")


@contextmanager
def replace_file(path, name="path"):
    """Open a new file that replaces an old one once it is complete.

    The new file is written beside the old one, synchronized to disk, and renamed at the end, so
    the old file remains intact until then. Temporary files that killed processes left behind are
    removed.

    Parameters
    ----------
    path : str or path-like
        Name of the file. If it is a link, the target of the link is replaced.
    name : str, default="path"
        Name of the argument in error messages.

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
    if target.exists():
        check_regular(target, name)
    _remove_leftovers(target)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    # gets the name of a temporary file only after the lock marks it as in use
    unlocked = partial.with_suffix(".new")
    try:
        with open(unlocked, "xb") as file:
            _lock(file)
            if fcntl:
                os.rename(unlocked, partial)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl:  # still locked
                os.replace(partial, target)
        if not fcntl:
            os.replace(unlocked, target)
    except BaseException:
        for leftover in (unlocked, partial):
            with suppress(FileNotFoundError):
                os.unlink(leftover)
        raise
    # the directory entry must reach the disk, too; some systems cannot open folders
    with suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _lock(file):
    """Tell other processes that the file is being written; some file systems have no locks."""
    if fcntl:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_leftovers(target):
    """Remove temporary files of processes that were killed while they wrote a file."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{16}}\.(part|new)")
    with suppress(OSError):
        for name in os.listdir(target.parent):
            if pattern.fullmatch(name):
                _remove_unless_written(target.with_name(name))


def _remove_unless_written(leftover):
    with suppress(OSError):  # another process may have removed it
        if leftover.suffix == ".new" and time.time() - leftover.stat().st_mtime < _OLD:
            return
        if fcntl is None:
            leftover.unlink()
            return
        with open(leftover, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: its writer is still running
            leftover.unlink()
