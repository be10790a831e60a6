"""
A map of a data set
===================

Descriptors of structures, pooled over their atoms, are points in a space that can be projected to
two dimensions. The length of a tensor-reduced descriptor does not depend on the number of elements,
so 56 elements take no more work than two.
"""

# %%
# The structures are perovskites ABX3 with their formation energies. They are not bundled; where
# they are not to be found, bundled molecules take their place.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skdesc import TensorReducedTransformer
from skdesc.datasets import fetch_perov5, load_organic_molecules

try:
    found = fetch_perov5()
    chosen = found.train[:600]
except FileNotFoundError as error:
    print(f"bundled molecules are used instead of perovskites: {error}")
    found = load_organic_molecules()
    chosen = np.random.default_rng(0).permutation(len(found.frames))
frames, energies = [found.frames[i] for i in chosen], np.asarray(found.energies)[chosen]

# %%
# Mixing weights that are learned from the energies place structures of similar energy together.

descriptor = TensorReducedTransformer(
    n_max=5, l_max=3, n_channels=8, scheme="decomposition", weights="learned", pooling="mean",
    learning={"max_iter": 40}, random_state=0,
)
features = descriptor.fit(frames, energies).transform(frames)
features = (features - features.mean(axis=0)) / features.std(axis=0)
maps = {
    "principal components": PCA(2).fit_transform(features),
    "t-SNE": TSNE(2, random_state=0).fit_transform(features),
}

# %%
# Colors show which of N, O, F and S a structure contains.

nonmetals = [
    " ".join(name for name in ("N", "O", "F", "S") if name in atoms.symbols) or "none"
    for atoms in frames
]
figure, axes = plt.subplots(1, 2, figsize=(10, 5))
for ax, (title, places) in zip(axes, maps.items(), strict=True):
    for kind in sorted(set(nonmetals)):
        mine = np.array([label == kind for label in nonmetals])
        ax.scatter(*places[mine].T, s=6, label=kind)
    ax.set(title=title, xticks=[], yticks=[])
axes[0].legend(markerscale=3)
plt.show()

# %%
# Where chemiscope is installed, the maps can be explored with the structures beside them: load the
# file at chemiscope.org, or show it in a notebook.

try:
    import chemiscope
except ImportError:
    print("chemiscope is not installed; no interactive map is written")
else:
    properties = {
        **maps,
        "nonmetals": nonmetals,
        "energy per atom": energies / [len(atoms) for atoms in frames],
    }
    path = str(Path(tempfile.mkdtemp()) / "map.json.gz")
    chemiscope.write_input(path, frames, properties={
        name: {"target": "structure", "values": values} for name, values in properties.items()
    })
    print(f"{path} holds the maps of {len(frames)} structures")
