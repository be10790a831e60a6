"""Messages on the screen."""

from __future__ import annotations

import sys
import time


class Progress:
    """Tells what is done, and how long it took."""

    def __init__(self, quiet):
        self.quiet, self.start = quiet, time.perf_counter()

    def say(self, text):
        if not self.quiet:
            print(f"[{time.perf_counter() - self.start:7.1f} s] {text}", file=sys.stderr)
