"""Descriptors that are tried, by the elements and distances in the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, make_union

from ..descriptors import SOAPTransformer, TensorReducedTransformer, TwoBodyTransformer
from ..gaussian_process import GAPRegressor
from ..neighbors import find_pairs
from ..structures import Structures
from ._data import LabeledStructures

# sparse points of a linear model of pairs: as many as there are functions, or fewer
_PAIR_POINTS = 200
# Noise to begin with: what electronic structure theory leaves.
_START = {"sigma_energy": 1e-4, "sigma_forces": 0.005, "sigma_virials": 0.2}
# with more elements descriptors no longer tell all of them apart as neighbors
_FEW_ELEMENTS = 3
# structures that mixing weights are learned from
_LEARNED_FROM = 150
# hydrogen that is nearer than this to another atom, in angstrom, is bound covalently
_COVALENT_HYDROGEN = 1.3
_REACH = 8.0
_SAMPLE = 40


@dataclass(frozen=True)
class Candidate:
    """A descriptor and how it is regressed on.

    Attributes
    ----------
    name : str
        Short description.
    transformer : estimator
        Not fitted.
    zeta : float or tuple of float
        Exponent of each joined descriptor.
    noise : dict of str to float
        Noise levels to begin with.
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
        """Kind of descriptors, without their lengths."""
        return self.name.split(":")[0]

    @property
    def n_many_body(self) -> int:
        """Number of joined descriptors that are not linear models of pairs."""
        return sum(zeta != 1 for zeta in np.atleast_1d(self.zeta))

    def regressor(self, points: int, n_jobs: int | None, random_state: int) -> GAPRegressor:
        """Regressor with so many sparse points per element, shared among the descriptors."""
        if self.is_default:
            return GAPRegressor(n_jobs=n_jobs)
        share = max(1, points // self.n_many_body)
        n_sparse = [_PAIR_POINTS if zeta == 1 else share for zeta in np.atleast_1d(self.zeta)]
        single = np.ndim(self.zeta) == 0
        return GAPRegressor(
            zeta=self.zeta if single else list(self.zeta),
            n_sparse=n_sparse[0] if single else n_sparse,
            n_jobs=n_jobs,
            random_state=random_state,
            **self.noise,
        )

    def descriptor(self, n_jobs: int | None):
        """Clone of the transformer that uses so many threads."""
        transformer = clone(self.transformer)
        # that of a union would be processes
        suffix = "__n_jobs" if isinstance(transformer, FeatureUnion) else "n_jobs"
        threads = [name for name in transformer.get_params() if name.endswith(suffix)]
        return transformer.set_params(**dict.fromkeys(threads, n_jobs))


def default_candidate() -> Candidate:
    """The pipeline that has all defaults."""
    return Candidate("default", SOAPTransformer(), noise={}, is_default=True)


def candidate_families(data: LabeledStructures, random_state: int) -> list[Iterator[Candidate]]:
    """Descriptors that suit the structures, family after family, each with several lengths.

    Parameters
    ----------
    data : LabeledStructures
        What is learned.
    random_state : int
        Seed of random mixing weights.

    Returns
    -------
    list of iterator of Candidate
        Those of one family differ in lengths only; the first are most likely to be best.
        Candidates are made when asked for, as mixing weights may be learned.
    """
    nearest, is_molecular = typical_distances(data.frames)
    if nearest is None:
        return []
    if len(data.elements) <= _FEW_ELEMENTS:
        families = (_two_soaps, _reduced_and_soap, _single_soap)
    elif data.forces is None:
        families = (_random_mixing, _single_compressed)
    else:
        families = (_random_mixing, _learned_mixing, _single_compressed)
    lengths = _lengths(nearest, is_molecular)
    return [map(partial(make, data, random_state), lengths) for make in families]


def typical_distances(frames) -> tuple[float | None, bool]:
    """Median distance of nearest neighbors, and whether bonds are those of molecules.

    Parameters
    ----------
    frames : list of ase.Atoms
        The structures.

    Returns
    -------
    nearest : float or None
        In angstrom; None if no two atoms are within reach of one another.
    is_molecular : bool
        Whether most structures are without periodicity, or hydrogen is bound covalently.
    """
    some = Structures.from_atoms(frames[:: max(1, len(frames) // _SAMPLE)])
    n_atoms = len(some.numbers)
    pairs = find_pairs(some, _REACH, np.arange(n_atoms), np.zeros(n_atoms, dtype=np.intp))
    occupied = np.flatnonzero(np.diff(pairs.offsets))
    if not len(occupied):
        return None, True
    nearest = np.minimum.reduceat(pairs.distance, pairs.offsets[occupied])
    hydrogen = nearest[some.numbers[occupied] == 1]
    is_covalent = len(hydrogen) > 0 and float(np.median(hydrogen)) < _COVALENT_HYDROGEN
    return float(np.median(nearest)), is_covalent or not some.pbc.any(axis=1).mean() > 0.5


@dataclass(frozen=True)
class _Lengths:
    """Parameters of a near and of a far descriptor, and the cutoff of one of order 3."""

    near: dict
    far: dict
    middle: float

    def __str__(self):
        text = f"{self.near['cutoff']:.3g} and {self.far['cutoff']:.3g} A"
        scaling = self.near.get("radial_scaling")
        return f"{text}, weight by {scaling[1]:.3g} A" if scaling else text


def _lengths(nearest: float, is_molecular: bool) -> list[_Lengths]:
    if is_molecular:
        # hydrogen is nearer than what matters; the few neighbors of molecules make finer
        # descriptors cheap
        unit = max(1.0, nearest / 1.1)
        common = {"n_max": 8, "l_max": 6}
        near = {"cutoff": 4.0 * unit, "cutoff_width": 1.5 * unit, "atom_sigma": 0.3 * unit}
        far = {"cutoff": 6.5 * unit, "cutoff_width": 3.0 * unit, "atom_sigma": 0.5 * unit}
        weights = [{**common, "radial_scaling": (1.0, x * unit, 4)} for x in (2.0, 1.5, 3.0)]
        return [_Lengths({**near, **w}, {**far, **w}, 4.0 * unit) for w in weights]
    common = {"n_max": 6, "l_max": 5}
    near = {**common, "cutoff_width": 0.6 * nearest, "atom_sigma": 0.16 * nearest}
    far = {**common, "cutoff_width": 1.2 * nearest, "atom_sigma": 0.2 * nearest}
    return [
        _Lengths({**near, "cutoff": 1.7 * reach}, {**far, "cutoff": 2.7 * reach}, 2.1 * reach)
        for reach in (nearest, 0.85 * nearest, 1.15 * nearest)
    ]


def _far_and_pairs(data, lengths):
    species = data.elements
    pairs = TwoBodyTransformer(cutoff=lengths.far["cutoff"], species=species)
    return SOAPTransformer(species=species, **lengths.far), pairs


def _two_soaps(data, random_state, lengths):
    near = SOAPTransformer(species=data.elements, **lengths.near)
    union = make_union(near, *_far_and_pairs(data, lengths))
    return Candidate(f"near and far SOAP, pairs: {lengths}", union, (4, 4, 1))


def _reduced_and_soap(data, random_state, lengths):
    # two and three neighbors at once: one more than SOAP
    parameters = {**lengths.near, "cutoff": lengths.middle, "l_max": 4, "n_channels": 16,
                  "correlation_order": 3, "random_state": random_state}  # fmt: skip
    near = TensorReducedTransformer(species=data.elements, **parameters)
    union = make_union(near, *_far_and_pairs(data, lengths))
    return Candidate(f"near order 3, far SOAP, pairs: {lengths}", union, (4, 4, 1))


def _single_soap(data, random_state, lengths):
    parameters = {**lengths.near, "cutoff": lengths.middle}
    return Candidate(f"SOAP: {lengths}", SOAPTransformer(species=data.elements, **parameters))


def _blind(data, lengths):
    """SOAP that does not tell elements of neighbors apart.

    What is known of one element serves where another has not been seen. Pairs not seen at some
    distance would have no repulsion there.
    """
    return SOAPTransformer(species=data.elements, **lengths.far, compression="mu2")


def _single_compressed(data, random_state, lengths):
    descriptor = SOAPTransformer(species=data.elements, **lengths.near, compression="mu1nu1")
    return Candidate(f"compressed SOAP: {lengths}", descriptor)


def _random_mixing(data, random_state, lengths):
    near = TensorReducedTransformer(
        species=data.elements, **lengths.near, n_channels=96, random_state=random_state
    )
    union = make_union(near, _blind(data, lengths))
    zeta = (4, 4) if data.forces is None else (2, 4)
    return Candidate(f"random mixing, blind SOAP: {lengths}", union, zeta)


def _learned_mixing(data, random_state, lengths):
    """Mixing weights learned from some energies and forces."""
    parameters = {**lengths.near, "species": data.elements, "l_max": 4, "n_channels": 16,
                  "scheme": "decomposition", "random_state": random_state}  # fmt: skip
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
    union = make_union(near, _blind(data, lengths))
    return Candidate(f"learned mixing, blind SOAP: {lengths}", union, (2, 4))
