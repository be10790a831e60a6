"""
scikit-optimize: a Gaussian process that tunes a Gaussian process
=================================================================

``BayesSearchCV`` is one more search of scikit-learn's kind, and takes a pipeline of this package
and any container of structures as it is. The space is suggested from the structures, as
scikit-optimize's dimensions.
"""

from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from skopt import BayesSearchCV

from skdesc import GAPRegressor, SOAPTransformer, extract_targets, suggest_space
from skdesc.datasets import load_carbon_solids
from skdesc.metrics import energy_rmse_per_atom, make_energy_scorer


def main(n_trials=12):
    """Tune, and compare on structures that were not seen."""
    data = load_carbon_solids()
    train, test = ([data.frames[index] for index in part] for part in (data.train, data.test))
    y, y_test = extract_targets(train)[0], extract_targets(test)[0]
    species = sorted({symbol for atoms in train for symbol in atoms.get_chemical_symbols()})
    pipeline = make_pipeline(SOAPTransformer(species), GAPRegressor(n_sparse=100))
    search = BayesSearchCV(
        pipeline, suggest_space(train, pipeline, dialect="skopt"), n_iter=n_trials,
        cv=KFold(3, shuffle=True, random_state=0), scoring=make_energy_scorer(), random_state=0,
        optimizer_kwargs={"n_initial_points": max(1, n_trials // 2)},
    )
    n_atoms = [len(atoms) for atoms in test]
    for name, fitted in (
        ("before", clone(pipeline).fit(train, y)), ("BayesSearchCV", search.fit(train, y))
    ):
        error = energy_rmse_per_atom(y_test, fitted.predict(test), n_atoms)
        print(f"{name:>13}: {1000 * error:6.1f} meV/atom (test RMSE)")
    return search


if __name__ == "__main__":
    main()
