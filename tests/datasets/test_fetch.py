"""Fetchers: what is there is read, and what is not is refused with a remedy."""

import io
import lzma
import os
import sys
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from skdesc import datasets, extract_targets
from skdesc.datasets import _download, _fetch
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


LARGE = {"acetylacetone", "iron_gap22", "monbtaw", "perov5", "qm7"}


def marked(names):
    """Names of sets; those that take seconds to read belong to slow tests."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in names]


@pytest.mark.parametrize("name", marked(sorted(EXPECTED)))
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


DOWNLOADED = ["acetylacetone", "ethanol", "gaas", "iron_gap22"]


def test_which_sets_are_downloaded():
    known = {
        name: [bool(file.sources and file.content_sha256) for file in entry.files]
        for name, entry in REGISTRY.items()
    }
    assert sorted(name for name in known if all(known[name])) == DOWNLOADED
    assert not any(any(known[name]) for name in known if name not in DOWNLOADED)
    assert all(len(REGISTRY[name].commit) == 40 for name in DOWNLOADED)


@pytest.mark.parametrize("name", marked(DOWNLOADED))
def test_digest_of_downloaded_sets(name):
    home = datasets.get_data_home()
    for file in REGISTRY[name].files:
        if not (home / file.name).is_file():
            pytest.skip(f"{name}: {file.name} not in SKDESC_DATA")
        assert _download.content_digest(_fetch._read(home / file.name)) == file.content_sha256


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - set(DOWNLOADED)))
def test_missing_file(name, tmp_path):
    file = REGISTRY[name].files[0]
    with pytest.raises(FileNotFoundError, match=file.name.replace(".", r"\.")) as caught:
        fetch(name, data_home=tmp_path)
    assert REGISTRY[name].repository in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", DOWNLOADED)
def test_missing_network(name, monkeypatch, tmp_path):
    requests = pytest.importorskip("requests")
    pytest.importorskip("pooch")
    asked = []

    def refuse(url, **options):
        asked.append(url)
        raise requests.ConnectionError("Name or service not known")

    monkeypatch.setattr("requests.get", refuse)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(OSError, match=r"cannot be downloaded .* connect to the network") as caught:
        fetch(name, data_home=tmp_path / "home")
    entry = REGISTRY[name]
    base = f"https://raw.githubusercontent.com/{entry.repository}/{entry.commit}/"
    assert asked == [base + entry.files[0].sources[0]] * 3
    assert str(tmp_path / "home" / entry.files[0].name) in str(caught.value)
    assert not (tmp_path / "home").exists()


def test_absent_pooch_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"xz is missing, and pooch.* pip install pooch, or pla"):
        fetch(DOWNLOADED[0], data_home=tmp_path)


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


# in the layout of Fe-GAP22: blanks after the count, forces as "force", a virial, no leading zeros
CRYSTALS = """1\x20
Lattice="2.8 .1 0.0 0.0 2.9 0.0 0.0 0.0 3.0" Properties=species:S:1:pos:R:3:force:R:3:Z:I:1 \
config_type=prim energy=-3458.4324254198 pbc="T T T" virial="3 -2 -0.4 -2 4 2 -0.4 2 15.5"
Fe 0.000000 0.000000 0.000000 0.000000 0.000000 0.000000 26
2
Lattice="2.4 0.0 0.0 0.0 2.4 0.0 0.0 0.0 4.1" Properties=species:S:1:pos:R:3:force:R:3:Z:I:1 \
config_type=hcp energy=-6921.2416840476 pbc="T T T"
Fe -0.1556474221 1.5813335492 1.0043780687 -0.1694352598 0.8579736514 -0.0093716752 26
Fe 0.9892868083 0.8682509868 2.9332620251 0.1694352598 -0.8579736514 0.0093716752 26
"""

# in the layout of the BOTNet sets: a molecule in a large cell
MOLECULE = """2
Lattice="50.0 0.0 0.0 0.0 50.0 0.0 0.0 0.0 50.0" Properties=species:S:1:pos:R:3:forces:R:3 \
config_type=Training_set energy=-1000.25 pbc="F F F"
C        0.00000000       0.00000000       0.00000000       0.00000000       0.00000000       1.25
O        0.00000000       0.00000000       1.12800000       0.00000000       0.00000000      -1.25
"""


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Nothing on the screen."""


@pytest.fixture
def published(monkeypatch, tmp_path):
    """A folder that is served as the repository of a registered set of two sources."""
    pytest.importorskip("pooch")
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "crystals.xyz").write_text(CRYSTALS)
    (folder / "more.xyz").write_text(CRYSTALS)
    frames = _download.normalized(_download.parse_extxyz(CRYSTALS) * 2, "force")
    file = DataFile(
        "toy.extxyz.xz",
        "all",
        sources=("crystals.xyz", "more.xyz"),
        content_sha256=_download.content_digest(_reread(frames)),
        forces_key="force",
    )
    monkeypatch.setitem(REGISTRY, "toy", DataSet("Toy", "owner/toy", "0123abc", "MIT", (file,)))
    handler = partial(SilentHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(_download, "_URL", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield folder
        server.shutdown()


def _reread(frames):
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    return _download.parse_extxyz(text.getvalue())


def test_download(published, tmp_path):
    home = tmp_path / "home"
    data = _fetch._fetch("toy", home)
    assert os.listdir(home) == ["toy.extxyz.xz"]
    assert data.kinds.tolist() == ["prim", "hcp"] * 2
    assert data.energies.tolist() == [-3458.4324254198, -6921.2416840476] * 2
    assert data.forces[1][1, 1] == pytest.approx(-0.8579736514, abs=1e-8)
    np.testing.assert_allclose(data.virials[0], [[3, -2, -0.4], [-2, 4, 2], [-0.4, 2, 15.5]])
    assert np.isnan(data.virials[1]).all()
    (published / "crystals.xyz").unlink()
    assert len(_fetch._fetch("toy", home).frames) == 4


def test_a_planted_file_is_refused(published, tmp_path):
    """A file that is there already has to hold what was published, too."""
    home = tmp_path / "home"
    _fetch._fetch("toy", home)
    path = home / "toy.extxyz.xz"
    text = lzma.decompress(path.read_bytes()).decode()
    planted = text.replace("-3458.43", "-3459.43")
    assert planted != text
    for content in (planted, text[: text.index("\n2\n") + 1]):
        path.write_bytes(lzma.compress(content.encode()))
        with pytest.raises(OSError, match=r"toy.extxyz.xz has content with SHA-256 .* remove it"):
            _fetch._fetch("toy", home)
    path.write_bytes(lzma.compress(text.encode()))
    assert len(_fetch._fetch("toy", home).frames) == 4


def test_molecules_lose_their_cell():
    (atoms,) = _download.normalized(_download.parse_extxyz(MOLECULE), "forces")
    assert not atoms.cell.any()
    assert atoms.info == {"config_type": "Training_set"}
    assert atoms.get_potential_energy() == -1000.25
    assert atoms.get_forces()[0, 2] == 1.25
    assert "stress" not in atoms.calc.results


@pytest.mark.parametrize(
    "change",
    [
        lambda frames: frames[0].positions.__setitem__((0, 0), 0.1),
        lambda frames: frames[0].calc.results.update(energy=-3458.4325),
        lambda frames: frames[1].calc.results["forces"].__setitem__((0, 0), 0.1),
        lambda frames: frames[0].calc.results["stress"].__setitem__(5, 0.1),
        lambda frames: frames[0].cell.__setitem__((0, 0), 2.80001),
        lambda frames: frames[1].set_pbc([True, True, False]),
        lambda frames: frames.reverse(),
        lambda frames: frames.pop(),
    ],
    ids=["positions", "energy", "forces", "stress", "cell", "pbc", "order", "number"],
)
def test_digest_covers_the_content(change):
    frames = _download.normalized(_download.parse_extxyz(CRYSTALS), "force")
    before = _download.content_digest(frames)
    change(frames)
    assert _download.content_digest(frames) != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CRYSTALS.replace("-3458.43", "-3458.44"), r"has content with SHA-256 .*, but must have"),
        (CRYSTALS[:-60], "is not extended xyz with the expected data"),
        (CRYSTALS.replace("energy=", "E="), "is not extended xyz .* has no energy"),
        ("<html>not found</html>", "is not extended xyz with the expected data"),
    ],
    ids=["other", "cut short", "no energy", "page"],
)
def test_wrong_download_is_discarded(published, tmp_path, content, message):
    (published / "more.xyz").write_text(content)
    with pytest.raises(OSError, match=message) as caught:
        _fetch._fetch("toy", tmp_path / "home")
    assert "the download is discarded" in str(caught.value)
    assert not (tmp_path / "home").exists()


def test_interrupted_writing_leaves_nothing(published, monkeypatch, tmp_path):
    def fail(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        _fetch._fetch("toy", tmp_path / "home")
    assert not os.listdir(tmp_path / "home")
