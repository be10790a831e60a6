"""
FLAML: pipelines as learners of its own, or its tuner alone
===========================================================

FLAML's ``AutoML`` compares learners on tables of numbers. A pipeline of this package becomes such a
learner in a few lines. What FLAML needs is a table: an object array of shape (n, 1), made by
:func:`skdesc.as_column`. It refuses lists and ``Structures``.

``flaml.tune.run`` tunes any function, and needs no table.
"""

import warnings

import numpy as np
from flaml import AutoML, tune
from flaml.automl.model import BaseEstimator
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, as_column, extract_targets, suggest_space
from skdesc.datasets import load_carbon_solids
from skdesc.metrics import energy_rmse_per_atom, make_energy_scorer


def load():
    """Return training and test structures and their energies."""
    data = load_carbon_solids()
    sides = [[data.frames[index] for index in part] for part in (data.train, data.test)]
    return [(frames, extract_targets(frames)[0]) for frames in sides]


def make_learner(pipeline, space):
    """Make a class of FLAML's out of a pipeline and its search space."""

    class Potential(BaseEstimator):
        def __init__(self, task="regression", **config):
            super().__init__(task, **config)
            self.estimator_class = clone  # FLAML asks for a class, and we need none

        @classmethod
        def search_space(cls, data_size, task):
            start = pipeline.get_params()  # FLAML's first trial
            return {
                name: {"domain": domain, "init_value": start[name]}
                for name, domain in space.items()
            }

        def fit(self, X_train, y_train, budget=None, free_mem_ratio=0, **kwargs):
            params = {name: plain(self.params[name]) for name in space}
            self._model = clone(pipeline).set_params(**params).fit(X_train, np.asarray(y_train))
            return 0.0

        def predict(self, X, **kwargs):
            return self._model.predict(X)

    return Potential


def plain(value):
    """Turn NumPy's numbers, which FLAML samples, into Python's."""
    return value.item() if isinstance(value, np.generic) else value


def search(pipeline, space, frames, y, n_trials):
    """Let AutoML tune the learner; its other learners would not know what to do with Atoms."""
    automl = AutoML()
    automl.add_learner("potential", make_learner(pipeline, space))
    automl.fit(
        as_column(frames), y, task="regression", metric="rmse", estimator_list=["potential"],
        eval_method="cv", n_splits=3, max_iter=n_trials, time_budget=120, seed=0, verbose=0,
    )
    return automl


def tune_alone(pipeline, space, frames, y, n_trials):
    """Tune by an objective of one's own."""
    cv = KFold(3, shuffle=True, random_state=0)

    def objective(config):
        candidate = clone(pipeline).set_params(**{k: plain(v) for k, v in config.items()})
        scores = cross_val_score(candidate, frames, y, cv=cv, scoring=make_energy_scorer())
        return {"error": -scores.mean()}

    return tune.run(objective, config=space, metric="error", mode="min", num_samples=n_trials,
                    verbose=0)


def main(n_trials=12):
    """Tune in both ways, and compare on structures that were not seen."""
    warnings.filterwarnings("ignore", module="flaml")
    (frames, y), (test, y_test) = load()
    species = sorted({symbol for atoms in frames for symbol in atoms.get_chemical_symbols()})
    pipeline = make_pipeline(SOAPTransformer(species), GAPRegressor(n_sparse=100))
    space = suggest_space(frames, pipeline, dialect="flaml")
    n_atoms = [len(atoms) for atoms in test]

    def report(name, fitted):
        error = energy_rmse_per_atom(y_test, fitted.predict(as_column(test)), n_atoms)
        print(f"{name:>8}: {1000 * error:6.1f} meV/atom (test RMSE)")

    report("before", clone(pipeline).fit(frames, y))
    automl = search(pipeline, space, frames, y, n_trials)
    report("AutoML", automl)
    found = tune_alone(pipeline, space, frames, y, n_trials)
    best = {name: plain(value) for name, value in found.best_config.items()}
    report("tune.run", clone(pipeline).set_params(**best).fit(frames, y))
    return automl, found


if __name__ == "__main__":
    main()
