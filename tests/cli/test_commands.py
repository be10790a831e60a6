"""The command line: what it does is what the Python interface does."""

import inspect
import io
import json
import lzma
import re
import subprocess
import sys
import warnings
from pathlib import Path

import ase.io
import joblib
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from helpers.command import SMALL, fail, run

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc._cli import main
from skdesc._cli._arguments import MODEL_OPTIONS
from skdesc._cli._commands import COMMANDS
from skdesc.gaussian_process import _accumulation, _fitted
from skdesc.io import load, read_quip_xml, save
from skdesc.metrics import energy_rmse_per_atom, forces_mae, forces_rmse
from skdesc.reading import read_structures
from skdesc.utils import threads


def test_options_have_the_defaults_of_the_estimators():
    for option in MODEL_OPTIONS:
        cls = SOAPTransformer if option.step == "soap" else GAPRegressor
        default = inspect.signature(cls).parameters[option.parameter].default
        assert option.default == default
        assert option.flag == "--" + option.parameter.replace("_", "-")


@pytest.mark.parametrize("command", [[], ["fit"], ["tune"], ["predict"], ["evaluate"], ["convert"]])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])
    out = capsys.readouterr().out
    assert len(out.splitlines()) > 8
    if command in ([], ["fit"], ["tune"]):
        assert "skdesc fit train.xyz" in out or "skdesc tune train.xyz" in out


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "skdesc", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("skdesc ")


def test_fit_is_that_of_the_pipeline(folder):
    frames = ase.io.read(folder / "train.xyz", ":")
    y, targets = extract_targets(frames)
    model = load(folder / "m.skd")
    soap = SOAPTransformer(cutoff=4.2, n_max=4, l_max=3)
    gap = GAPRegressor(n_sparse=20, sigma_forces=0.05, random_state=0)
    gap.fit(soap.fit_transform(frames), y, **targets)
    np.testing.assert_array_equal(model["gap"].weights_, gap.weights_)


def test_all_cores_are_used_by_default(folder, capsys, monkeypatch, tmp_path):
    """By fits and by predictions, and no model that is stored remembers it."""
    monkeypatch.setattr(joblib, "cpu_count", lambda *_: 3)
    granted = []

    def note(n_jobs, grant=threads.effective_n_threads):
        granted.append(grant(n_jobs))
        return granted[-1]

    for module in (_accumulation, _fitted):
        monkeypatch.setattr(module, "effective_n_threads", note)
    for jobs, expected in (([], 3), (["--jobs", "1"], 1)):
        model = tmp_path / "model.skd"
        for words in (["fit", folder / "train.xyz", "-o", model, *SMALL],
                      ["evaluate", model, folder / "test.xyz"]):
            granted.clear()
            run(capsys, *words, *jobs)
            assert max(granted) == expected
        assert load(model)["soap"].n_jobs == (1 if jobs else None)


def test_evaluate(folder, capsys):
    """Compressed files, the same numbers as the metrics', for each kind of structure too."""
    out, _ = run(capsys, "evaluate", folder / "m.skd", folder / "test.xyz.xz", "--json",
                 "--by-config-type", "--jobs", 1)
    table = json.loads(out)
    frames = ase.io.read(folder / "test.xyz", ":")
    y, targets = extract_targets(frames)
    energies, forces = load(folder / "m.skd").predict(frames, return_forces=True)
    n_atoms = [8] * 4
    assert table["all"]["energy"]["rmse"] == pytest.approx(
        energy_rmse_per_atom(y, energies, n_atoms)
    )
    assert table["all"]["forces"]["rmse"] == pytest.approx(forces_rmse(targets["forces"], forces))
    assert table["odd"]["forces"]["mae"] == pytest.approx(
        forces_mae(targets["forces"][1::2], forces[1::2])
    )
    assert table["all"]["virials"]["count"] == 36
    assert set(table) == {"all", "even", "odd"}
    out, err = run(capsys, "evaluate", folder / "m.skd", folder / "test.xyz", "--no-virials")
    assert "energy meV/atom" in out
    assert "virials" not in out
    assert "4/4" in err  # progress
    assert f"{1000 * table['all']['energy']['rmse']:.4g}" in out


def test_predict(folder, capsys):
    """What is written is read again; the structures' own reference does not remain."""
    path = folder / "predicted.xyz.xz"
    _, err = run(capsys, "predict", folder / "m.skd", folder / "test.xyz", folder / "test.xyz.xz",
                 "-o", path, "--std", "--quiet")
    assert err == ""
    text = lzma.decompress(path.read_bytes()).decode()
    found = ase.io.read(io.StringIO(text), ":", format="extxyz")
    frames = ase.io.read(folder / "test.xyz", ":")
    energies, std, forces, virials = load(folder / "m.skd").predict(
        frames, return_std=True, return_forces=True, return_virials=True
    )
    assert len(found) == 8
    for index, atoms in enumerate(found):
        index %= 4
        assert atoms.get_potential_energy() == pytest.approx(energies[index], abs=1e-9)
        assert atoms.info["energy_std"] == pytest.approx(std[index])
        np.testing.assert_allclose(atoms.get_forces(), forces[index], atol=1e-7)
        stress = atoms.get_stress(voigt=False)
        np.testing.assert_allclose(stress, -virials[index] / atoms.get_volume(), atol=1e-9)
        assert atoms.info["config_type"] == frames[index].info["config_type"]


def test_molecules_and_other_formats(folder, capsys):
    """No cell, no stress; no forces in some structures; other names; a trajectory of ASE."""
    frames = []
    for seed in range(5):
        atoms = Atoms("CuAu2", [[0, 0, 0], [2.4, 0, 0], [0, 2.5, 0]])
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        copy = atoms.copy()
        copy.info["E"] = atoms.get_potential_energy()
        if seed != 2:
            copy.arrays["F"] = atoms.get_forces()
        frames.append(copy)
    ase.io.write(folder / "molecules.traj", frames)
    keys = ["--energy-key", "E", "--forces-key", "F"]
    ase.io.write(folder / "molecules.xyz", frames, format="extxyz")
    path = folder / "molecules.skd"
    words = ["-o", path, "--n-max", 3, "--l-max", 2, "--n-sparse", 5, "--zbl", "--e0", "none",
             "--species", "Cu,Au", "--optimize", "--zeta", "2"]
    # EMT clusters of three atoms are hard on five sparse points: rounding is warned of
    _, err = run(capsys, "fit", folder / "molecules.xyz", *words, *keys)
    assert "5 energies, 36 force components, 0 virials" in err
    model = load(path)
    assert model["gap"].zeta == 2
    assert isinstance(model["gap"].zeta, int)
    assert model["gap"].e0_ == {"Cu": 0.0, "Au": 0.0}
    run(capsys, "predict", path, folder / "molecules.traj", "-o", folder / "out.xyz")
    found = ase.io.read(folder / "out.xyz", ":")
    assert "stress" not in found[0].calc.results
    assert found[0].get_potential_energy() == pytest.approx(model.predict(found)[0], abs=1e-6)


def test_noise_of_config_types(folder, capsys):
    """Noise so large that these structures do not count."""
    path = folder / "noise.skd"
    words = ["fit", folder / "train.xyz", "-o", path, *SMALL, "--sparse-method", "config"]
    run(capsys, *words, "--config-sigma", "odd=0.5,default,9")
    frames = ase.io.read(folder / "train.xyz", ":")
    y, targets = extract_targets(frames)
    kinds = [atoms.info["config_type"] for atoms in frames]
    soap = SOAPTransformer(cutoff=4.2, n_max=4, l_max=3)
    gap = GAPRegressor(n_sparse=20, sigma_forces=0.05, sparse_method="config", random_state=0)
    gap.fit(soap.fit_transform(frames), y, **targets, config_types=kinds,
            sigmas={"odd": (0.5, np.nan, 9.0)})
    np.testing.assert_array_equal(load(path)["gap"].weights_, gap.weights_)
    for text in ("odd=1,2", "odd=1,2,x", "=1,2,3", "odd"):
        assert "must look like" in fail(capsys, *words, "--config-sigma", text)
    assert "['other'], but the structures have" in fail(
        capsys, *words, "--config-sigma", "other=1,2,3"
    )


def test_potentials_for_quip(folder, capsys):
    path = folder / "potential.xml"
    run(capsys, "fit", folder / "train.xyz", "-o", path, *SMALL, "--radial-basis", "equispaced")
    frames = ase.io.read(folder / "test.xyz", ":")
    expected = read_quip_xml(path).predict(frames)
    run(capsys, "convert", path, folder / "converted.skd")
    np.testing.assert_array_equal(load(folder / "converted.skd").predict(frames), expected)
    out, _ = run(capsys, "evaluate", path, folder / "test.xyz")
    assert "energy" in out
    words = ("fit", folder / "train.xyz", "-o", path, "--quiet")
    assert "no radial basis gto; give --radial-basis equispaced" in fail(capsys, *words)
    assert "leave out --zbl" in fail(capsys, *words, "--zbl", "--radial-basis", "equispaced")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "train.xyz", "-o", "x.skd", "--cutoff", "-1"], "cutoff must be"),
        (["fit", "train.xyz", "-o", "x.skd", "--zeta", "0.5"], "zeta is 0.5"),
        (["fit", "train.xyz", "-o", "x.skd", "--radial-basis", "none"], "radial_basis"),
        (["fit", "train.xyz", "-o", "x.skd", "--species", "Xx"], "Xx"),
        (["fit", "train.xyz", "-o", "x.skd", "--e0", "Cu:1"], "--e0 is 'Cu:1'"),
        (["fit", "train.xyz", "-o", "no/x.skd"], "folder does not exist; make it"),
        (["fit", "missing.xyz", "-o", "x.skd"], "missing.xyz does not exist"),
        (["fit", "bad.xyz", "-o", "x.skd"], "bad.xyz cannot be read as structures"),
        (["fit", "train.xyz", "-o", "x.skd", "--energy-key", "E"], "energy under 'E'"),
        (["fit", "train.xyz", "-o", "x.skd", "--species", "Cu"], "'Au'"),
        (["predict", "missing.skd", "test.xyz", "-o", "y.xyz"], "missing.skd: No such file"),
        (["predict", "train.xyz", "test.xyz", "-o", "y.xyz"], "no model file"),
        (["predict", "m.skd", "test.xyz", "-o", "no/y.xyz"], "does not exist; make it"),
        (["predict", "m.skd", "other.xyz", "-o", "y.xyz"], "'Al'"),
        (["evaluate", "m.skd", "other.xyz"], "energy"),
        (["evaluate", "transformer.skd", "test.xyz"], "holds a SOAPTransformer"),
        (["convert", "m.skd", "m.xml"], "radial_basis='gto'"),
    ],
)
def test_errors_are_told_without_traceback(words, message, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    Path("bad.xyz").write_text("3\nLattice=\nCu 1 2\n")
    ase.io.write("other.xyz", Atoms("Al"), format="extxyz")
    save(SOAPTransformer().fit([Atoms("H")]), "transformer.skd")
    before = {path.name for path in folder.iterdir()}
    assert message in fail(capsys, *words)
    assert {path.name for path in folder.iterdir()} == before  # nothing half-written


def test_debug_shows_the_traceback(folder):
    with pytest.raises(FileNotFoundError):
        main(["evaluate", str(folder / "missing.skd"), "x.xyz", "--debug"])


def test_interrupts(folder, capsys, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setitem(COMMANDS, "fit", interrupt)
    assert main(["fit", "x.xyz", "-o", "x.skd"]) == 130
    assert capsys.readouterr().err == "skdesc: interrupted\n"


def test_warnings_are_told(folder, capsys, monkeypatch):
    def warn(args):
        warnings.warn("beware", UserWarning, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return 0

    monkeypatch.setitem(COMMANDS, "fit", warn)
    assert main(["fit", "x.xyz", "-o", "x.skd"]) == 0
    assert capsys.readouterr().err == "skdesc: warning: beware\n"


def test_predictions_hold_no_reference(folder, capsys):
    """What predict writes has predictions and nothing else, so that evaluate finds no error."""
    frames = ase.io.read(folder / "test.xyz", ":")
    for atoms in frames:
        atoms.info.update(virial=np.full((3, 3), 50.0), energy_std=9.0, energies_of="DFT")
        atoms.calc.results["free_energy"] = 3.0
        atoms.calc.results["stresses"] = np.ones((8, 6))
    ase.io.write(folder / "old.xyz", frames, format="extxyz")
    for output in ("new.xyz", "new.traj", "new.json", "new.db", "new.extxyz.gz"):
        run(capsys, "predict", folder / "m.skd", folder / "old.xyz", "-o", folder / output)
        for atoms in read_structures(folder / output):
            assert set(atoms.calc.results) == {"energy", "forces", "stress"}
            assert not {"virial", "energy_std", "free_energy"} & set(atoms.info)
            assert "stresses" not in atoms.arrays
        out, _ = run(capsys, "evaluate", folder / "m.skd", folder / output, "--json")
        table = json.loads(out)["all"]
        assert {quantity: row["count"] > 0 for quantity, row in table.items()} == {
            "energy": True, "forces": True, "virials": True}
        assert max(row["rmse"] for row in table.values()) < 1e-6
    (folder / "new.traj").read_bytes().index(b"- of Ulm")  # not text that is called so
    for bad in ("x.cif", "x.traj.gz", "x.vasp"):
        words = ("predict", folder / "m.skd", folder / "test.xyz", "-o", folder / bad)
        assert "--output is" in fail(capsys, *words)
        assert not (folder / bad).exists()


def test_some_of_the_structures_of_a_file(folder, capsys):
    out, _ = run(capsys, "evaluate", folder / "m.skd", f"{folder}/test.xyz@::2",
                 f"{folder}/test.xyz.xz@-1", "--json", "--by-config-type")
    table = json.loads(out)
    assert (table["all"]["energy"]["count"], table["odd"]["energy"]["count"]) == (3, 1)
    for text, message in (
        ("test.xyz@9", "number 9 is selected"), ("test.xyz@7:", "selects none"),
        ("test.xyz@a:b", "ends with 'a:b'"), ("none.xyz@1", "none.xyz"),
        ("test.xyz@::0", "step of 0"),
    ):
        assert message in fail(capsys, "evaluate", folder / "m.skd", f"{folder}/{text}")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--n-max", "0"], "--n-max (n_max)"),
        (["--atom-sigma", "-1"], "--atom-sigma (atom_sigma)"),
        (["--cutoff", "nan"], "--cutoff "),
        (["--sigma-energy", "-1"], "--sigma-energy (sigma_energy) "),
        (["--n-sparse", "-5"], "--n-sparse (n_sparse) "),
        (["--zeta", "0"], "--zeta is"),
        (["--jitter", "-1"], "--jitter "),
        (["--forces-key", "F"], "--forces-key is 'F', but no structure has"),
        (["--energy-key", "E"], "name the key by --energy-key"),
        (["--virial-key", "V"], "or leave it out by --no-virials"),
        (["--e0", "Cu=1"], "--e0 has no energy"),
        (["--n-particles", "0"], "--n-particles (n_particles)"),
        (["--max-time", "-1"], "--max-time (max_time)"),
    ],
)
def test_errors_name_flags(folder, capsys, flags, expected):
    command = "tune" if flags[0] in ("--n-particles", "--max-time") else "fit"
    error = fail(capsys, command, folder / "train.xyz", "-o", folder / "x.skd", *flags)
    assert expected in error
    assert "_key" not in error


def test_errors_name_files(folder, capsys):
    frames = ase.io.read(folder / "train.xyz", ":3")
    frames[1].calc.results["forces"][0, 0] = np.inf
    ase.io.write(folder / "bad_force.xyz", frames, format="extxyz")
    words = ("fit", folder / "train.xyz", folder / "bad_force.xyz", "-o", folder / "x.skd")
    assert f"structure 1 of {folder}/bad_force.xyz has forces" in fail(capsys, *words)


def test_structures_without_energies_count_by_their_forces(folder, capsys):
    frames = ase.io.read(folder / "train.xyz", ":")
    del frames[2].calc.results["energy"]
    ase.io.write(folder / "lacking.xyz", frames, format="extxyz")
    words = ("fit", folder / "lacking.xyz", "-o", folder / "x.skd", *SMALL)
    assert "--optional-energies" in fail(capsys, *words)
    _, err = run(capsys, *words, "--optional-energies")
    assert "warning: y is NaN for 1 of 8 structures (2)" in err
    assert "7 energies" in err
    assert "nan" not in err.lower().replace("is nan", "")
    out, _ = run(capsys, "evaluate", folder / "m.skd", folder / "lacking.xyz", "--json",
                 "--optional-energies")
    assert json.loads(out)["all"]["energy"]["count"] == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "train.xyz", "-o", "train.xyz"], "--output .* of FILES"),
        (["fit", "train.xyz@::2", "-o", "./train.xyz"], "--output .* of FILES"),
        (["fit", "train.xyz", "-o", "n.skd", "--log", "train.xyz"], "--log .* of FILES"),
        (["fit", "train.xyz", "-o", "n.skd", "--report", "n.skd"], "--report .* of --output"),
        (["fit", "train.xyz", "-o", "n.skd", "--test", "t.xyz", "--plot", "t.xyz"], "of --test"),
        (["predict", "m.skd", "train.xyz", "-o", "m.skd"], "--output .* of MODEL"),
        (["convert", "m.skd", "m.skd"], "--output .* of MODEL"),
        (["tune", "train.xyz", "-o", "n.skd", "--checkpoint", "train.xyz"], "--checkpoint"),
        (["auto", "link.xyz", "-o", "train.xyz"], "--output .* of FILES"),
    ],
)
def test_files_that_are_read_are_not_overwritten(words, message, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    Path("link.xyz").unlink(missing_ok=True)
    Path("link.xyz").symlink_to("train.xyz")
    before = {path: path.read_bytes() for path in Path(".").iterdir() if path.is_file()}
    assert main(words) == 1
    assert re.search(message, capsys.readouterr().err)
    assert {path: path.read_bytes() for path in Path(".").iterdir() if path.is_file()} == before
