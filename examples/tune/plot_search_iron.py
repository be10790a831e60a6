"""
Iron: accuracy against prediction time
======================================

Strained cells, hcp and surfaces of iron (PBE, from the Fe-GAP22 set, downloaded on first use). The
larger a descriptor, the slower the potential. A search with two objectives finds the best
trade-offs between error and time, and the knee of their front.
"""

# %%
# Only small cells are taken, so that the example is quick.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline

from skdesc import (
    GAPRegressor,
    SOAPTransformer,
    TwoStagePSOSearchCV,
    extract_targets,
    suggest_space,
)
from skdesc.datasets import fetch_iron_gap22
from skdesc.exceptions import UntrustworthyFitWarning
from skdesc.metrics import energy_rmse_per_atom, make_energy_scorer
from skdesc.plotting import SearchDisplay

warnings.simplefilter("ignore", UntrustworthyFitWarning)


def load(n_train=120, n_test=200):
    """Return training and test structures, or None if the data are out of reach."""
    try:
        data = fetch_iron_gap22()
    except (ImportError, OSError) as error:  # no pooch, or no network
        print(f"The iron set is neither in the data home nor can it be downloaded: {error}")
        return None
    n_atoms = np.array([len(atoms) for atoms in data.frames])
    per_atom = data.energies / n_atoms
    sensible = np.flatnonzero((n_atoms <= 6) & (per_atom < per_atom.min() + 1.0))
    chosen = np.random.default_rng(0).permutation(sensible)[: n_train + n_test]
    frames = [data.frames[index] for index in chosen]
    return frames[:n_train], frames[n_train:]


def report(name, model, test):
    """Print the error on the test structures."""
    y = extract_targets(test, forces=False, virials=False)[0]
    n_atoms = [len(atoms) for atoms in test]
    error = 1000 * energy_rmse_per_atom(y, model.predict(test), n_atoms)
    print(f"{name:>7}: {error:5.1f} meV/atom on {len(test)} test structures")


sides = load()

# %%
# Prediction time is an objective like any other. It includes the descriptors only if they are
# computed in the folds, hence ``cache_features=False``.

if sides is not None:
    train, test = sides
    y = extract_targets(train, forces=False, virials=False)[0]
    pipeline = Pipeline([
        ("soap", SOAPTransformer(species=["Fe"])),
        ("gap", GAPRegressor(n_sparse=60, random_state=0)),
    ])
    search = TwoStagePSOSearchCV(
        pipeline, *suggest_space(train, pipeline, forces=False),
        scoring=make_energy_scorer(), objective=["score", "score_time"], cache_features=False,
        cv=KFold(3, shuffle=True, random_state=0), n_particles=8, n_iterations=5, n_jobs=2,
        random_state=0,
    ).fit(train, y)
    for point in search.pareto_front_:
        score, score_time = point["scores"].values()
        print(f"{-1000 * score:6.1f} meV/atom, {-1000 * score_time:5.1f} ms")

# %%
# The most accurate of the front on structures that no fold has seen.

if sides is not None:
    report("untuned", pipeline.fit(train, y), test)
    report("knee", search.best_estimator_, test)
    best = max(search.pareto_front_, key=lambda point: point["scores"]["score"])
    report("best", pipeline.set_params(**best["params"]).fit(train, y), test)
    SearchDisplay.from_search(search, kind="pareto")
    plt.show()
