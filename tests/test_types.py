"""What type checkers make of a user's file: completion, misspelt arguments, what comes back."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skdesc

CONSUMER = '''
from pathlib import Path
from typing import assert_type

import numpy as np
from ase import Atoms

from skdesc import (
    AtomicFeatures, CachedDescriptor, FeatureCache, GAPRegressor, SOAPTransformer, Structures,
    TensorReducedTransformer, TwoBodyTransformer, TwoStagePSOSearchCV, as_column,
    check_structures, extract_targets, show_versions, suggest_space,
)
from skdesc.calculator import ZBLCalculator
from skdesc.datasets import get_data_home, load_carbon_solids
from skdesc.io import load, read_quip_xml, save
from skdesc.metrics import energy_rmse_per_atom, forces_rmse, make_forces_scorer

frames = [Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.7]])]
soap = SOAPTransformer(["H"], cutoff=4.0, n_max=4, compression="mu2", pooling=None)
other = SOAPTransformer(cutoff="auto", radial_basis="gto", dtype="float32").fit(frames)
assert_type(other, SOAPTransformer)
reduced = TensorReducedTransformer(n_channels=8, scheme="sketch", random_state=0)
pairs = TwoBodyTransformer(n_gaussians=5).fit(frames)
cached = CachedDescriptor(soap, FeatureCache(2**20))
y, targets = extract_targets(frames)
assert_type(y, np.ndarray)
features: AtomicFeatures = soap.fit(frames).transform(frames)
assert_type(features.vjp(features.values), tuple[np.ndarray, np.ndarray])
gap = GAPRegressor(zeta=[2, 4], n_sparse={"H": 10}, energy_scale="auto", e0=None)
assert_type(gap.fit(features, y, forces=targets["forces"]), GAPRegressor)
assert_type(gap.partial_fit(features, y), GAPRegressor)
assert_type(gap.predict(features), np.ndarray)
assert_type(gap.predict(features, return_std=True), tuple[np.ndarray, np.ndarray])
assert_type(gap.predict(features, return_forces=True), tuple[np.ndarray, list[np.ndarray]])
assert_type(gap.predict(features, True, True, True),
            tuple[np.ndarray, np.ndarray, list[np.ndarray], np.ndarray])
assert_type(gap.predict_forces_std(features), list[np.ndarray])
structures = check_structures(frames)
assert_type(structures, Structures)
assert_type(structures.n_atoms, np.ndarray)
assert_type(as_column(frames), np.ndarray)
assert_type(energy_rmse_per_atom(y, y, [2]), float)
assert_type(forces_rmse(targets["forces"], targets["forces"]), float)
space = suggest_space(frames, forces=targets["forces"])
search = TwoStagePSOSearchCV(soap, {"cutoff": [3.0, 4.0]}, {}, scoring=make_forces_scorer(), cv=2)
assert_type(search.fit(frames, y), TwoStagePSOSearchCV)
save(gap, Path("model.skd"))
again: GAPRegressor = load("model.skd", trusted=[ZBLCalculator])
assert_type(get_data_home("x"), Path)
data = load_carbon_solids()
potential = read_quip_xml("gp.xml")
show_versions()
'''

MISTAKES = {
    "from skdesc import SOAPTransformer\nSOAPTransformer(cutof=4)": 'keyword argument "cutof"',
    "from skdesc import SOAPTransformer\nSOAPTransformer(n_max='four')": "n_max",
    "from skdesc import SOAPTransformer\nSOAPTransformer(compression='mu3')": "compression",
    "from skdesc import SOAPTransfomer": "SOAPTransfomer",
    "import skdesc\nskdesc.GAPRegresor()": "GAPRegresor",
    "from skdesc import GAPRegressor\nGAPRegressor(nsparse=5)": "nsparse",
    "from skdesc import GAPRegressor\nGAPRegressor().predict([], return_all=True)": "return_all",
    "from skdesc import GAPRegressor\nGAPRegressor().fit([], [], force=[])": "force",
    "from skdesc import TensorReducedTransformer as T\nT(channels=3)": "channels",
    "from skdesc import TwoBodyTransformer\nTwoBodyTransformer(gaussians=3)": "gaussians",
    "from skdesc import TwoStagePSOSearchCV as S\nS(None, {}, {}, particles=3)": "particles",
    "from skdesc import extract_targets\nextract_targets([], force=True)": "force",
    "from skdesc.io import load\nload(5)": "load",
    "from skdesc import FeatureCache\nFeatureCache('1 GB')": "FeatureCache",
}


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    pytest.importorskip("mypy", reason="mypy is not installed")
    folder = tmp_path_factory.mktemp("types")

    def run(files):
        for name, content in files.items():
            (folder / name).write_text(content)
        # numpy ships types for newer syntax than the oldest Python has
        command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary",
                   "--disable-error-code=import-untyped", "--cache-dir", str(folder / "cache"),
                   *files]
        environment = dict(os.environ, MYPYPATH=str(Path(skdesc.__file__).parents[1]))
        return subprocess.run(
            command, capture_output=True, text=True, cwd=folder, env=environment
        ).stdout

    return run


def test_types(mypy):
    """A right file passes, and each mistake is found; in one run, as most of it is reading."""
    files = {f"mistake{index}.py": text + "\n" for index, text in enumerate(MISTAKES)}
    output = mypy({"consumer.py": CONSUMER} | files)
    assert not re.findall(r"^consumer.py.*", output, flags=re.M), output
    for index, (text, message) in enumerate(MISTAKES.items()):
        found = re.findall(rf"^mistake{index}\.py.*error: (.*)", output, flags=re.M)
        assert any(message in line for line in found), (text, found)


def test_every_public_name_is_known_to_checkers():
    """Names are imported for checkers as they are at run time."""
    source = Path(skdesc.__file__).read_text()
    declared = set(re.findall(r"^    from \.[\w.]+ import (\w+) as \1$", source, flags=re.M))
    assert declared == set(skdesc.__all__)
