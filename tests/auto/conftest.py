"""Small labeled structures, and one fit that most tests look at."""

from itertools import count as counter
from types import SimpleNamespace

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from skdesc import AutoPotential, SOAPTransformer
from skdesc.auto import _cost, _forecast, _plan, _trial
from skdesc.auto._candidates import Candidate


@pytest.fixture(scope="session", autouse=True)
def ticks():
    """A clock that every look advances by 10 ms, so that nothing depends on the machine."""
    looks = counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_forecast, "decomposition_rate", lambda: 1e10)
        fake = SimpleNamespace(perf_counter=lambda: 0.01 * next(looks))
        for module in (_cost, _trial):
            patch.setattr(module, "time", fake)
        yield fake


def labeled(atoms, **names):
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    if atoms.pbc.all():
        results["stress"] = atoms.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **results)
    atoms.info.update(names)
    return atoms


def crystals(count=16, seed=0, elements=("Cu", "Cu", "Cu", "Cu")):
    """Strained and shaken cells of four atoms, with energies, forces and stresses."""
    rng = np.random.RandomState(seed)
    frames = []
    for index in range(count):
        atoms = bulk("Cu", cubic=True, a=3.6 + 0.1 * rng.normal())
        atoms.symbols[:] = rng.permutation(elements)
        atoms.positions += 0.08 * rng.normal(size=(4, 3))
        frames.append(labeled(atoms, config_type="shaken" if index % 2 else "strained"))
    return frames


def molecules(count=20, seed=1):
    """Shaken water and methanol."""
    rng = np.random.RandomState(seed)
    frames = []
    for index in range(count):
        atoms = molecule("CH3OH" if index % 2 else "H2O")
        atoms.positions += 0.05 * rng.normal(size=atoms.positions.shape)
        frames.append(labeled(atoms))
    return frames


@pytest.fixture(scope="session")
def frames():
    return crystals()


@pytest.fixture(scope="session")
def fitted(frames):
    """Fitted with time for all that there is to try."""
    return AutoPotential(time_budget=12, random_state=0).fit(frames)


@pytest.fixture
def few_candidates(monkeypatch):
    """Beside the default only a single quick candidate."""
    candidate = Candidate("small SOAP: 4 A", SOAPTransformer(cutoff=4.0, n_max=4, l_max=3))
    monkeypatch.setattr(_plan, "candidate_families", lambda data, seed: [iter([candidate])])
