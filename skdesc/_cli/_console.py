"""Messages on the screen and in the log file."""

from __future__ import annotations

import sys
import time
from argparse import Namespace


class Progress:
    """Prints progress messages with the elapsed time.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments, with `quiet` and the open file `log_file`, if any.
    """

    def __init__(self, args: Namespace) -> None:
        self.args, self.start = args, time.perf_counter()

    def say(self, text: str) -> None:
        """Write a message to the log and, unless `quiet` is set, to the screen."""
        text = f"[{time.perf_counter() - self.start:7.1f} s] {text}"
        if not self.args.quiet:
            print(text, file=sys.stderr)
        self.log(text)

    def log(self, text: str) -> None:
        """Write to the log only."""
        write_log(self.args, text)


def write_log(args: Namespace, text: str) -> None:
    """Write a line to the log file, if there is one.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments of the command.
    text : str
        The line.
    """
    file = getattr(args, "log_file", None)
    if file is not None:
        print(text, file=file, flush=True)
