"""
Descriptors whose size does not depend on the elements
======================================================

A power spectrum of 56 elements has hundreds of thousands of numbers. A tensor-reduced descriptor
mixes elements and radial functions into a few channels and multiplies within these only. How much
is lost? That depends on how the mixing weights are chosen.
"""

# %%
# Random weights estimate the full kernel
# ---------------------------------------
# With independent random weights in both factors, the scalar product of two descriptors is an
# unbiased estimate of that of the full spectra. Its error falls as the square root of the number
# of channels, however many elements there are. One descriptor of very many channels is as good as
# many small ones, which give the spread.

import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from sklearn.linear_model import RidgeCV

from skdesc import SOAPTransformer, TensorReducedTransformer
from skdesc.datasets import fetch_perov5, load_organic_molecules

SMALL = {"cutoff": 4.0, "n_max": 3, "l_max": 2, "normalize": False}
n_channels, sizes = 2**16, 2 ** np.arange(2, 11)
for elements in ("CHHO", "BCNOFPSCl"):
    symbols = Atoms(elements).get_chemical_symbols()
    atoms = Atoms(symbols, np.random.default_rng(0).normal(size=(len(symbols), 3)))
    full = SOAPTransformer(**SMALL).fit_transform([atoms]).values
    sketch = TensorReducedTransformer(**SMALL, n_channels=n_channels, random_state=0)
    x, y = sketch.fit_transform([atoms]).values[:2].reshape(2, -1, n_channels)
    terms = n_channels * (x * y).sum(axis=0)
    errors = [np.std(terms.reshape(-1, size).mean(axis=1)) / (full[0] @ full[1]) for size in sizes]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    plt.loglog(sizes, errors, "o-", label=f"{len(set(symbols))} elements: slope {slope:.3f}")
plt.xlabel("number of channels")
plt.ylabel("relative error of the kernel")
plt.legend()
plt.show()

# %%
# Learned weights need far fewer channels
# ---------------------------------------
# The formation energies of perovskites ABX3 of 56 elements. They are not bundled; where they are
# not to be found, bundled molecules take their place.

try:
    found = fetch_perov5()
    subset = np.concatenate([found.train[:600], found.test[:400]])
    frames, energies = [found.frames[i] for i in subset], np.asarray(found.energies)[subset]
except FileNotFoundError as error:
    print(f"bundled molecules are used instead of perovskites: {error}")
    found = load_organic_molecules()
    shuffled = np.random.default_rng(0).permutation(len(found.frames))
    frames = [found.frames[i] for i in shuffled]
    energies = np.asarray(found.energies)[shuffled]

cut = 6 * len(frames) // 10
n_atoms = np.array([len(atoms) for atoms in frames])
species = np.unique(np.concatenate([atoms.numbers for atoms in frames]))
composition = np.array([[(atoms.numbers == z).mean() for z in species] for atoms in frames])
# subtract the part that the composition explains
per_atom = energies / n_atoms
baseline = np.linalg.lstsq(composition[:cut], per_atom[:cut], rcond=1e-8)[0]
target = per_atom - composition @ baseline


def test_error(transformer):
    """Root mean square error for the test set, in meV per atom, of a ridge regression."""
    transformer.fit(frames[:cut], energies[:cut])
    F = transformer.transform(frames)
    F /= np.sqrt((F[:cut] ** 2).mean() * F.shape[1])
    model = RidgeCV(np.logspace(-10, 1, 12)).fit(F[:cut], target[:cut])
    return 1e3 * np.sqrt(((model.predict(F[cut:]) - target[cut:]) ** 2).mean())


common = {"species": species, "cutoff": 5.0, "n_max": 5, "l_max": 3, "pooling": "mean",
          "random_state": 0}
curves = {
    "sketch": ({"scheme": "sketch"}, (4, 16, 64, 256)),
    "decomposition": ({"scheme": "decomposition"}, (4, 16, 64, 256)),
    "decomposition, order 3": ({"scheme": "decomposition", "correlation_order": 3}, (4, 16, 64)),
    "learned": ({"scheme": "decomposition", "weights": "learned"}, (2, 4, 8, 16)),
}
learned = None
for label, (changes, channels) in curves.items():
    made = [TensorReducedTransformer(**common, **changes, n_channels=k) for k in channels]
    errors = [test_error(transformer) for transformer in made]
    n_features = [transformer.n_features_out_ for transformer in made]
    plt.loglog(n_features, errors, "o-", label=label)
    print(f"{label}: " + ", ".join(f"{n} features {error:.1f} meV/atom"
                                   for n, error in zip(n_features, errors, strict=True)))
    if label == "learned":
        learned = made[2]
plt.axhline(1e3 * target[cut:].std(), color="0.6", ls=":", label="composition alone")
plt.xlabel("number of features")
plt.ylabel("test error, meV per atom")
plt.legend()
plt.show()

# %%
# What has been learned about the elements
# ----------------------------------------
# Every element is represented by a short vector. The periodic table was not an input, but elements
# of the same group are near each other.

vectors = learned.element_embedding_[:, :2]
group = {z: column for z, column in zip(
    [3, 11, 19, 37, 55, 4, 12, 20, 38, 56, 9, 17, 35, 53, 7, 8, 16],
    ["alkali"] * 5 + ["alkaline earth"] * 5 + ["halogen"] * 4 + ["nitrogen, oxygen, sulfur"] * 3,
    strict=True,
)}
for kind in ("alkali", "alkaline earth", "halogen", "nitrogen, oxygen, sulfur", "other"):
    mine = np.array([group.get(int(z), "other") == kind for z in learned.species_])
    plt.plot(*vectors[mine].T, "o", label=kind, color="0.8" if kind == "other" else None)
for z, place in zip(learned.species_, vectors, strict=True):
    plt.annotate(chemical_symbols[z], place, fontsize=8)
plt.xlabel("first coordinate")
plt.ylabel("second coordinate")
plt.legend()
plt.show()
