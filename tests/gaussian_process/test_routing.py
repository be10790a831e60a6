"""Forces and virials through pipelines, cross-validation and searches, routing on and off."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers.toy_descriptor import ToyTransformer
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, Structures


@pytest.fixture(params=[False, True], ids=["routing-off", "routing-on"])
def prefix(request):
    """How the pipeline's fit wants its metadata to be called."""
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield "" if request.param else "gapregressor__"


@pytest.fixture
def pipeline():
    return make_pipeline(ToyTransformer(), GAPRegressor(n_sparse=5))


@pytest.fixture(params=["list", "structures"])
def X(request, frames):
    return frames if request.param == "list" else Structures.from_atoms(frames)


def test_pipeline(pipeline, prefix, X, features, targets):
    y, derivatives = targets
    pipeline.fit(X, y, **{prefix + name: values for name, values in derivatives.items()})
    expected = GAPRegressor(n_sparse=5).fit(features, y, **derivatives)
    np.testing.assert_array_equal(pipeline[-1].weights_, expected.weights_)
    got = pipeline.predict(X, return_std=True, return_forces=True, return_virials=True)
    for a, b in zip(got, expected.predict(features, True, True, True), strict=True):
        np.testing.assert_array_equal(np.concatenate(a) if isinstance(a, list) else a,
                                      np.concatenate(b) if isinstance(b, list) else b)


def test_cross_validation_slices_forces(pipeline, prefix, X, targets):
    y, derivatives = targets
    n = len(y)
    params = {
        prefix + "forces": derivatives["forces"],
        prefix + "virials": derivatives["virials"],
        prefix + "sigmas": np.tile([0.01, 0.1, 0.1], (n, 1)),
        prefix + "config_types": ["cell", "molecule"] * (n // 2),
    }
    pipeline.set_params(gapregressor__sparse_method="config")
    result = cross_validate(pipeline, X, y, cv=3, params=params, error_score="raise",
                            return_estimator=True, return_indices=True)
    assert (result["test_score"] > 0.9).all()
    for fitted, train in zip(result["estimator"], result["indices"]["train"], strict=True):
        n_forces = 3 * sum(len(derivatives["forces"][i]) for i in train)
        assert fitted[-1]._training.observations.triangles["forces"].n_rows == n_forces


def test_search(pipeline, prefix, frames, targets):
    y, derivatives = targets
    search = GridSearchCV(pipeline, {"gapregressor__zeta": [1, 4]}, cv=3, error_score="raise")
    search.fit(frames, y, **{prefix + name: values for name, values in derivatives.items()})
    assert search.best_estimator_.predict(frames, return_forces=True)[1][0].shape == (2, 3)


def test_containers_of_forces(features, targets):
    """Lists, object arrays and Series, whatever their index."""
    y, forces = targets[0], targets[1]["forces"]
    array = np.empty(len(forces), dtype=object)
    array[:] = forces
    series = pd.Series(forces, index=np.arange(100, 100 + len(forces)))
    expected = GAPRegressor(n_sparse=5).fit(features, y, forces=forces).weights_
    for container in (tuple(forces), array, series):
        gap = GAPRegressor(n_sparse=5).fit(features, pd.Series(y), forces=container)
        np.testing.assert_array_equal(gap.weights_, expected)


def test_features_as_samples(prefix, features, targets):
    predicted = cross_val_predict(GAPRegressor(n_sparse=5), features, targets[0], cv=3)
    assert np.abs(predicted - targets[0]).max() < 1.0
