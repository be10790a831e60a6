"""Settings and data for all tests."""

import os

import pytest
from helpers.systems import crowded

# interpreters that tests start find the installed package, not the folder of its sources
os.environ.setdefault("PYTHONSAFEPATH", "1")


@pytest.fixture(scope="session")
def crowd():
    """Enough atoms for several threads to take part."""
    return crowded()
