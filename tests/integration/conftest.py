"""Molecules with energies and forces, and one cluster of processes for all tests that need it."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Matrices are tiny here: threads would do nothing but wait for one another."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def data():
    """Shaken molecules: `frames`, `y`, `forces`, and `labelled`, the same with a calculator."""
    rng = np.random.default_rng(0)
    names, frames, labelled = ["H2O", "CH4", "NH3", "CH3OH"], [], []
    for index in range(24):
        atoms = molecule(names[index % 4])
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
        frames.append(atoms)
        copy = atoms.copy()
        copy.calc = EMT()
        results = {"energy": copy.get_potential_energy(), "forces": copy.get_forces()}
        copy.calc = SinglePointCalculator(copy, **results)
        labelled.append(copy)
    y = np.array([atoms.get_potential_energy() for atoms in labelled])
    forces = [atoms.get_forces() for atoms in labelled]
    return SimpleNamespace(frames=frames, labelled=labelled, y=y, forces=forces)


@pytest.fixture(scope="session")
def cluster():
    """A scheduler and two worker processes on this machine."""
    distributed = pytest.importorskip("distributed")
    import dask

    # processes start slowly where cores are few and busy
    patience = dict.fromkeys(("connect", "tcp"), "120s")
    with (
        dask.config.set({"distributed.comm.timeouts": patience}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster):
    """The current client of the cluster."""
    from distributed import Client

    with Client(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        yield client
