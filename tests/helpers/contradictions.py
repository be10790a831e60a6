"""Whether a model does what its parameters and attributes say."""

import numpy as np
from helpers.stored_models import structures
from sklearn.base import clone

from skdesc import GAPRegressor


def contradiction(model, result):
    """What a model does that its parameters and attributes do not say; None if there is nothing."""
    frames = structures()
    for part in [model, *(step for _, step in getattr(model, "steps", ()))]:
        if hasattr(part, "species_") and hasattr(part, "n_features_out_"):
            text = contradiction_of_descriptor(part, frames)
            if text:
                return text
        if isinstance(part, GAPRegressor) and model is not part:
            energies = by_definition(part, model[:-1].transform(frames))
            if not np.allclose(energies, result[0], rtol=1e-6, atol=1e-6, equal_nan=True):
                return f"energies are {result[0]}, but attributes give {energies}"
    return None


def contradiction_of_descriptor(descriptor, frames):
    """What its features have that its parameters and attributes do not give; None if nothing."""
    features = descriptor.transform(frames)
    values = getattr(features, "values", features)
    if values.shape[1] != descriptor.n_features_out_:
        return f"{values.shape[1]} features, n_features_out_={descriptor.n_features_out_}"
    twin = clone(descriptor).set_params(species=descriptor.species_.tolist())
    # where a parameter is "auto", the attribute says what that was
    lengths = {"cutoff", "cutoff_width", "atom_sigma", "radial_scaling"} & set(twin.get_params())
    twin.set_params(**{name: getattr(descriptor, f"{name}_") for name in lengths})
    if hasattr(descriptor, "mixing_weights_"):
        twin.set_params(weights=descriptor.mixing_weights_, handle_unknown="error")
    try:
        twin = twin.fit(frames).transform(frames)
    except ValueError:  # elements whose weights are drawn are not among the species
        if getattr(descriptor, "handle_unknown", None) == "draw":
            return None
        raise
    if not np.array_equal(values, getattr(twin, "values", twin), equal_nan=True):
        return f"features are not those of {descriptor}"
    return None


def by_definition(gap, features):
    """Energies as attributes of a regressor give them."""
    energies = np.zeros(len(features))
    owner = np.repeat(np.arange(len(features)), np.diff(features.offsets))
    scales = np.ravel(gap.energy_scale_)
    zetas = np.broadcast_to(gap.zeta, len(scales))
    for m, block in enumerate(gap.sparse_blocks_):
        columns = features.blocks[block]
        dot = features.values[:, columns] @ gap.sparse_features_[m, columns]
        zeta = zetas[block]
        power = dot ** int(zeta) if zeta == int(zeta) else np.maximum(dot, 0.0) ** zeta
        power = np.where(features.species == gap.sparse_species_[m], power, 0.0)
        np.add.at(energies, owner, gap.weights_[m] * scales[block] ** 2 * power)
    for index, atoms in enumerate(structures()):
        energies[index] += sum(gap.e0_[symbol] for symbol in atoms.get_chemical_symbols())
        if gap.baseline_ is not None:
            atoms = atoms.copy()
            atoms.calc = gap.baseline_
            energies[index] += atoms.get_potential_energy()
    return energies
