"""Whole pipelines in scikit-learn's hands: display, copies, configuration, global state."""

import copy
import io
import logging
import os
import pickle
import random
import re
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers.tools import molecules, pooled, potential
from helpers.transformers import transformers
from sklearn.base import clone

from skdesc import GAPRegressor


@pytest.fixture(scope="module")
def fitted():
    return potential().fit(*molecules())


def captions(estimator):
    return re.findall(r'<div class="caption">([^<]*)</div>', estimator._repr_html_())


def test_html_of_a_fitted_pipeline(fitted):
    soap, gap = captions(fitted)
    assert soap == f"H, C, N, O: {fitted[0].n_features_out_} features"
    scale = fitted[-1].energy_scale_
    assert gap.startswith(
        f"sparse points: H 5, C 4, N 4, O 4; energy scale in eV: {scale:.4g}; e0 in eV: H "
    )
    assert f"O {fitted[-1].e0_['O']:.6g}" in gap
    assert captions(fitted[-1]) == [gap]
    assert captions(potential()) == []  # nothing is known before a fit
    with sklearn.config_context(display="text"):
        assert not hasattr(fitted[-1], "_repr_html_")


@pytest.mark.parametrize("transformer", transformers(), ids=str)
def test_html_of_transformers(transformer):
    transformer.set_params(species=list(range(1, 11)))
    expected = transformer.fit(molecules()[0])
    assert captions(expected) == [
        f"H, He, Li, Be, B, C, ... (10): {expected.n_features_out_} features"
    ]


def test_html_of_plain_arrays():
    gap = GAPRegressor(n_sparse=3).fit(np.eye(4), np.arange(4.0))
    scale = f"{gap.energy_scale_:.4g}"
    assert captions(gap) == [f"sparse points: X 3; energy scale in eV: {scale}; e0 in eV: X 1.5"]


def by_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def by_cloudpickle(estimator):
    cloudpickle = pytest.importorskip("cloudpickle")
    return cloudpickle.loads(cloudpickle.dumps(estimator))


@pytest.mark.parametrize(
    "way",
    [lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy, by_joblib, by_cloudpickle],
    ids=["pickle", "deepcopy", "joblib", "cloudpickle"],
)
def test_copies_of_fitted_pipelines(fitted, way):
    frames, y = molecules()
    other = way(fitted)
    for one, expected in zip(
        other.predict(frames, return_std=True, return_forces=True),
        fitted.predict(frames, return_std=True, return_forces=True), strict=True,
    ):
        for a, b in zip(one, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    # and they can learn on, as the original
    Z = fitted[:-1].transform(frames[:4])
    a = copy.deepcopy(fitted[-1]).partial_fit(Z, y[:4]).weights_
    np.testing.assert_array_equal(other[-1].partial_fit(Z, y[:4]).weights_, a)


def test_clones_know_nothing(fitted):
    other = clone(fitted)
    assert not hasattr(other[-1], "weights_")
    assert repr(other) == repr(fitted)


def test_a_pickle_is_read_in_a_new_process(fitted, tmp_path):
    frames, _ = molecules()
    joblib.dump((fitted, frames), tmp_path / "model.joblib")
    code = (
        "import joblib, sys; model, frames = joblib.load(sys.argv[1]); "
        "print(repr(model.predict(frames).tolist()))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.joblib"], check=True, capture_output=True,
        text=True,
    ).stdout
    assert eval(out) == fitted.predict(frames).tolist()


def test_global_state_is_left_alone():
    def state():
        return (
            repr(np.random.get_state()), np.random.get_state()[1].tolist(),  # noqa: NPY002
            random.getstate(), np.geterr(), list(warnings.filters), dict(os.environ), os.getcwd(),
            sklearn.get_config(), list(logging.getLogger().handlers), logging.getLogger().level,
        )

    frames, y = molecules()
    before = state()
    for pipeline in (potential(), pooled()):
        pipeline.fit(frames, y).predict(frames)
    assert state() == before


@pytest.mark.parametrize(
    "options",
    [{"transform_output": "pandas"}, {"transform_output": "polars"}, {"assume_finite": True},
     {"enable_metadata_routing": True}, {"working_memory": 1}, {"print_changed_only": False}],
    ids=str,
)
def test_any_configuration_gives_the_same(fitted, options):
    pytest.importorskip(options.get("transform_output", "sklearn"))
    frames, y = molecules()
    expected = pooled().fit(frames, y).predict(frames)
    with sklearn.config_context(**options):
        np.testing.assert_allclose(pooled().fit(frames, y).predict(frames), expected, rtol=1e-10)
        np.testing.assert_array_equal(potential().fit(frames, y).predict(frames),
                                      fitted.predict(frames))


def test_not_finite_is_found_even_if_finiteness_is_assumed():
    frames, y = molecules()
    pipeline = potential().fit(frames, y)
    frames[0].positions[0, 0] = np.nan
    with sklearn.config_context(assume_finite=True), pytest.raises(ValueError, match="NaN"):
        pipeline.predict(frames)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_of_features_keep_their_names(library):
    pytest.importorskip(library)
    frames, y = molecules()
    pipeline = pooled().set_output(transform=library).fit(frames, y)
    names = pipeline[:-1].get_feature_names_out()
    assert list(pipeline[:-1].transform(frames).columns) == list(names)
    np.testing.assert_allclose(pipeline.predict(frames), pooled().fit(frames, y).predict(frames))


def test_names_of_the_input_do_not_matter():
    """A column may have another name when predicting: there is only one."""
    frames, y = molecules()
    column = pd.Series(frames)
    pipeline = pooled()
    expected = pipeline.fit(pd.DataFrame({"atoms": column}), y).predict(frames)
    other = pipeline.predict(pd.DataFrame({"structure": column}))
    np.testing.assert_array_equal(other, expected)
