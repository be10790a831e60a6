"""Files that were made to do harm: by what they say, by their size, by what they are."""

import io
import json
import os
import resource
import subprocess
import sys
import time
import zipfile
from hashlib import sha256

import numpy as np
import pytest
from helpers.stored_models import FOLDER, structures
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline

from skdesc import SOAPTransformer, TensorReducedTransformer, TwoBodyTransformer
from skdesc.io import load, read_quip_xml, save
from skdesc.io._container import read_container, write_container
from skdesc.utils.files import replace_file


def rewritten(model, path, change):
    """Save a model, and change description and arrays under a checksum that fits."""
    save(model, path)
    content, arrays, versions = read_container(path)
    change(content["objects"], arrays)
    write_container(path, content, arrays, versions)
    return path


def set_everywhere(name, value):
    """Change a parameter of the estimator and of its tables."""

    def change(objects, arrays):
        for described in objects:
            if name in described.get("parameters", ()):
                described["parameters"][name] = value
            for node in described.get("arguments", ()):
                for pair in node[1:] if node[0] == "dict" else ():
                    if pair[0] == name:
                        pair[1] = value

    return change


ABSURD = [
    ("n_max", 1000), ("n_max", -1), ("n_max", 2.5), ("l_max", 500), ("l_max", 31), ("n_max", True),
    ("cutoff", 1e308), ("cutoff", 1e-300), ("cutoff", ["float", "nan"]), ("cutoff", -1.0),
    ("atom_sigma", 1e-300), ("atom_sigma", ["float", "inf"]), ("cutoff_width", 1e9),
    ("cutoff_width", 1e-300), ("center_weight", 1e300), ("center_weight", -1.0), ("n_jobs", 0),
    ("radial_basis", "none"), ("radial_scaling", ["tuple", 1.0, 1e-300, 1e300]),
    ("compression", "mu9"), ("normalize", 2), ("n_channels", 2**40), ("n_channels", 0),
    ("correlation_order", 9), ("scheme", "other"), ("reduce", "none"), ("weights_per_l", 3),
    ("handle_unknown", "maybe"), ("dtype", "float16"), ("pooling", "max"), ("n_gaussians", 10**9),
    ("gaussian_width", 1e-300), ("shortest", 1e300),
]


@pytest.mark.parametrize(("name", "value"), ABSURD)
def test_absurd_parameters(name, value, tmp_path, monkeypatch):
    """They are refused before anything is built, by the rules of the constructors."""
    models = [SOAPTransformer(n_max=3, l_max=2, cutoff=3.5, cutoff_width=0.5, atom_sigma=0.5),
              TensorReducedTransformer(n_max=3, l_max=2, n_channels=4, random_state=0),
              TwoBodyTransformer(n_gaussians=4)]
    tried = 0
    for model in models:
        if name not in model.get_params():
            continue
        model.fit(structures())
        path = rewritten(model, tmp_path / "model.skd", set_everywhere(name, value))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        with pytest.raises(ValueError, match=r"cannot be turned into a model"):
            load(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 5
        tried += 1
    assert tried


@pytest.mark.parametrize(
    "species",
    [[-1, 6, 8], [6, 1, 8], [1, 6, 6], [1, 6, 119], [1.0, 6.0, 8.0], [], [[1, 6, 8]],
     ["H", "C", "O"]],
)
def test_species_that_no_fit_gives(species, tmp_path):
    for model in (SOAPTransformer(n_max=2, l_max=1), TwoBodyTransformer(n_gaussians=4)):
        def change(objects, arrays):
            arrays[0] = np.array(species)

        path = rewritten(model.fit(structures()), tmp_path / "model.skd", change)
        with pytest.raises(ValueError, match="species_ is"):
            load(path)


@pytest.mark.parametrize("n_features", [2, 10**9, -1, "x"])
def test_the_width_of_rows_is_not_read_from_files(n_features, tmp_path):
    soap = SOAPTransformer(n_max=8, l_max=6).fit(structures())

    def change(objects, arrays):
        objects[-1]["state"]["n_features_out_"] = n_features

    again = load(rewritten(soap, tmp_path / "model.skd", change))
    expected = soap.transform(structures()).values
    assert again.n_features_out_ == expected.shape[1]
    np.testing.assert_array_equal(again.transform(structures()).values, expected)


def test_parameters_that_were_changed_after_the_fit(tmp_path):
    soap = SOAPTransformer(n_max=3, l_max=2).fit(structures())
    soap.set_params(pooling="mean", n_jobs=1, centers=["C"], dtype="float32")  # no tables change
    save(soap, tmp_path / "model.skd")
    np.testing.assert_array_equal(
        load(tmp_path / "model.skd").transform(structures()), soap.transform(structures())
    )
    soap.set_params(n_max=4)
    with pytest.raises(ValueError, match="n_max is 4, but must be 3, with which SOAPTransformer"):
        save(soap, tmp_path / "model.skd")


def test_a_part_of_a_model_is_no_model(tmp_path):
    path, model = tmp_path / "model.skd", GaussianProcessRegressor(RBF() + WhiteKernel())
    save(model.fit(np.eye(3), np.arange(3.0)), path)
    content, arrays, versions = read_container(path)
    for index, part in enumerate(content["objects"]):
        if part["class"] != "sklearn.gaussian_process.GaussianProcessRegressor":
            content["root"] = ["object", index]
            write_container(path, content, arrays, versions)
            with pytest.raises(ValueError, match="it holds no estimator"):
                load(path)
    with pytest.raises(TypeError, match="model is of type RBF, but must be an estimator"):
        save(RBF(), path)


@pytest.mark.parametrize("position", [625, 10**9, -1, 2**70, 1.5])
def test_random_states(position, tmp_path):
    """NumPy reads from wherever the state says."""
    model = TensorReducedTransformer(n_max=2, l_max=1, random_state=np.random.RandomState(0))

    def change(objects, arrays):
        state = objects[-1]["parameters"]["random_state"]
        for pair in state[1][1:]:
            if pair[0] == "state":
                pair[1][2][1] = position

    path = rewritten(model, tmp_path / "model.skd", change)
    with pytest.raises(ValueError, match="cannot be turned into a model"):
        load(path)


@pytest.mark.parametrize("name", ["transform", "__class__", "__dict__", "fit", "_check_parameters"])
def test_attributes_that_hide_methods(name, tmp_path):
    def change(objects, arrays):
        objects[-1]["state"][name] = 5

    path = rewritten(SOAPTransformer(n_max=2).fit(structures()), tmp_path / "model.skd", change)
    with pytest.raises(ValueError, match="which is not an attribute"):
        load(path)


@pytest.mark.parametrize("n_arrays", [10**12, -1, 1.5, True, None, "1", float("inf")])
def test_headers(n_arrays, tmp_path):
    path = tmp_path / "model.skd"
    with zipfile.ZipFile(FOLDER / "soap.skd") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "header.json":
                content = json.dumps(json.loads(content) | {"n_arrays": n_arrays})
            new.writestr(zipfile.ZipInfo(name), content)
    with pytest.raises(ValueError, match="is damaged"):
        load(path)


def test_parts_on_top_of_one_another(tmp_path):
    """Entries of the directory that all name the same bytes would be read again and again."""
    path = tmp_path / "model.skd"
    array = io.BytesIO()
    np.save(array, np.zeros(10**5))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("content.json", "{}")
        archive.writestr("arrays/0.npy", array.getvalue())
        first = archive.filelist[-1]
        for index in range(1, 50):
            other = zipfile.ZipInfo(f"arrays/{index}.npy")
            for name in ("CRC", "compress_size", "file_size", "header_offset"):
                setattr(other, name, getattr(first, name))
            archive.filelist.append(other)
        header = {"format": "skdesc model", "format_version": 1, "versions": {}, "n_arrays": 50,
                  "sha256": "0"}
        archive.writestr("header.json", json.dumps(header))
    with pytest.raises(ValueError, match="is damaged"):
        load(path)


def test_strings_without_length(tmp_path):
    """Which take no room in the file, and much in memory."""
    path = tmp_path / "model.skd"
    save(Ridge().fit(np.eye(3), np.arange(3.0)), path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"shape": (10**12,), "fortran_order": False, "descr": "<U0"}
    )

    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    members["arrays/0.npy"] = header.getvalue()
    digest = sha256()
    for name, member in members.items():
        if name != "header.json":
            digest.update(name.encode() + member)
    members["header.json"] = json.dumps(
        json.loads(members["header.json"]) | {"sha256": digest.hexdigest()}
    ).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, member in members.items():
            new.writestr(zipfile.ZipInfo(name), member)
    with pytest.raises(ValueError, match="another size or type"):
        load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_pipes_and_devices(tmp_path):
    """Nothing is read from what may never end, and nothing takes the place of a device."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "link"):
        for function in (load, read_quip_xml):
            with pytest.raises(ValueError, match="must be a regular file"):
                function(path)
        with pytest.raises(ValueError, match="must be a regular file"):
            save(Ridge(), path)
    for function in (load, read_quip_xml):
        with pytest.raises(IsADirectoryError):
            function(tmp_path)


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".part", ".new"))


CODE = (
    "import os, sys, time\n"
    "from skdesc.utils.files import replace_file\n"
    "with replace_file(sys.argv[1]) as file:\n"
    "    file.write(b'half')\n"
    "    print('writing', flush=True)\n"
    "    time.sleep(60)\n"
)


def test_leftovers_of_killed_processes(tmp_path):
    """What a killed process has left goes with the next save; what is being written stays."""
    path = tmp_path / "model.skd"
    command = [sys.executable, "-c", CODE, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.stdout.readline()
    (tmp_path / ".model.skd.0123456789abcdef.part").write_bytes(b"of an older version")
    (tmp_path / ".model.skd.not-ours.part").write_bytes(b"of somebody")
    save(Ridge(), path)
    assert len(leftovers(tmp_path)) == 2
    process.kill()
    process.communicate()
    with replace_file(path) as file:
        file.write(b"new")
    assert leftovers(tmp_path) == [".model.skd.not-ours.part"]
    assert path.read_bytes() == b"new"


def test_leftovers_from_between_two_steps(tmp_path):
    path = tmp_path / "file"
    for name, age in [(".file.0123456789abcdef.new", 0), (".file.1123456789abcdef.new", 10**5)]:
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with replace_file(path) as file:
        file.write(b"new")
    assert leftovers(tmp_path) == [".file.0123456789abcdef.new"]


def change_last(name, value):
    """Change a parameter of what stands last in a file; without a value, take it away."""

    def change(objects, arrays):
        parameters = objects[-1]["parameters"]
        if value is None:
            del parameters[name]
        else:
            parameters[name] = value

    return change


@pytest.mark.parametrize(
    ("model", "name", "value", "message"),
    [
        (SOAPTransformer(n_max=2, l_max=1), "cutoff", None, "lacks the parameters"),
        (TwoBodyTransformer(n_gaussians=4), "pooling", None, "lacks the parameters"),
        (FeatureUnion([("a", TwoBodyTransformer())]), "transformer_weights", True,
         "transformer_weights of FeatureUnion is True"),
        (FeatureUnion([("a", TwoBodyTransformer())]), "transformer_list",
         ["list", ["tuple", "a", None]], "transformer_list of FeatureUnion"),
        (Ridge(), "alpha", "large", "'alpha' parameter of Ridge"),
        (Ridge(), "solver", 3, "'solver' parameter of Ridge"),
    ],
)
def test_parameters_that_a_fit_would_refuse(model, name, value, message, tmp_path):
    path = rewritten(model, tmp_path / "model.skd", change_last(name, value))
    with pytest.raises(ValueError, match=message):
        load(path)


def test_steps_that_do_not_go_together(tmp_path):
    """Features of single atoms, for a step that takes one row per structure."""
    model = make_pipeline(SOAPTransformer(n_max=2, l_max=1, pooling="mean"), Ridge())
    model.fit(structures(), np.arange(6.0))

    def change(objects, arrays):
        described = [each for each in objects if "pooling" in each.get("parameters", ())]
        described[0]["parameters"]["pooling"] = None

    with pytest.raises(ValueError, match="Pipeline cannot be used"):
        load(rewritten(model, tmp_path / "model.skd", change))
