"""Extended xyz: truncated, miscounted and untidy files."""

import io
import tracemalloc

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator

from skdesc.reading import read_structures


def text_of(n=3):
    frames = [bulk("Cu", cubic=True) for _ in range(n)]
    for index, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=index)
        forces = np.random.RandomState(index).normal(size=(4, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0 * index, forces=forces)
    file = io.StringIO()
    ase.io.write(file, frames, format="extxyz")
    return file.getvalue()


def read(tmp_path, text, name="a.xyz"):
    path = tmp_path / name
    path.write_text(text)
    return read_structures(path)


def test_whole_files(tmp_path):
    frames = read(tmp_path, text_of())
    expected = ase.io.read(io.StringIO(text_of()), ":", format="extxyz")
    assert frames == expected
    np.testing.assert_array_equal(frames[2].get_forces(), expected[2].get_forces())
    # ASE would stop at an empty line
    text = text_of().replace("\n4\n", "\n\n4\n") + "\n\n"
    assert read(tmp_path, text) == expected
    assert read(tmp_path, text_of().removesuffix("\n")) == expected
    assert read(tmp_path, text_of().replace("\n", "\r\n")) == expected


@pytest.mark.parametrize("cut", range(2, 400, 7))
def test_a_file_that_is_cut_off_is_refused(tmp_path, cut):
    """Wherever it is cut, but between structures."""
    text = text_of()[:-cut]
    if text_of().startswith(text + "\n") and text_of()[len(text) :].startswith("\n4\n"):
        pytest.skip("a whole number of structures")
    with pytest.raises(ValueError, match=r"cut off|must be a number of atoms|structure 2"):
        read(tmp_path, text)


@pytest.mark.parametrize("n_cut", range(2, 10))
def test_a_last_number_that_is_cut_off_is_refused(tmp_path, n_cut):
    with pytest.raises(ValueError, match=r"ends with .* it is cut off; if it is complete, end"):
        read(tmp_path, text_of(1)[:-n_cut])



def test_last_lines_without_an_end(tmp_path):
    """They are fine where no digit can be missing."""
    assert len(read(tmp_path, "2\n\nH 0 0 0\nH 0 0 1")[0]) == 2
    assert len(read(tmp_path, "1\n\nH 0.0 0.0 0.0")[0]) == 1
    assert len(read(tmp_path, "2\nProperties=pos:R:3:species:S:1\n0 0 0 H\n0 0 1.5 H")[0]) == 2
    for bad in ("2\n\nH 0.00 0.00 0.00\nH 0.00 0.00 1.", "1\n\nH 0.00 0.00 0.0",
                "2\n\nH 0 0 1.5e-01\nH 0 0 1.5e-0"):
        with pytest.raises(ValueError, match="cut off"):
            read(tmp_path, bad)


@pytest.mark.parametrize("count", [10**12, 10**30, 5, -1, 0])
def test_impossible_counts(tmp_path, count):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"line 7, where structure 1 .* says {count} atoms"):
            read(tmp_path, text_of(1) + f"{count}\n" + text_of(1).split("\n", 1)[1])
        assert tracemalloc.get_traced_memory()[1] < 10_000_000  # not that of so many lines
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("Cu  ", "Xy  ", "structure 0, from line 1 on"),
        ("0.0", "0.x", "structure 0"),
        ("\n4\n", "\nfour\n", "line 7, where structure 1 should begin, is 'four'"),
        ("\n4\n", "\n3\n", "must be a number of atoms; is the count of the structure before"),
    ],
)
def test_malformed_files(tmp_path, old, new, match):
    with pytest.raises(ValueError, match=match):
        read(tmp_path, text_of().replace(old, new))
    with pytest.raises(ValueError, match=r"a\.xyz has no structures"):
        read(tmp_path, "\n \n")


@pytest.mark.parametrize("ending", ["xz", "gz", "bz2"])
def test_broken_compression(tmp_path, ending):
    path = tmp_path / f"a.xyz.{ending}"
    path.write_bytes(b"this is not compressed")
    with pytest.raises(ValueError, match=f"xyz.{ending} cannot be read as structures"):
        read_structures(path)


def test_names_with_an_at_sign(tmp_path):
    path = tmp_path / "b@1.xyz"
    ase.io.write(path, [molecule("H2"), molecule("H2O")], format="extxyz")
    assert len(read_structures(path)) == 2
    assert len(read_structures(f"{path}@1")) == 1
