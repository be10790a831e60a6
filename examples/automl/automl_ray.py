"""
Ray Tune: any objective, in worker processes
============================================

Ray Tune runs trials in processes of its own, on one machine or many. It needs no tables: the
objective is a function that computes features, fits, scores and reports a number. Structures go to
the workers through Ray's store, as :class:`skdesc.Structures`, which takes a fraction of the time
of a list. The space is suggested from the structures, as Ray's domains.
"""

import os

os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # says a warning of Ray's
import ray
from ray import tune
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, Structures, extract_targets, suggest_space
from skdesc.datasets import load_carbon_solids
from skdesc.metrics import energy_rmse_per_atom, make_energy_scorer


def objective(config, pipeline, structures, y):
    """Cross-validated error of one candidate; Ray fetches the data from its store."""
    candidate = clone(pipeline).set_params(**config)
    cv = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(candidate, structures, y, cv=cv, scoring=make_energy_scorer())
    return {"error": -scores.mean()}


def main(n_trials=12):
    """Tune, and compare on structures that were not seen."""
    data = load_carbon_solids()
    train, test = ([data.frames[index] for index in part] for part in (data.train, data.test))
    y, y_test = extract_targets(train)[0], extract_targets(test)[0]
    pipeline = make_pipeline(SOAPTransformer(["C"], n_jobs=1), GAPRegressor(n_sparse=100))
    trainable = tune.with_parameters(
        objective, pipeline=pipeline, structures=Structures.from_atoms(train), y=y
    )
    settings = tune.TuneConfig(num_samples=n_trials, metric="error", mode="min")
    space = suggest_space(train, pipeline, forces=False, dialect="ray")
    try:
        found = tune.Tuner(trainable, param_space=space, tune_config=settings).fit()
        best = found.get_best_result()
    finally:
        ray.shutdown()
    n_atoms = [len(atoms) for atoms in test]
    for name, parameters in (("before", {}), ("Ray Tune", best.config)):
        fitted = clone(pipeline).set_params(**parameters).fit(train, y)
        error = energy_rmse_per_atom(y_test, fitted.predict(test), n_atoms)
        print(f"{name:>8}: {1000 * error:6.1f} meV/atom (test RMSE)")
    return best


if __name__ == "__main__":
    main()
