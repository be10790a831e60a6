"""TensorReducedTransformer as a scikit-learn estimator, its errors, and what orders tell apart."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from helpers.systems import shaken_molecules
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, TensorReducedTransformer
from skdesc.io import load, save
from skdesc.testing import check_atoms_transformer

SMALL = {"n_max": 3, "l_max": 2, "cutoff": 3.0, "n_channels": 8, "random_state": 0}


def test_battery_of_checks():
    check_atoms_transformer(TensorReducedTransformer(**SMALL))


def test_in_pipelines_and_searches():
    frames, y = shaken_molecules(24)
    reduced = TensorReducedTransformer(**SMALL, species=["H", "C", "N", "O"])
    pipe = make_pipeline(reduced, GAPRegressor(n_sparse=10))
    search = GridSearchCV(
        pipe, {"tensorreducedtransformer__n_channels": [4, 16]}, cv=KFold(2), error_score="raise"
    ).fit(frames, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    table = clone(reduced).set_params(pooling="mean").set_output(transform="pandas")
    assert list(table.fit_transform(frames).columns[:2]) == ["tr2_k1_l0", "tr2_k2_l0"]
    pooled = make_pipeline(clone(reduced).set_params(pooling="sum"), Ridge(1e-6))
    assert pooled.fit(frames, y).score(frames, y) > 0.9


def test_forces_of_a_potential_are_its_derivatives():
    frames, y = shaken_molecules(24)
    reduced = TensorReducedTransformer(**SMALL, correlation_order=3)
    model = make_pipeline(reduced, GAPRegressor(n_sparse=20)).fit(frames, y)
    atoms = frames[3]
    _, forces = model.predict([atoms], return_forces=True)
    step = np.zeros((len(atoms), 3))
    step[1, 2] = 1e-4
    sides = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions += sign * step
        sides.append(moved)
    up, down = model.predict(sides)
    assert forces[0][1, 2] == pytest.approx(-(up - down) / 2e-4, rel=1e-4, abs=1e-5)


def test_saved_and_loaded(tmp_path):
    frames, y = shaken_molecules(24)
    model = make_pipeline(TensorReducedTransformer(n_channels=4), GAPRegressor(n_sparse=9))
    model.fit(frames, y)
    save(model, tmp_path / "model.skd")
    again = load(tmp_path / "model.skd")
    np.testing.assert_array_equal(again.predict(frames), model.predict(frames))
    np.testing.assert_array_equal(again[0].mixing_weights_, model[0].mixing_weights_)


def test_stateless_where_every_fit_gives_the_same():
    assert TensorReducedTransformer(random_state=3)._stateless_given_parameters
    assert TensorReducedTransformer(weights=np.ones((2, 1, 8, 64)))._stateless_given_parameters
    assert not TensorReducedTransformer()._stateless_given_parameters
    learned = TensorReducedTransformer(weights="learned", random_state=0)
    assert not learned._stateless_given_parameters


PARAMETERS = [
    ({"n_channels": 0}, "n_channels must be an integer from 1"),
    ({"n_channels": 2.0}, "n_channels must be an integer from 1"),
    ({"correlation_order": 5}, "correlation_order must be an integer from 1 to 4, got 5"),
    ({"correlation_order": True}, "correlation_order must be an integer"),
    ({"orders": ()}, "orders must be a sequence of integers from 1 to correlation_order=2"),
    ({"orders": (1,)}, "with it among them"),
    ({"orders": (2, 2)}, "each once"),
    ({"orders": (0, 2)}, "orders must be"),
    ({"orders": (1.5, 2)}, "orders must be"),
    ({"orders": 2}, "orders must be"),
    ({"scheme": "tucker"}, r"scheme must be one of \['sketch', 'decomposition'\]"),
    ({"reduce": ()}, "reduce must hold 'species', 'radial' or both"),
    ({"reduce": "angular"}, "reduce must hold"),
    ({"reduce": None}, "reduce must hold"),
    ({"reduce": ("radial", "radial")}, "reduce must hold"),
    ({"weights": "uniform"}, r"weights must be one of \['normal'"),
    ({"weights": object()}, "or an array of numbers"),
    ({"weights": np.ones((2, 2, 3, 7))}, r"must have the shape \(n_factors, n_species, n_max, "
     r"n_channels\) = \(2, 2, 3, 8\) with the species \['H', 'C'\] in this order"),
    ({"weights": np.full((2, 2, 3, 8), np.nan)}, "weights has NaN"),
    ({"weights": "orthogonal", "reduce": "species"}, "does not mix them"),
    ({"weights_per_l": "yes"}, "weights_per_l must be True or False"),
    ({"handle_unknown": "draw", "weights": np.ones((2, 2, 3, 8))}, "weights that can be drawn"),
    ({"handle_unknown": "draw", "reduce": "radial"}, "another element means more features"),
    ({"handle_unknown": "learn"}, "handle_unknown must be one of"),
    ({"weights": "learned"}, "weights='learned' needs y"),
    ({"random_state": "x"}, "cannot be used to seed"),
    ({"cutoff": -1.0}, "cutoff must be a finite number above 0"),
    ({"correlation_order": 4, "l_max": 12, "n_max": 8, "reduce": "species"},
     "products per channel; lower the order or l_max"),
]


@pytest.mark.parametrize(("changes", "match"), PARAMETERS)
def test_parameters_out_of_range(changes, match):
    with pytest.raises(ValueError, match=match):
        TensorReducedTransformer(**{**SMALL, **changes}).fit([molecule("CH4")])


def test_memory_is_refused_in_advance():
    transformer = TensorReducedTransformer(**{**SMALL, "n_channels": 2**20}).fit([molecule("CH4")])
    with pytest.raises(ValueError, match=r"GB of memory.*lower"):
        transformer.transform([molecule("CH4")] * 5000)


def ring(places, n_places, radius=1.1):
    """A carbon with hydrogens at some corners of a regular polygon around it."""
    angles = 2 * np.pi * np.array(places) / n_places
    points = radius * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    return Atoms(["C"] + ["H"] * len(places), np.concatenate([np.zeros((1, 3)), points]))


PAIRS = {
    # as many pairs of hydrogens at every angle, unlike triangles (Pozdnyakov et al.,
    # Phys. Rev. Lett. 125, 166001 (2020), give families of such pairs of CH4)
    3: (ring((0, 1, 2, 5), 8), ring((0, 1, 3, 4), 8)),
    # as many triangles of every shape, unlike quadrangles; found by trying all sets of corners
    4: (ring((0, 1, 2, 3, 4, 6, 8, 14, 15), 18), ring((0, 1, 2, 3, 5, 6, 7, 9, 13), 18)),
}


@pytest.mark.parametrize("scheme", ["sketch", "decomposition"])
@pytest.mark.parametrize("order", PAIRS)
def test_order_tells_apart_what_the_order_below_cannot(order, scheme):
    first, second = PAIRS[order]

    def distance(order):
        values = TensorReducedTransformer(
            cutoff=3.0, n_max=4, l_max=6, n_channels=16, correlation_order=order, orders=[order],
            atom_sigma=0.3, scheme=scheme, random_state=1,
        ).fit_transform([first, second]).values
        carbons = values[[0, len(first)]]
        return np.linalg.norm(carbons[0] - carbons[1])

    for lower in range(1, order):
        assert distance(lower) < 1e-8
    assert distance(order) > 1e-3
    soap = SOAPTransformer(cutoff=3.0, n_max=4, l_max=6).fit_transform([first, second]).values
    assert np.linalg.norm(soap[0] - soap[len(first)]) < 1e-8
