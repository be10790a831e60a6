"""Files of older versions: each kind of estimator is read, and predicts what it did."""

import json
import warnings
import zipfile

import numpy as np
import pytest
from helpers.stored_models import FOLDER, makers, predictions
from sklearn.exceptions import InconsistentVersionWarning

from skdesc import SOAPTransformer
from skdesc.io import load, save
from skdesc.io._classes import MOVED, Classes

STORED = sorted(path.stem for path in FOLDER.glob("*.skd"))


def load_stored(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        return load(FOLDER / f"{name}.skd")


def test_every_kind_is_stored():
    assert set(makers()) == set(STORED)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 400_000


@pytest.mark.parametrize("name", STORED)
def test_stored_models_predict_what_they_did(name):
    model = load_stored(name)
    expected = np.load(FOLDER / f"{name}.npz")
    arrays = predictions(model)
    assert len(arrays) == len(expected.files)
    for array, key in zip(arrays, expected.files, strict=True):
        assert array.shape == expected[key].shape
        np.testing.assert_allclose(array, expected[key], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["reduced_decomposition", "gap_joined", "gap_partial", "ridge"])
def test_stored_models_are_saved_again(name, tmp_path):
    model = load_stored(name)
    save(model, tmp_path / "again.skd")
    again = load(tmp_path / "again.skd")
    for first, second in zip(predictions(model), predictions(again), strict=True):
        np.testing.assert_array_equal(first, second)


def test_moved_classes_resolve():
    for old, new in MOVED.items():
        found = Classes(()).find(old)
        assert found is not None, f"{old} is said to be {new}, which does not exist"
        assert f"{found.__module__}.{found.__qualname__}" == new


def test_a_moved_class_is_found(tmp_path, monkeypatch):
    new = f"{SOAPTransformer.__module__}.SOAPTransformer"
    monkeypatch.setitem(MOVED, "skdesc.descriptors._before.PowerSpectrum", new)

    def change(content):
        for described in content["objects"]:
            if described["class"] == new:
                described["class"] = "skdesc.descriptors._before.PowerSpectrum"

    rewrite_content(FOLDER / "soap.skd", tmp_path / "old.skd", change)
    assert type(load(tmp_path / "old.skd")) is SOAPTransformer


def rewrite_content(source, target, change):
    """Copy a file with another description, under a checksum that fits."""
    from skdesc.io._container import read_container, write_container

    content, arrays, versions = read_container(source)
    change(content)
    write_container(target, content, arrays, versions)


def test_no_class_but_those_listed_is_named():
    """What a file can hold today is stored: names of classes that move need an alias."""
    names = set()
    for path in FOLDER.glob("*.skd"):
        with zipfile.ZipFile(path) as archive:
            content = json.loads(archive.read("content.json"))
        names |= {described["class"] for described in content["objects"]}
    own = {name for name in names if name.startswith("skdesc.")}
    assert len(own) >= 9
    for name in own:
        assert Classes(()).find(name) is not None, f"{name} is gone: add it to MOVED"
