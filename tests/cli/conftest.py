"""Files that the tests of the command line share."""

import lzma

import ase.io
import pytest
from helpers.command import SMALL
from helpers.potentials import crystals

from skdesc._cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Training and test structures, with two config types, and a model."""
    folder = tmp_path_factory.mktemp("cli")
    for name, count, seed in (("train", 8, 0), ("test", 4, 70)):
        frames = crystals(count, seed)
        for index, atoms in enumerate(frames):
            atoms.info["config_type"] = "even" if index % 2 == 0 else "odd"
        ase.io.write(folder / f"{name}.xyz", frames, format="extxyz")
    text = (folder / "test.xyz").read_bytes()
    (folder / "test.xyz.xz").write_bytes(lzma.compress(text))
    assert main(["fit", str(folder / "train.xyz"), "-o", str(folder / "m.skd"), *SMALL]) == 0
    return folder
