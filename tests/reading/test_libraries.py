"""Formats that libraries read: databases, folders of DeePMD, tables, and what is broken of them."""

import sys

import ase.db
import numpy as np
import pytest
from helpers.potentials import crystals

from skdesc import extract_targets, read_structures


@pytest.mark.parametrize("ending", ["db", "json", "aselmdb"])
def test_databases(tmp_path, ending):
    if ending == "aselmdb":
        pytest.importorskip("ase_db_backends")
    frames = crystals(3)
    path = tmp_path / f"some.{ending}"
    with ase.db.connect(path) as database:
        for index, atoms in enumerate(frames):
            hidden = {"dft_forces": np.ones((len(atoms), 3))}
            database.write(atoms, key_value_pairs={"config_type": f"k{index}"}, data=hidden)
    again = read_structures(path)
    y, targets = extract_targets(frames)
    np.testing.assert_array_equal(extract_targets(again)[0], y)
    np.testing.assert_array_equal(extract_targets(again)[1]["forces"][2], targets["forces"][2])
    assert [atoms.info["config_type"] for atoms in again] == ["k0", "k1", "k2"]
    assert again[0].arrays["dft_forces"].shape == (len(again[0]), 3)
    assert read_structures(f"{path}@config_type=k1")[0].info["config_type"] == "k1"
    assert read_structures(f"{path}@-1")[0].info["config_type"] == "k2"
    with pytest.raises(ValueError, match="has no structures"):
        read_structures(f"{path}@config_type=nothing")


def test_databases_that_are_broken(tmp_path):
    (tmp_path / "empty.db").write_bytes(b"")
    with pytest.raises(ValueError, match="it is empty"):
        read_structures(tmp_path / "empty.db")
    assert (tmp_path / "empty.db").read_bytes() == b""
    (tmp_path / "junk.db").write_bytes(b"nothing of a database" * 100)
    with pytest.raises(ValueError, match=r"junk\.db cannot be read"):
        read_structures(tmp_path / "junk.db")
    pytest.importorskip("ase_db_backends")
    (tmp_path / "junk.aselmdb").write_bytes(b"nothing of a database" * 1000)
    with pytest.raises(ValueError, match=r"junk\.aselmdb cannot be read"):
        read_structures(tmp_path / "junk.aselmdb")


def write_deepmd(folder, frames, with_map=True):
    """A system as DeePMD has it."""
    y, targets = extract_targets(frames)
    symbols = sorted(set(frames[0].symbols))
    (folder / "set.000").mkdir(parents=True)
    types = [symbols.index(symbol) for symbol in frames[0].symbols]
    (folder / "type.raw").write_text("\n".join(map(str, types)) + "\n")
    if with_map:
        (folder / "type_map.raw").write_text("\n".join(symbols) + "\n")
    rows = {
        "coord": [atoms.positions.ravel() for atoms in frames],
        "box": [atoms.cell.array.ravel() for atoms in frames],
        "energy": y,
        "force": [block.ravel() for block in targets["forces"]],
        "virial": targets["virials"].reshape(-1, 9),
    }
    for name, values in rows.items():
        np.save(folder / "set.000" / f"{name}.npy", np.array(values))
    return y, targets


def test_folders_of_deepmd(tmp_path):
    pytest.importorskip("dpdata")
    frames = crystals(3)
    y, targets = write_deepmd(tmp_path / "system", frames)
    for path in (tmp_path / "system", tmp_path):  # a folder of systems as well
        again = read_structures(path)
        assert [str(atoms.symbols) for atoms in again] == [str(atoms.symbols) for atoms in frames]
        got, got_targets = extract_targets(again)
        np.testing.assert_allclose(got, y, rtol=1e-12)
        np.testing.assert_allclose(got_targets["forces"], targets["forces"], atol=1e-12)
        np.testing.assert_allclose(got_targets["virials"], targets["virials"], atol=1e-10)
    assert len(read_structures(f"{tmp_path / 'system'}@:2")) == 2
    np.save(tmp_path / "system" / "set.000" / "force.npy", np.zeros((2, 7)))
    with pytest.raises(ValueError, match="system cannot be read as structures"):
        read_structures(tmp_path / "system")


@pytest.mark.parametrize("layout", ["deepmd/raw", "deepmd/npy/mixed"])
def test_other_layouts_of_deepmd(tmp_path, layout):
    dpdata = pytest.importorskip("dpdata")
    frames = crystals(3)
    systems = dpdata.MultiSystems()
    for atoms in frames:
        systems.append(dpdata.LabeledSystem(atoms, fmt="ase/structure"))
    systems.to(layout, str(tmp_path / "data"))
    again = read_structures(tmp_path / "data")
    y, targets = extract_targets(frames)
    got, got_targets = extract_targets(again)
    order = [np.flatnonzero(np.isclose(y, energy, rtol=1e-9))[0] for energy in got]
    assert sorted(order) == [0, 1, 2]
    for index, atoms, forces in zip(order, again, got_targets["forces"], strict=True):
        assert atoms.get_chemical_formula() == frames[index].get_chemical_formula()
        assert np.abs(forces).sum() == pytest.approx(np.abs(targets["forces"][index]).sum())
        shown = extract_targets([atoms])[1]["virials"]
        np.testing.assert_allclose(shown[0], targets["virials"][index], atol=1e-5)


@pytest.mark.parametrize("ending", ["db", "aselmdb"])
def test_databases_that_are_cut_off(tmp_path, ending):
    if ending == "aselmdb":
        pytest.importorskip("ase_db_backends")
    path = tmp_path / f"some.{ending}"
    with ase.db.connect(path) as database:
        for atoms in crystals(40):
            database.write(atoms)
    content = path.read_bytes()
    for part in (0.2, 0.5, 0.9):
        cut = tmp_path / f"cut{part}.{ending}"
        cut.write_bytes(content[: int(part * len(content))])
        with pytest.raises(ValueError, match=r"cut.* cannot be read"):
            read_structures(cut)


def test_types_of_deepmd_need_elements(tmp_path):
    pytest.importorskip("dpdata")
    frames = crystals(2)
    write_deepmd(tmp_path / "system", frames, with_map=False)
    with pytest.raises(ValueError, match=r"elements is None, but .*system has no type_map"):
        read_structures(tmp_path / "system")
    symbols = sorted(set(frames[0].symbols))
    again = read_structures(tmp_path / "system", elements=symbols)
    assert str(again[0].symbols) == str(frames[0].symbols)


def write_table(path, frames, **more):
    """A table as those of ColabFit."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    y, targets = extract_targets(frames)
    columns = {
        "atomic_numbers": [atoms.numbers.tolist() for atoms in frames],
        "positions": [atoms.positions.tolist() for atoms in frames],
        "cell": [atoms.cell.array.tolist() for atoms in frames],
        "pbc": [atoms.pbc.tolist() for atoms in frames],
        "energy": y.tolist(),
        "atomic_forces": [block.tolist() for block in targets["forces"]],
        "cauchy_stress": [atoms.get_stress(voigt=False).tolist() for atoms in frames],
        "config_type": ["bulk"] * len(frames),
        **more,
    }
    columns = {name: values for name, values in columns.items() if values is not None}
    parquet.write_table(pyarrow.table(columns), path)
    return y, targets


def test_tables(tmp_path):
    frames = crystals(3)
    y, targets = write_table(tmp_path / "some.parquet", frames)
    again = read_structures(tmp_path / "some.parquet")
    got, got_targets = extract_targets(again)
    np.testing.assert_array_equal(got, y)
    np.testing.assert_array_equal(got_targets["forces"], targets["forces"])
    np.testing.assert_allclose(got_targets["virials"], targets["virials"], atol=1e-12)
    assert again[0].info["config_type"] == "bulk"
    assert again[0].pbc.all()
    write_table(tmp_path / "odd.parquet", frames, positions=None, energy=[1.0, None, 2.0])
    with pytest.raises(ValueError, match="but none of positions, pos"):
        read_structures(tmp_path / "odd.parquet")
    write_table(tmp_path / "text.parquet", frames,
                atomic_numbers=[str(atoms.numbers.tolist()) for atoms in frames])
    assert read_structures(tmp_path / "text.parquet@0")[0] == frames[0]
    write_table(tmp_path / "bad.parquet", frames, atomic_numbers=[[29], [29], [29]])
    with pytest.raises(ValueError, match="row 0: cannot reshape"):
        read_structures(tmp_path / "bad.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "some.parquet").read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"cut\.parquet cannot be read"):
        read_structures(tmp_path / "cut.parquet")


@pytest.mark.parametrize(
    ("name", "package", "library"),
    [("some.parquet", "pyarrow", "pyarrow.parquet"), ("some.aselmdb", "ase-db-backends",
      "ase_db_backends")],
)
def test_absent_libraries_are_named(tmp_path, monkeypatch, name, package, library):
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / name).write_text("not looked at\n")
    with pytest.raises(ImportError, match=f"needs the package {package} .*pip install {package}"):
        read_structures(tmp_path / name)
