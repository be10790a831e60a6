"""``TwoBodyTransformer``: distances of pairs as a scikit-learn transformer."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import product
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from ase.data import chemical_symbols
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from ..density import check_limits
from ..features import AtomicDescriptor, AtomicFeatures, Blocks, Jacobian
from ..invariants._scatter_cy import scatter
from ..neighbors import bound_neighbors, find_pairs
from ..structures import check_structures
from ..utils.indexing import runs
from ..utils.memory import check_fits_memory
from ..utils.threads import check_n_jobs, effective_n_threads
from ..utils.typing import Auto, Elements, Samples
from ..utils.validation import is_choice
from ._auto_parameters import is_auto, resolve
from ._base import StructureTransformer
from ._loading import arguments_of_part, check_fitted_species, same

# arrays of all pairs of a batch stay below this
_BATCH_BYTES = 2**22
# of a pair itself, and of the sparse matrices that add up pairs
_BYTES_PER_PAIR = 250


@dataclass(frozen=True)
class TwoBodyDescriptor(AtomicDescriptor):
    """Values and derivatives of the pair features, for one set of parameters.

    Parameters
    ----------
    species : ndarray of shape (n_species,)
        Atomic numbers, ascending.
    cutoff, cutoff_width, gaussian_width : float
        In angstrom.
    nodes : ndarray of shape (n_gaussians,)
        Centers of the Gaussians, in angstrom.
    n_jobs : int or None
        Threads of the neighbor search.
    """

    species: np.ndarray
    cutoff: float
    cutoff_width: float
    gaussian_width: float
    nodes: np.ndarray
    n_jobs: int | None = None

    def __post_init__(self):
        check_limits(
            cutoff=self.cutoff, cutoff_width=self.cutoff_width, gaussian_width=self.gaussian_width
        )

    _saved_with_estimator: ClassVar = True  # which looks at the arguments in a file first

    @property
    def n_features(self):
        """Length of a row."""
        return len(self.species) * len(self.nodes)

    def workspace_bytes(self, structures, n_rows):
        """Bound of what :meth:`gradient_rows` takes beside its result."""
        n_neighbors = bound_neighbors(structures, self.cutoff)[0]
        # no batch is smaller than a structure
        in_batch = max(_BATCH_BYTES / (16 * n_rows), n_neighbors * structures.n_atoms.max())
        n_pairs = min(in_batch, n_neighbors * len(structures.positions))
        of_pairs = n_pairs * (_BYTES_PER_PAIR + 8 * len(self.nodes))
        return int(of_pairs + min(2 * _BATCH_BYTES, 24 * n_pairs * n_rows))

    def describe(self, structures):
        """Features of all atoms, ndarray of shape (n_atoms, n_features)."""
        values = np.empty((len(structures.positions), self.n_features))
        for part, atoms in self._batches(structures, len(self.nodes)):
            pairs = _Pairs(self, structures[part])
            summed = pairs.sums_of_slots() @ self.radial(pairs.distance)[0]
            values[atoms] = summed.reshape(-1, self.n_features)
        return values

    def differentiate_energies(self, structures, centers, offsets, energy_slopes):
        """Values and derivatives in one go; see ``invariants.differentiate_energies``."""
        n_gaussians = len(self.nodes)
        gradient = np.zeros((len(structures.positions), 3))
        strain_gradient = np.zeros((len(centers), 3, 3))
        for part, atoms in self._batches(structures, 2 * n_gaussians):
            pairs = _Pairs(self, structures[part])
            radial, slope = self.radial(pairs.distance)
            values = (pairs.sums_of_slots() @ radial).reshape(-1, self.n_features)
            slopes = energy_slopes(atoms, values).reshape(-1, n_gaussians)
            by_distance = np.einsum("pk,pk->p", slope, slopes[pairs.slot])
            own = np.arange(len(values))
            scatter(
                pairs.offsets, pairs.neighbor, pairs.displacement, own, own,
                (by_distance / pairs.distance)[:, np.newaxis] * pairs.displacement,
                gradient[atoms], strain_gradient[atoms],
            )
        return gradient, strain_gradient

    def vjp(self, features, g):
        """Contract the derivatives with a cotangent; see ``AtomicFeatures.vjp``."""
        structures, n_gaussians = features.structures, len(self.nodes)
        g = np.asarray(g, dtype=np.float64).reshape(-1, n_gaussians)
        gradient = np.empty_like(structures.positions)
        strain = np.empty((len(structures), 3, 3))
        for part, atoms in self._batches(structures, 2 * n_gaussians):
            pairs = _Pairs(self, structures[part])
            start = atoms.start * len(self.species)
            slopes = np.einsum("pk,pk->p", self.radial(pairs.distance)[1], g[start + pairs.slot])
            of_positions, of_strain = pairs.spread(slopes[:, np.newaxis])
            gradient[atoms], strain[part] = of_positions[..., 0], of_strain[..., 0]
        return gradient, strain

    def gradient_rows(self, features, Q, weights):
        """Derivatives of many functions; see ``AtomicFeatures.gradient_rows``."""
        structures, n_rows = features.structures, len(Q)
        by_species = np.asarray(Q, dtype=np.float64).reshape(n_rows, len(self.species), -1)
        gradient = np.empty((len(structures.positions), 3, n_rows))
        strain = np.empty((len(structures), 3, 3, n_rows))
        for part, atoms in self._batches(structures, 2 * n_rows):
            pairs = _Pairs(self, structures[part])
            derivatives = self.radial(pairs.distance)[1]
            # three arrays of pairs and functions; of a large structure, some functions at a time
            step = max(1, int(2 * _BATCH_BYTES / (24 * max(1, len(pairs.slot)))))
            for some in (slice(start, start + step) for start in range(0, n_rows, step)):
                slopes = weights[atoms, some][pairs.center]
                for index in range(len(self.species)):
                    mine = np.flatnonzero(pairs.slot % len(self.species) == index)
                    slopes[mine] *= derivatives[mine] @ by_species[some, index].T
                gradient[atoms, :, some], strain[part, :, :, some] = pairs.spread(slopes)
        return gradient, strain

    def jacobian(self, features, strain=False):
        """Explicit derivatives; see ``AtomicFeatures.jacobian``."""
        structures, n_gaussians = features.structures, len(self.nodes)
        n_atoms, n_species = len(structures.positions), len(self.species)
        pairs = _Pairs(self, structures)
        check_fits_memory(
            8 * n_gaussians * (3 * len(pairs.slot) + (12 if strain else 3) * n_atoms * n_species),
            f"the derivatives of {n_atoms} centers by {len(pairs.slot)} neighbors",
            "take AtomicFeatures.vjp, which forms no Jacobian, or fewer structures",
        )
        unit = pairs.displacement / pairs.distance[:, np.newaxis]
        values = unit[:, :, np.newaxis] * self.radial(pairs.distance)[1][:, np.newaxis]
        to_slots = pairs.sums_of_slots()
        itself = -_sum_pairs(to_slots, values, n_atoms)
        blocks = []
        for index in range(n_species):
            mine = np.flatnonzero(pairs.slot % n_species == index)
            columns = np.arange(index * n_gaussians, (index + 1) * n_gaussians)
            blocks.append(Blocks(pairs.center[mine], pairs.neighbor[mine], columns, values[mine],
                                 np.zeros((len(mine), 3))))
        every = np.arange(n_atoms)
        blocks.append(Blocks(every, every, np.arange(self.n_features), itself,
                             np.zeros((n_atoms, 3))))
        by_strain = None
        if strain:
            outer = values[:, :, np.newaxis] * pairs.displacement[:, np.newaxis, :, np.newaxis]
            by_strain = _sum_pairs(to_slots, outer, n_atoms)
        return Jacobian(features.values, blocks, n_atoms, by_strain)

    def radial(self, r):
        """Gaussians times cutoff of distances, and derivatives, both (n_pairs, n_gaussians)."""
        phase = np.pi / self.cutoff_width * np.maximum(r - self.cutoff + self.cutoff_width, 0.0)
        weight = (0.5 + 0.5 * np.cos(phase))[:, np.newaxis]
        slope = (-0.5 * np.pi / self.cutoff_width * np.sin(phase))[:, np.newaxis]
        offset = (r[:, np.newaxis] - self.nodes) / self.gaussian_width
        gaussian = np.exp(-0.5 * offset**2)
        value = gaussian * weight
        # in place: what pairs need most memory for
        offset *= value
        offset /= self.gaussian_width
        gaussian *= slope
        gaussian -= offset
        return value, gaussian

    def species_index(self, numbers):
        """Index of each atomic number among the species."""
        return np.searchsorted(self.species, numbers).astype(np.intp)

    def _batches(self, structures, numbers_per_pair):
        """Runs of structures whose pairs fit into the cache, and their atoms."""
        # as many neighbors as in a dense metal, at most
        neighbors = 0.1 * 4.0 / 3.0 * np.pi * self.cutoff**3
        limit = max(_BATCH_BYTES / (8.0 * numbers_per_pair * neighbors), 1.0)
        for part in runs(structures.offsets, limit):
            yield part, slice(structures.offsets[part.start], structures.offsets[part.stop])


def _sum_pairs(to_slots, values, n_atoms):
    """Sums (n_atoms, ..., n_features) over the pairs of each center and species."""
    # sizes are named where there may be no pairs: they do not follow from an array without numbers
    axes, n_gaussians = values.shape[1:-1], values.shape[-1]
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    sums = (to_slots @ flat).reshape(n_atoms, to_slots.shape[0] // n_atoms, *axes, n_gaussians)
    return np.moveaxis(sums, 1, -2).reshape(n_atoms, *axes, -1)


class _Pairs:
    """Pairs of a batch of structures, by center and then by species of the neighbor."""

    def __init__(self, descriptor, structures):
        self.structures, self.n_species = structures, len(descriptor.species)
        n_atoms = len(structures.positions)
        species = descriptor.species_index(structures.numbers)
        n_threads = effective_n_threads(descriptor.n_jobs)
        pairs = find_pairs(structures, descriptor.cutoff, np.arange(n_atoms), species, n_threads)
        self.distance, self.displacement = pairs.distance, pairs.displacement
        self.offsets = pairs.offsets
        self.center = np.repeat(np.arange(n_atoms), np.diff(pairs.offsets))
        self.neighbor = pairs.neighbor
        self.slot = self.center * self.n_species + species[pairs.neighbor]

    def sums_of_slots(self):
        """Sparse matrix that adds up the pairs of each center and species."""
        n_slots = self.n_species * len(self.structures.positions)
        ends = np.searchsorted(self.slot, np.arange(n_slots + 1))
        every = np.arange(len(self.slot))
        return sparse.csr_array((np.ones(len(every)), every, ends), shape=(n_slots, len(every)))

    def spread(self, slopes):
        """Derivatives by positions and strain from those by the distances, (n_pairs, n)."""
        n_rows = slopes.shape[1]
        to_atoms, to_strain = self._sums
        gradient, strain = to_atoms @ slopes, to_strain @ slopes
        return gradient.reshape(-1, 3, n_rows), strain.reshape(-1, 3, 3, n_rows)

    @cached_property
    def _sums(self):
        """Sparse matrices that add up pairs to derivatives by positions and by strain."""
        n_atoms, n_structures = len(self.structures.positions), len(self.structures)
        n_pairs = len(self.distance)
        unit = self.displacement / self.distance[:, np.newaxis]
        # a column for each pair
        ends, axes = np.arange(n_pairs + 1), np.arange(3)
        atoms = np.stack([self.neighbor, self.center], axis=1)
        rows = (3 * atoms[:, :, np.newaxis] + axes).ravel()
        entries = np.stack([unit, -unit], axis=1).ravel()
        to_atoms = sparse.csc_array((entries, rows, 6 * ends), shape=(3 * n_atoms, n_pairs))
        owner = self.structures.structure_index[self.center]
        rows = (9 * owner[:, np.newaxis] + np.arange(9)).ravel()
        entries = (unit[:, :, np.newaxis] * self.displacement[:, np.newaxis]).ravel()
        to_strain = sparse.csc_array((entries, rows, 9 * ends), shape=(9 * n_structures, n_pairs))
        return to_atoms, to_strain


class TwoBodyTransformer(StructureTransformer):
    r"""Distances of pairs, smeared into Gaussians and summed over the neighbors of a center.

    .. math::
        p^{i}_{sk} = \sum_{j \in s} f_c(r_{ij}) \exp\left[-(r_{ij} - R_k)^2 / 2 w^2\right]

    With ``GAPRegressor(zeta=1)`` the energy is a sum of pair potentials, each a Gaussian
    process as a function of the distance. It is the stiff part of a potential, to which a
    many-body descriptor adds the rest::

        union = make_union(TwoBodyTransformer(), SOAPTransformer())
        make_pipeline(union, GAPRegressor(zeta=[1, 4]))

    Rows are not normalized: with another exponent, lengths of rows count as well.

    Parameters
    ----------
    species : sequence of int or str, default=None
        Elements the features account for, as symbols or atomic numbers. By default those that
        `fit` finds.
    cutoff : "auto" or float, default="auto"
        Neighbors within this radius count, in angstrom; "auto" as for :class:`SOAPTransformer`.
    cutoff_width : "auto" or float, default="auto"
        Width of the region in which the weight of a neighbor falls to zero (shifted cosine), in
        angstrom.
    n_gaussians : int, default=20
        Number of Gaussians for each element.
    shortest : float, default=0.5
        Center of the first Gaussian, in angstrom; that of the last is the cutoff.
    gaussian_width : float, default=None
        Width (standard deviation) of the Gaussians, in angstrom; by default the distance of
        their centers.
    pooling : {None, "mean", "sum"}, default=None
        With None, `transform` gives :class:`AtomicFeatures`, one row per atom; otherwise an
        array with one row per structure.
    n_jobs : int, default=None
        Threads of the neighbor search; as for :class:`SOAPTransformer`.

    Attributes
    ----------
    species_ : ndarray of shape (n_species,)
        Atomic numbers, ascending.
    cutoff_, cutoff_width_ : float
        In angstrom: those given, or what "auto" stands for.
    n_features_out_ : int
        Number of features.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skdesc import TwoBodyTransformer
    >>> TwoBodyTransformer().fit_transform([molecule("H2O"), molecule("NH3")])
    AtomicFeatures(2 structures, 7 centers, 60 features)
    """

    def __init__(
        self,
        species: Elements | None = None,
        *,
        cutoff: float | Auto = "auto",
        cutoff_width: float | Auto = "auto",
        n_gaussians: int = 20,
        shortest: float = 0.5,
        gaussian_width: float | None = None,
        pooling: Literal["mean", "sum"] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.species = species
        self.cutoff = cutoff
        self.cutoff_width = cutoff_width
        self.n_gaussians = n_gaussians
        self.shortest = shortest
        self.gaussian_width = gaussian_width
        self.pooling = pooling
        self.n_jobs = n_jobs

    def _fit(self, X):
        """Learn which elements there are, and place the Gaussians."""
        self._check_parameters()
        structures = check_structures(X)
        self._learn_species(structures)
        given = {"cutoff": self.cutoff, "cutoff_width": self.cutoff_width}
        lengths = resolve(given, structures, self.species_)
        if is_auto(self.cutoff):  # the Gaussians begin at the shortest distance
            lengths["cutoff"] = max(lengths["cutoff"], 2.0 * self.shortest)
        self._descriptor = self._make_descriptor(self.species_, **lengths)
        self._take_from_descriptor()

    def _make_descriptor(self, species, cutoff, cutoff_width):
        """Place the Gaussians."""
        nodes = np.linspace(self.shortest, cutoff, self.n_gaussians)
        width = self.gaussian_width or nodes[1] - nodes[0]
        return TwoBodyDescriptor(
            species, float(cutoff), float(cutoff_width), float(width), nodes, self.n_jobs
        )

    def _take_from_descriptor(self):
        """Set the attributes that follow from the descriptor."""
        descriptor = self._descriptor
        self.species_, self.n_features_out_ = descriptor.species, descriptor.n_features
        self.cutoff_, self.cutoff_width_ = descriptor.cutoff, descriptor.cutoff_width

    def __setstate__(self, state):
        super().__setstate__(state)
        if isinstance(vars(self).get("_descriptor"), TwoBodyDescriptor):
            self._take_from_descriptor()  # pickles of older versions lack what follows from it

    def _check_loaded(self):
        """Check what a file says, and make the descriptor again."""
        fitted = arguments_of_part(self, "_descriptor", TwoBodyDescriptor)
        if fitted is None:
            self._check_parameters()
            return
        self._descriptor = self._check_fitted(fitted)
        self._take_from_descriptor()

    def _check_saved(self):
        """Refuse parameters that were changed after the fit, before they are saved."""
        if hasattr(self, "_descriptor"):
            self._check_fitted(vars(self._descriptor))

    def _check_fitted(self, fitted):
        """Descriptor of the parameters, if it is the one that was fitted."""
        names = {field.name for field in fields(TwoBodyDescriptor)}
        if not isinstance(fitted, dict) or set(fitted) != names:
            raise ValueError(f"_descriptor has {sorted(fitted)}, but must have {sorted(names)}; "
                             "fit anew")
        self._check_parameters()
        lengths = {"cutoff": self.cutoff, "cutoff_width": self.cutoff_width}
        lengths |= {name: fitted[name] for name, value in lengths.items() if is_auto(value)}
        type(self)(**{**self.get_params(deep=False), **lengths})._check_parameters()
        species = check_fitted_species(fitted["species"], self.species)
        descriptor = self._make_descriptor(species, **lengths)
        for name in names - {"n_jobs"}:
            if not same(getattr(descriptor, name), fitted[name]):
                raise ValueError(f"{name} of the fit is {fitted[name]!s:.200}, but must be "
                                 f"{getattr(descriptor, name)!s:.200} with these parameters; fit "
                                 "again")
        return descriptor

    def transform(self, X: Samples) -> Any:
        """Describe structures.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.

        Returns
        -------
        AtomicFeatures or ndarray of shape (n_structures, n_features)
            One row per atom, or per structure with `pooling`.
        """
        structures, descriptor, centers, offsets = self._locate(X)
        n_atoms = len(centers)
        check_fits_memory(
            8 * n_atoms * self._descriptor.n_features,
            f"pair features of {n_atoms} rows and {self._descriptor.n_features} columns",
            "lower n_gaussians, or transform fewer structures",
        )
        values = descriptor.describe(structures)
        if self.pooling is None:
            return AtomicFeatures(values, structures, centers, offsets, descriptor)
        pooled = np.add.reduceat(values, structures.offsets[:-1], axis=0)
        return pooled if self.pooling == "sum" else pooled / structures.n_atoms[:, np.newaxis]

    @property
    def _extra_arrays(self):
        """Names of the per-atom arrays that structures must have."""
        return ()

    def _locate(self, X):
        """Checked structures, descriptor, and which atoms it describes."""
        check_is_fitted(self)
        structures = check_structures(X)
        self._check_species(structures)
        every = np.arange(len(structures.positions))
        return structures, self._descriptor, every, structures.offsets

    def get_atomic_feature_names(self) -> np.ndarray:
        """Names of the features: the neighbor's element and the Gaussian.

        Returns
        -------
        ndarray of str objects
            One name per feature.
        """
        check_is_fitted(self)
        pairs = product(self.species_, range(self.n_gaussians))
        return np.array([f"pair_{chemical_symbols[z]}_{k + 1}" for z, k in pairs], dtype=object)

    def _check_parameters(self):
        check_n_jobs(self.n_jobs)
        lengths = ("cutoff", "cutoff_width")
        cutoff = np.inf if is_auto(self.cutoff) else self.cutoff
        rules = {
            "cutoff": (Real, 0.0, np.inf), "cutoff_width": (Real, 0.0, cutoff),
            "n_gaussians": (Integral, 1, 1000), "shortest": (Real, 0.0, cutoff),
            "gaussian_width": (Real, 0.0, np.inf),
        }
        for name, (kind, low, high) in rules.items():
            value = getattr(self, name)
            if (name == "gaussian_width" and value is None) or (name in lengths and is_auto(value)):
                continue
            good = isinstance(value, kind) and not isinstance(value, bool)
            if not (good and np.isfinite(value) and low < value <= high):
                article = "an integer" if kind is Integral else "a number"
                raise ValueError(f"{name} must be {article} above {low:g} and at most {high:g}, "
                                 f"got {value!r}")
        if not self.shortest < cutoff:
            raise ValueError(f"shortest is {self.shortest!r}, but the Gaussians reach from there "
                             f"to cutoff={self.cutoff!r}; lower it")
        if not is_choice(self.pooling, None, "mean", "sum"):
            raise ValueError(f"pooling must be None, 'mean' or 'sum', got {self.pooling!r}")
