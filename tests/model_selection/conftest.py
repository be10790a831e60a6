"""Data that the tests of searches share."""

import pytest
from model_selection.toys import shaken_molecules
from sklearn.datasets import make_regression


@pytest.fixture(scope="module")
def data():
    return make_regression(60, 6, n_informative=4, noise=3.0, random_state=0)


@pytest.fixture(scope="module")
def frames():
    return shaken_molecules()
