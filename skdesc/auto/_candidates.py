"""Candidates: descriptors that suit the elements and distances in the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, make_union

from ..descriptors import SOAPTransformer, TensorReducedTransformer, TwoBodyTransformer
from ..gaussian_process import GAPRegressor
from ._data import LabeledStructures

# sparse points of a linear model of pairs: at most the number of functions
_PAIR_POINTS = 200
# Initial noise: typical convergence errors of electronic structure calculations.
_START = {"sigma_energy": 1e-4, "sigma_forces": 0.005, "sigma_virials": 0.2}
# with more elements, descriptors do not distinguish all of them as neighbors
_FEW_ELEMENTS = 3
# number of structures from which mixing weights are learned
_LEARNED_FROM = 150
# multiples of the default lengths, and for each the lengths of a wider, far descriptor
_FACTORS, _FAR, _WIDER = (1.0, 0.85, 1.15), 1.5, 1.4


@dataclass(frozen=True)
class Candidate:
    """A descriptor with the settings of its regressor.

    Attributes
    ----------
    name : str
        Short description.
    transformer : estimator
        Unfitted descriptor.
    zeta : float or tuple of float
        Exponent of each joined descriptor.
    noise : dict of str to float
        Initial noise levels.
    is_default : bool
        Whether this is the default pipeline, whose regressor keeps its parameters.
    """

    name: str
    transformer: object
    zeta: object = 4
    noise: dict = field(default_factory=lambda: dict(_START))
    is_default: bool = False

    @property
    def family(self) -> str:
        """Name of the kind of descriptors, without their lengths."""
        return self.name.split(":")[0]

    @property
    def n_many_body(self) -> int:
        """Number of joined descriptors that are not linear models of pairs."""
        return sum(zeta != 1 for zeta in np.atleast_1d(self.zeta))

    def regressor(self, points: int, n_jobs: int | None, random_state: int) -> GAPRegressor:
        """Regressor with the given number of points per element, divided among the descriptors."""
        if self.is_default:
            return GAPRegressor(n_jobs=n_jobs)
        n_sparse, single = self.n_sparse(points), np.ndim(self.zeta) == 0
        return GAPRegressor(
            zeta=self.zeta if single else list(self.zeta),
            n_sparse=n_sparse[0] if single else n_sparse,
            n_jobs=n_jobs,
            random_state=random_state,
            **self.noise,
        )

    def n_sparse(self, points: int) -> list[int]:
        """Number of sparse points per element of each joined descriptor."""
        if self.is_default:
            return [GAPRegressor().n_sparse]
        share = max(1, points // self.n_many_body)
        return [_PAIR_POINTS if zeta == 1 else share for zeta in np.atleast_1d(self.zeta)]

    def descriptor(self, n_jobs: int | None):
        """Clone of the transformer that uses the given number of threads."""
        transformer = clone(self.transformer)
        # n_jobs of a union would start processes
        suffix = "__n_jobs" if isinstance(transformer, FeatureUnion) else "n_jobs"
        threads = [name for name in transformer.get_params() if name.endswith(suffix)]
        return transformer.set_params(**dict.fromkeys(threads, n_jobs))


def default_candidate() -> Candidate:
    """The default pipeline."""
    return Candidate("default", SOAPTransformer(), noise={}, is_default=True)


def candidate_families(data: LabeledStructures, random_state: int) -> list[Iterator[Candidate]]:
    """Return families of candidates that suit the structures, each with several lengths.

    Parameters
    ----------
    data : LabeledStructures
        The training data.
    random_state : int
        Seed of random mixing weights.

    Returns
    -------
    list of iterator of Candidate
        An iterator for each family, from the fastest family to the slowest. Candidates of a family
        differ only in their lengths; those most likely to be best come first. They are created on
        demand, because some require learning mixing weights.
    """
    if len(data.elements) <= _FEW_ELEMENTS:
        families = (_small_soap, _single_soap, _two_soaps, _reduced_and_soap)
    elif data.forces is None:
        families = (_random_mixing, _single_compressed)
    else:
        families = (_random_mixing, _learned_mixing, _single_compressed)
    lengths = _lengths(data)
    return [map(partial(make, data, random_state), lengths) for make in families]


@dataclass(frozen=True)
class _Lengths:
    """Parameters of a near and of a far descriptor."""

    near: dict
    far: dict

    def __str__(self):
        return f"{self.near['cutoff']:.3g} and {self.far['cutoff']:.3g} A"


def _lengths(data: LabeledStructures) -> list[_Lengths]:
    """Default lengths, then somewhat shorter and longer ones, each with a far descriptor."""
    default = SOAPTransformer(n_max=2, l_max=1).fit(data.frames)
    common = {"species": data.elements, "radial_scaling": default.radial_scaling_}
    result = []
    for factor in _FACTORS:
        near = {
            "cutoff": factor * default.cutoff_,
            "cutoff_width": factor * default.cutoff_width_,
            "atom_sigma": default.atom_sigma_,
        }
        far = {name: value * ratio for (name, value), ratio in
               zip(near.items(), (_FAR, _FAR, _WIDER), strict=True)}
        result.append(_Lengths({**common, **near}, {**common, **far, "n_max": 6, "l_max": 5}))
    return result


def _far_and_pairs(lengths):
    pairs = TwoBodyTransformer(cutoff=lengths.far["cutoff"], species=lengths.far["species"])
    return SOAPTransformer(**lengths.far), pairs


def _two_soaps(data, random_state, lengths):
    union = make_union(SOAPTransformer(**lengths.near), *_far_and_pairs(lengths))
    return Candidate(f"near and far SOAP, pairs: {lengths}", union, (4, 4, 1))


def _reduced_and_soap(data, random_state, lengths):
    # correlates one more neighbor than SOAP
    near = TensorReducedTransformer(
        **lengths.near, l_max=4, n_channels=16, correlation_order=3, random_state=random_state
    )
    union = make_union(near, *_far_and_pairs(lengths))
    return Candidate(f"near order 3, far SOAP, pairs: {lengths}", union, (4, 4, 1))


def _single_soap(data, random_state, lengths):
    return Candidate(f"SOAP: {lengths.near['cutoff']:.3g} A", SOAPTransformer(**lengths.near))


def _small_soap(data, random_state, lengths):
    """Fewer functions: less accurate, and several times as fast."""
    near = SOAPTransformer(**lengths.near, n_max=5, l_max=4)
    pairs = TwoBodyTransformer(cutoff=lengths.near["cutoff"], species=lengths.near["species"])
    name = f"small SOAP, pairs: {lengths.near['cutoff']:.3g} A"
    return Candidate(name, make_union(near, pairs), (4, 1))


def _blind(lengths):
    """SOAP that does not distinguish the elements of neighbors.

    Knowledge of one element carries over to others. It also gives repulsion to pairs of elements
    at distances at which the data have none.
    """
    return SOAPTransformer(**lengths.far, compression="mu2")


def _single_compressed(data, random_state, lengths):
    descriptor = SOAPTransformer(**lengths.near, compression="mu1nu1")
    return Candidate(f"compressed SOAP: {lengths.near['cutoff']:.3g} A", descriptor)


def _random_mixing(data, random_state, lengths):
    near = TensorReducedTransformer(
        **lengths.near, n_max=6, l_max=5, n_channels=96, random_state=random_state
    )
    union = make_union(near, _blind(lengths))
    zeta = (4, 4) if data.forces is None else (2, 4)
    return Candidate(f"random mixing, blind SOAP: {lengths}", union, zeta)


def _learned_mixing(data, random_state, lengths):
    """Mixing weights learned from some energies and forces."""
    parameters = {**lengths.near, "n_max": 6, "l_max": 4, "n_channels": 16,
                  "scheme": "decomposition", "random_state": random_state}
    known = [
        i
        for i, block in enumerate(data.forces)
        if np.isfinite(data.y[i]) and block is not None and np.isfinite(block).all()
    ]
    some = data.take(np.array(known[:: max(1, len(known) // _LEARNED_FROM)], dtype=np.intp))
    learner = TensorReducedTransformer(
        **parameters, weights="learned", learning={"n_embedding": 4, "max_iter": 60}
    )
    learner.fit(some.frames, some.y, forces=some.forces)
    near = TensorReducedTransformer(**parameters, weights=learner.mixing_weights_)
    union = make_union(near, _blind(lengths))
    return Candidate(f"learned mixing, blind SOAP: {lengths}", union, (2, 4))
