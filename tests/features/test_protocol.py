"""What a descriptor offers: the defaults agree with what is compiled."""

import numpy as np
import pytest
from ase.build import bulk, molecule

from skdesc import AtomicDescriptor, AtomicFeatures, SOAPTransformer, TwoBodyTransformer


class JacobianOnly(AtomicDescriptor):
    """A descriptor that has only what it must have."""

    def __init__(self, features):
        self.features = features

    def jacobian(self, features, strain=False):
        return self.features.jacobian(strain)


@pytest.fixture(params=[SOAPTransformer(n_max=3, l_max=2, cutoff=3.0), TwoBodyTransformer()])
def features(request):
    frames = [molecule("CH3OH"), bulk("CuZn", "cesiumchloride", a=3.0)]
    frames[1].rattle(0.1, seed=0)
    return request.param.fit_transform(frames)


def reduced(features):
    return AtomicFeatures(
        features.values, features.structures, features.centers, features.offsets,
        JacobianOnly(features),
    )


def test_defaults_agree_with_own_methods(features):
    rng = np.random.default_rng(0)
    g = rng.normal(size=features.values.shape)
    Q, weights = rng.normal(size=(3, g.shape[1])), rng.normal(size=(len(g), 3))
    for method, arguments in (("vjp", (g,)), ("gradient_rows", (Q, weights))):
        expected = getattr(features, method)(*arguments)
        for part, other in zip(getattr(reduced(features), method)(*arguments), expected,
                               strict=True):
            np.testing.assert_allclose(part, other, atol=1e-12 * np.abs(other).max())


def test_what_is_missing_is_filled_in(features):
    class Partial:
        def vjp(self, features, g):
            return "gradient", "strain"

    partial = AtomicFeatures(
        features.values, features.structures, features.centers, features.offsets, Partial()
    )
    assert partial.vjp(None) == ("gradient", "strain")
    assert partial.descriptor.cutoff is None
    assert partial.descriptor.workspace_bytes(features.structures, 5) == 0
    with pytest.raises(NotImplementedError, match="jacobian"):
        partial.jacobian()


def test_joined_features_know_the_largest_cutoff(features):
    other = SOAPTransformer(n_max=2, l_max=1, cutoff=5.5).fit(features.structures)
    joined = np.hstack([features, other.transform(features.structures)])
    assert joined.descriptor.cutoff == 5.5
    assert np.hstack([features, reduced(features)]).descriptor.cutoff is None
