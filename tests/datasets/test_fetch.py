"""Fetchers: what is there is read, and what is not is refused with a remedy."""

import hashlib
import io
import lzma
import os
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from skdesc import datasets, extract_targets
from skdesc.datasets import _fetch
from skdesc.datasets._registry import REGISTRY, DataFile, DataSet

# frames, whether there are forces, whether there are virials, size of train and test
EXPECTED = {
    "mlearn_Cu": (293, True, True, 262, 31),
    "mlearn_Li": (270, True, True, 241, 29),
    "mlearn_Si": (239, True, True, 214, 25),
    "monbtaw": (5658, True, True, 5282, 376),
    "ethanol": (2000, True, False, 1000, 1000),
    "acetylacetone": (1800, True, False, 500, 1300),
    "qm7": (7101, False, False, 5000, 2101),
    "qm9_500": (500, False, False, 400, 100),
    "carbon_gap17": (577, True, False, 462, 115),
    "iron_gap22": (2306, True, True, 1845, 461),
    "hea25": (93, True, True, 75, 18),
    "jarvis_vacancy": (852, False, False, 682, 170),
    "perov5": (7572, False, False, 3787, 3785),
    "batio3": (500, True, False, 400, 100),
    "gaas": (100, True, False, 80, 20),
}


def fetch(name, **arguments):
    if name.startswith("mlearn_"):
        return datasets.fetch_mlearn(name.removeprefix("mlearn_"), **arguments)
    return getattr(datasets, f"fetch_{name}")(**arguments)


def compressed(n_frames=5, *, force=0.5):
    frames = []
    for index in range(n_frames):
        atoms = Atoms("CO", [[0, 0, 0], [0, 0, 1 + index / 10]])
        forces = np.array([[0, 0, force * index], [0, 0, -force * index]])
        atoms.calc = SinglePointCalculator(atoms, energy=-float(index), forces=forces)
        frames.append(atoms)
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    return lzma.compress(text.getvalue().encode())


@pytest.fixture
def toy(monkeypatch):
    """A registered set of one file, without a checksum."""
    entry = DataSet("Toy", "owner/toy", "0123abc", "MIT", (DataFile("toy.extxyz.xz", "all"),))
    monkeypatch.setitem(REGISTRY, "toy", entry)
    return entry


def test_every_set_has_a_fetcher():
    assert set(EXPECTED) == set(REGISTRY)
    names = {f"fetch_{name}" for name in REGISTRY if not name.startswith("mlearn_")}
    exported = {name for name in datasets.__all__ if name.startswith("fetch_")}
    assert exported == names | {"fetch_mlearn"}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fetch(name):
    home = datasets.get_data_home()
    missing = [file.name for file in REGISTRY[name].files if not (home / file.name).is_file()]
    if missing:
        pytest.skip(f"{name}: {', '.join(missing)} not in SKDESC_DATA")
    data = fetch(name)
    n_frames, has_forces, has_virials, n_train, n_test = EXPECTED[name]
    assert len(data.frames) == len(data.energies) == len(data.kinds) == n_frames
    assert ("forces" in data, "virials" in data) == (has_forces, has_virials)
    assert (len(data.train), len(data.test)) == (n_train, n_test)
    assert np.array_equal(np.union1d(data.train, data.test), np.arange(n_frames))
    assert sum(map(len, data.subsets.values())) == n_frames
    assert np.isfinite(data.energies).all()
    if has_forces:
        assert all(np.isfinite(forces).all() for forces in data.forces)
    assert REGISTRY[name].repository in data.DESCR


def test_frames_of_large_force_are_left_out(toy, monkeypatch, tmp_path):
    (tmp_path / "toy.extxyz.xz").write_bytes(compressed())
    monkeypatch.setitem(REGISTRY, "toy", replace(toy, max_force=1.0))
    data = _fetch._fetch("toy", tmp_path)
    assert len(data.frames) == 3
    assert "above 1.0 eV/angstrom" in data.DESCR


def test_fetched_frames_hold_their_targets(toy, tmp_path):
    (tmp_path / "toy.extxyz.xz").write_bytes(compressed())
    data = _fetch._fetch("toy", tmp_path)
    y, targets = extract_targets(data.frames)
    assert np.array_equal(y, data.energies)
    assert sorted(targets) == ["forces"]
    assert np.array_equal(y, [0, -1, -2, -3, -4])
    again = _fetch._fetch("toy", tmp_path)
    assert np.array_equal(data.test, again.test)
    assert (len(data.train), len(data.test)) == (4, 1)


def test_data_home(monkeypatch, tmp_path):
    monkeypatch.setenv("SKDESC_DATA", str(tmp_path))
    assert datasets.get_data_home() == tmp_path
    assert datasets.get_data_home(tmp_path / "other") == tmp_path / "other"
    monkeypatch.setenv("SKDESC_DATA", "")
    assert datasets.get_data_home() == datasets.get_data_home("~/skdesc_data")
    assert "~" not in str(datasets.get_data_home())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_missing_file(name, tmp_path):
    file = REGISTRY[name].files[0]
    with pytest.raises(FileNotFoundError, match=file.name.replace(".", r"\.")) as caught:
        fetch(name, data_home=tmp_path)
    assert REGISTRY[name].repository in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert not os.listdir(tmp_path)


def test_unknown_element():
    with pytest.raises(ValueError, match=r"element must be one of \['Cu', 'Li', 'Si'\], got 'Au'"):
        datasets.fetch_mlearn("Au")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not compressed",
        compressed()[:-40],
        lzma.compress(b"not extended xyz\n"),
        lzma.compress(b"2\nProperties=species:S:1:pos:R:3\nC 0 0 0\n"),
        lzma.compress(b"\xff\xfe"),
    ],
    ids=["empty", "plain", "cut short", "other text", "atom missing", "not utf-8"],
)
def test_damaged_file(toy, tmp_path, content):
    (tmp_path / "toy.extxyz.xz").write_bytes(content)
    with pytest.raises(OSError, match=r"toy\.extxyz\.xz (is damaged|holds no structures)"):
        _fetch._fetch("toy", tmp_path)


def downloadable(entry, source, content):
    file = replace(
        entry.files[0], url=source.as_uri(), sha256=hashlib.sha256(content).hexdigest()
    )
    return replace(entry, files=(file,))


def test_download(toy, monkeypatch, tmp_path):
    source, home = tmp_path / "published", tmp_path / "home"
    source.write_bytes(compressed())
    monkeypatch.setitem(REGISTRY, "toy", downloadable(toy, source, compressed()))
    assert len(_fetch._fetch("toy", home).frames) == 5
    assert os.listdir(home) == ["toy.extxyz.xz"]
    source.unlink()
    assert len(_fetch._fetch("toy", home).frames) == 5


def test_download_of_other_content_is_discarded(toy, monkeypatch, tmp_path):
    source, home = tmp_path / "published", tmp_path / "home"
    source.write_bytes(compressed(4))
    monkeypatch.setitem(REGISTRY, "toy", downloadable(toy, source, compressed()))
    with pytest.raises(OSError, match=r"has the SHA-256 .* is expected; .* is discarded"):
        _fetch._fetch("toy", home)
    assert not os.listdir(home)


def test_download_without_network(toy, monkeypatch, tmp_path):
    monkeypatch.setitem(REGISTRY, "toy", downloadable(toy, tmp_path / "nowhere", b""))
    with pytest.raises(OSError, match=r"cannot be downloaded .* connect to the network"):
        _fetch._fetch("toy", tmp_path / "home")
    assert not os.listdir(tmp_path / "home")
