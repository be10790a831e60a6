"""Files of options, logs, pictures, and errors beside those of training."""

import json
import re
import tomllib

import ase.io
import numpy as np
import pytest
from helpers.command import SMALL, fail, run
from helpers.html_pages import outline
from helpers.outputs import MTP

from skdesc import SOAPTransformer, TensorReducedTransformer, read_structures
from skdesc._cli import main
from skdesc._cli._arguments import COMPRESSIONS
from skdesc.descriptors._soap import COMPRESSIONS as OF_SOAP
from skdesc.io import load


def test_errors_of_test_structures(folder, capsys):
    model, test = folder / "told.skd", folder / "test.xyz"
    _, err = run(capsys, "fit", folder / "train.xyz", "-o", model, *SMALL, "--valid", test,
                 "--test", test, test, "--plot", folder / "told.png")
    titles = re.findall(r"errors of (\w+) structures:", err)
    assert titles == ["train", "valid", "test"]
    out, _ = run(capsys, "evaluate", model, test, "--json", "--by-config-type", "--by-element")
    table = json.loads(out)
    assert {"all", "even", "odd", "atoms of Cu", "atoms of Au"} == table.keys()
    part = err.split("errors of valid structures:")[1].split("errors of test")[0]
    shown = re.search(r"atoms of Cu +forces meV/A +\d+ +(\S+)", part)[1]
    assert float(shown) == pytest.approx(1000 * table["atoms of Cu"]["forces"]["rmse"], rel=1e-3)
    counts = [table[f"atoms of {symbol}"]["forces"]["count"] for symbol in ("Cu", "Au")]
    assert sum(counts) == table["all"]["forces"]["count"]
    assert (folder / "told.png").read_bytes()[:4] == b"\x89PNG"
    frames = read_structures(test)
    difference = np.concatenate(load(model).predict(frames, return_forces=True)[1])
    difference -= np.concatenate([atoms.get_forces() for atoms in frames])
    is_gold = np.concatenate([atoms.numbers for atoms in frames]) == 79
    expected = np.sqrt(np.mean(difference[is_gold] ** 2))
    assert table["atoms of Au"]["forces"]["rmse"] == pytest.approx(expected, rel=1e-9)


def test_report_of_a_fit(folder, capsys):
    report, test = folder / "fit.html", folder / "test.xyz"
    run(capsys, "fit", folder / "train.xyz", "-o", folder / "r.skd", *SMALL, "--valid", test,
        "--test", test, "--report", report, "--quiet")
    page = outline(report)
    text = " ".join(page.text)
    for heading in ("Result", "Data", "Errors", "Uncertainty", "Largest errors", "Pairs of atoms",
                    "How to repeat this"):
        assert heading in page.text
    assert "Search" not in page.text
    # parity of three quantities, calibration, pairs
    assert page.tags.count("img") == 5
    assert all(value.startswith("data:image/svg+xml;base64,") for value in page.sources)
    out, _ = run(capsys, "evaluate", folder / "r.skd", test, "--json", "--by-config-type")
    table = json.loads(out)
    for errors in (table["all"], table["odd"]):
        forces = errors["forces"]
        assert text.count(f"{1000 * forces['mae']:.3g} / {1000 * forces['rmse']:.3g}") == 2
    assert f"skdesc fit {folder / 'train.xyz'} -o" in text


def test_report_without_test_structures(folder, capsys):
    """Structures without energies, and warnings about the data."""
    frames = read_structures(folder / "train.xyz")
    for atoms in frames[::3]:
        atoms.calc.results = {"forces": -3.0 * atoms.get_forces()}
    for atoms in frames:
        del atoms.info["config_type"]
    ase.io.write(folder / "odd.xyz", frames, format="extxyz")
    forces = [atoms.copy() for atoms in frames[::3]]
    for copy, atoms in zip(forces, frames[::3], strict=True):
        copy.calc = atoms.calc
    ase.io.write(folder / "forces.xyz", forces, format="extxyz")
    _, err = run(capsys, "fit", folder / "odd.xyz", "-o", folder / "o.skd", *SMALL,
                 "--optional-energies", "--test", folder / "forces.xyz", "--report",
                 folder / "odd.html")
    text = " ".join(outline(folder / "odd.html").text)
    warned = re.findall(r"warning: (.*)", err)
    assert warned
    assert all(line in text for line in warned)
    assert "config_type" not in text.split("How to repeat")[0]


def test_reports_that_cannot_be_written(folder, capsys):
    for command in ("fit", "tune"):
        err = fail(capsys, command, folder / "train.xyz", "-o", folder / "never.skd", *SMALL,
                   "--report", folder / "nowhere" / "report.html")
        assert "nowhere" in err
        assert not (folder / "never.skd").exists()


def test_a_file_of_options_repeats_a_run(folder, capsys):
    first, second = folder / "first.skd", folder / "second.skd"
    config = folder / "run.toml"
    run(capsys, "fit", folder / "train.xyz", "-o", first, *SMALL, "--seed", 3, "--e0",
        "Cu=-0.1,Au=0.2", "--config-sigma", "odd=0.01,0.3,0.5", "--no-virials", "--quiet",
        "--save-config", config)
    entries = tomllib.loads(config.read_text())
    assert entries["n-sparse"] == 20
    assert entries["no-virials"] is True
    assert entries["config-sigma"] == ["odd=0.01,0.3,0.5"]
    assert "zeta" not in entries
    run(capsys, "fit", "--config", config, "-o", second)
    frames = read_structures(folder / "test.xyz")
    np.testing.assert_array_equal(load(first).predict(frames), load(second).predict(frames))
    # what is given on the command line counts
    run(capsys, "fit", folder / "test.xyz", "--config", config, "-o", second, "--n-sparse", 7)
    assert load(second)["gap"].n_sparse == 7
    assert load(second)["gap"].n_features_in_ == load(first)["gap"].n_features_in_


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n-spars = 3", "has 'n-spars', which is no option of skdesc fit; there are .*files"),
        ("n-sparse = 'many'", "n-sparse in .* is 'many', but must be of type int"),
        ("n-sparse = [3]", "must be one number or text"),
        ("no-forces = 1", "must be true or false"),
        ("files = 'train.xyz'", "must be a list"),
        ("descriptor = 'acsf'", "must be one of soap, tensor-reduced"),
        ("n-sparse = ", "must be a TOML file"),
        ("debug = true", "'debug', which is no option"),
    ],
)
def test_wrong_files_of_options(folder, capsys, text, message):
    (folder / "bad.toml").write_text(text + "\n")
    err = fail(capsys, "fit", folder / "train.xyz", "-o", folder / "x.skd", "--config",
               folder / "bad.toml")
    assert re.search(message, err)
    assert not (folder / "x.skd").exists()


def test_log_files(folder, capsys):
    log = folder / "run.log"
    _, err = run(capsys, "fit", folder / "train.xyz", "-o", folder / "l.skd", *SMALL, "--quiet",
                 "--log", log)
    assert "leave-one-out" not in err
    run(capsys, "evaluate", folder / "l.skd", folder / "test.xyz", "--log", log)
    fail(capsys, "fit", folder / "missing.xyz", "-o", folder / "l.skd", "--log", log)
    text = log.read_text()
    assert text.count(": skdesc ") == 3
    for word in ("leave-one-out RMSE", "forces meV/A", "missing.xyz does not exist"):
        assert word in text
    err = fail(capsys, "fit", folder / "train.xyz", "-o", folder / "l.skd", "--log",
               folder / "nowhere" / "run.log")
    assert "nowhere" in err


@pytest.mark.parametrize("name", ["soap", "tensor-reduced", "two-body+soap"])
def test_descriptors(folder, capsys, name):
    words = ["--descriptor", name, *SMALL]
    if name == "two-body+soap":
        words += ["--compression", "mu2"]
    run(capsys, "fit", folder / "train.xyz", "-o", folder / "d.skd", *words)
    first = load(folder / "d.skd")[0]
    if name == "two-body+soap":
        assert [step for step, _ in first.transformer_list] == ["soap", "two_body"]
        assert first.transformer_list[0][1].compression == "mu2"
        assert first.transformer_list[1][1].cutoff == 4.2
    else:
        kind = SOAPTransformer if name == "soap" else TensorReducedTransformer
        assert type(first) is kind
    run(capsys, "predict", folder / "d.skd", folder / "test.xyz", "-o", folder / "d.xyz")
    if name != "soap":
        err = fail(capsys, "fit", folder / "train.xyz", "-o", folder / "d.xml", *words)
        assert "--descriptor soap" in err


def test_compressions_are_those_of_soap():
    assert set(COMPRESSIONS) == {name for name in OF_SOAP if name is not None}


def test_compression_needs_soap(folder, capsys):
    err = fail(capsys, "fit", folder / "train.xyz", "-o", folder / "d.skd", "--descriptor",
               "tensor-reduced", "--compression", "mu2")
    assert "--compression is mu2, but --descriptor is tensor-reduced" in err


def test_pictures_are_checked_early(folder, capsys):
    err = fail(capsys, "fit", folder / "missing.xyz", "-o", folder / "d.skd", "--plot", "a.txt")
    assert "--plot is 'a.txt', but its name must end with .png, .pdf or .svg" in err


def test_files_with_types(folder, capsys):
    text = MTP.split("\n\n")[0] + "\n"
    (folder / "m.cfg").write_text(text)
    err = fail(capsys, "evaluate", folder / "m.skd", folder / "m.cfg")
    assert "--types" in err
    run(capsys, "predict", folder / "m.skd", folder / "m.cfg", "-o", folder / "p.xyz", "--types",
        "Cu,Au")
    assert ase.io.read(folder / "p.xyz").get_chemical_formula() == "AuCu2"


def test_candidates_compared_on_valid(folder, capsys):
    """The search sees one fold; structures of validation are not in the fit."""
    _, err = run(capsys, "tune", folder / "train.xyz", "-o", folder / "t.skd", *SMALL[:6],
                 "--n-sparse", 10, "--search-n-sparse", 5, "--valid", folder / "test.xyz",
                 "--n-particles", 2, "--n-iterations", 1, "--folds", 50)
    assert "the search ended as all iterations were completed" in err
    assert "errors of valid structures" in err
    assert "read 8 structures" in err


def test_exit_codes(folder, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["fit"])
    assert caught.value.code == 2
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Exit codes: 0 success, 1 an error, 2" in capsys.readouterr().out
