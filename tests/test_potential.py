"""The chain as a whole: descriptor, sparse Gaussian process, search, README."""

import re
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from helpers.derivatives import assert_second_order, displaced, strained
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, Structures, extract_targets
from skdesc.metrics import forces_rmse

ROOT = Path(__file__).parents[1]


def crystals(count, seed):
    frames = []
    for k in range(count):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        atoms.set_chemical_symbols(["Cu", "Au"] * 4)
        atoms.set_cell(atoms.cell * (1.02 + 0.01 * k / count), scale_atoms=True)
        atoms.rattle(0.08, seed=seed + k)
        atoms.calc = EMT()
        atoms.get_stress()
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def potential():
    frames = crystals(24, 0)
    y, targets = extract_targets(frames)
    pipe = make_pipeline(
        SOAPTransformer(n_max=5, l_max=4, cutoff=4.5, cutoff_width=1.0),
        GAPRegressor(n_sparse=100, zeta=2, sigma_forces=0.02),
    )
    return pipe.fit(
        frames, y, gapregressor__forces=targets["forces"],
        gapregressor__virials=targets["virials"],
    )


def test_it_learns(potential):
    frames = crystals(6, 100)
    y, targets = extract_targets(frames)
    energies, forces = potential.predict(frames, return_forces=True)
    assert np.sqrt(np.mean((energies - y) ** 2)) / 8 < 0.005
    assert forces_rmse(targets["forces"], forces) < 0.15 * np.std(targets["forces"])


def test_forces_and_virials_are_derivatives_of_the_energy(potential):
    structures = Structures.from_atoms(crystals(2, 50))
    _, forces, virials = potential.predict(structures, return_forces=True, return_virials=True)
    rng = np.random.default_rng(0)
    direction = rng.normal(size=structures.positions.shape)
    expected = -np.array([
        (force * part).sum() for force, part in zip(forces, np.split(direction, 2), strict=True)
    ])
    # small steps: the second derivative of the cutoff function jumps where it begins
    steps = [4e-4, 2e-4, 1e-4]
    assert_second_order(
        expected, potential.predict, lambda h: displaced(structures, direction, h), steps
    )
    strain = rng.normal(size=(3, 3))
    expected = -np.einsum("sab,ba->s", virials, strain)
    assert_second_order(
        expected, potential.predict, lambda h: strained(structures, strain, h),
        [2e-4, 1e-4, 5e-5],
    )
    for force in forces:
        np.testing.assert_allclose(force.sum(axis=0), 0, atol=1e-9)


def test_threads_do_not_change_the_potential(potential):
    frames = crystals(8, 0)
    y, targets = extract_targets(frames, virials=False)
    predictions = []
    for n_jobs in (1, 2):
        pipe = clone(potential).set_params(soaptransformer__n_jobs=n_jobs)
        pipe.fit(frames, y, gapregressor__forces=targets["forces"])
        predictions.append(pipe.predict(frames))
    np.testing.assert_array_equal(*predictions)


def test_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 3
    namespace = {}
    for block in blocks:
        exec(block, namespace)
    assert sum(record["chosen"] for record in namespace["auto"].leaderboard_) == 1
    assert namespace["search"].n_models_trained_ > 0
    assert len(namespace["forces"]) == len(namespace["test"])
