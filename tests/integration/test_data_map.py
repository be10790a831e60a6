"""The example that maps a data set writes a file that chemiscope has made."""

import gzip
import json
import runpy
import warnings
from pathlib import Path

import pytest

from skdesc.datasets import load_organic_molecules

pytest.importorskip("matplotlib")
EXAMPLE = Path(__file__).parents[2] / "examples" / "many_elements" / "plot_data_map.py"


def test_map_for_chemiscope(monkeypatch, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        pytest.importorskip("chemiscope")
    monkeypatch.setenv("SKDESC_DATA", str(tmp_path))  # only what is bundled
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr("tempfile.mkdtemp", lambda: str(tmp_path))
    runpy.run_path(str(EXAMPLE))
    content = json.loads(gzip.decompress((tmp_path / "map.json.gz").read_bytes()))
    n_structures = len(load_organic_molecules().frames)
    assert len(content["structures"]) == n_structures
    lengths = {name: len(entry["values"]) for name, entry in content["properties"].items()}
    assert set(lengths.values()) == {n_structures}
    assert {"t-SNE[1]", "t-SNE[2]", "nonmetals", "energy per atom"} <= set(lengths)
