"""Covariances of one's own: functions of the dot product in place of an exponent."""

from dataclasses import dataclass

import numpy as np
import pytest
from helpers.potentials import crystals
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skdesc import Covariance, GAPRegressor, SOAPTransformer, TwoStagePSOSearchCV, extract_targets
from skdesc.io import load, save, write_quip_xml
from skdesc.least_squares import PowerCovariance


@dataclass(frozen=True)
class Mixture(Covariance):
    """A linear term and a Gaussian of the distance of unit vectors."""

    linear: float = 0.1
    length: float = 0.7

    def value(self, dot):
        return self.linear * dot + np.exp((dot - 1.0) / self.length**2)

    def slope(self, dot):
        return self.linear + np.exp((dot - 1.0) / self.length**2) / self.length**2

    def curvature(self, dot):
        return np.exp((dot - 1.0) / self.length**2) / self.length**4


class Cubic(Covariance):
    """What an exponent of 3 is, written again; the parts that have defaults are left to them."""

    def value(self, dot):
        return dot**3

    def slope(self, dot):
        return 3.0 * dot**2

    def curvature(self, dot):
        return 6.0 * dot


@pytest.fixture(scope="module")
def data():
    frames = crystals(12, seed=1)
    y, targets = extract_targets(frames)
    return frames, y, targets["forces"]


def fitted(data, zeta, **options):
    frames, y, forces = data
    model = make_pipeline(
        SOAPTransformer(n_max=4, l_max=3),
        GAPRegressor(zeta=zeta, n_sparse=40, baseline=None, random_state=0, **options),
    )
    return model.fit(frames, y, gapregressor__forces=forces)


def test_another_way_to_write_a_power_is_that_power(data):
    own, power = fitted(data, Cubic()), fitted(data, 3)
    X = data[0][:3]
    for a, b in zip(
        own.predict(X, return_std=True, return_forces=True, return_virials=True),
        power.predict(X, return_std=True, return_forces=True, return_virials=True), strict=True,
    ):
        np.testing.assert_allclose(np.concatenate(a, None), np.concatenate(b, None), atol=1e-9)
    features = own[0].transform(X)
    for a, b in zip(own[1].predict_forces_std(features), power[1].predict_forces_std(features),
                    strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_forces_are_derivatives_of_the_energy(data):
    model, errors = fitted(data, Mixture()), []
    atoms = data[0][0]
    forces = model.predict([atoms], return_forces=True)[1][0]
    for step in (2e-2, 1e-2):
        sides = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[1, 2] += sign * step
            sides.append(model.predict([moved])[0])
        errors.append(abs(-(sides[0] - sides[1]) / (2 * step) - forces[1, 2]))
    assert errors[1] < 1e-3
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.2)  # second order


def test_it_learns_as_well_as_a_power(data):
    frames, _, forces = data
    errors = [
        np.abs(np.concatenate(fitted(data, zeta).predict(frames, return_forces=True)[1])
               - np.concatenate(forces)).mean()
        for zeta in (Mixture(), 4)
    ]
    assert errors[0] < 1.5 * errors[1]


def test_files_and_copies(data, tmp_path):
    model, path = fitted(data, Mixture()), tmp_path / "model.skd"
    expected = model.predict(data[0])
    with pytest.raises(TypeError, match="Mixture"):
        save(model, path)
    save(model, path, trusted=[Mixture])
    with pytest.raises(ValueError, match="Mixture"):
        load(path)
    np.testing.assert_array_equal(load(path, trusted=[Mixture]).predict(data[0]), expected)
    assert clone(model)[1].zeta == Mixture()
    model[1].set_params(zeta=Mixture(0.2))
    with pytest.raises(ValueError, match=r"zeta .*with which it was fitted"):
        save(model, path, trusted=[Mixture])
    with pytest.raises(ValueError, match="QUIP's format has no other covariance"):
        write_quip_xml(fitted(data, Mixture()), tmp_path / "model.xml")


def test_parts_of_the_data(data):
    frames, y, forces = data
    features = SOAPTransformer(n_max=4, l_max=3).fit_transform(frames)
    whole = GAPRegressor(zeta=Mixture(), n_sparse=40, baseline=None, random_state=0)
    parts = clone(whole).partial_fit(features, y, forces=forces)
    whole.fit(features, y, forces=forces)
    np.testing.assert_allclose(parts.predict(features), whole.predict(features), atol=1e-8)


def test_search(data):
    frames, y, forces = data
    search = TwoStagePSOSearchCV(
        make_pipeline(
            SOAPTransformer(n_max=3, l_max=2), GAPRegressor(n_sparse=20, baseline=None)
        ),
        {"soaptransformer__cutoff": loguniform(3.0, 5.0)},
        {"gapregressor__zeta": [2, Mixture(), Mixture(0.5, 0.4)]},
        n_particles=3, n_iterations=1, cv=2, random_state=0,
    ).fit(frames, y, gapregressor__forces=forces)
    tried = {repr(params["gapregressor__zeta"]) for params in search.cv_results_["params"]}
    assert len(tried) > 1


def test_bad_covariances(data):
    class Nothing(Covariance):
        pass

    class Indefinite(Cubic):
        def value(self, dot):
            return -(dot**3)

    with pytest.raises(NotImplementedError, match="Nothing has no method value; define it"):
        fitted(data, Nothing())
    with pytest.raises(ValueError, match="not positive definite"):
        fitted(data, Indefinite())
    with pytest.raises(TypeError, match=r"zeta is .*must be a number .*, a Covariance, or a list"):
        fitted(data, "four")
    assert PowerCovariance(1.0).is_linear
    assert not Cubic().is_linear
