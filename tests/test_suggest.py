"""Suggested spaces are physically sensible, and searches take them as they are."""

import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from scipy.stats import uniform
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdesc import (
    GAPRegressor,
    SOAPTransformer,
    Structures,
    TwoStagePSOSearchCV,
    suggest_space,
)
from skdesc.datasets import load_carbon_dimer, load_carbon_solids, load_organic_molecules
from skdesc.descriptors._auto_parameters import AUTO_PARAMETERS

CRYSTALS = {"Cu": 2.55, "Si": 2.35, "Fe": 2.48, "Na": 3.66}


def _bounds(space, name):
    return tuple(float(value) for value in space[name].support())


@pytest.mark.parametrize("element", CRYSTALS)
def test_cutoffs_are_between_the_shells_of_crystals(element):
    nearest = CRYSTALS[element]
    transformer, _ = suggest_space([bulk(element)])
    low, high = _bounds(transformer, "soap__cutoff")
    assert 1.3 * nearest < low < 2.5 * nearest
    assert low + 1 <= high <= 8.0
    width_low, width_high = _bounds(transformer, "soap__atom_sigma")
    assert width_low == pytest.approx(0.12 * nearest, rel=0.03)
    assert width_high == pytest.approx(0.35 * nearest, rel=0.03)


def test_lengths_scale_with_the_crystal():
    spaces = []
    for scale in (1.0, 1.3):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(scale * atoms.cell, scale_atoms=True)
        spaces.append(suggest_space([atoms])[0])
    for name in ("soap__atom_sigma", "soap__cutoff"):
        small, large = (np.array(_bounds(space, name)) for space in spaces)
        np.testing.assert_allclose(large / small, 1.3, atol=0.02)


def test_hydrogen_keeps_densities_narrow():
    transformer, _ = suggest_space([molecule("H2O"), molecule("CH3CH2OH")])
    assert _bounds(transformer, "soap__atom_sigma")[1] <= 0.5
    # a lone hydrogen in a metal is enough
    atoms = bulk("Pd", cubic=True).repeat(2) + Atoms("H", [[1.9, 1.9, 1.9]])
    assert _bounds(suggest_space([atoms])[0], "soap__atom_sigma")[1] == 0.5


def test_dimers_need_few_angles():
    transformer, regressor = suggest_space(load_carbon_dimer().frames)
    assert _bounds(transformer, "soap__l_max") == (0, 4)
    assert _bounds(transformer, "soap__cutoff")[1] > 4.0  # the longest bond in the data
    assert "gap__sigma_forces" in regressor


@pytest.mark.parametrize("n_species", [1, 4, 25, 80])
def test_descriptors_of_many_elements_stay_short(n_species):
    atoms = bulk("Cu", cubic=True).repeat(3)
    atoms.numbers = 1 + np.arange(len(atoms)) % n_species
    transformer, _ = suggest_space([atoms])
    (n_low, n_high), (l_low, l_high) = (
        _bounds(transformer, f"soap__{name}") for name in ("n_max", "l_max")
    )
    assert 1 <= n_low < n_high <= 10
    assert 0 <= l_low < l_high <= 8
    if n_species <= 4:
        channels = n_species * n_high
        assert channels * (channels + 1) // 2 * (l_high + 1) <= 6000


def test_noise_of_what_the_structures_carry():
    frames = load_carbon_solids().frames[:5]
    assert "gap__sigma_forces" in suggest_space(frames)[1]
    assert "gap__sigma_forces" not in suggest_space(frames, forces=False)[1]
    bare = Structures.from_atoms(frames)
    assert "gap__sigma_forces" not in suggest_space(bare)[1]
    assert {"gap__sigma_forces", "gap__sigma_virials"} <= set(
        suggest_space(bare, forces=True, virials=True)[1]
    )


def test_sparse_points_follow_the_size_of_the_data():
    small, large = (
        suggest_space([bulk("Cu", cubic=True).repeat(n)])[1]["gap__n_sparse"] for n in (3, 9)
    )
    assert max(small) == 27
    assert max(large) == 500
    assert len(small) == len(large) == 3


def test_names_come_from_the_pipeline():
    frames = [bulk("Cu", cubic=True)]
    pipeline = make_pipeline(SOAPTransformer(), GAPRegressor())
    transformer, regressor = suggest_space(frames, pipeline)
    assert set(transformer) == {
        f"soaptransformer__{name}" for name in (*AUTO_PARAMETERS, "n_max", "l_max")
    }
    assert set(regressor) == {"gapregressor__zeta", "gapregressor__n_sparse",
                              "gapregressor__sigma_energy"}
    named = suggest_space(frames, transformer="describe", regressor="learn")
    assert {name.partition("__")[0] for space in named for name in space} == {"describe", "learn"}
    assert not {"soap__n_channels", "gap__alpha"} & {n for s in suggest_space(frames) for n in s}


class _Channels(TransformerMixin, BaseEstimator):
    def __init__(self, cutoff=5.0, n_channels=8):
        self.cutoff = cutoff
        self.n_channels = n_channels


def test_parameters_are_those_that_steps_have():
    pipeline = Pipeline([
        ("first", _Channels()), ("scale", StandardScaler()), ("kernel", KernelRidge()),
    ])
    transformer, regressor = suggest_space([bulk("Cu")], pipeline)
    assert set(transformer) == {"first__cutoff", "first__n_channels"}
    assert set(regressor) == {"kernel__alpha"}
    pipeline.set_params(kernel=LinearRegression())
    assert suggest_space([bulk("Cu")], pipeline)[1] == {}


@pytest.mark.parametrize(
    ("arguments", "options", "error", "match"),
    [
        (([bulk("Cu")],), {"dialect": "tpot"}, ValueError, "dialect is 'tpot', but must be one of"),
        ((bulk("Cu"),), {}, TypeError, "X is a single Atoms"),
        (([bulk("Cu")], SOAPTransformer()), {}, TypeError, "estimator is a SOAPTransformer"),
        (
            ([bulk("Cu")], make_pipeline(StandardScaler(), GAPRegressor())),
            {}, ValueError, "none is known to be a descriptor",
        ),
        (([Atoms("He")],), {}, ValueError, "no two atoms in X are nearer than 8.0 angstrom"),
    ],
)
def test_bad_input(arguments, options, error, match):
    with pytest.raises(error, match=match):
        suggest_space(*arguments, **options)


def test_a_search_takes_them_as_they_are():
    data = load_organic_molecules()
    common = [i for i in data.train if set(data.frames[i].symbols) == {"H", "C"}][:24]
    frames, energies = [data.frames[index] for index in common], data.energies[common]
    pipe = Pipeline([("soap", SOAPTransformer()), ("gap", GAPRegressor(random_state=0))])
    search = TwoStagePSOSearchCV(
        pipe, *suggest_space(frames, forces=False), scoring="neg_mean_absolute_error",
        n_particles=3, n_iterations=2, cv=2, random_state=0,
    )
    with warnings.catch_warnings():  # a few points in a wide space may be ill-conditioned
        warnings.simplefilter("ignore")
        search.fit(frames, energies)
        errors = np.abs(search.predict(frames) - energies)
    assert np.median(errors) < 0.1 * np.std(energies)


def _copper(dialect):
    return suggest_space([bulk("Cu", cubic=True)], forces=True, dialect=dialect)


def _names():
    return {name for space in _copper("sklearn") for name in space}


def _within_cutoffs(cutoff):
    low, high = _bounds(_copper("sklearn")[0], "soap__cutoff")
    return low <= cutoff <= high


def test_optuna_draws_from_them():
    optuna = pytest.importorskip("optuna")
    space = _copper("optuna")
    assert set(space) == _names()
    trial = optuna.create_study().ask(space)
    assert _within_cutoffs(trial.params["soap__cutoff"])
    assert trial.params["gap__zeta"] in (1, 2, 3, 4, 6)
    assert isinstance(trial.params["soap__n_max"], int)
    assert space["gap__sigma_energy"].log


def test_flaml_draws_from_them():
    tune = pytest.importorskip("flaml.tune")
    space = _copper("flaml")
    assert set(space) == _names()
    seen = []

    def evaluate(params):
        seen.append(params)
        return {"error": abs(params["soap__cutoff"] - 5.0)}

    tune.run(evaluate, config=space, metric="error", mode="min", num_samples=5, verbose=0)
    assert len(seen) == 5
    for params in seen:
        assert _within_cutoffs(params["soap__cutoff"])
        assert 4 <= params["soap__n_max"] <= 10
        assert 1e-4 <= params["gap__sigma_energy"] <= 1e-1


@pytest.mark.filterwarnings("ignore")  # of Ray
def test_ray_draws_from_them():
    pytest.importorskip("ray.tune")
    space = _copper("ray")
    assert set(space) == _names()
    for _ in range(20):
        drawn = {name: domain.sample() for name, domain in space.items()}
        assert _within_cutoffs(drawn["soap__cutoff"])
        assert 4 <= drawn["soap__n_max"] <= 10
        assert 1e-4 <= drawn["gap__sigma_energy"] <= 1e-1
        assert drawn["gap__zeta"] in (1, 2, 3, 4, 6)


def test_skopt_draws_from_them():
    pytest.importorskip("skopt")
    space = _copper("skopt")
    assert set(space) == _names()
    for name, dimension in space.items():
        assert dimension.name == name
        assert all(value in dimension for value in dimension.rvs(20, random_state=0))
    assert space["gap__sigma_energy"].prior == "log-uniform"


def test_configspace_draws_from_them():
    package = pytest.importorskip("ConfigSpace")
    space = _copper("configspace")
    assert isinstance(space, package.ConfigurationSpace)
    assert set(space) == _names()
    drawn = dict(space.sample_configuration())
    assert _within_cutoffs(drawn["soap__cutoff"])
    assert drawn["gap__zeta"] in (1, 2, 3, 4, 6)


@pytest.mark.parametrize("dialect", ["optuna", "flaml", "ray", "skopt", "configspace"])
def test_missing_packages_are_named(dialect, monkeypatch):
    import skdesc.suggest

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(skdesc.suggest, "import_module", missing)
    with pytest.raises(ImportError, match=r"this dialect of suggest_space needs .*; pip install"):
        _copper(dialect)


def test_spaces_of_the_vocabulary_are_scipys():
    transformer, regressor = _copper("sklearn")
    assert transformer["soap__cutoff"].dist.name == uniform(0, 1).dist.name
    assert transformer["soap__n_max"].dist.name == "randint"
    assert regressor["gap__sigma_forces"].dist.name == "loguniform"
