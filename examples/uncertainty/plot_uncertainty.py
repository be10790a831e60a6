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
# it: with standard deviations as the posterior gives them, and calibrated, which is the default.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm, spearmanr
from sklearn.model_selection import KFold

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc.datasets import load_carbon_solids

data = load_carbon_solids()
y, targets = extract_targets(data.frames, virials=False)
forces = targets["forces"]
X = SOAPTransformer(n_max=6, l_max=4).fit_transform(data.frames)


def held_out(calibrate):
    """Errors and standard deviations of energies and forces, from four folds."""
    parts = []
    for train, test in KFold(4, shuffle=True, random_state=0).split(X):
        gap = GAPRegressor(n_sparse=300, e0=data.isolated_energies, calibrate=calibrate)
        gap.fit(X[train], y[train], forces=[forces[index] for index in train])
        energies, std, predicted = gap.predict(X[test], return_std=True, return_forces=True)
        expected = np.concatenate([forces[index] for index in test])
        parts.append((
            energies - y[test], std, (np.concatenate(predicted) - expected).ravel(),
            np.concatenate(gap.predict_forces_std(X[test])).ravel(),
        ))
    energies, std, of_forces, forces_std = map(np.concatenate, zip(*parts, strict=True))
    return {"energies": (energies, std), "forces": (of_forces, forces_std)}


# %%
# A curve above the diagonal means standard deviations that are too large, one below it too small.
# Calibration gives two factors to the variance, one to what the data leave open and one to what the
# sparse points cannot represent. So it changes not only the size of standard deviations, but also
# which structures they single out.

shares = np.linspace(0.02, 0.98, 49)
thresholds = norm.ppf(0.5 + 0.5 * shares)
figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
axes[0].plot([0, 1], [0, 1], color="gray", linewidth=1)
for calibrate, style in ((True, "-"), (False, "--")):
    for color, (kind, (error, std)) in zip(("C0", "C1"), held_out(calibrate).items(), strict=True):
        name = f"{kind}, {'calibrated' if calibrate else 'posterior'}"
        ratio = np.abs(error) / std
        found = [(ratio < threshold).mean() for threshold in thresholds]
        axes[0].plot(shares, found, style, color=color, label=name)
        print(f"{name:22s} rms of errors over standard deviations "
              f"{np.sqrt(np.mean(ratio**2)):5.2f}, "
              f"rank correlation of both {spearmanr(np.abs(error), std)[0]:5.2f}")
        if calibrate:
            part = slice(None, None, max(len(error) // 1500, 1))
            axes[1].loglog(std[part], np.abs(error)[part], ".", color=color, label=kind, alpha=0.4)
axes[0].set(xlabel="share of errors expected", ylabel="share of errors found")
axes[1].set(xlabel="standard deviation / eV or eV per angstrom", ylabel="error")
for axis in axes:
    axis.legend()
plt.show()
