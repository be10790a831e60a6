"""What importing brings in, and sending structures to a worker."""

import pickle
import subprocess
import sys

import joblib
import pytest
from ase.build import molecule

from skdesc import Structures

EVERYTHING = "import skdesc; [getattr(skdesc, name) for name in skdesc.__all__]"
# what any scikit-learn pipeline over Atoms has imported already
BASE = "import sklearn.pipeline, sklearn.preprocessing, ase"


@pytest.mark.parametrize(
    "code", ["import skdesc", "from skdesc import GAPRegressor, SOAPTransformer"]
)
def test_importing_brings_in_little(code):
    program = (
        f"import sys; {BASE}; before = set(sys.modules); {code}; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    out = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True,
                         text=True)
    brought = set(out.stdout.split()) - set(sys.stdlib_module_names)
    assert brought <= {"skdesc", "vesin", "sklearn", "ase", "scipy", "numpy"}


def test_heavy_packages_are_imported_when_used():
    heavy = {"pyswarms", "matplotlib", "dask", "optuna", "pytest", "sklearn.cluster"}
    code = f"{EVERYTHING}; import sys; print(sorted({heavy!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"


def test_sending_two_thousand_molecules():
    """Few arrays are sent, not thousands of objects."""
    frames = [molecule(["H2O", "CH4", "NH3", "CH3OH", "C6H6"][k % 5]) for k in range(2000)]
    structures = Structures.from_atoms(frames)
    buffers = []
    head = pickle.dumps(structures, protocol=5, buffer_callback=buffers.append)
    assert len(buffers) < 20
    assert len(head) < 10_000
    assert sum(buffer.raw().nbytes for buffer in buffers) < 1e6
    with joblib.parallel_config("loky"), joblib.Parallel(n_jobs=2) as parallel:
        counts = parallel(joblib.delayed(len)(structures) for _ in range(4))
    assert counts == [2000] * 4
