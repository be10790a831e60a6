"""
Carbon dimer: a curve, tuned
============================

The binding curve of two carbon atoms is the smallest system that a potential can be tuned on: 47
points of energies and forces to learn from, 16 in between to test (GFN2-xTB, part of the
package). :func:`~skdesc.suggest_space` derives the search spaces from the structures;
:class:`~skdesc.TwoStagePSOSearchCV` tunes the descriptor first and the regressor second.
"""

# %%
# Each fold covers the whole curve, so that no model has to extrapolate.

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
from skdesc.datasets import load_carbon_dimer
from skdesc.exceptions import UntrustworthyFitWarning
from skdesc.metrics import energy_rmse_per_atom, forces_rmse, make_forces_scorer
from skdesc.plotting import SearchDisplay

sklearn.set_config(enable_metadata_routing=True)  # forces reach every fold
warnings.simplefilter("ignore", UntrustworthyFitWarning)  # swarms visit the worst of settings

data = load_carbon_dimer()
train = [data.frames[index] for index in data.train]
test = [data.frames[index] for index in data.test]
y, targets = extract_targets(train, virials=False)
forces = targets["forces"]

inner = np.arange(2, len(train) - 1)
ends = [0, 1, len(train) - 1]
folds = [
    (np.sort([*ends, *inner[kept]]), inner[tested])
    for kept, tested in KFold(3, shuffle=True, random_state=0).split(inner)
]

# %%
# The spaces, from distances and elements alone.

pipeline = Pipeline([
    ("soap", SOAPTransformer(species=["C"])),
    ("gap", GAPRegressor(e0=data.isolated_energies, n_sparse=20, random_state=0)),
])
transformer_space, regressor_space = suggest_space(train, pipeline)
for name, values in {**transformer_space, **regressor_space}.items():
    shown = values if isinstance(values, list) else [round(float(v), 4) for v in values.support()]
    print(f"{name:20s} {shown}")

# %%
# The search, by the cross-validated error of forces.

search = TwoStagePSOSearchCV(
    pipeline, transformer_space, regressor_space,
    scoring=make_forces_scorer(), cv=folds, n_jobs=2, random_state=0,
).fit(train, y, forces=forces)
print(f"{search.n_models_trained_} models on {search.n_feature_evaluations_} sets of features")
SearchDisplay.from_search(search)

# %%
# Before and after.

y_test, targets = extract_targets(test, virials=False)
untuned = pipeline.fit(train, y, forces=forces)
curves = {}
for name, model in {"untuned": untuned, "tuned": search.best_estimator_}.items():
    energies, predicted = model.predict(test, return_forces=True)
    curves[name] = energies
    print(
        f"{name:>7}: {1000 * energy_rmse_per_atom(y_test, energies, [2] * len(test)):6.2f} "
        f"meV/atom, {1000 * forces_rmse(targets['forces'], predicted):6.1f} meV/angstrom"
    )

# %%
# Errors of the energy along the curve.

distances = [atoms.get_distance(0, 1) for atoms in test]
_, ax = plt.subplots(layout="constrained")
for name, energies in curves.items():
    ax.semilogy(distances, 500 * np.abs(energies - y_test), "o-", label=name)
ax.set(xlabel="distance (Å)", ylabel="error of the energy (meV/atom)")
ax.legend()
plt.show()
