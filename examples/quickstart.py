"""
A tuned and tested potential in two minutes
===========================================

Carbon solids (diamond, graphite, amorphous; GFN1-xTB) come with the package. A SOAP descriptor
and a Gaussian approximation potential make an ordinary scikit-learn pipeline; a particle swarm
tunes the descriptor first and the regressor second; the tuned pipeline is tested on structures it
has not seen, and saved together with a picture.

Run it with ``python examples/quickstart.py [FOLDER]``; the folder for the results is ``results``
unless another is named.
"""

import sys
import time
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import sklearn
from scipy.stats import loguniform, randint, uniform
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline

from skdesc import GAPRegressor, SOAPTransformer, TwoStagePSOSearchCV, extract_targets
from skdesc.datasets import load_carbon_solids
from skdesc.io import save
from skdesc.metrics import energy_rmse_per_atom, forces_rmse, make_forces_scorer
from skdesc.plotting import ParityDisplay, SearchDisplay


def load():
    """Return training and test structures with their targets."""
    data = load_carbon_solids()
    sides = []
    for indices in (data.train, data.test):
        frames = [data.frames[index] for index in indices]
        y, targets = extract_targets(frames, virials=False)
        sides.append((frames, y, targets["forces"]))
    return *sides, data.isolated_energies


def report(name, pipeline, test):
    """Print the errors of a fitted pipeline on the test structures; return its predictions."""
    frames, y, forces = test
    energies, predicted = pipeline.predict(frames, return_forces=True)
    n_atoms = [len(atoms) for atoms in frames]
    print(
        f"{name:>7}: energy {1000 * energy_rmse_per_atom(y, energies, n_atoms):6.1f} meV/atom, "
        f"forces {1000 * forces_rmse(forces, predicted):6.0f} meV/angstrom (test RMSE)"
    )
    return energies, predicted


def main(folder):
    """Tune, fit, test, save."""
    start = time.perf_counter()
    sklearn.set_config(enable_metadata_routing=True)  # forces reach every fold's fit and score
    train, test, isolated = load()
    pipeline = Pipeline([
        ("soap", SOAPTransformer(species=["C"])),
        ("gap", GAPRegressor(e0=isolated, n_sparse=60, random_state=0)),
    ])  # fmt: skip

    # every third structure and few sparse points are enough to compare parameters
    frames, y, forces = (part[::3] for part in train)
    search = TwoStagePSOSearchCV(
        pipeline,
        transformer_space={
            "soap__cutoff": uniform(3.0, 2.5),
            "soap__atom_sigma": uniform(0.25, 0.45),
            "soap__n_max": randint(5, 11),
            "soap__l_max": randint(3, 8),
        },
        regressor_space={
            "gap__zeta": [2, 3, 4, 6],
            "gap__sigma_energy": loguniform(1e-4, 3e-2),
            "gap__sigma_forces": loguniform(1e-2, 1.0),
        },
        scoring=make_forces_scorer(),
        cv=KFold(2, shuffle=True, random_state=0),
        refit=False,
        n_jobs=-1,  # candidates side by side, each on one thread
        random_state=0,
        verbose=1,
    ).fit(frames, y, forces=forces)
    print(f"{search.n_models_trained_} models trained; best parameters:")
    for name, value in search.best_params_.items():
        print(f"    {name} = {value:.4g}")

    frames, y, forces = train
    pipeline.set_params(gap__n_sparse=800)
    report("untuned", pipeline.fit(frames, y, forces=forces), test)
    pipeline.set_params(**search.best_params_)
    energies, predicted = report("tuned", pipeline.fit(frames, y, forces=forces), test)

    folder.mkdir(parents=True, exist_ok=True)
    save(pipeline, folder / "carbon.skd")
    figure, axes = plt.subplots(
        1, 3, figsize=(18, 4.5), width_ratios=(1, 1, 1.6), layout="constrained"
    )
    n_atoms = np.array([len(atoms) for atoms in test[0]])
    ParityDisplay.from_predictions(test[1], energies, n_atoms=n_atoms, ax=axes[0])
    ParityDisplay.from_predictions(test[2], predicted, quantity="forces", ax=axes[1])
    SearchDisplay.from_search(search, kind="convergence", ax=axes[2])
    figure.savefig(folder / "quickstart.png", dpi=100)
    print(f"model and picture saved in {folder}; {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results"))
