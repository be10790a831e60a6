"""Every format that can be read, with its units, and what is refused."""

import bz2
import gzip
import lzma
import warnings
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from helpers.outputs import CP2K, MTP, OUTPUTS

from skdesc import extract_targets, read_structures

FORCES = np.array([[0.01, 0.02, -0.03], [-0.01, -0.02, 0.03]])
PRESSURES = np.array([16.02177, 8.01088, 4.00544]) / 1602.1766  # from kbar
# energy, forces and the diagonal of the virial
EXPECTED = {
    "OUTCAR": (-7.445, FORCES, PRESSURES * 3.6**3),
    "vasprun.xml": (-7.445, FORCES, PRESSURES * 3.6**3),
    "cu.pwo": (-2 * units.Ry, 0.1 * FORCES * units.Ry / units.Bohr,
               np.array([4, 2, 1]) * 2.5e-5 * units.Ry / units.Bohr**3 * 3.6**3),
    "cu.castep": (-7.4475, FORCES, np.array([1.602177, 0.801088, 0.400544]) * units.GPa * 3.6**3),
    "cp2k.out": (-96.25 * units.Ha, 0.1 * FORCES * units.Ha / units.Bohr,
                 np.array([1.602177, 0.801088, 0.400544]) * units.GPa * 3.6**3),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_of_programs(tmp_path, name):
    (tmp_path / name).write_text(OUTPUTS[name])
    frames = read_structures(tmp_path / name)
    assert len(frames) == (2 if name in ("OUTCAR", "vasprun.xml") else 1)
    energy, forces, virial = EXPECTED[name]
    np.testing.assert_allclose(frames[-1].positions[1], [0.0, 1.9, 1.8], atol=1e-5)
    y, targets = extract_targets(frames)
    np.testing.assert_allclose(y, energy, rtol=1e-6)
    np.testing.assert_allclose(targets["forces"][-1], forces, rtol=1e-5)
    np.testing.assert_allclose(np.diag(targets["virials"][-1]), virial, rtol=1e-5)


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_that_are_cut_off(tmp_path, name):
    """Cut anywhere, an output is refused or gives numbers that it really has."""
    text, (energy, forces, _) = OUTPUTS[name], EXPECTED[name]
    path = tmp_path / f"cut{Path(name).suffix if '.' in name else '.OUTCAR'}"
    n_refused = 0
    for stop in range(11, len(text), 97):
        path.write_text(text[:stop])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # ASE's own
                y, targets = extract_targets(read_structures(path), energies="auto")
        except ValueError:
            n_refused += 1
            continue
        np.testing.assert_allclose(y[np.isfinite(y)], energy, rtol=1e-6)
        for block in targets.get("forces", []):
            np.testing.assert_allclose(block, forces, rtol=1e-5)
    assert n_refused > 0.7 * len(range(11, len(text), 97))


def later_cp2k(unit="GPa"):
    """The same output, with tables as later versions print them."""
    begin, rest = CP2K.split(" ATOMIC FORCES in")
    rows = "\n".join(f" FORCES|      {i + 1} {x:.8E} {y:.8E} {z:.8E} 3.74E-03"
                     for i, (x, y, z) in enumerate(0.1 * FORCES))
    tensor = 0.1 * np.diag([1.602177, 0.801088, 0.400544]) * (10 if unit == "GPa" else 1e5)
    stress = "\n".join(f" STRESS|      {axis} {x:.11E} {y:.11E} {z:.11E}"
                       for axis, (x, y, z) in zip("xyz", tensor, strict=True))
    return (
        begin.replace("[a.u.]:", "[hartree]")
        + f" FORCES| Atomic forces [hartree/bohr]\n FORCES|   Atom x y z |f|\n{rows}\n"
        f" FORCES|    Sum 0.0 0.0 0.0 0.0\n\n STRESS| Analytical stress tensor [{unit}]\n"
        f" STRESS|                  x        y        z\n{stress}\n"
        " STRESS| 1/3 Trace                    9.34603000000E-01\n"
        + rest[rest.index("\n  ****"):]
    )


class TestCP2K:
    @pytest.mark.parametrize("unit", ["GPa", "bar"])
    def test_later_versions(self, tmp_path, unit):
        (tmp_path / "new.out").write_text(later_cp2k(unit))
        y, targets = extract_targets(read_structures(tmp_path / "new.out"))
        energy, forces, virial = EXPECTED["cp2k.out"]
        np.testing.assert_allclose(y, energy, rtol=1e-12)
        np.testing.assert_allclose(targets["forces"][0], forces, rtol=1e-7)
        np.testing.assert_allclose(np.diag(targets["virials"][0]), virial, rtol=1e-6)

    def test_molecules_are_not_periodic(self, tmp_path):
        text = CP2K.replace(" ATOMIC KIND", " POISSON| Periodicity          NONE\n ATOMIC KIND")
        (tmp_path / "lone.out").write_text(text)
        assert not read_structures(tmp_path / "lone.out")[0].pbc.any()

    @pytest.mark.parametrize(
        ("old", "new", "match"),
        [
            ("SCF run converged", "SCF run NOT converged", "must have converged; raise MAX_SCF"),
            (" ENERGY|", " ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:  -1.0\n ENERGY|",
             "2 energies and the coordinates of 1 structures.*trajectory"),
            ("      2      1      Cu         -0.001", " -0.001", "1 forces, but must be 2"),
            ("[GPa]", "[Mbar]", "unit of the stress is 'Mbar', but must be GPa or bar"),
            ("1.900000", "********", r"line \d+: could not convert"),
        ],
    )
    def test_malformed_files(self, tmp_path, old, new, match):
        assert CP2K.count(old) == 1
        (tmp_path / "bad.out").write_text(CP2K.replace(old, new))
        with pytest.raises(ValueError, match=match):
            read_structures(tmp_path / "bad.out")


class TestMTP:
    def test_labels(self, tmp_path):
        (tmp_path / "train.cfg").write_text(MTP)
        first, second = read_structures(tmp_path / "train.cfg", elements=["Cu", "Au"])
        assert first.get_chemical_formula(mode="reduce") == "CuAuCu"
        assert first.info["config_type"] == "two words"
        np.testing.assert_array_equal(first.cell[2], [0.5, 0.0, 6.0])
        np.testing.assert_array_equal(first.positions[2], [1.0, 3.1, 4.2])
        y, targets = extract_targets([first])
        assert y[0] == -12.5
        np.testing.assert_array_equal(targets["forces"][0][1], [-0.01, -0.02, 0.0])
        expected = [[1.0, 0.6, 0.5], [0.6, 2.0, 0.4], [0.5, 0.4, 3.0]]
        np.testing.assert_allclose(targets["virials"][0], expected, rtol=1e-12)
        np.testing.assert_allclose(second.positions, [[1.5, 0.0, 0.0]])
        assert second.symbols[0] == "Au"
        assert second.calc is None

    def test_compressed_and_selected(self, tmp_path):
        (tmp_path / "train.cfg.gz").write_bytes(gzip.compress(MTP.encode()))
        frames = read_structures(f"{tmp_path}/train.cfg.gz@1:", elements=["Cu", "Au"])
        assert len(frames) == len(frames[0]) == 1

    @pytest.mark.parametrize(
        ("old", "new", "match"),
        [
            ("    3\n", "    1000000000000\n", "line 3 says 1e\\+12 atoms"),
            ("    3\n", "    nan\n", "line 3 is 'nan', but must have 1 finite"),
            ("-12.5", "-12.5x", "line 13 is '-12.5x'"),
            ("xx  yy", "xx  xx", "must name xx, yy"),
            ("cartes_x", "cart_x", "has the columns"),
            (" Energy", " Enargy", "begins with 'Enargy'"),
            ("END_CFG\n\nBEGIN", "BEGIN", "has not ended"),
            ("    2  1  2.0", "    2  7  2.0", "has 2 symbols, but .* an atom of type 7"),
            ("-0.03\n", "\n", "line 11 is"),
        ],
    )
    def test_malformed_files(self, tmp_path, old, new, match):
        assert old in MTP
        (tmp_path / "bad.cfg").write_text(MTP.replace(old, new, 1))
        with pytest.raises(ValueError, match=match):
            read_structures(tmp_path / "bad.cfg", elements=["Cu", "Au"])

    def test_files_that_are_cut_off(self, tmp_path):
        path = tmp_path / "cut.cfg"
        whole = len(MTP) - len(MTP.split("END_CFG")[-1])
        for stop in range(15, whole, 7):
            path.write_text(MTP[:stop])
            if MTP[:stop].rstrip().endswith("END_CFG"):
                continue
            with pytest.raises(ValueError, match=str(path)):
                read_structures(path, elements=["Cu", "Au"])

    def test_elements_are_needed(self, tmp_path):
        (tmp_path / "train.cfg").write_text(MTP)
        with pytest.raises(ValueError, match=r"elements is None, .*has types \[0, 1\]"):
            read_structures(tmp_path / "train.cfg")

    def test_files_of_atomeye(self, tmp_path):
        ase.io.write(tmp_path / "some.cfg", bulk("Cu", cubic=True))
        assert read_structures(tmp_path / "some.cfg")[0].symbols[0] == "Cu"


@pytest.mark.parametrize("name", ["set.pkl", "set.lmdb"])
def test_pickles_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ValueError, match=r"holds pickles.* load_atoms"):
        read_structures(tmp_path / name)


@pytest.mark.parametrize("pack", [gzip, bz2, lzma])
def test_compressed_outputs(tmp_path, pack):
    ending = {"gzip": "gz", "bz2": "bz2", "lzma": "xz"}[pack.__name__]
    path = tmp_path / f"OUTCAR.{ending}"
    path.write_bytes(pack.compress(OUTPUTS["OUTCAR"].encode()))
    assert len(read_structures(f"{path}@:1")) == 1
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=str(path)):
        read_structures(path)
    database = tmp_path / "some.db"
    ase.io.write(database, [Atoms("Au"), Atoms("Cu")])
    packed = tmp_path / f"some.db.{ending}"
    packed.write_bytes(pack.compress(database.read_bytes()))
    assert len(read_structures(packed)) == 2


def test_folders_and_several_files(tmp_path):
    atoms = molecule("H2O")
    atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    for run, name in (("b", "OUTCAR"), ("a", "vasprun.xml"), ("a", "OUTCAR")):
        (tmp_path / run).mkdir(exist_ok=True)
        (tmp_path / run / name).write_text(OUTPUTS[name])
    ase.io.write(tmp_path / "a" / "inner.xyz", [Atoms("Au"), atoms])
    (tmp_path / "a" / "notes.txt").write_text("nothing\n")
    (tmp_path / ".hidden").mkdir()
    ase.io.write(tmp_path / ".hidden" / "x.xyz", atoms)
    frames = read_structures(tmp_path)
    # of a run of VASP, one of its outputs
    assert [len(atoms) for atoms in frames] == [2, 2, 1, 3, 2, 2]
    ase.io.write(tmp_path / "more.traj", [atoms] * 3)
    both = read_structures([tmp_path / "b", f"{tmp_path}/more.traj@::2"])
    assert len(both) == 4
    (tmp_path / "c").mkdir()
    with pytest.raises(ValueError, match=r"c has no structures: .*type\.raw"):
        read_structures(tmp_path / "c")
