"""Files that are no model files, or were changed or made to do harm."""

import io
import json
import pickle
import zipfile

import joblib
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from skdesc.io import load, save
from skdesc.io._container import FORMAT_VERSION, write_container


def foreign_files():
    text = io.BytesIO()
    with zipfile.ZipFile(text, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    header = io.BytesIO()
    with zipfile.ZipFile(header, "w") as archive:
        archive.writestr("header.json", '{"format": "another"}')
    packed = io.BytesIO()
    joblib.dump({"a": np.arange(3)}, packed, compress=3)
    return {
        "pickle": (pickle.dumps(Ridge()), "is a pickle"),
        "joblib": (packed.getvalue(), "is a pickle"),
        "empty": (b"", "it is empty"),
        "text": (b"8\nLattice=...", "begins with other bytes"),
        "xml": (b"\n<ex>", "read_quip_xml"),
        "zip": (text.getvalue(), "it is a zip archive, but another"),
        "zip of another kind": (header.getvalue(), "zip archive of another kind"),
    }


@pytest.mark.parametrize("kind", foreign_files())
def test_foreign_files(kind, tmp_path):
    content, message = foreign_files()[kind]
    path = tmp_path / "model.skd"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"no model file: .*{message}"):
        load(path)


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.skd")
    with pytest.raises(FileNotFoundError, match=r"folder .* does not exist; make it"):
        save(Ridge(), tmp_path / "no" / "model.skd")
    with pytest.raises(IsADirectoryError, match="is a folder; name a file"):
        save(Ridge(), tmp_path)


def rewrite(source, target, change):
    """Change members of a file, which keeps the form of an archive."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(zipfile.ZipInfo(name), content)


def test_a_newer_version(saved, tmp_path):
    def change(name, content):
        if name == "header.json":
            header = json.loads(content)
            header["format_version"] = FORMAT_VERSION + 1
            header["versions"]["skdesc"] = "9.8"
            return json.dumps(header)
        return content

    rewrite(saved, tmp_path / "new.skd", change)
    with pytest.raises(ValueError, match=r"saved by skdesc 9\.8 in format 2.*upgrade skdesc"):
        load(tmp_path / "new.skd")


@pytest.mark.parametrize("member", ["content.json", "arrays/0.npy", "header.json"])
def test_changed_parts(saved, tmp_path, member):
    """The archive is sound, but what is in it is not what was saved."""
    path = tmp_path / "changed.skd"
    rewrite(saved, path, lambda name, content: content + b" " if name == member else content)
    if member != "header.json":  # where a blank means nothing
        with pytest.raises(ValueError, match="damaged: its content does not have the checksum"):
            load(path)
    rewrite(saved, path, lambda name, content: None if name == member else content)
    with pytest.raises(ValueError, match=r"damaged: it has other parts|no model file"):
        load(path)


def hostile_objects():
    ridge = {"class": "sklearn.linear_model.Ridge", "parameters": {}, "state": {}}
    return {
        "function": [{"class": "os.system", "arguments": ["echo"]}],
        "process": [{"class": "subprocess.Popen", "parameters": {"args": "true"}, "state": {}}],
        "module": [{"class": "skdesc.descriptors._soap.atomic_numbers", "state": {}}],
        "path": [{"class": "skdesc.gaussian_process...os.system", "state": {}}],
        "missing": [{"class": "skdesc.descriptors._nothing.Nothing", "state": {}}],
        "imported": [{"class": "skdesc.descriptors._soap.BaseEstimator", "state": {}}],
        "arguments": [{"class": "sklearn.linear_model.Ridge", "arguments": [1]}],
        "type": [ridge | {"parameters": {"alpha": ["type", "builtins.eval"]}}],
        "kind": [ridge | {"parameters": {"alpha": ["os.system", ["a", "b"]]}}],
        "unknown parameter": [ridge | {"parameters": {"shell": True}}],
        "forward": [ridge | {"parameters": {"alpha": ["object", 1]}}, ridge],
        "itself": [ridge | {"parameters": {"alpha": ["object", 0]}}],
        "negative": [ridge | {"parameters": {"alpha": ["array", -1]}}],
        "no list": [ridge | {"parameters": {"alpha": {"a": 1}}}],
        "empty": [ridge | {"parameters": {"alpha": []}}],
        "no objects": 3,
    }


@pytest.mark.parametrize("kind", hostile_objects())
def test_hostile_files(kind, tmp_path, monkeypatch):
    """Well-formed files with correct checksums that ask for what they must not get."""
    monkeypatch.setattr("os.system", lambda command: pytest.fail("executed"))
    path = tmp_path / "hostile.skd"
    content = {"root": ["object", 0], "objects": hostile_objects()[kind]}
    write_container(path, content, [], {"skdesc": "0"})
    with pytest.raises(ValueError, match=r"hostile\.skd cannot be turned into a model"):
        load(path)


def test_pickled_arrays_are_not_opened(saved, tmp_path, monkeypatch):
    """Neither pickles inside of arrays nor arrays larger than the file."""
    monkeypatch.setattr("skdesc.io._container.hashlib.sha256", lambda: FixedDigest())
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}], dtype=object))
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        huge, {"shape": (2**50,), "fortran_order": False, "descr": "<f8"}
    )
    path = tmp_path / "model.skd"
    save(Ridge().fit([[0.0], [1.0]], [0, 1]), tmp_path / "ridge.skd")
    for content in (pickled.getvalue(), huge.getvalue()):
        def change(name, old, content=content):
            return content if name == "arrays/0.npy" else old

        rewrite(tmp_path / "ridge.skd", path, change)
        with pytest.raises(ValueError, match=r"damaged: .*another size or type"):
            load(path)


class FixedDigest:
    """Stands for a checksum that the author of a hostile file has adapted."""

    def update(self, data):
        pass

    def hexdigest(self):
        return "0"


def test_compressed_files_are_refused(saved, tmp_path):
    """A small file must not become a large one in memory."""
    path = tmp_path / "packed.skd"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name), compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed or encrypted"):
        load(path)


def test_deeply_nested_files_are_refused(tmp_path):
    path = tmp_path / "deep.skd"
    node = []
    for _ in range(900):
        node = ["list", node]
    write_container(path, {"root": node, "objects": []}, [], {})
    with pytest.raises(ValueError, match="cannot be turned into a model"):
        load(path)
