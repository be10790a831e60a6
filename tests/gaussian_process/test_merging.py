"""Passes over parts of the data, put together."""

import copy

import numpy as np
import pytest

from skdesc import GAPRegressor

PARTS = ([0, 3, 8], [1, 2, 4, 5, 6], [7, 9, 10, 11])


def see(gap, training, features, targets, index):
    y, derivatives = targets
    return gap._check_and_accumulate(
        training, features[index], y[index],
        forces=[derivatives["forces"][i] for i in index],
        virials=derivatives["virials"][index],
    )[0]


@pytest.mark.parametrize("e0", ["auto", None])
def test_merged_passes_are_one_pass(features, targets, e0):
    whole = GAPRegressor(n_sparse=5, e0=e0).fit(features, targets[0], **targets[1])
    gap = GAPRegressor(n_sparse=5, e0=e0)
    gap.n_features_in_ = features.shape[1]
    template = whole._training.empty()
    trainings = [
        see(gap, template.empty(), features, targets, np.array(index)) for index in PARTS
    ]
    merged = trainings[1].empty()
    for training in trainings:
        before = copy.deepcopy(training)
        merged.merge(training)
        np.testing.assert_array_equal(
            before.observations.triangles["forces"].R, training.observations.triangles["forces"].R
        )
    gap._solve(merged)
    scale = np.abs(whole.weights_).max()
    np.testing.assert_allclose(gap.weights_, whole.weights_, rtol=0, atol=1e-8 * scale)
    assert gap.log_marginal_likelihood_ == pytest.approx(whole.log_marginal_likelihood_, rel=1e-9)
    assert gap.energy_scale_ == pytest.approx(whole.energy_scale_, rel=1e-9)
    assert gap.e0_ == pytest.approx(whole.e0_, rel=1e-9)
    for kind, triangle in whole._training.observations.triangles.items():
        assert merged.observations.triangles[kind].n_rows == triangle.n_rows
    assert not template.observations.triangles  # what came out of it has left it alone


def test_warnings_point_at_the_caller(features, targets):
    y, derivatives = targets
    wrong = {"forces": derivatives["forces"], "virials": -derivatives["virials"]}
    with pytest.warns(UserWarning, match="virials") as caught:
        GAPRegressor(n_sparse=5).fit(features, y, **wrong)
    assert [warning.filename for warning in caught] == [__file__]
