"""A fit as plain data, for pickles and files, independent of class names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from ..least_squares import Observations, Posterior, Prior, Triangle, as_covariance
from ..neighbors import ShortestDistances
from ._accumulation import Accumulator
from ._baseline import AtomEnergies
from ._checks import check_state
from ._prediction import Model
from ._sparse_points import SparsePoints
from ._targets import UNCALIBRATED


@dataclass(frozen=True)
class Weights:
    """Weights without the covariances that they come from, in place of a posterior.

    Parameters
    ----------
    weights : ndarray of shape (n_points,)
        For energy scales of 1.
    scales : ndarray of shape (n_terms,)
        Scale of the covariances of each term, in eV.
    """

    weights: np.ndarray
    scales: np.ndarray

    def covariance_factor(self, rows):
        """Refuse what takes their covariance."""
        raise ValueError(
            "this potential was made of weights alone, which tell nothing of its uncertainty; "
            "leave out standard deviations, or fit it with skdesc"
        )

    def variances(self, rows, prior_variance):
        """Refuse what takes their covariance."""
        return self.covariance_factor(rows)


def attributes(model):
    """Public attributes of a fitted regressor that follow from its model.

    Parameters
    ----------
    model : Model
        The fit.

    Returns
    -------
    dict of str to object
        Attributes of :class:`~skdesc.GAPRegressor`; those that weights alone do not determine
        are left out if there is no posterior.
    """
    points, posterior = model.points, model.posterior
    e0 = zip(model.elements, model.e0, strict=True)
    scales = posterior.scales
    shown = {
        "elements_": model.elements,
        "e0_": {chemical_symbols[z]: float(energy) for z, energy in e0},
        "energy_scale_": scales if len(scales) > 1 else float(scales[0]),
        "sparse_features_": points.features,
        "sparse_species_": points.species,
        "sparse_blocks_": points.block,
        "weights_": posterior.weights / scales[points.block] ** 2,
    }
    if isinstance(posterior, Weights):
        return shown
    return shown | {
        **{f"sigma_{kind}_": sigma for kind, sigma in posterior.noise.items()},
        "log_marginal_likelihood_": posterior.log_marginal_likelihood,
        "condition_number_": posterior.condition_number(),
        "jitter_": posterior.prior.jitter,
    }


def pack(model, training):
    """Plain data of a fit.

    Parameters
    ----------
    model : Model
        What predicts.
    training : Accumulator or None
        What the fit has seen; with it, the fit can go on.

    Returns
    -------
    dict
        Numbers, arrays, and dicts and lists of these.
    """
    points, posterior = model.points, model.posterior
    state = {
        "elements": model.elements,
        "e0": model.e0,
        "features": points.features,
        "species": points.species,
        "block": points.block,
        "columns": [[columns.start, columns.stop] for columns in points.columns],
        "zetas": model.zetas,
        "weights": posterior.weights,
        "energy_scales": posterior.scales,
    }
    if isinstance(posterior, Weights):
        return state
    state |= {
        "factors": [L for _, L in posterior.prior.factors],
        "jitter": posterior.prior.jitter,
        "R": posterior.R,
        "calibration": model.calibration,
        "sigmas": posterior.noise,
        "log_marginal_likelihood": posterior.log_marginal_likelihood,
        "n_rows": posterior.n_rows,
    }
    if training is not None:
        energies, observations = training.atom_energies, training.observations
        state["seen"] = {
            "e0": energies.rule,
            "isolated": energies.isolated,
            "composition": energies.triangle.__getstate__(),
            "triangles": {name: t.__getstate__() for name, t in observations.triangles.items()},
            "log_noise": observations.log_noise,
        }
        if training.distances is not None:
            state["seen"]["distances"] = training.distances.table(model.elements)
    return state


def unpack(state):
    """Fit of plain data.

    Parameters
    ----------
    state : dict
        From :func:`pack`.

    Returns
    -------
    model : Model
        What predicts.
    training : Accumulator or None
        What the fit has seen.

    Raises
    ------
    ValueError
        If the data are not those of a fit.
    """
    state = check_state(state)
    columns = tuple(slice(*bounds) for bounds in state["columns"])
    points = SparsePoints(state["features"], state["species"], state["block"], columns)
    covariances = [as_covariance(zeta) for zeta in state["zetas"]]
    known = state["elements"], state["e0"], points, covariances
    if "R" not in state:
        return Model(*known, Weights(state["weights"], state["energy_scales"])), None
    parts = (group.points for group in points.groups())
    factors = list(zip(parts, state["factors"], strict=True))
    posterior = Posterior(
        Prior(factors, points.points_of_terms(), state["jitter"]),
        state["energy_scales"], state["sigmas"], state["R"], state["weights"],
        state["log_marginal_likelihood"], state["n_rows"],
    )
    model = Model(*known, posterior)
    # files of earlier versions have none
    model.calibration = state.get("calibration", UNCALIBRATED)
    return model, _unpack_training(state["seen"], model) if "seen" in state else None


def set_weights(regressor, elements, e0, blocks, zetas):
    """Make a regressor predict with weights that another program has found.

    Parameters
    ----------
    regressor : GAPRegressor
        Gets the attributes of a fitted one, as far as weights determine them.
    elements : ndarray of shape (n_elements,)
        Atomic numbers, ascending.
    e0 : ndarray of shape (n_elements,)
        Energies of single atoms.
    blocks : list of tuple
        For each block of features: sparse points, atomic numbers of their centers (ascending),
        weights for a scale of 1, and scale of the energy.
    zetas : list of float
        Exponent of each block.
    """
    bounds = np.cumsum([0, *(points.shape[1] for points, *_ in blocks)])
    columns = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
    counts = [len(species) for _, species, *_ in blocks]
    features = np.zeros((sum(counts), bounds[-1]))
    for (points, *_), (start, stop), end in zip(blocks, columns, np.cumsum(counts), strict=True):
        features[end - len(points) : end, start:stop] = points
    species = np.concatenate([species for _, species, *_ in blocks])
    weights = np.concatenate([weights for *_, weights, _ in blocks])
    scales = np.array([scale for *_, scale in blocks])
    block = np.repeat(np.arange(len(blocks)), counts)
    state = {"elements": elements, "e0": e0, "features": features, "species": species,
             "block": block, "columns": columns, "zetas": zetas, "weights": weights,
             "energy_scales": scales}
    regressor._model, regressor._training = unpack(state)
    regressor._baseline = None
    vars(regressor).update(attributes(regressor._model))
    regressor.n_features_in_ = features.shape[1]


def _unpack_training(seen, model):
    energies = AtomEnergies(model.elements, seen["e0"])
    energies.isolated = np.array(seen["isolated"])
    energies.triangle = Triangle.from_state(seen["composition"])
    observations = Observations(
        len(model.points),
        {name: Triangle.from_state(state) for name, state in seen["triangles"].items()},
        dict(seen["log_noise"]),
    )
    distances = seen.get("distances")
    return Accumulator(
        model.elements, model.points, model.covariances, model.posterior.prior, observations,
        energies,
        None if distances is None else ShortestDistances.from_table(model.elements, distances),
    )
