"""Toy data that all tests of the regressor share."""

import pytest
from helpers.toy_data import SPECIES, make_frames, reference
from helpers.toy_descriptor import ToyDescriptor


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
    return reference(frames)
