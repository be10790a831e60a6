"""``skdesc auto``: from files to a model, errors on test files and a report."""

import ase.io
import numpy as np
import pytest
from auto.conftest import crystals

from skdesc._cli import main
from skdesc.io import load


@pytest.fixture
def files(tmp_path):
    for name, count, seed in (("train", 12, 0), ("test", 5, 7)):
        ase.io.write(tmp_path / f"{name}.extxyz", crystals(count, seed), format="extxyz")
    return tmp_path


def test_all_that_can_be_asked_for(files, few_candidates, capsys):
    model, report = files / "model.skd", files / "report.html"
    code = main(["auto", str(files / "train.extxyz"), "-o", str(model), "--minutes", "0.4",
                 "--test", str(files / "test.extxyz"), "--report", str(report)])
    assert code == 0
    told = capsys.readouterr().err
    assert "of the default pipeline's" in told
    assert "forces mae of test structures:" in told
    frames = crystals(5, 7)
    energies = load(model).predict(frames)
    np.testing.assert_allclose(energies, [a.get_potential_energy() for a in frames], atol=0.2)
    page = report.read_text(encoding="utf-8")
    assert f"skdesc auto {files / 'train.extxyz'} -o {model}" in page
    assert "<td class=\"text\">test</td>" in page


@pytest.mark.parametrize(("options", "message"), [
    (["--minutes", "0"], "--minutes is 0, but must be a positive number"),
    (["-o", "model.xml"], "--output is 'model.xml', but must be a .skd file"),
    (["--report", "nowhere/report.html"], "nowhere/report.html cannot be written"),
    (["--time-per-atom", "-3"], "--time-per-atom is -3, but must be a positive number"),
])
def test_what_is_refused(files, options, message, capsys):
    arguments = ["auto", str(files / "train.extxyz"), "-o", str(files / "model.skd"), *options]
    assert main(arguments) == 1
    assert message in capsys.readouterr().err
    assert not (files / "model.skd").exists()
