"""Arrays of other shapes than those of the descriptor never reach compiled code."""

import numpy as np
import pytest
from ase.build import bulk, molecule

from skdesc import AtomicFeatures, SOAPTransformer, TensorReducedTransformer, TwoBodyTransformer
from skdesc.invariants import describe

FRAMES = [molecule("H2O"), bulk("Cu"), molecule("CH4")]
SPECIES = ["H", "C", "O", "Cu"]


@pytest.fixture(params=[
    SOAPTransformer(SPECIES, n_max=3, l_max=2),
    SOAPTransformer(SPECIES, n_max=3, compression="mu2"),
    TensorReducedTransformer(SPECIES, n_max=3, l_max=2, n_channels=4, random_state=0),
    TwoBodyTransformer(SPECIES, n_gaussians=4),
])
def features(request):
    return request.param.fit(FRAMES).transform(FRAMES)


def with_values(features, values):
    return AtomicFeatures(
        values, features.structures, features.centers, features.offsets, features.descriptor
    )


@pytest.mark.parametrize("change", [-2, 1])
def test_features_of_another_width(features, change):
    """Such as those of a model that was put together from two."""
    n_centers, n_features = features.values.shape
    other = with_values(features, np.ones((n_centers, n_features + change)))
    ones = np.ones((n_centers, 2))
    with pytest.raises(ValueError, match=r"shape|reshape"):
        other.vjp(np.ones_like(other.values))
    with pytest.raises(ValueError, match=r"shape|reshape"):
        other.gradient_rows(np.ones((2, n_features + change)), ones)
    with pytest.raises(ValueError, match=r"shape|reshape"):
        features.gradient_rows(np.ones((2, n_features + change)), ones)
    with pytest.raises(ValueError, match=r"shape|reshape|broadcast|index"):
        features.gradient_rows(np.ones((3, n_features)), ones)


def test_centers_outside_of_their_structures(features):
    values, structures = features.values, features.structures
    for centers in (features.centers + 1, features.centers - 1):
        with pytest.raises(ValueError, match="centers has"):
            AtomicFeatures(values, structures, centers, features.offsets, features.descriptor)


def test_offsets_of_other_structures():
    features = SOAPTransformer(n_max=2, l_max=1).fit_transform(FRAMES)
    for offsets in (features.offsets[:-1], features.offsets + 1, features.offsets[::-1].copy()):
        other = AtomicFeatures(
            features.values, features.structures, features.centers, offsets, features.descriptor
        )
        with pytest.raises(ValueError, match=r"offsets is .*, but must ascend"):
            other.vjp(np.ones_like(features.values))


def test_output_of_another_width():
    soap = SOAPTransformer(n_max=2, l_max=1).fit(FRAMES)
    features = soap.transform(FRAMES)
    engine = features.descriptor
    for shape in [(8, 2), (len(features.centers), 2), (3, features.shape[1])]:
        rows = describe(
            engine, features.structures, features.centers, features.offsets, np.zeros(shape)
        )
        with pytest.raises(ValueError, match="out has the shape"):
            next(rows)


def test_the_number_of_features_is_not_an_attribute():
    """What compiled code writes is what the tables say, whatever an attribute says."""
    soap = SOAPTransformer(n_max=8, l_max=6).fit(FRAMES)
    expected = soap.transform(FRAMES).values
    soap.n_features_out_ = 2
    np.testing.assert_array_equal(soap.transform(FRAMES).values, expected)
    soap.set_params(pooling="mean")
    assert soap.transform(FRAMES).shape == (3, expected.shape[1])
    assert soap.pooled_vjp(FRAMES, np.ones((3, expected.shape[1])))[0].shape == (9, 3)
