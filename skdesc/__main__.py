"""Run the command line: ``python -m skdesc``."""

import sys

from ._cli import main

if __name__ == "__main__":
    sys.exit(main())
