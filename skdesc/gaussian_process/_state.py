"""A fit as plain data: what pickles and files hold, whatever the classes are called inside."""

from __future__ import annotations

import numpy as np

from ._e0 import AtomEnergies
from ._posterior import Data, Posterior, Prior
from ._prediction import Model
from ._sparse_points import SparsePoints
from ._streaming_qr import Triangle
from ._training import Training


class Weights:
    """Weights without the covariances that they come from, in place of a posterior.

    Parameters
    ----------
    weights : ndarray of shape (n_points,)
        For energy scales of 1.
    zetas : sequence of float
        Exponent of each block.
    """

    def __init__(self, weights, zetas):
        self.weights = weights
        self.prior = Prior.__new__(Prior)
        self.prior.zetas = zetas

    def half(self, rows):
        """Refuse."""
        raise ValueError(
            "this potential was made of weights alone, which tell nothing of its uncertainty; "
            "leave out standard deviations, or fit it with skdesc"
        )

    variance = half


def pack(model, training):
    """Plain data of a fit.

    Parameters
    ----------
    model : Model
        What predicts.
    training : Training or None
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
        "zetas": [float(zeta) for zeta in model.zetas],
        "weights": posterior.weights,
    }
    if isinstance(posterior, Weights):
        return state
    state |= {
        "factors": [L for _, L in posterior.prior.factors],
        "jitter": posterior.prior.jitter,
        "R": posterior.R,
        "energy_scales": posterior.energy_scales,
        "sigmas": posterior.sigmas,
        "log_marginal_likelihood": posterior.log_marginal_likelihood,
        "n_rows": posterior.n_rows,
    }
    if training is not None:
        energies, data = training.atom_energies, training.data
        state["seen"] = {
            "e0": energies.rule,
            "isolated": energies.isolated,
            "composition": energies.triangle.__getstate__(),
            "triangles": {kind: t.__getstate__() for kind, t in data.triangles.items()},
            "log_noise": data.log_noise,
        }
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
    training : Training or None
        What the fit has seen.
    """
    columns = tuple(slice(*bounds) for bounds in state["columns"])
    points = SparsePoints(state["features"], state["species"], state["block"], columns)
    if "R" not in state:
        posterior = Weights(state["weights"], state["zetas"])
        return Model(state["elements"], state["e0"], points, posterior), None
    prior = Prior.__new__(Prior)
    prior.n_points, prior.zetas, prior.jitter = len(points), state["zetas"], state["jitter"]
    prior.blocks = points.points_of_blocks()
    parts = (group.points for group in points.groups())
    prior.factors = list(zip(parts, state["factors"], strict=True))
    posterior = Posterior.__new__(Posterior)
    posterior.prior = prior
    for name in ("R", "weights", "energy_scales", "sigmas", "log_marginal_likelihood", "n_rows"):
        setattr(posterior, name, state[name])
    model = Model(state["elements"], state["e0"], points, posterior)
    return model, _unpack_training(state["seen"], model) if "seen" in state else None


def _unpack_training(seen, model):
    training = Training.__new__(Training)
    training.points, training.elements = model.points, model.elements
    training.prior = model.posterior.prior
    training.atom_energies = AtomEnergies(model.elements, seen["e0"])
    training.atom_energies.isolated = np.array(seen["isolated"])
    training.atom_energies.triangle = _triangle(seen["composition"])
    training.data = Data(len(model.points), len(model.elements))
    training.data.triangles = {kind: _triangle(t) for kind, t in seen["triangles"].items()}
    training.data.log_noise = dict(seen["log_noise"])
    return training


def _triangle(state):
    triangle = Triangle.__new__(Triangle)
    triangle.__setstate__(state)
    return triangle
