"""Models in files without code: the same model comes back, and nothing else gets in."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from helpers import companions
from helpers.potentials import (
    STORED,
    crystals,
    everything,
    fit_potential,
    small_potential,
    stored_structure,
)
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR

from skdesc import (
    CachedDescriptor,
    FeatureCache,
    SOAPTransformer,
    TensorReducedTransformer,
    TwoBodyTransformer,
    TwoStagePSOSearchCV,
    extract_targets,
)
from skdesc.calculator import ZBLCalculator
from skdesc.io import load, save
from skdesc.utils.files import replace_file

RADIAL_TABLE = np.stack([np.linspace(0, 5, 60), *(np.linspace(1, 0, 60) ** [[3], [4]])])


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_potential_comes_back_bit_by_bit(potential, saved):
    again = load(saved)
    frames = crystals(3, seed=100)
    assert_same(everything(again, frames), everything(potential, frames))
    assert_same(again[-1].loo_[None], potential[-1].loo_[None])
    assert again[-1].e0_ == potential[-1].e0_
    # the parameters too, so that it can be cloned and fitted anew
    assert repr(clone(again)) == repr(clone(potential))


def test_the_same_model_gives_the_same_bytes(saved, tmp_path):
    save(load(saved), tmp_path / "again.skd")
    assert (tmp_path / "again.skd").read_bytes() == saved.read_bytes()


def test_it_goes_on_learning(potential, tmp_path):
    save(potential, tmp_path / "model.skd")
    frames = crystals(4, seed=50)
    y, targets = extract_targets(frames, virials=False)
    features = potential[:-1].transform(frames)
    original = load(tmp_path / "model.skd")[-1].partial_fit(features, y, **targets)
    again = pickle.loads(pickle.dumps(potential[-1])).partial_fit(features, y, **targets)
    assert_same([again.weights_], [original.weights_])


def test_a_baseline_comes_back(tmp_path):
    model = fit_potential(crystals(4), n_sparse=5, n_max=2, baseline=ZBLCalculator(1.1))
    save(model, tmp_path / "model.skd")
    again = load(tmp_path / "model.skd")
    assert again[-1].baseline.scale == 1.1
    frames = crystals(2, seed=9)
    assert_same(everything(again, frames), everything(model, frames))


@pytest.mark.parametrize(
    "descriptor",
    [
        SOAPTransformer(n_max=2, l_max=2, radial_basis=RADIAL_TABLE, compression="mu1nu1",
                        radial_scaling={"function": "exp", "r0": 2.0, "d": 0.5}),
        TensorReducedTransformer(n_max=3, l_max=2, n_channels=8),
        TensorReducedTransformer(n_max=3, l_max=2, n_channels=8, handle_unknown="draw",
                                 correlation_order=3, random_state=np.random.RandomState(1)),
        TwoBodyTransformer(n_gaussians=5),
        CachedDescriptor(SOAPTransformer(n_max=2, l_max=2), FeatureCache()),
        make_union(SOAPTransformer(n_max=2, l_max=1), TwoBodyTransformer(n_gaussians=5)),
    ],
)
def test_descriptors(descriptor, tmp_path):
    """Mixing weights that were drawn, tables, unions: all that a fit has decided on."""
    frames = crystals(3)
    descriptor = clone(descriptor).fit(frames)
    save(descriptor, tmp_path / "model.skd")
    again = load(tmp_path / "model.skd")
    first, second = descriptor.transform(frames), again.transform(frames)
    g = np.cos(np.arange(first.values.size)).reshape(first.values.shape)
    assert_same([first.values, *first.vjp(g)], [second.values, *second.vjp(g)])


def test_pipelines_with_companions(tmp_path):
    """Unions, scalers, a learned transform of the targets, float32, output containers."""
    frames = crystals(12)
    y = extract_targets(frames)[0]
    soap = SOAPTransformer(n_max=3, l_max=2, pooling="mean", dtype="float32", species=["Au", "Cu"])
    union = FeatureUnion([("near", soap), ("far", clone(soap).set_params(cutoff=6.0))])
    model = TransformedTargetRegressor(
        make_pipeline(union, StandardScaler(), PCA(5, random_state=np.random.RandomState(3)),
                      Ridge(1e-3)),
        transformer=StandardScaler(),
    ).fit(frames, y)
    save(model, tmp_path / "model.skd")
    assert_same([load(tmp_path / "model.skd").predict(frames)], [model.predict(frames)])
    pytest.importorskip("pandas")
    soap.set_output(transform="pandas").fit(frames)
    save(soap, tmp_path / "soap.skd")
    assert load(tmp_path / "soap.skd").transform(frames).equals(soap.transform(frames))


@pytest.mark.parametrize("name", [cls.__name__ for cls in companions.listed()])
def test_companions(name, tmp_path):
    model = companions.fitted(name)
    save(model, tmp_path / "model.skd")
    first, second = (companions.predictions(name, each)
                     for each in (model, load(tmp_path / "model.skd")))
    np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "model",
    [
        BaggingRegressor(Ridge(), 3, random_state=0),
        VotingRegressor([("a", Ridge()), ("b", SVR())]),
        StackingRegressor([("a", Ridge()), ("b", SVR())], Ridge()),
        ColumnTransformer([("a", StandardScaler(), [0, 1]), ("b", "passthrough", slice(2, 4))]),
    ],
)
def test_companions_around_others(model, tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.random((30, 4)), rng.random(30)
    model.fit(X, y)
    save(model, tmp_path / "model.skd")
    again = load(tmp_path / "model.skd")
    method = "predict" if hasattr(model, "predict") else "transform"
    assert_same([getattr(model, method)(X)], [getattr(again, method)(X)])


def test_of_a_search_its_best_model_is_saved(tmp_path):
    frames = crystals(6)
    y = extract_targets(frames)[0]
    search = TwoStagePSOSearchCV(
        make_pipeline(SOAPTransformer(n_max=2, l_max=1, pooling="sum"), Ridge()),
        {"soaptransformer__cutoff": [3.0, 4.0]}, {"ridge__alpha": [1e-3, 1e-2]},
        n_particles=2, n_iterations=1, cv=2, random_state=0,
    ).fit(frames, y)
    with pytest.raises(TypeError, match=r"model is a search .*save its best_estimator_"):
        save(search, tmp_path / "model.skd")
    save(search.best_estimator_, tmp_path / "model.skd")
    assert_same([load(tmp_path / "model.skd").predict(frames)], [search.predict(frames)])


class OwnScaler(TransformerMixin, BaseEstimator):
    """A class of the user's, with a function among its parameters."""

    def __init__(self, factor=2.0, function=None):
        self.factor = factor
        self.function = function

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return self.factor * X


def test_own_classes_are_handed_over(tmp_path):
    path = tmp_path / "model.skd"
    X = np.eye(3)
    model = make_pipeline(OwnScaler(3.0), StandardScaler()).fit(X)
    with pytest.raises(TypeError, match=r"model.steps\[0\]\[1\] is of type .*OwnScaler.*trusted"):
        save(model, path)
    save(model, path, trusted=[OwnScaler])
    with pytest.raises(ValueError, match="OwnScaler, which is not among those that may be loaded"):
        load(path)
    assert_same([load(path, trusted=[OwnScaler]).transform(X)], [model.transform(X)])
    with pytest.raises(TypeError, match="trusted holds 'OwnScaler'"):
        load(path, trusted=["OwnScaler"])


@pytest.mark.parametrize(
    ("model", "where"),
    [
        (SOAPTransformer(radial_basis=np.sin), "model.radial_basis"),
        (FunctionTransformer(np.log1p), "model.func is the function numpy.log1p"),
        (OwnScaler(function=len), "model.function is the function builtins.len"),
        (OwnScaler(function=OwnScaler), "model.function is the class"),
        (OwnScaler(function=np.ma.array([1.0])), "model.function is of type numpy.ma"),
        (OwnScaler(function=np.array([1], "M8[s]")), "model.function is of type numpy.ndarray"),
        ([1.0], "model is of type list"),
        (OwnScaler, "model is the class OwnScaler"),
    ],
)
def test_what_is_no_data_is_refused_by_name(model, where, tmp_path):
    with pytest.raises(TypeError, match=where):
        save(model, tmp_path / "model.skd", trusted=[OwnScaler])
    assert not list(tmp_path.iterdir())


def test_what_holds_itself_is_refused(tmp_path):
    model = OwnScaler()
    model.function = OwnScaler(function=model)
    with pytest.raises(TypeError, match=r"model.function.function holds itself"):
        save(model, tmp_path / "model.skd", trusted=[OwnScaler])


def test_any_kind_of_data(tmp_path):
    rng = np.random.RandomState(1)
    rng.normal()
    model = OwnScaler([
        None, True, 1, 10**30, 0.1, np.inf, -np.inf, "ä", (1, 2), {3, 4}, {5: [6], "a": {}},
        slice(1, None), np.float32(0.1), np.bool_(True), np.dtype(">i2"), np.float64, float,
        np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(["a", None], dtype=object),
        np.array("text"), np.empty((0, 3)), np.arange(4)[::2],
    ], rng)
    save(model, tmp_path / "model.skd", trusted=[OwnScaler])
    again = load(tmp_path / "model.skd", trusted=[OwnScaler])
    for one, other in zip(model.factor, again.factor, strict=True):
        assert type(one) is type(other)
        np.testing.assert_equal(one, other)
    assert again.factor[17].flags.f_contiguous
    assert again.function.normal() == rng.normal()
    model.factor = np.nan
    save(model, tmp_path / "model.skd", trusted=[OwnScaler])
    assert np.isnan(load(tmp_path / "model.skd", trusted=[OwnScaler]).factor)


def test_truncated_files(saved, tmp_path):
    content = saved.read_bytes()
    path = tmp_path / "cut.skd"
    for length in [1, 3, 30, 100, *np.linspace(200, len(content) - 1, 25, dtype=int)]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"cut\.skd is (damaged|no model file)"):
            load(path)


def test_changed_files(tmp_path):
    """Whatever byte is changed, the file is refused, or the byte has no meaning."""
    path = tmp_path / "changed.skd"
    save(small_potential(), path)
    content = path.read_bytes()
    reference = everything(load(path), [stored_structure()])
    refused = 0
    rng = np.random.default_rng(0)
    places = rng.choice(len(content), 400, replace=False)
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            again = load(path)
        except ValueError:
            refused += 1
        else:
            assert_same(everything(again, [stored_structure()]), reference)
    assert refused > 0.8 * len(places)


def test_a_failed_save_leaves_the_old_file(saved, tmp_path, monkeypatch):
    path = tmp_path / "model.skd"
    path.write_bytes(saved.read_bytes())

    def fail(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr("numpy.lib.format.write_array", fail)
    with pytest.raises(OSError, match="no space left"):
        save(Ridge().fit([[0.0], [1.0]], [0, 1]), path)
    assert [found.name for found in tmp_path.iterdir()] == ["model.skd"]
    assert path.read_bytes() == saved.read_bytes()


def test_a_process_that_dies_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.skd"
    path.write_bytes(b"old")
    code = (
        "import os, sys\n"
        "from skdesc.utils.files import replace_file\n"
        "with replace_file(sys.argv[1]) as file:\n"
        "    file.write(b'half')\n"
        "    file.flush()\n"
        "    os._exit(3)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == 3
    assert path.read_bytes() == b"old"


def test_replacing(tmp_path):
    """A link stays a link, permissions are those of any new file."""
    path, link, plain = tmp_path / "file", tmp_path / "link", tmp_path / "plain"
    path.write_bytes(b"old")
    link.symlink_to(path)
    plain.write_bytes(b"")
    with replace_file(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode == plain.stat().st_mode


def test_a_file_of_an_older_version():
    """Written by skdesc 0.1.0; never to be written anew while its format is to be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        model = load(STORED)
    energies, std, forces, virials = everything(model, [stored_structure()])
    np.testing.assert_allclose(energies[0], ENERGY, rtol=1e-9)
    np.testing.assert_allclose(std[0], STD, rtol=1e-5)
    np.testing.assert_allclose(forces[1], FORCE, rtol=1e-8)
    np.testing.assert_allclose(virials[0, 0], VIRIAL, rtol=1e-8)


ENERGY, STD = 0.21852930166742726, 0.04718683922033179
FORCE = [0.33883874123556285, 0.2417295376616162, -0.12531567070964875]
VIRIAL = [-3.111190750613622, 0.04511273232139394, 0.01525530132519358]


def test_skops(potential, tmp_path):
    """The other format for models without pickle takes ours too."""
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(potential)
    trusted = skops.get_untrusted_types(data=data)
    assert all(name.startswith("skdesc.") for name in trusted)
    again = skops.loads(data, trusted=trusted)
    frames = crystals(2, seed=7)
    assert_same(everything(again, frames), everything(potential, frames))
    path = tmp_path / "model.skops"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a skops file, read it with skops.io.load"):
        load(path)
