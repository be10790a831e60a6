"""Settings for all tests."""

import os

# interpreters that tests start find the installed package, not the folder of its sources
os.environ.setdefault("PYTHONSAFEPATH", "1")
