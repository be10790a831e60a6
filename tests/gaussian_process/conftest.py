"""Toy data that all tests of the regressor share."""

import pytest
from helpers.toy_data import SPECIES, make_frames, reference
from helpers.toy_descriptor import ToyDescriptor
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Matrices are tiny here: threads would do nothing but wait for one another."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def toy():
    return ToyDescriptor(SPECIES)


@pytest.fixture(scope="session")
def frames():
    return make_frames()


@pytest.fixture(scope="session")
def features(toy, frames):
    return toy.transform(frames)


@pytest.fixture(scope="session")
def targets(frames):
    """Energies, and a dict of forces and virials."""
    return reference(frames)
