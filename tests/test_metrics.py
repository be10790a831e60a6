"""Errors of energies and forces, as functions and as scorers."""

import pickle

import numpy as np
import pytest
import sklearn
from ase.calculators.singlepoint import SinglePointCalculator
from helpers.toy_data import make_frames, reference
from helpers.toy_descriptor import ToyTransformer
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, TwoStagePSOSearchCV, check_structures
from skdesc.metrics import (
    SCORERS,
    energy_mae_per_atom,
    energy_rmse_per_atom,
    forces_mae,
    forces_rmse,
    make_energy_scorer,
    make_forces_scorer,
)


def test_energies_per_atom():
    y, predicted, n_atoms = [1.0, 2.0], [1.2, 1.2], [1, 4]
    assert energy_rmse_per_atom(y, predicted, n_atoms) == pytest.approx(0.2)
    assert energy_mae_per_atom(y, predicted, n_atoms) == pytest.approx(0.2)
    assert energy_rmse_per_atom(y, [1.0, 1.2], n_atoms) == pytest.approx(0.2 / np.sqrt(2))


def test_forces_weigh_components_alike():
    true = [np.zeros((1, 3)), np.zeros((2, 3))]
    predicted = [np.ones((1, 3)), np.zeros((2, 3))]
    assert forces_rmse(true, predicted) == pytest.approx(np.sqrt(1 / 3))
    assert forces_mae(true, predicted) == pytest.approx(1 / 3)


def test_missing_forces_do_not_count():
    true = [None, np.nan, np.array([[0.0, np.nan, 2.0]])]
    predicted = [np.ones((2, 3)), np.ones((1, 3)), np.array([[0.0, 9.0, 0.0]])]
    assert forces_mae(true, predicted) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="no structure has forces"):
        forces_rmse([None], [np.ones((2, 3))])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: energy_rmse_per_atom([1.0, 2.0], [1.0], [1, 1]), "one entry per structure"),
        (lambda: energy_rmse_per_atom([1.0], [1.0], [0]), "must be positive"),
        (lambda: forces_rmse([np.ones((2, 3))], []), "1 structures to compare with those of 0"),
        (lambda: forces_rmse([np.ones((2, 3))], [np.ones((3, 3))]), r"forces_true\[0\]"),
        (lambda: make_forces_scorer("max"), "metric is 'max'"),
    ],
)
def test_errors_name_the_argument(call, match):
    with pytest.raises(ValueError, match=match):
        call()


@pytest.fixture(scope="module")
def data():
    frames = make_frames(9, seed=3)
    y, targets = reference(frames)
    return frames, y, targets["forces"]


@pytest.fixture
def pipeline():
    return make_pipeline(ToyTransformer(), GAPRegressor(n_sparse=8))


def test_scorers_agree_with_functions(data, pipeline):
    frames, y, forces = data
    pipeline.fit(frames, y, gapregressor__forces=forces)
    energies, predicted = pipeline.predict(frames, return_forces=True)
    n_atoms = check_structures(frames).n_atoms
    expected = -energy_rmse_per_atom(y, energies, n_atoms)
    features = ToyTransformer().transform(frames)
    assert make_energy_scorer()(pipeline, frames, y) == expected
    assert make_energy_scorer()(pipeline, check_structures(frames), y) == expected
    assert make_energy_scorer()(pipeline[-1], features, y) == expected
    score = make_forces_scorer("mae")(pipeline, frames, y, forces=forces)
    assert score == -forces_mae(forces, predicted)
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        make_forces_scorer()(pipeline, check_structures(frames), y)
    with pytest.raises(TypeError, match="numbers of atoms are not known"):
        make_energy_scorer()(pipeline, np.ones((3, 2)), y)


def test_attached_forces_are_found(data, pipeline):
    frames, y, forces = data
    pipeline.fit(frames, y)
    labelled = [atoms.copy() for atoms in frames]
    for atoms, energy, force in zip(labelled, y, forces, strict=True):
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=force)
    scorer = make_forces_scorer()
    assert scorer(pipeline, labelled, y) == scorer(pipeline, frames, y, forces=forces)


def test_scorers_in_cross_validation(data, pipeline):
    frames, y, forces = data
    scoring = {"energy": make_energy_scorer(), "forces": make_forces_scorer()}
    with sklearn.config_context(enable_metadata_routing=True):
        result = cross_validate(
            pipeline, frames, y, cv=3, scoring=scoring, params={"forces": forces},
            error_score="raise",
        )
        assert (result["test_forces"] < 0).all()
        assert (result["test_energy"] < 0).all()
        grid = {"gapregressor__zeta": [1, 2]}
        search = GridSearchCV(pipeline, grid, cv=3, scoring=scoring, refit="forces")
        search.fit(frames, y, forces=forces)
        assert search.best_score_ < 0


def test_all_scorers_at_once(data, pipeline):
    """By their names, in cross-validation and in both kinds of search."""
    frames, y, forces = data
    with sklearn.config_context(enable_metadata_routing=True):
        result = cross_validate(
            pipeline, frames, y, cv=KFold(3), scoring=SCORERS, params={"forces": forces},
            error_score="raise", return_estimator=True, return_indices=True,
        )
        for index, test in enumerate(result["indices"]["test"]):
            X, true = [frames[i] for i in test], [forces[i] for i in test]
            energies, predicted = result["estimator"][index].predict(X, return_forces=True)
            n_atoms = check_structures(X).n_atoms
            assert result["test_neg_forces_rmse"][index] == -forces_rmse(true, predicted)
            assert result["test_neg_forces_mae"][index] == -forces_mae(true, predicted)
            expected = -energy_rmse_per_atom(y[test], energies, n_atoms)
            assert result["test_neg_energy_rmse_per_atom"][index] == expected
        space = {"gapregressor__zeta": [1, 2]}
        options = {"cv": KFold(3), "scoring": SCORERS, "refit": "neg_forces_mae"}
        grid = GridSearchCV(pipeline, space, **options).fit(frames, y, forces=forces)
        swarm = TwoStagePSOSearchCV(
            pipeline, space, {}, n_particles=2, n_iterations=2, random_state=0, **options
        ).fit(frames, y, forces=forces)
        assert grid.best_params_ == swarm.best_params_
        for name in SCORERS:
            best = (search.cv_results_[f"mean_test_{name}"][search.best_index_]
                    for search in (grid, swarm))
            assert next(best) == pytest.approx(next(best))


def test_a_single_scorer_by_name(data, pipeline):
    """Without routing, from the forces that are attached to the structures."""
    frames, y, forces = data
    labelled = [atoms.copy() for atoms in frames]
    for atoms, force in zip(labelled, forces, strict=True):
        atoms.arrays["forces"] = force
    for atoms, energy in zip(labelled, y, strict=True):
        atoms.info["energy"] = energy
    result = cross_validate(
        pipeline, labelled, y, cv=3, scoring=SCORERS["neg_forces_rmse"], error_score="raise",
        params={"gapregressor__forces": forces},
    )
    assert (result["test_score"] < 0).all()


def test_scorers_can_be_copied():
    for scorer in (make_energy_scorer("mae"), make_forces_scorer("mae")):
        for copy in (clone(scorer, safe=False), pickle.loads(pickle.dumps(scorer))):
            assert copy.metric == "mae"
            assert repr(copy) == repr(scorer)
