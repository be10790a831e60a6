"""
Which structures to compute next
================================

Reference calculations are the main cost of a potential. A Gaussian process knows where it is
uncertain, and :func:`skdesc.gaussian_process.select_batch` picks from a pool the structures whose
energies are jointly most informative, so near-duplicates are not chosen together. Here a
potential of carbon grows from eight crystals, by such batches and by random ones. Most of the pool
is similar crystals, as in many collections, with a few structures from a melt.
"""

# %%
# The pool is the training side of the bundled carbon solids, but of the cooled melts only every
# fourth structure; energies and forces stay hidden until a structure is picked. The test side is
# whole. Descriptors don't depend on energies, and are computed once.

import matplotlib.pyplot as plt
import numpy as np

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc.datasets import load_carbon_solids
from skdesc.gaussian_process import select_batch
from skdesc.metrics import energy_rmse_per_atom, forces_rmse

data = load_carbon_solids()
is_crystal = np.array(data.kinds)[data.train] != "amorphous"
crystals, melts = data.train[is_crystal], data.train[~is_crystal][::4]
pool = [data.frames[index] for index in (*crystals, *melts)]
test = [data.frames[index] for index in data.test]
print(f"pool: {len(crystals)} crystals, {len(melts)} from melts; test: {len(test)} structures")
y, targets = extract_targets(pool, virials=False)
y_test, targets_test = extract_targets(test, virials=False)
soap = SOAPTransformer(cutoff=4.0, cutoff_width=1.0, n_max=6, l_max=4, atom_sigma=0.4)
X, X_test = soap.fit_transform(pool), soap.transform(test)

START, BATCH, ROUNDS, SEEDS = 8, 6, 4, 5


def fit(index):
    """A potential from some structures of the pool."""
    gap = GAPRegressor(
        n_sparse=300, e0=data.isolated_energies, sigma_energy=0.01, sigma_forces=0.2
    )
    return gap.fit(X[index], y[index], forces=[targets["forces"][i] for i in index])


def errors(gap):
    """Test errors of energies per atom and of forces."""
    energies, forces = gap.predict(X_test, return_forces=True)
    return (energy_rmse_per_atom(y_test, energies, X_test.n_atoms),
            forces_rmse(targets_test["forces"], forces))


def grow(seed, choose):
    """Errors after each round, from random crystals."""
    known = list(np.random.default_rng(seed).choice(len(crystals), START, replace=False))
    found = []
    for _ in range(ROUNDS):
        gap = fit(np.array(known))
        found.append(errors(gap))
        unknown = np.setdiff1d(np.arange(len(pool)), known)
        known += unknown[choose(gap, unknown, seed)].tolist()
    return found


def by_variance(gap, unknown, seed):
    """Positions of the structures that tell most."""
    return select_batch(gap, X[unknown], BATCH)[0]


def by_chance(gap, unknown, seed):
    """Positions of random structures."""
    return np.random.default_rng([seed, len(unknown)]).choice(len(unknown), BATCH, replace=False)


# %%
# Both ways from the same five starts.

strategies = {"select_batch": by_variance, "random": by_chance}
curves = {
    name: np.array([grow(seed, choose) for seed in range(SEEDS)])
    for name, choose in strategies.items()
}
sizes = START + BATCH * np.arange(ROUNDS)
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
labels = ("energy RMSE / eV per atom", "force RMSE / eV per angstrom")
for name, curve in curves.items():
    for axis, label, values in zip(axes, labels, np.moveaxis(curve, 2, 0), strict=True):
        axis.errorbar(sizes, values.mean(axis=0), values.std(axis=0) / np.sqrt(SEEDS),
                      marker="o", capsize=3, label=name)
        axis.set(xlabel="structures computed", ylabel=label, yscale="log")
        axis.legend()

# %%
# Errors at the same number of structures, averaged over the starts.

print("structures   energy RMSE, meV/atom     force RMSE, meV/angstrom")
print("             select_batch   random     select_batch   random")
for size, chosen, chance in zip(sizes, *(c.mean(axis=0) for c in curves.values()), strict=True):
    print(f"{size:6d}       {1e3 * chosen[0]:8.0f} {1e3 * chance[0]:10.0f}   "
          f"{1e3 * chosen[1]:10.0f} {1e3 * chance[1]:10.0f}")
ahead = (curves["select_batch"][:, 1:] < curves["random"][:, 1:]).sum(axis=0)
for size, (energies, forces) in zip(sizes[1:], ahead, strict=True):
    print(f"{size} structures: select_batch is ahead in {energies} of {SEEDS} starts by energies, "
          f"in {forces} by forces")
plt.show()
