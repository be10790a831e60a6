"""
Organic molecules: stage one without training
=============================================

Small molecules of hydrogen, carbon and oxygen, displaced at random (GFN2-xTB, part of the package);
of the four geometries of each, one is for testing. The first stage of a search may judge a
descriptor without training any model of the pipeline: by the leave-one-out error of a ridge
regression in closed form, or by the alignment between kernel and targets.
"""

# %%
# Energies alone are learned, 84 of them.

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
from skdesc.datasets import load_organic_molecules
from skdesc.exceptions import UntrustworthyFitWarning
from skdesc.metrics import energy_rmse_per_atom, make_energy_scorer
from skdesc.plotting import ParityDisplay, SearchDisplay

warnings.simplefilter("ignore", UntrustworthyFitWarning)

data = load_organic_molecules()
small = [a for a in data.frames if len(a) < 10 and set(a.symbols) <= set("HCO")]
train = [atoms for index, atoms in enumerate(small) if index % 4 != 1]
test = small[1::4]
y = extract_targets(train, forces=False, virials=False)[0]
y_test = extract_targets(test, forces=False, virials=False)[0]
n_atoms = np.array([len(atoms) for atoms in test])
pipeline = Pipeline([
    ("soap", SOAPTransformer(species=["H", "C", "O"])),
    ("gap", GAPRegressor(e0=data.isolated_energies, n_sparse=80, random_state=0)),
])
transformer_space, regressor_space = suggest_space(train, pipeline, forces=False)
regressor_space.pop("gap__n_sparse")

# %%
# Two ways to spend the first stage. Models are trained in the second, and for the refit.

searches = {}
for objective in ("ridge", "alignment"):
    search = searches[objective] = TwoStagePSOSearchCV(
        pipeline, transformer_space, regressor_space, stage_one_objective=objective,
        scoring=make_energy_scorer(), cv=KFold(3, shuffle=True, random_state=0),
        n_particles=6, n_iterations=(5, 3), n_jobs=2, random_state=0,
    ).fit(train, y)
    print(
        f"{objective:>9}: {-1000 * search.best_score_:5.1f} meV/atom cross-validated, "
        f"{search.n_models_trained_} models, {search.n_feature_evaluations_} sets of features"
    )

# %%
# On geometries never seen.

predictions = {"untuned": pipeline.fit(train, y).predict(test)}
predictions |= {name: search.predict(test) for name, search in searches.items()}
for name, predicted in predictions.items():
    print(f"{name:>9}: {1000 * energy_rmse_per_atom(y_test, predicted, n_atoms):5.1f} meV/atom")

# %%
# Energies without those of the atoms, before and after; and what the first stage has seen.

atoms = np.array([sum(data.isolated_energies[s] for s in frame.symbols) for frame in test])
_, ax = plt.subplots(layout="constrained")
for name in ("untuned", "ridge"):
    ParityDisplay.from_predictions(
        y_test - atoms, predictions[name] - atoms, n_atoms=n_atoms, name=name, ax=ax
    )
SearchDisplay.from_search(searches["ridge"])
plt.show()
