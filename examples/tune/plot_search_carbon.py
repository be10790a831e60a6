"""
Carbon solids: how much a search costs
======================================

Diamond, graphite and amorphous carbon in small cells (GFN1-xTB, part of the package). The same
pipeline is tuned twice: descriptor first and regressor second, and all at once. What a search
costs is the number of models it trains and the time it takes.
"""

# %%

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline

from skdesc import (
    GAPRegressor,
    SOAPTransformer,
    TwoStagePSOSearchCV,
    extract_targets,
    suggest_space,
)
from skdesc.datasets import load_carbon_solids
from skdesc.exceptions import UntrustworthyFitWarning
from skdesc.metrics import energy_rmse_per_atom, forces_rmse, make_forces_scorer
from skdesc.plotting import SearchDisplay

sklearn.set_config(enable_metadata_routing=True)
warnings.simplefilter("ignore", UntrustworthyFitWarning)

data = load_carbon_solids()
small = np.array([len(atoms) <= 16 for atoms in data.frames])
train = [data.frames[index] for index in data.train if small[index]]
test = [data.frames[index] for index in data.test if small[index]]
y, targets = extract_targets(train, virials=False)
forces = targets["forces"]
pipeline = Pipeline([
    ("soap", SOAPTransformer(species=["C"])),
    ("gap", GAPRegressor(e0=data.isolated_energies, n_sparse=60, random_state=0)),
])

# %%
# The first search cross-validates a candidate in one pass over the data, which counts as one
# model, and fits the noise levels for each descriptor. In its second stage the descriptor is fixed,
# and fits that differ only in noise share their pass.

spaces = suggest_space(train, pipeline)
spaces[1].pop("gap__n_sparse")  # the more the better: nothing to search
searches = {}
for strategy in ("two-stage", "joint"):
    start = time.perf_counter()
    searches[strategy] = TwoStagePSOSearchCV(
        pipeline, *spaces, strategy=strategy, scoring=make_forces_scorer(), refit=True,
        cv=KFold(3, shuffle=True, random_state=0), n_particles=6, n_iterations=5, n_jobs=2,
        random_state=0,
    ).fit(train, y, forces=forces)
    search = searches[strategy]
    print(
        f"{strategy:>9}: {-1000 * search.best_score_:5.0f} meV/angstrom cross-validated, "
        f"{search.n_models_trained_} models, {search.n_feature_evaluations_} sets of features, "
        f"{time.perf_counter() - start:.0f} s"
    )

# %%
# On the test structures.

y_test, targets = extract_targets(test, virials=False)
n_atoms = [len(atoms) for atoms in test]
models = {name: search.best_estimator_ for name, search in searches.items()}
for name, model in {"untuned": pipeline.fit(train, y, forces=forces), **models}.items():
    energies, predicted = model.predict(test, return_forces=True)
    print(
        f"{name:>9}: {1000 * energy_rmse_per_atom(y_test, energies, n_atoms):5.1f} meV/atom, "
        f"{1000 * forces_rmse(targets['forces'], predicted):5.0f} meV/angstrom"
    )

# %%
# The course of the first search, and the candidates as lines across all parameters.

SearchDisplay.from_search(searches["two-stage"])
SearchDisplay.from_search(searches["two-stage"], kind="parallel")
plt.show()
