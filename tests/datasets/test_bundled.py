"""Bundled data: complete, consistent, split by group, and what they claim to be."""

from importlib import resources

import numpy as np
import pytest
from ase.stress import voigt_6_to_full_3x3_stress
from scipy.interpolate import CubicSpline

from skdesc import extract_targets
from skdesc.datasets import (
    load_carbon_dimer,
    load_carbon_solids,
    load_ethanol_dynamics,
    load_organic_molecules,
)

LOADERS = {
    "carbon_dimer": load_carbon_dimer,
    "organic_molecules": load_organic_molecules,
    "carbon_solids": load_carbon_solids,
    "ethanol_dynamics": load_ethanol_dynamics,
}
SIZES = {
    "carbon_dimer": 63, "organic_molecules": 292, "carbon_solids": 114, "ethanol_dynamics": 800,
}


@pytest.fixture(params=sorted(LOADERS))
def name(request):
    return request.param


@pytest.fixture
def data(name):
    return LOADERS[name]()


def test_content(name, data):
    n_frames = SIZES[name]
    lengths = {len(data[key]) for key in ("frames", "energies", "forces", "groups", "kinds")}
    assert lengths == {n_frames}
    assert np.isfinite(data.energies).all()
    for atoms, forces in zip(data.frames, data.forces, strict=True):
        assert forces.shape == (len(atoms), 3)
        assert np.isfinite(forces).all()
    present = {symbol for atoms in data.frames for symbol in atoms.get_chemical_symbols()}
    assert set(data.isolated_energies) == present
    binding = [
        energy - sum(data.isolated_energies[symbol] for symbol in atoms.get_chemical_symbols())
        for atoms, energy in zip(data.frames, data.energies, strict=True)
    ]
    assert np.median(binding) < 0


def test_forces_add_up_to_nothing(name, data):
    # in a repeated cell the images of an atom agree only as well as the SCF is converged
    tolerance = 1e-3 if name == "carbon_solids" else 1e-8
    assert max(np.abs(forces.sum(axis=0)).max() for forces in data.forces) < tolerance


def test_dimer_forces_are_the_slope_of_the_energy():
    data = load_carbon_dimer()
    distances = np.array([atoms.get_distance(0, 1) for atoms in data.frames])
    slopes = CubicSpline(distances, data.energies)(distances, 1)
    pull = np.array([forces[1, 2] for forces in data.forces])
    # the spline errs at its ends, and where the wall is steep
    inner = distances > 1.0
    np.testing.assert_allclose(pull[inner][:-3], -slopes[inner][:-3], atol=0.05)


def test_distances_are_those_of_bonds():
    for load in (load_organic_molecules, load_carbon_solids, load_ethanol_dynamics):
        for atoms in load().frames:
            distances = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]
            assert 0.5 < distances.min() < 1.7


def test_split(name, data):
    both = np.concatenate([data.train, data.test])
    assert np.array_equal(np.sort(both), np.arange(SIZES[name]))
    assert not set(data.groups[data.train]) & set(data.groups[data.test])
    assert 0.15 < len(data.test) / SIZES[name] < 0.3
    species = [
        {symbol for index in side for symbol in data.frames[index].get_chemical_symbols()}
        for side in (data.train, data.test)
    ]
    assert species[0] == species[1]


def test_one_molecule_is_one_group():
    data = load_organic_molecules()
    assert len(set(zip(data.groups, data.kinds, strict=True))) == len(set(data.kinds)) == 73
    assert not set(data.kinds[data.train]) & set(data.kinds[data.test])


def test_solids_test_on_every_kind():
    data = load_carbon_solids()
    kinds = ["amorphous", "diamond", "graphite"]
    assert sorted(set(data.kinds[data.train])) == kinds
    assert sorted(set(data.kinds[data.test])) == kinds
    assert all(atoms.pbc.all() for atoms in data.frames)
    assert {len(atoms) for atoms in data.frames} <= set(range(8, 65))


def test_targets_come_back(name, data):
    y, targets = extract_targets(data.frames)
    assert np.array_equal(y, data.energies)
    assert all(map(np.array_equal, targets["forces"], data.forces))
    if name == "carbon_solids":
        np.testing.assert_allclose(targets["virials"], data.virials, rtol=1e-12)
        atoms = data.frames[0]
        stress = voigt_6_to_full_3x3_stress(atoms.get_stress())
        np.testing.assert_allclose(data.virials[0], -atoms.get_volume() * stress, rtol=1e-12)
    else:
        assert "virials" not in targets
        assert "virials" not in data


def test_loads_are_independent(name, data):
    data.frames[0].positions += 1
    data.forces[0][:] = 0
    data.energies[:] = 0
    again = LOADERS[name]()
    assert again.energies.all()
    assert not np.array_equal(again.frames[0].positions, data.frames[0].positions)
    assert np.array_equal(again.frames[0].get_forces(), again.forces[0])


def test_description(data):
    assert "docs/make_datasets.py" in data.DESCR
    assert all(program in data.DESCR.replace("ASE", "ase") for program in data.made_with)
    assert f"{len(data.frames)} structures" in data.DESCR


def test_files_need_no_pickle(name):
    file = resources.files("skdesc.datasets") / "data" / f"{name}.npz"
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
        arrays = dict(stored)
    assert not any(array.dtype.hasobject for array in arrays.values())
    assert arrays["positions"].dtype == arrays["energies"].dtype == np.float64


def test_size():
    folder = resources.files("skdesc.datasets") / "data"
    sizes = [file.stat().st_size for file in folder.iterdir()]
    assert len(sizes) == len(LOADERS)
    assert sum(sizes) < 2_000_000


@pytest.mark.parametrize(
    ("name", "index", "method", "temperature", "images"),
    [
        ("carbon_dimer", 10, "GFN2-xTB", 3000.0, (1, 1, 1)),
        ("organic_molecules", 20, "GFN2-xTB", 300.0, (1, 1, 1)),
        ("ethanol_dynamics", 250, "GFN2-xTB", 300.0, (1, 1, 1)),
        ("carbon_solids", 80, "GFN1-xTB", 5000.0, (1, 1, 1)),
        pytest.param("carbon_solids", 0, "GFN1-xTB", 5000.0, (2, 4, 3), marks=pytest.mark.slow),
        pytest.param("carbon_solids", 40, "GFN1-xTB", 5000.0, (3, 6, 1), marks=pytest.mark.slow),
    ],
)
def test_numbers_are_reproduced(name, index, method, temperature, images):
    tblite = pytest.importorskip("tblite.ase", reason="tblite is not installed")
    data = LOADERS[name]()
    n_atoms = len(data.frames[index])
    atoms = data.frames[index].copy()
    if name == "carbon_solids":
        atoms = atoms.repeat(images)
    atoms.calc = tblite.TBLite(
        method=method, electronic_temperature=temperature, accuracy=0.1, verbosity=0
    )
    energy = atoms.get_potential_energy() * n_atoms / len(atoms)
    assert energy == pytest.approx(data.energies[index], abs=1e-3)
    np.testing.assert_allclose(atoms.get_forces()[:n_atoms], data.forces[index], atol=2e-3)
    if "virials" in data:
        stress = voigt_6_to_full_3x3_stress(atoms.get_stress())
        virial = -data.frames[index].get_volume() * stress
        np.testing.assert_allclose(virial, data.virials[index], atol=0.02)
