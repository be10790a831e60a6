"""Bundled data: complete, consistent, split by group, and what they claim to be."""

from importlib import resources

import numpy as np
import pytest
from ase.stress import voigt_6_to_full_3x3_stress

from skdesc import extract_targets
from skdesc.datasets import load_carbon_dimer, load_carbon_solids, load_organic_molecules

LOADERS = {
    "carbon_dimer": load_carbon_dimer,
    "organic_molecules": load_organic_molecules,
    "carbon_solids": load_carbon_solids,
}
SIZES = {"carbon_dimer": 63, "organic_molecules": 292, "carbon_solids": 114}


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


def test_size():
    folder = resources.files("skdesc.datasets") / "data"
    sizes = [file.stat().st_size for file in folder.iterdir()]
    assert len(sizes) == len(LOADERS)
    assert sum(sizes) < 2_000_000


@pytest.mark.parametrize(
    ("name", "index", "method", "temperature"),
    [
        ("carbon_dimer", 10, "GFN2-xTB", 3000.0),
        ("organic_molecules", 20, "GFN2-xTB", 300.0),
        ("carbon_solids", 3, "GFN1-xTB", 1500.0),
    ],
)
def test_numbers_are_reproduced(name, index, method, temperature):
    tblite = pytest.importorskip("tblite.ase", reason="tblite is not installed")
    data = LOADERS[name]()
    atoms = data.frames[index].copy()
    atoms.calc = tblite.TBLite(
        method=method, electronic_temperature=temperature, accuracy=0.1, verbosity=0
    )
    assert atoms.get_potential_energy() == pytest.approx(data.energies[index], abs=1e-3)
    np.testing.assert_allclose(atoms.get_forces(), data.forces[index], atol=2e-3)
    if "virials" in data:
        stress = voigt_6_to_full_3x3_stress(atoms.get_stress())
        virial = -atoms.get_volume() * stress
        np.testing.assert_allclose(virial, data.virials[index], atol=0.05)
