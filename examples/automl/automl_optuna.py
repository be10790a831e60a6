"""
Optuna: a search over the whole pipeline, and pruning of trials
============================================================================

A pipeline of this package is an estimator like any other, so Optuna can tune it in both of its
ways: :class:`OptunaSearchCV <optuna_integration.sklearn.OptunaSearchCV>` in place of
scikit-learn's searches, or a study with an objective that you write. There, ``partial_fit`` lets a
trial learn from more and more structures, and Optuna prunes it as soon as it falls behind.

The search space is suggested from the structures, as Optuna's own distributions.
"""

import warnings

import numpy as np
import optuna
from optuna_integration.sklearn import OptunaSearchCV
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, extract_targets, suggest_space
from skdesc.datasets import load_carbon_solids
from skdesc.metrics import energy_rmse_per_atom, make_energy_scorer

optuna.logging.set_verbosity(optuna.logging.WARNING)


def load():
    """Return training and test structures and their energies."""
    data = load_carbon_solids()
    sides = [[data.frames[index] for index in part] for part in (data.train, data.test)]
    return [(frames, extract_targets(frames)[0]) for frames in sides]


def search(pipeline, space, frames, y, n_trials):
    """Let OptunaSearchCV choose all parameters at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", message=".*optuna.terminator", category=FutureWarning)
        return OptunaSearchCV(
            pipeline, space, cv=KFold(3, shuffle=True, random_state=0), n_trials=n_trials,
            scoring=make_energy_scorer(), random_state=0, error_score="raise",
        ).fit(frames, y)


def study(pipeline, space, frames, y, n_trials, n_portions=4):
    """Learn from the structures in portions; give up what is worse than the median."""
    order = np.random.default_rng(0).permutation(len(y))
    validation, *portions = np.array_split(order, n_portions + 1)

    def take(index):
        return [frames[i] for i in index], y[index]

    result = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    for _ in range(n_trials):
        trial = result.ask(space)
        candidate = clone(pipeline).set_params(**trial.params)
        descriptor, gap = candidate[:-1].fit(frames), candidate[-1]
        X, energies = take(validation)
        X, n_atoms = descriptor.transform(X), [len(atoms) for atoms in X]
        for step, portion in enumerate(portions):
            more, targets = take(portion)
            gap.partial_fit(descriptor.transform(more), targets)
            error = energy_rmse_per_atom(energies, gap.predict(X), n_atoms)
            trial.report(error, step)
            if trial.should_prune():
                result.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            result.tell(trial, error)
    return result


def main(n_trials=12):
    """Tune in both ways, and compare on structures that were not seen."""
    (frames, y), (test, y_test) = load()
    species = sorted({symbol for atoms in frames for symbol in atoms.get_chemical_symbols()})
    pipeline = make_pipeline(SOAPTransformer(species), GAPRegressor(n_sparse=100))
    space = suggest_space(frames, pipeline, dialect="optuna")
    n_atoms = [len(atoms) for atoms in test]

    def report(name, fitted):
        error = energy_rmse_per_atom(y_test, fitted.predict(test), n_atoms)
        print(f"{name:>22}: {1000 * error:6.1f} meV/atom (test RMSE)")
        return error

    report("before", clone(pipeline).fit(frames, y))
    found = search(pipeline, space, frames, y, n_trials)
    report("OptunaSearchCV", found.best_estimator_)

    trials = study(pipeline, space, frames, y, n_trials)
    states = [trial.state.name for trial in trials.trials]
    best = clone(pipeline).set_params(**trials.best_params).fit(frames, y)
    report("study with partial_fit", best)
    print(f"{states.count('PRUNED')} of {len(states)} trials were pruned")
    return found, trials


if __name__ == "__main__":
    main()
