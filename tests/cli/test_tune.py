"""``skdesc tune``: ranges, searches, few structures."""

import re

import ase.io
import numpy as np
import pytest
from helpers.command import SMALL, fail, run
from helpers.html_pages import outline

from skdesc._cli._build import parse_range
from skdesc.io import load


def test_ranges():
    assert parse_range("", "2,4.5,gto,none,true") == [2, 4.5, "gto", None, True]
    assert [parse_range("", "3:6").dist.name, *parse_range("", "3:6").support()] == [
        "randint", 3, 6]
    assert parse_range("", "3.0:6").support() == (3.0, 6.0)
    assert parse_range("", "3.0:6").dist.name == "uniform"
    assert parse_range("", "1e-4:1e-2:log").support() == (1e-4, 1e-2)
    for bad in ("6:3", "a:b", "1:2:3", "1:2:log:4"):
        with pytest.raises(ValueError, match="ranges are low:high"):
            parse_range(bad, bad)
    with pytest.raises(ValueError, match="starts above 0"):
        parse_range("0:1:log", "0:1:log")


def test_tune(folder, capsys):
    """What is given stays fixed; the search goes on from its file; the best is fitted to all."""
    path, checkpoint = folder / "tuned.skd", folder / "search.json"
    words = ["tune", folder / "train.xyz", "-o", path, "--n-max", 3, "--l-max", 2, "--n-sparse",
             15, "--cutoff-width", 0.5, "--space", "cutoff=3.5:4.5", "--space", "zeta=2,4",
             "--space", "atom_sigma=0.5,0.6", "--n-particles", 2, "--n-iterations", 1,
             "--folds", 2, "--every", 2, "--search-n-sparse", 8, "--checkpoint", checkpoint,
             "--config-sigma", "odd=0.01,0.3,0.5", "--sparse-method", "config"]
    _, err = run(capsys, *words, "--objective", "loo")
    assert "models trained; cross-validated RMSE of the best" in err
    assert "eV/A" in err
    model = load(path)
    assert model["soap"].n_max == 3
    assert 3.5 <= model["soap"].cutoff <= 4.5
    assert model["gap"].zeta in (2, 4)
    assert model["gap"].n_sparse == 15
    assert len(model["gap"].loo_) == 8
    assert checkpoint.exists()
    run(capsys, *words, "--objective", "loo", "--quiet", "--report", folder / "tuned.html")
    np.testing.assert_array_equal(load(path)["gap"].weights_, model["gap"].weights_)
    page = outline(folder / "tuned.html")
    found = {"Search", "Parameters found", "soap__cutoff", "all iterations were completed"}
    assert found <= set(page.text)
    assert f"{model['soap'].cutoff:.4g}" in page.text
    present = re.search(r"forces [\d.e-]+ eV/A, before the search ([\d.e-]+)", err)[1]
    assert f"{1000 * float(present):.3g}" in page.text
    run(capsys, *[word for word in words if word not in ("--checkpoint", checkpoint)], "--quiet")
    assert load(path)["gap"].zeta in (2, 4)
    base = ["tune", folder / "train.xyz", "-o", path]
    assert "must be a parameter" in fail(capsys, *base, "--space", "nonsense=1:2")
    assert "there are none" in fail(capsys, *base, "--no-forces", "--score", "forces")
    assert "--every is 0" in fail(capsys, *base, "--every", "0")


def test_few_structures_to_search_on(folder, capsys):
    frames = ase.io.read(folder / "train.xyz", ":2")
    ase.io.write(folder / "two.xyz", frames, format="extxyz")
    words = ["tune", folder / "two.xyz", "-o", folder / "two.skd"]
    assert "--folds is 3, but must not exceed the number of structures of the search, 2;" in fail(
        capsys, *words
    )
    assert "2 (one of 4, --every)" in fail(capsys, "tune", folder / "train.xyz", *words[2:],
                                           "--every", 4)
    assert "--folds is 1" in fail(capsys, *words, "--folds", "1")
    run(capsys, "fit", *words[1:], *SMALL)
