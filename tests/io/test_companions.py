"""Estimators of scikit-learn in model files: refused where a fit could not have led to them."""

import json

import numpy as np
import pytest
from helpers.companions import WRAPPERS, data, fitted, predictions
from sklearn.base import clone
from sklearn.ensemble import BaggingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, PolynomialFeatures, StandardScaler
from sklearn.svm import SVR

from skdesc.io import load, save
from skdesc.io._companions import _FITTED
from skdesc.io._container import read_container, write_container


@pytest.mark.parametrize("attribute", ["support_vectors_", "_dual_coef_", "support_", "_n_support"])
@pytest.mark.parametrize("change", [lambda a: a[:0].copy(), lambda a: a[..., :1].copy(),
                                    lambda a: a.astype("float32"), lambda a: a * 1000])
def test_what_libsvm_reads(attribute, change, tmp_path):
    rng = np.random.default_rng(0)
    model = SVR().fit(rng.random((20, 3)), rng.random(20))
    vars(model)[attribute] = change(vars(model)[attribute])
    save(model, tmp_path / "model.skd")
    try:
        load(tmp_path / "model.skd").predict(rng.random((5, 3)))
    except ValueError:
        return
    assert attribute in ("_dual_coef_", "support_vectors_")  # numbers may be any


def test_companions_that_cannot_be_used(tmp_path):
    X = np.random.default_rng(0).random((20, 3))
    model = PolynomialFeatures(2).fit(X)
    model.n_output_features_ = 1000
    vars(model)["_n_out_full"] = 1000  # of which the rest would be whatever was in memory
    save(model, tmp_path / "model.skd")
    assert load(tmp_path / "model.skd").transform(X).shape == (20, 10)
    save(PolynomialFeatures(2).fit(X).set_params(degree=900), tmp_path / "model.skd")
    with pytest.raises(ValueError, match="degree of PolynomialFeatures"):
        load(tmp_path / "model.skd")
    ridge = Ridge().fit(X, X[:, 0])
    del ridge.n_features_in_
    save(ridge, tmp_path / "model.skd")
    with pytest.raises(ValueError, match="n_features_in_ of Ridge is missing"):
        load(tmp_path / "model.skd")
    ridge = Ridge().fit(X, X[:, 0])
    ridge.coef_ = ridge.coef_[:2]
    save(ridge, tmp_path / "model.skd")
    with pytest.raises(ValueError, match="Ridge cannot be used"):
        load(tmp_path / "model.skd")


def test_estimators_nested_without_end(tmp_path):
    """Few objects, each of which holds the one before many times."""
    model = BaggingRegressor(Ridge(), 100).fit(np.eye(3), np.arange(3.0))
    path = tmp_path / "model.skd"
    save(model, path)
    content, arrays, versions = read_container(path)
    last = content["objects"][-1]
    for depth in range(6):
        copied = json.loads(json.dumps(last))
        inner = ["object", len(content["objects"]) - 1]
        copied["state"]["estimators_"] = ["list", *[inner] * 100]
        content["objects"].append(copied)
        content["root"] = ["object", len(content["objects"]) - 1]
        write_container(path, content, arrays, versions)
        if depth < 1:
            load(path)
        else:
            with pytest.raises(ValueError, match="nests"):
                load(path)


@pytest.mark.parametrize("name", ["BaggingRegressor", "StackingRegressor",
                                  "TransformedTargetRegressor", "VotingRegressor"])
def test_wrappers_that_lack_a_part_of_their_fit(name, tmp_path):
    """Whatever attribute is missing: refused, or not needed for predictions."""
    path, refused = tmp_path / "model.skd", []
    expected = predictions(name, fitted(name))
    for attribute in [key for key in vars(fitted(name)) if key.endswith("_")]:
        model = clone(WRAPPERS[name]).fit(*data(name))
        delattr(model, attribute)
        save(model, path)
        try:
            loaded = load(path)
        except ValueError:
            refused.append(attribute)
        else:
            np.testing.assert_array_equal(predictions(name, loaded), expected)
    assert set(_FITTED[name]) <= set(refused) | {"_training_dim"}


def test_stacking_by_other_methods(tmp_path):
    model = clone(WRAPPERS["StackingRegressor"]).fit(*data("StackingRegressor"))
    model.stack_method_ = ["predict", "fit"]
    save(model, tmp_path / "model.skd")
    with pytest.raises(ValueError, match="stack_method_ of StackingRegressor"):
        load(tmp_path / "model.skd")


@pytest.mark.parametrize("attribute", ["predict", "inverse_transform", "score_samples"])
def test_methods_that_an_estimator_lacks(attribute, tmp_path):
    model = Normalizer().fit(data("Normalizer")[0])
    setattr(model, attribute, 4)
    save(model, tmp_path / "model.skd")
    with pytest.raises(ValueError, match=f"sets '{attribute}' of Normalizer"):
        load(tmp_path / "model.skd")


def test_a_pipeline_of_which_a_part_is_fitted(tmp_path):
    X = data("Ridge")[0]
    save(make_pipeline(StandardScaler().fit(X), Ridge()), tmp_path / "model.skd")
    model = load(tmp_path / "model.skd")
    np.testing.assert_array_equal(model[0].transform(X), StandardScaler().fit_transform(X))
