"""
How far to trust a prediction
=============================

A Gaussian process predicts a standard deviation with every energy and every force. Are they right?
If errors divided by standard deviations are normally distributed, then half of all errors are
below 0.67 standard deviations, 90 % below 1.64, and so on. The calibration curve compares these
shares with those found on structures that the model has not seen.
"""

# %%
# Every structure of the bundled carbon solids is predicted once, by a model that was fitted without
# it. The noise of an observed energy or force is added to the standard deviations of the posterior.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm, spearmanr
from sklearn.model_selection import KFold

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc.datasets import load_carbon_solids

data = load_carbon_solids()
y, targets = extract_targets(data.frames, virials=False)
forces = targets["forces"]
X = SOAPTransformer(cutoff=4.0, cutoff_width=1.0, n_max=6, l_max=4, atom_sigma=0.4).fit_transform(
    data.frames
)



def fit(train, n_sparse):
    """A potential from some of the structures."""
    gap = GAPRegressor(
        n_sparse=n_sparse, e0=data.isolated_energies, sigma_energy=0.02, sigma_forces=0.4
    )
    return gap.fit(X[train], y[train], forces=[forces[index] for index in train])


folds = list(KFold(4, shuffle=True, random_state=0).split(X))
errors, deviations = {"energies": [], "forces": []}, {"energies": [], "forces": []}
for train, test in folds:
    gap = fit(train, 800)
    energies, std, predicted = gap.predict(X[test], return_std=True, return_forces=True)
    forces_std = np.concatenate(gap.predict_forces_std(X[test])).ravel()
    errors["energies"].append(energies - y[test])
    deviations["energies"].append(np.hypot(std, gap.sigma_energy_ * np.sqrt(X[test].n_atoms)))
    expected = np.concatenate([forces[index] for index in test])
    errors["forces"].append((np.concatenate(predicted) - expected).ravel())
    deviations["forces"].append(np.hypot(forces_std, gap.sigma_forces_))

# %%
# A curve above the diagonal means standard deviations that are too large, one below it too small.
# The dashed curves are those after one factor, the root mean square of errors over standard
# deviations, was found on half of the structures; they show the other half.

shares = np.linspace(0.02, 0.98, 49)
thresholds = norm.ppf(0.5 + 0.5 * shares)
figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
axes[0].plot([0, 1], [0, 1], color="gray", linewidth=1)
for color, kind in zip(("C0", "C1"), errors, strict=True):
    error, deviation = np.concatenate(errors[kind]), np.concatenate(deviations[kind])
    ratio = np.abs(error) / deviation
    order = np.random.default_rng(0).permutation(len(ratio))
    known, rest = np.array_split(order, 2)
    factor = np.sqrt(np.mean(ratio[known] ** 2))
    for values, style, label in ((ratio, "-", kind), (ratio[rest] / factor, "--", None)):
        found = [(values < threshold).mean() for threshold in thresholds]
        axes[0].plot(shares, found, style, color=color, label=label)
        print(f"{kind:8s} {'as predicted' if style == '-' else 'rescaled':12s} "
              + "  ".join(f"{100 * norm.cdf(t) * 2 - 100:.0f} %: {100 * (values < t).mean():.0f} %"
                          for t in norm.ppf(0.5 + 0.5 * np.array([0.5, 0.68, 0.9, 0.95]))))
    rank = spearmanr(np.abs(error), deviation)[0]
    print(f"{kind:8s} rms of errors over standard deviations {np.sqrt(np.mean(ratio**2)):.2f}, "
          f"rank correlation of both {rank:.2f}")
    part = slice(None, None, max(len(error) // 1500, 1))
    axes[1].loglog(deviation[part], np.abs(error)[part], ".", color=color, label=kind, alpha=0.4)
axes[0].set(xlabel="share of errors expected", ylabel="share of errors found")
axes[1].set(xlabel="standard deviation / eV or eV per angstrom", ylabel="error")
for axis in axes:
    axis.legend()

# %%
# The part of the energy that the sparse points cannot represent counts as unknown, whatever the
# data: with too few points, standard deviations are too large, and no single factor corrects them.

for n_sparse in (200, 400):
    ratios = []
    for train, test in folds:
        gap = fit(train, n_sparse)
        energies, std = gap.predict(X[test], return_std=True)
        ratios.append((energies - y[test]) / np.hypot(std, 0.02 * np.sqrt(X[test].n_atoms)))
    print(f"{n_sparse} points: rms of errors of energies over standard deviations "
          f"{np.sqrt(np.mean(np.concatenate(ratios) ** 2)):.2f}")
plt.show()
