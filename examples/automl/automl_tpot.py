"""
TPOT: genetic programming over descriptors and regressors
=========================================================

TPOT puts pipelines together from a space of steps. Here the descriptor is one node, and the
regressor another; the space of each is suggested from the structures, as a ConfigSpace.

TPOT needs a table, :func:`skdesc.as_column` or a one-column data frame, and refuses lists, Series
and ``Structures``. It runs candidates in processes of its own, so that a script needs the
guard at its end.
"""

import copy

import tpot
from ConfigSpace import ConfigurationSpace
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from tpot.search_spaces.nodes import EstimatorNode
from tpot.search_spaces.pipelines import SequentialPipeline

from skdesc import GAPRegressor, SOAPTransformer, as_column, extract_targets, suggest_space
from skdesc.datasets import load_carbon_solids
from skdesc.metrics import energy_rmse_per_atom


def make_space(frames, pipeline):
    """One node for each step, with the part of the suggested space that belongs to it."""
    whole = suggest_space(frames, pipeline, dialect="configspace")
    nodes = []
    for step, estimator in pipeline.steps:
        part = ConfigurationSpace()
        for name in whole:
            if name.startswith(f"{step}__"):
                part.add(renamed(whole[name], name.removeprefix(f"{step}__")))
        nodes.append(EstimatorNode(type(estimator), part, hyperparameter_parser=Parser(estimator)))
    return SequentialPipeline(nodes)


def renamed(parameter, name):
    """Return the same parameter under the name that the step itself uses."""
    parameter = copy.copy(parameter)
    parameter.name = name
    return parameter


class Parser:
    """Adds the fixed parameters of a step to those that TPOT has chosen."""

    def __init__(self, estimator):
        self.fixed = estimator.get_params()

    def __call__(self, chosen):
        chosen = {k: v.item() if hasattr(v, "item") else v for k, v in chosen.items()}
        return {**self.fixed, **chosen}


def main(population_size=6, generations=2):
    """Evolve, and compare on structures that were not seen."""
    data = load_carbon_solids()
    train, test = ([data.frames[index] for index in part] for part in (data.train, data.test))
    y, y_test = extract_targets(train)[0], extract_targets(test)[0]
    species = sorted({symbol for atoms in train for symbol in atoms.get_chemical_symbols()})
    pipeline = make_pipeline(SOAPTransformer(species, n_jobs=1), GAPRegressor(n_sparse=100))
    search = tpot.TPOTEstimator(
        search_space=make_space(train, pipeline), scorers=["neg_root_mean_squared_error"],
        scorers_weights=[1], other_objective_functions=[], other_objective_functions_weights=[],
        classification=False, preprocessing=False, population_size=population_size,
        generations=generations, cv=3, n_jobs=1, max_time_mins=3, random_state=0, verbose=0,
    )
    search.fit(as_column(train), y)
    n_atoms = [len(atoms) for atoms in test]
    for name, fitted in (
        ("before", clone(pipeline).fit(train, y)), ("TPOT", search.fitted_pipeline_)
    ):
        error = energy_rmse_per_atom(y_test, fitted.predict(as_column(test)), n_atoms)
        print(f"{name:>6}: {1000 * error:6.1f} meV/atom (test RMSE)")
    return search


if __name__ == "__main__":
    main()
