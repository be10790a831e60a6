"""Tune the lengths of a candidate's descriptors by a particle swarm on part of the data."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils.metadata_routing import MetadataRequest

from ..exceptions import SuspiciousTargetsWarning, UntrustworthyFitWarning
from ..model_selection import TwoStagePSOSearchCV
from ._candidates import Candidate
from ._data import LabeledStructures
from ._errors import ENERGY_WEIGHT, errors_of, predict_all, residuals, score
from ._noise import LARGEST, LEAST, PARAMETERS

_LENGTHS = ("cutoff", "cutoff_width", "atom_sigma")
# each length may change by about a third
_FACTOR = 1.35
_N_PARTICLES = 5


def tune_lengths(
    candidate: Candidate,
    points: int,
    noise: dict[str, float],
    data: LabeledStructures,
    split: list[tuple],
    seconds: float,
    random_state: int,
) -> Candidate | None:
    """Search for better lengths of a candidate.

    Parameters
    ----------
    candidate : Candidate
        Initial candidate, whose lengths are the first particle.
    points : int
        Sparse points per element.
    noise : dict of str to float
        Noise levels that suit the candidate.
    data : LabeledStructures
        All structures.
    split : list of (train, held_back)
        Index arrays of the part of the data to search on.
    seconds : float
        Time after which no further iteration begins.
    random_state : int
        Seed of the swarm.

    Returns
    -------
    Candidate or None
        The better candidate; None if none was found.
    """
    lengths = _present_lengths(candidate.transformer)
    if not lengths:
        return None
    chosen = np.unique(np.concatenate([index for pair in split for index in pair]))
    part = data.take(chosen)
    folds = [tuple(np.searchsorted(chosen, index) for index in pair) for pair in split]
    pipeline = Pipeline([
        ("descriptor", clone(candidate.transformer)),
        ("gap", candidate.regressor(points, None, random_state).set_params(**noise)),
    ])
    search = TwoStagePSOSearchCV(
        pipeline,
        {f"descriptor__{name}": loguniform(value / _FACTOR, value * _FACTOR)
         for name, value in lengths.items()},
        {f"gap__{PARAMETERS[q]}": loguniform(LEAST[PARAMETERS[q]], LARGEST[PARAMETERS[q]])
         for q in data.quantities},
        n_particles=_N_PARTICLES,
        scoring=_Scorer("forces" in data.quantities),
        cv=folds,
        refit=False,
        error_score="raise",
        max_time=seconds,
        random_state=random_state,
    )
    with config_context(enable_metadata_routing=True), warnings.catch_warnings():
        for category in (SuspiciousTargetsWarning, UntrustworthyFitWarning):
            warnings.simplefilter("ignore", category)
        search.fit(part.frames, part.y, **part.metadata)
    found = {name: search.best_params_[f"descriptor__{name}"] for name in lengths}
    if found == lengths:
        return None
    transformer = clone(candidate.transformer).set_params(**found)
    text = ", ".join(f"{name.split('__')[-1]} {value:.3g}" for name, value in found.items())
    return replace(candidate, name=f"{candidate.family}, tuned: {text}", transformer=transformer)


class _Scorer:
    """Scorer of a regressor on features: the score by which candidates are ranked.

    Parameters
    ----------
    has_forces : bool
        Whether forces are passed.
    """

    def __init__(self, has_forces: bool):
        self.has_forces = has_forces
        # quantity for which the noise is chosen
        self.kind = "forces" if has_forces else "energy"

    def get_metadata_routing(self):
        request = MetadataRequest(owner=self)
        if self.has_forces:
            request.score.add_request(param="forces", alias=True)
        return request

    def __call__(self, estimator, X, y, forces=None):
        data = LabeledStructures(list(X.structures), np.asarray(y), forces)
        errors = errors_of(residuals(data, predict_all(estimator, data, X)))
        return score(errors, energy_weight=ENERGY_WEIGHT)


def _present_lengths(transformer) -> dict[str, float]:
    """Return the numeric lengths of a descriptor or of joined descriptors."""
    names = _LENGTHS
    if isinstance(transformer, FeatureUnion):
        names = tuple(f"{part}__{name}" for part, _ in transformer.transformer_list
                      for name in _LENGTHS)
    parameters = transformer.get_params()
    return {
        name: float(parameters[name])
        for name in names
        if isinstance(parameters.get(name), (int, float))
    }
