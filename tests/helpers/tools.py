"""scikit-learn's tools as functions of a container of structures, and what they give.

``TOOLS`` is the table of tests/integration/test_containers.py and of docs/containers.md; run as
a script, this module prints the latter.
"""

import tempfile

import numpy as np
import pandas as pd
from ase.build import molecule
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.pipeline import FeatureUnion, make_pipeline

from skdesc import (
    GAPRegressor,
    SOAPTransformer,
    Structures,
    TwoBodyTransformer,
    TwoStagePSOSearchCV,
    as_column,
)

SPECIES = ["H", "C", "N", "O"]
GRID = {"gapregressor__sigma_energy": [1e-3, 1e-2]}


def molecules(count=12):
    """Shaken molecules and an energy."""
    rng = np.random.default_rng(0)
    frames = [molecule(["H2O", "CH4", "NH3"][index % 3]) for index in range(count)]
    for atoms in frames:
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    y = np.array([sum(np.linalg.norm(atoms.positions, axis=1)) - len(atoms) for atoms in frames])
    return frames, y


def forces_of(frames):
    """Minus the gradients of the energies of :func:`molecules`."""
    return [
        -atoms.positions / np.linalg.norm(atoms.positions, axis=1, keepdims=True)
        for atoms in frames
    ]


def _column(frames):
    return as_column(frames)[:, 0]


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "array (n,)": _column,
    "array (n, 1)": as_column,
    "Series": lambda frames: pd.Series(_column(frames), index=np.arange(len(frames)) + 100),
    "DataFrame": lambda frames: pd.DataFrame(
        {"atoms": _column(frames)}, index=np.arange(len(frames)) + 100
    ),
    "Structures": Structures.from_atoms,
}


def soap(**parameters):
    """A small descriptor."""
    return SOAPTransformer(
        SPECIES, cutoff=2.5, n_max=2, l_max=1, n_jobs=1
    ).set_params(**parameters)


def potential():
    """Descriptor and Gaussian process."""
    return make_pipeline(soap(), GAPRegressor(n_sparse=5))


def pooled():
    """Descriptor with one row per structure, and a linear model."""
    return make_pipeline(soap(pooling="sum"), Ridge(1e-3))


def _search(search, **options):
    def run(X, y):
        found = search(potential(), GRID, cv=KFold(3), error_score="raise", **options).fit(X, y)
        return found.predict(X)

    return run


def _halving(X, y):
    # samples are drawn at random, and may lack an element: no matter for a linear model
    search = HalvingGridSearchCV(
        pooled(), {"ridge__alpha": [1e-3, 1e-2]}, cv=KFold(2), min_resources=6,
        error_score="raise", random_state=0,
    )
    return search.fit(X, y).predict(X)


def _swarm(X, y):
    search = TwoStagePSOSearchCV(
        potential(), {"soaptransformer__cutoff": [2.0, 2.5]}, GRID, n_particles=2, n_iterations=1,
        cv=KFold(2), error_score="raise", random_state=0,
    )
    return search.fit(X, y).predict(X)


def _fit_predict(make):
    return lambda X, y: make().fit(X, y).predict(X)


def _split(X, y):
    train, test, y_train, _ = train_test_split(X, y, random_state=0)
    return potential().fit(train, y_train).predict(test)


def _k_fold(X, y):
    return np.concatenate([test for _, test in KFold(3).split(X, y)])


def _group_k_fold(X, y):
    return cross_val_predict(potential(), X, y, cv=GroupKFold(3), groups=np.arange(len(y)) % 4)


def _learning_curve(X, y):
    return learning_curve(potential(), X, y, cv=KFold(3), train_sizes=[0.5, 1.0],
                          error_score="raise")[2]


def _validation_curve(X, y):
    return validation_curve(potential(), X, y, param_name="gapregressor__zeta",
                            param_range=[1, 2], cv=KFold(2), error_score="raise")[1]


def _importance(X, y):
    found = permutation_importance(potential().fit(X, y), X, y, n_repeats=2, random_state=0)
    return found.importances


def _memory(X, y):
    with tempfile.TemporaryDirectory() as folder:
        pipeline = make_pipeline(soap(), GAPRegressor(n_sparse=5), memory=folder)
        clone(pipeline).fit(X, y)
        return pipeline.fit(X, y).predict(X)


def _union(*parts):
    return FeatureUnion([(type(part).__name__, part) for part in parts])


def _two_body(**parameters):
    transformer = TwoBodyTransformer(SPECIES)
    return transformer.set_params(**parameters)


TOOLS = {
    "train_test_split": _split,
    "KFold": _k_fold,
    "GroupKFold": _group_k_fold,
    "cross_validate": lambda X, y: cross_validate(
        potential(), X, y, cv=KFold(3), error_score="raise"
    )["test_score"],
    "cross_val_predict": lambda X, y: cross_val_predict(potential(), X, y, cv=KFold(3)),
    "learning_curve": _learning_curve,
    "validation_curve": _validation_curve,
    "GridSearchCV": _search(GridSearchCV),
    "RandomizedSearchCV": _search(RandomizedSearchCV, n_iter=2, random_state=0),
    "HalvingGridSearchCV": _halving,
    "TwoStagePSOSearchCV": _swarm,
    "permutation_importance": _importance,
    "StackingRegressor": _fit_predict(
        lambda: StackingRegressor([("gap", potential()), ("ridge", pooled())], cv=KFold(2))
    ),
    "VotingRegressor": _fit_predict(
        lambda: VotingRegressor([("gap", potential()), ("ridge", pooled())])
    ),
    "BaggingRegressor": _fit_predict(
        lambda: BaggingRegressor(potential(), n_estimators=2, random_state=0)
    ),
    "TransformedTargetRegressor": _fit_predict(
        lambda: TransformedTargetRegressor(potential(), func=np.cbrt, inverse_func=lambda z: z**3)
    ),
    "FeatureUnion, atomic": _fit_predict(
        lambda: make_pipeline(_union(soap(), _two_body()), GAPRegressor(n_sparse=5))
    ),
    "FeatureUnion, pooled": _fit_predict(
        lambda: make_pipeline(_union(soap(pooling="sum"), _two_body(pooling="sum")), Ridge())
    ),
    "ColumnTransformer": _fit_predict(
        lambda: make_pipeline(ColumnTransformer([("soap", soap(pooling="sum"), [0])]), Ridge())
    ),
    "Pipeline(memory=)": _memory,
}

# words that only this package's own errors have
OWN_WORDS = ("skdesc.as_column", "ase.Atoms")


def outcome(tool, container):
    """Run a tool on a container.

    Parameters
    ----------
    tool, container : str
        Keys of `TOOLS` and `CONTAINERS`.

    Returns
    -------
    result : ndarray or None
        What the tool gives; None if it raises.
    error : Exception or None
        What it raises.
    """
    frames, y = molecules()
    try:
        return np.asarray(TOOLS[tool](CONTAINERS[container](frames), y)), None
    except (TypeError, ValueError, IndexError) as error:
        return None, error


def cell(error):
    """Entry of the table."""
    if error is None:
        return "yes"
    return "our error" if any(word in str(error) for word in OWN_WORDS) else "its own error"


def table():
    """Lines of the table in Markdown."""
    lines = ["| | " + " | ".join(CONTAINERS) + " |", "|---" * (len(CONTAINERS) + 1) + "|"]
    for tool in TOOLS:
        cells = [cell(outcome(tool, container)[1]) for container in CONTAINERS]
        lines.append(f"| {tool} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
