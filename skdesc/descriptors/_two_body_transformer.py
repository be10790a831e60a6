"""``TwoBodyTransformer``: distances of pairs as a scikit-learn transformer."""

from __future__ import annotations

from dataclasses import fields
from itertools import product
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from ase.data import chemical_symbols
from sklearn.utils.validation import check_is_fitted

from ..features import AtomicFeatures
from ..structures import check_structures
from ..utils.memory import check_fits_memory
from ..utils.threads import check_n_jobs
from ..utils.typing import Auto, Elements, Samples
from ..utils.validation import is_choice
from ._auto_parameters import is_auto, resolve
from ._base import StructureTransformer
from ._loading import arguments_of_part, check_fitted_species, same
from ._two_body import TwoBodyDescriptor


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
        """Learn the elements and place the Gaussians."""
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
        """Set the attributes that the descriptor determines."""
        descriptor = self._descriptor
        self.species_, self.n_features_out_ = descriptor.species, descriptor.n_features
        self.cutoff_, self.cutoff_width_ = descriptor.cutoff, descriptor.cutoff_width

    def __setstate__(self, state):
        super().__setstate__(state)
        if isinstance(vars(self).get("_descriptor"), TwoBodyDescriptor):
            self._take_from_descriptor()  # pickles of older versions lack what follows from it

    def _check_loaded(self):
        """Check the stored values and rebuild the descriptor."""
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
        for name, rule in rules.items():
            value = getattr(self, name)
            if (name == "gaussian_width" and value is None) or (name in lengths and is_auto(value)):
                continue
            _check_number(name, value, *rule)
        if not self.shortest < cutoff:
            raise ValueError(f"shortest is {self.shortest!r}, but the Gaussians reach from there "
                             f"to cutoff={self.cutoff!r}; lower it")
        if not is_choice(self.pooling, None, "mean", "sum"):
            raise ValueError(f"pooling must be None, 'mean' or 'sum', got {self.pooling!r}")


def _check_number(name, value, kind, low, high):
    good = isinstance(value, kind) and not isinstance(value, bool)
    if not (good and np.isfinite(value) and low < value <= high):
        article = "an integer" if kind is Integral else "a number"
        raise ValueError(f"{name} must be {article} above {low:g} and at most {high:g}, got "
                         f"{value!r}")
