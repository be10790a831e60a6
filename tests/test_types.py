"""What type checkers make of a user's file: completion, misspelt arguments, what comes back."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils.fixes import parse_version

import skdesc

ROOT = Path(__file__).parents[1]

CONSUMER = '''
from pathlib import Path
from typing import assert_type

import numpy as np
from ase import Atoms

from skdesc import (
    AtomicFeatures, AutoPotential, CachedDescriptor, FeatureCache, GAPRegressor, SOAPTransformer,
    Structures, TensorReducedTransformer, TwoBodyTransformer, TwoStagePSOSearchCV, as_column,
    check_structures, extract_targets, show_versions, suggest_space,
)
from skdesc.calculator import SkdescCalculator, ZBLCalculator
from skdesc.datasets import get_data_home, load_carbon_solids
from skdesc.io import load, read_quip_xml, save
from skdesc.metrics import energy_rmse_per_atom, forces_rmse, make_forces_scorer, potential_errors

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
best = AutoPotential(time_budget=60, random_state=0).fit(frames, y, virials=np.zeros((1, 3, 3)))
held_out: dict[str, float] = best.errors(structures, y, forces=[np.zeros((2, 3))])
best.report("report.html", test=(frames, y, targets))
assert_type(best, AutoPotential)
assert_type(best.predict(frames, return_forces=True), tuple[np.ndarray, list[np.ndarray]])
assert_type(best.predict(frames, return_std=True, return_virials=True),
            tuple[np.ndarray, np.ndarray, np.ndarray])
assert_type(best.calculator(), SkdescCalculator)
errors: dict[str, float] = potential_errors(best, frames, y, forces=targets["forces"])
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
    "from skdesc import AutoPotential\nAutoPotential(budget=60)": "budget",
    "from skdesc import AutoPotential\nAutoPotential().predict([], forces=True)": "forces",
    "from skdesc import AutoPotential\nAutoPotential().fit([], force=[])": "force",
    "from skdesc.calculator import SkdescCalculator as C\nC()": "pipeline",
    "from skdesc.lammps import attach\nattach(None, None, [], element=[])": "element",
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
        environment, source = dict(os.environ), Path(skdesc.__file__).parents[1]
        if source.name != "site-packages":  # where mypy looks anyway, and refuses to be told to
            environment["MYPYPATH"] = str(source)
        result = subprocess.run(
            command, capture_output=True, text=True, cwd=folder, env=environment
        )
        assert not result.stderr
        return result.stdout

    return run


def test_types(mypy):
    """A right file passes, and each mistake is found; in one run, as most of it is reading."""
    if parse_version(np.__version__) < parse_version("2.3"):
        pytest.skip("stubs of older NumPy want a type for each array")
    files = {f"mistake{index}.py": text + "\n" for index, text in enumerate(MISTAKES)}
    output = mypy({"consumer.py": CONSUMER} | files)
    assert not re.findall(r"^consumer.py.*", output, flags=re.M), output
    for index, (text, message) in enumerate(MISTAKES.items()):
        found = re.findall(rf"^mistake{index}\.py.*error: (.*)", output, flags=re.M)
        assert any(message in line for line in found), (text, found)


def public_functions():
    """Functions, and methods of classes, that stand in the API reference."""
    text = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    for name in sorted(set(re.findall(r"^   ([a-zA-Z_.0-9]+)$", text, flags=re.MULTILINE))):
        module, _, attribute = f"skdesc.{name}".rpartition(".")
        content = getattr(importlib.import_module(module), attribute)
        if not inspect.isclass(content):
            yield name, content
        elif not getattr(content, "_is_protocol", False):
            for member, value in vars(content).items():
                function = value.fget if isinstance(value, property) else value
                function = getattr(function, "__func__", function)
                if inspect.isfunction(function) and (member == "__init__" or member[0] != "_"):
                    yield f"{name}.{member}", function


@pytest.mark.parametrize(("name", "function"), list(public_functions()))
def test_public_signatures_are_annotated(name, function):
    """What is not, checkers let pass with any type, and in strict mode refuse to call."""
    signature = inspect.signature(function)
    without = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
    ]
    if signature.return_annotation is signature.empty:
        without.append("return")
    assert not without


def test_every_public_name_is_known_to_checkers():
    """Names are imported for checkers as they are at run time."""
    source = Path(skdesc.__file__).read_text()
    declared = set(re.findall(r"^    from \.[\w.]+ import (\w+) as \1$", source, flags=re.M))
    assert declared == set(skdesc.__all__)
