"""Messages on the screen and in the log file."""

from __future__ import annotations

import sys
import time
from argparse import Namespace


class Progress:
    """Tells what is done, and how long it took.

    Parameters
    ----------
    args : argparse.Namespace
        Has `quiet`, and the open file `log_file` if there is one.
    """

    def __init__(self, args: Namespace) -> None:
        self.args, self.start = args, time.perf_counter()

    def say(self, text: str) -> None:
        """Write a message to the screen, unless it shall be quiet, and to the log."""
        text = f"[{time.perf_counter() - self.start:7.1f} s] {text}"
        if not self.args.quiet:
            print(text, file=sys.stderr)
        self.log(text)

    def log(self, text: str) -> None:
        """Write to the log alone."""
        write_log(self.args, text)


def write_log(args: Namespace, text: str) -> None:
    """Write a line to the log file, if there is one.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command.
    text : str
        The line.
    """
    file = getattr(args, "log_file", None)
    if file is not None:
        print(text, file=file, flush=True)
