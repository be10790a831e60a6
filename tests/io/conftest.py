"""A potential and its file, which several modules of tests read."""

import pytest
from helpers.potentials import fit_potential

from skdesc.io import save


@pytest.fixture(scope="module")
def potential():
    return fit_potential()


@pytest.fixture(scope="module")
def saved(potential, tmp_path_factory):
    path = tmp_path_factory.mktemp("io") / "potential.skd"
    save(potential, path)
    return path
