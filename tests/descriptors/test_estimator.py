"""SOAPTransformer as a scikit-learn estimator, and its errors."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from helpers.systems import shaken_molecules
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, TensorReducedTransformer

SMALL = {"n_max": 3, "l_max": 2, "cutoff": 3.0}


def test_clone_and_pickle():
    frames, _ = shaken_molecules()
    soap = SOAPTransformer(**SMALL, species=["H", "C", "N", "O"], n_jobs=1)
    assert clone(soap).get_params() == soap.get_params()
    fitted = soap.fit(frames)
    again = pickle.loads(pickle.dumps(fitted))
    features, copy = fitted.transform(frames), again.transform(frames)
    np.testing.assert_array_equal(features.values, copy.values)
    unpickled = pickle.loads(pickle.dumps(features))
    g = np.ones_like(features.values)
    np.testing.assert_array_equal(features.vjp(g)[0], unpickled.vjp(g)[0])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_searches_and_folds(n_jobs):
    frames, y = shaken_molecules()
    species = ["H", "C", "N", "O"]
    pipe = make_pipeline(SOAPTransformer(**SMALL, species=species), GAPRegressor(n_sparse=10))
    search = GridSearchCV(
        pipe, {"soaptransformer__cutoff": [2.0, 3.0]}, cv=KFold(2), n_jobs=n_jobs,
        error_score="raise",
    ).fit(frames, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pooled = make_pipeline(SOAPTransformer(**SMALL, species=species, pooling="sum"), Ridge(1e-6))
    scores = cross_val_score(pooled, frames, y, cv=KFold(4), n_jobs=n_jobs)
    assert scores.min() > 0.9


def test_output_as_a_data_frame():
    frames, _ = shaken_molecules()
    soap = SOAPTransformer(**SMALL, pooling="mean").set_output(transform="pandas")
    table = soap.fit_transform(frames)
    assert list(table.columns) == list(soap.get_feature_names_out())
    atomic = SOAPTransformer(**SMALL).set_output(transform="pandas").fit_transform(frames)
    assert atomic.shape == (len(frames), table.shape[1])


PARAMETERS = [
    ("cutoff", -1.0, "cutoff must be a finite number above 0, got -1.0"),
    ("cutoff", np.nan, "cutoff must be a finite number"),
    ("cutoff", "5", "cutoff must be a number or 'auto'"),
    ("cutoff_width", -0.1, "cutoff_width must be a finite number at least 0"),
    ("cutoff_width", 9.0, "cutoff_width=9.0 must not exceed cutoff"),
    ("atom_sigma", 0, "atom_sigma must be a finite number above 0"),
    ("atom_sigma", 1e-4, "atom_sigma=0.0001 must be between"),
    ("n_max", 0, "n_max must be an integer from 1"),
    ("n_max", 2.5, "n_max must be an integer"),
    ("n_max", 60, "n_max=60 is too large for radial_basis='gto'"),
    ("l_max", -1, "l_max must be an integer from 0"),
    ("radial_basis", "slater", r"radial_basis must be one of \['gto'"),
    ("pooling", "max", "pooling must be one of"),
    ("dtype", "int", "dtype must be one of"),
    ("handle_unknown", None, "handle_unknown must be one of"),
    ("compression", "mu9", "compression must be one of"),
    ("n_jobs", 0, "n_jobs is 0"),
    ("species", [], "species is empty"),
    ("species", "CH", "species must be a sequence"),
    ("species", ["Xy"], "neither a chemical symbol"),
    ("species", ["C", 6, "H"], "names an element twice"),
    ("species", [200], "neither a chemical symbol"),
    ("cutoff", np.inf, "cutoff must be a finite number"),
    ("cutoff", True, "cutoff must be a finite number"),
    ("atom_sigma", -0.3, "atom_sigma must be a finite number above 0"),
    ("atom_sigma", np.nan, "atom_sigma must be a finite number"),
    ("center_weight", -1.0, "center_weight must be a finite number at least 0"),
    ("n_max", True, "n_max must be an integer"),
    ("n_max", 1000, "n_max must be an integer from 1 to 64"),
    ("l_max", 99, "l_max must be an integer from 0 to 30"),
    ("normalize", "yes", "normalize must be True or False"),
    ("n_jobs", 1.5, "n_jobs is 1.5, but must be an integer"),
    ("radial_basis", 3, r"radial_basis must be one of \['gto'"),
    ("radial_basis", [[0.0, 1.0], [1.0, 2.0]], "must be a name, a function or a table"),
    ("radial_scaling", "willatt", "radial_scaling is .*, but must be None"),
    ("radial_scaling", (0.0, 1.0, 2.0), "rate of radial_scaling is .*, but must be"),
    ("centers", 3, "centers must be None"),
]


@pytest.mark.parametrize(("name", "value", "match"), PARAMETERS)
@pytest.mark.parametrize("transformer", [SOAPTransformer, TensorReducedTransformer])
def test_parameters_out_of_range(transformer, name, value, match):
    if name == "compression" and transformer is TensorReducedTransformer:
        pytest.skip("has no such parameter")
    soap = transformer(**{"l_max": 2, "cutoff": 5.0, name: value})
    with pytest.raises(ValueError, match=match):
        soap.fit([molecule("CH4")]).transform([molecule("CH4")])


def nan():
    atoms = molecule("CH4")
    atoms.positions[0] = np.inf
    return [atoms]


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (nan, ValueError, "NaN or infinite position"),
        (list, ValueError, "0 structures"),
        (lambda: [Atoms()], ValueError, "no atoms"),
        (lambda: molecule("CH4"), TypeError, "single Atoms"),
        (lambda: [molecule("H2O")], ValueError, r"elements \['O'\], which are not among"),
        (lambda: [Atoms("C", cell=[1, 0, 1], pbc=True)], ValueError, "cell vector there is zero"),
        (lambda: [Atoms("CC", positions=np.zeros((2, 3)))], ValueError, "angstrom apart"),
    ],
)
def test_structures_that_cannot_be_described(make, error, match):
    soap = SOAPTransformer(**SMALL).fit([molecule("CH4")])
    with pytest.raises(error, match=match):
        soap.transform(make())


def test_absurd_cutoff_and_absurd_output():
    crystal = Atoms("Si", cell=np.eye(3) * 2.5, pbc=True)
    with pytest.raises(ValueError, match="use a smaller cutoff"):
        SOAPTransformer(cutoff=5000.0, atom_sigma=1000.0).fit_transform([crystal])
    soap = SOAPTransformer(species=range(1, 100), n_max=20, l_max=10, radial_basis="laplacian")
    with pytest.raises(ValueError, match=r"GB of memory; lower n_max"):
        soap.fit([molecule("CH4")]).transform([molecule("CH4")] * 200)


def test_cotangents_of_the_wrong_shape():
    features = SOAPTransformer(**SMALL).fit_transform([molecule("CH4")])
    with pytest.raises(ValueError, match="g has shape"):
        features.vjp(np.ones((2, 2)))
    with pytest.raises(ValueError, match="NaN or infinite"):
        features.vjp(np.full(features.values.shape, np.nan))
