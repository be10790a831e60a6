"""``SOAPTransformer``: the SOAP power spectrum as a scikit-learn transformer."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..density import RADIAL_BASES
from ..features import AtomicFeatures
from ..invariants import COMPRESSIONS
from ..structures import check_structures
from ..utils.html import FittedCaption, listing
from ..utils.memory import check_fits_memory
from ._engine import SOAPEngine


def _is_pooled(self):
    return self.pooling is not None


class SOAPTransformer(FittedCaption, TransformerMixin, BaseEstimator):
    r"""Smooth overlap of atomic positions: the power spectrum of neighbor densities.

    Around each center, every neighbor is smeared into a Gaussian, weighted by a smooth cutoff
    function; the density of each species is expanded in radial functions and spherical
    harmonics, and products of the coefficients are summed over m:

    .. math::

        c^{i}_{snlm} &= \sum_{j \in s} f_c(r_{ij})\, I_{nl}(r_{ij})\,
            Y_{lm}(\hat{\mathbf r}_{ij}) \\
        p^{i}_{sn\,s'n'\,l} &= \pi \sqrt{\tfrac{8}{2l+1}} \sum_m c^{i}_{snlm}\, c^{i}_{s'n'lm}

    which is invariant under rotation, inversion and permutation of like atoms
    ([1]_, eqs. 31 to 36; prefactor of [2]_). Pairs of unequal channels carry a factor
    :math:`\sqrt 2`, so that the scalar product of two vectors is that of the full tensors.

    Parameters
    ----------
    species : sequence of int or str, default=None
        Elements the features account for, as symbols or atomic numbers. By default those that
        `fit` finds.
    cutoff : float, default=5.0
        Neighbors within this radius count, in angstrom.
    cutoff_width : float, default=0.5
        Width of the region in which the weight of a neighbor falls to zero (shifted cosine), in
        angstrom; 0 is a step.
    n_max : int, default=8
        Number of radial functions.
    l_max : int, default=6
        Largest angular momentum, included.
    atom_sigma : float, default=0.5
        Width (standard deviation) of the atomic Gaussians, in angstrom.
    radial_basis : {"gto", "polynomial", "laplacian", "equispaced", "quip_gto", \
            "quip_polynomial"}, default="gto"
        Orthonormal radial functions: Gaussian type orbitals, polynomials that vanish at the
        cutoff, spherical Bessel functions (eigenfunctions of the Laplacian), or equispaced
        Gaussians. The last three are QUIP's, for potentials that it shall run.
    radial_scaling : None, default=None
        Reserved for a further weight that depends on the distance.
    center_weight : float, default=1.0
        Weight of the center's own Gaussian.
    compression : {None, "mu1nu1", "mu2", "crossover"}, default=None
        Which pairs of densities are multiplied ([3]_): None, those of all pairs of species;
        "mu1nu1", that of each species with the density of all species; "mu2", that of all
        species with itself; "crossover", that of each species with itself.
    normalize : bool, default=True
        Scale each spectrum to unit norm, as kernels of Gaussian processes expect.
    pooling : {None, "mean", "sum"}, default=None
        With None, `transform` gives :class:`AtomicFeatures`, one row per atom; otherwise an
        array with one row per structure.
    centers : None, default=None
        Reserved for a choice of centers; all atoms are.
    handle_unknown : {"error", "ignore"}, default="error"
        What to do with elements that are not among the species: refuse them, or leave these
        atoms out, as neighbors and as a center's own density.
    dtype : {"float64", "float32"}, default="float64"
        Type of the output; all computing is done in double precision.
    n_jobs : int, default=None
        Threads; None means all that the process may use.

    Attributes
    ----------
    species_ : ndarray of shape (n_species,)
        Atomic numbers, ascending.
    n_features_out_ : int
        Number of features.

    Raises
    ------
    ValueError
        If a parameter is out of range, an element is unknown, positions or cells are not
        finite, atoms coincide, or the output would not fit into memory.
    TypeError
        If `X` is no sequence of Atoms.

    References
    ----------
    .. [1] A. P. Bartók, R. Kondor, G. Csányi, Phys. Rev. B 87, 184115 (2013).
    .. [2] S. De, A. P. Bartók, G. Csányi, M. Ceriotti, Phys. Chem. Chem. Phys. 18, 13754 (2016).

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skdesc import SOAPTransformer
    >>> soap = SOAPTransformer(n_max=4, l_max=3)
    >>> soap.fit_transform([molecule("H2O"), molecule("NH3")])
    AtomicFeatures(2 structures, 7 centers, 312 features)
    >>> soap.set_params(pooling="mean").fit_transform([molecule("H2O"), molecule("NH3")]).shape
    (2, 312)
    """

    _stateless_given_parameters = True  # a search may apply it once, before it splits the data

    _unknown_choices = ("error", "ignore")

    def __init__(
        self, species=None, *, cutoff=5.0, cutoff_width=0.5, n_max=8, l_max=6, atom_sigma=0.5,
        radial_basis="gto", radial_scaling=None, center_weight=1.0, compression=None,
        normalize=True, pooling=None, centers=None, handle_unknown="error", dtype="float64",
        n_jobs=None,
    ):  # fmt: skip
        self.species = species
        self.cutoff = cutoff
        self.cutoff_width = cutoff_width
        self.n_max = n_max
        self.l_max = l_max
        self.atom_sigma = atom_sigma
        self.radial_basis = radial_basis
        self.radial_scaling = radial_scaling
        self.center_weight = center_weight
        self.compression = compression
        self.normalize = normalize
        self.pooling = pooling
        self.centers = centers
        self.handle_unknown = handle_unknown
        self.dtype = dtype
        self.n_jobs = n_jobs

    def fit(self, X, y=None):
        """Learn which elements there are, and build the tables.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.
        y : None
            Ignored.

        Returns
        -------
        SOAPTransformer
            The fitted transformer.
        """
        parameters = self._check_parameters()
        structures = check_structures(X)
        if self.species is None:
            self.species_ = np.unique(structures.numbers)
        else:
            self.species_ = _atomic_numbers(self.species)
            self._check_species(structures)
        self._engine = self._make_engine(parameters)
        self.n_features_out_ = self._engine.layout.n_features
        return self

    def transform(self, X):
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
        check_is_fitted(self)
        structures = check_structures(X)
        engine = self._engine_for(structures)
        n_rows = len(structures.positions) if self.pooling is None else len(structures)
        check_fits_memory(
            n_rows * self.n_features_out_ * np.dtype(self.dtype).itemsize,
            f"SOAP features of {n_rows} rows and {self.n_features_out_} columns",
            "lower n_max or l_max, use dtype='float32' or pooling, or transform fewer structures",
        )
        centers = np.arange(len(structures.positions))
        if self.pooling is None:
            return self._collect(engine, structures, centers)
        return self._pool(engine, structures, centers)

    def _collect(self, engine, structures, centers):
        values = np.zeros((len(centers), self.n_features_out_), dtype=self.dtype)
        offsets = structures.offsets
        if values.dtype == np.float64:
            for _ in engine.describe(structures, centers, offsets, values):
                pass
        else:
            for rows, part in engine.describe(structures, centers, offsets):
                values[rows] = part
        return AtomicFeatures(values, structures, centers, offsets, engine)

    def _pool(self, engine, structures, centers):
        pooled = np.zeros((len(structures), self.n_features_out_), dtype=self.dtype)
        index = structures.structure_index
        for rows, part in engine.describe(structures, centers, structures.offsets):
            starts = np.flatnonzero(np.diff(index[rows], prepend=-1))
            pooled[index[rows][starts]] += np.add.reduceat(part, starts, axis=0)
        if self.pooling == "mean":
            pooled /= structures.n_atoms[:, None]
        return pooled

    @available_if(_is_pooled)
    def get_feature_names_out(self, input_features=None):
        """Names of the features: both channels (element and n) and l.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str objects
            One name per feature.
        """
        check_is_fitted(self)
        return self._engine.layout.names()

    def set_output(self, *, transform=None):
        """Choose the container of pooled features; atomic features stay what they are.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            As for every scikit-learn transformer.

        Returns
        -------
        SOAPTransformer
            This transformer.
        """
        return super().set_output(transform=transform) if self.pooling is not None else self

    def feature_slice(self, first, second):
        """Features that belong to a pair of elements.

        Parameters
        ----------
        first, second : int or str
            The elements, in any order.

        Returns
        -------
        slice
            Their place among the features.
        """
        check_is_fitted(self)
        pair = tuple(int(number) for number in np.sort(_atomic_numbers([first, second], False)))
        slices = self._engine.layout.slices()
        if pair not in slices:
            raise ValueError(f"({first!r}, {second!r}) is no pair of the species "
                             f"{[chemical_symbols[z] for z in self.species_]}")
        return slices[pair]

    def _make_engine(self, parameters):
        """Build the tables for `species_`."""
        return SOAPEngine(self.species_, parameters)

    def _engine_for(self, structures):
        """Tables for structures that may have further elements."""
        self._check_species(structures)
        return self._engine

    def _check_species(self, structures):
        unknown = np.setdiff1d(structures.numbers, self.species_)
        if unknown.size and self.handle_unknown == "error":
            names = [chemical_symbols[z] if z < len(chemical_symbols) else str(z) for z in unknown]
            raise ValueError(
                f"X has the elements {names}, which are not among species="
                f"{[chemical_symbols[z] for z in self.species_]}; fit on structures that have "
                "them, name them in species, or use handle_unknown='ignore'"
            )

    def _check_parameters(self):
        """Check every parameter and return them as the engine takes them."""
        real = (("cutoff", 0.0, False), ("cutoff_width", 0.0, True), ("atom_sigma", 0.0, False),
                ("center_weight", 0.0, True))
        for name, low, closed in real:
            value = getattr(self, name)
            ok = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(value)
            if not (ok and (value >= low if closed else value > low)):
                rule = "at least 0" if closed else "above 0"
                raise ValueError(f"{name} must be a finite number {rule}, got {value!r}")
        for name, low, high in (("n_max", 1, 64), ("l_max", 0, 30)):
            value = getattr(self, name)
            if not (isinstance(value, Integral) and not isinstance(value, bool)
                    and low <= value <= high):
                raise ValueError(f"{name} must be an integer from {low} to {high}, got {value!r}")
        if self.cutoff_width > self.cutoff:
            raise ValueError(f"cutoff_width={self.cutoff_width} must not exceed "
                             f"cutoff={self.cutoff}")
        if not 0.005 <= self.atom_sigma / self.cutoff <= 10:
            raise ValueError(
                f"atom_sigma={self.atom_sigma} must be between 0.005 and 10 times "
                f"cutoff={self.cutoff}; both are in angstrom"
            )
        choices = {
            "radial_basis": tuple(RADIAL_BASES), "radial_scaling": (None,),
            "compression": COMPRESSIONS, "pooling": (None, "mean", "sum"), "centers": (None,),
            "handle_unknown": self._unknown_choices, "dtype": ("float64", "float32"),
        }  # fmt: skip
        for name, allowed in choices.items():
            value = getattr(self, name)
            if not any(value is one or (isinstance(value, str) and value == one)
                       for one in allowed):
                raise ValueError(f"{name} must be one of {list(allowed)}, got {value!r}")
        names = ("cutoff", "cutoff_width", "n_max", "l_max", "atom_sigma", "radial_basis",
                 "center_weight", "compression", "normalize", "n_jobs")
        return {name: getattr(self, name) for name in names}

    def _caption(self):
        elements = listing(chemical_symbols[z] for z in self.species_)
        return f"{elements}: {self.n_features_out_} features"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _atomic_numbers(species, unique=True):
    """Atomic numbers from symbols or numbers."""
    if isinstance(species, (str, Integral)) or not hasattr(species, "__iter__"):
        raise ValueError(f"species must be a sequence of elements, got {species!r}; "
                         "use for example ['C', 'H']")
    numbers = []
    for element in species:
        if isinstance(element, str) and element in atomic_numbers:
            numbers.append(atomic_numbers[element])
        elif isinstance(element, Integral) and 0 <= element < len(chemical_symbols):
            numbers.append(int(element))
        else:
            raise ValueError(f"species holds {element!r}, which is neither a chemical symbol nor "
                             f"an atomic number from 0 to {len(chemical_symbols) - 1}")
    if not numbers:
        raise ValueError("species is empty; name at least one element, or use species=None")
    numbers = np.array(numbers, dtype=np.intp)
    if unique and len(np.unique(numbers)) < len(numbers):
        raise ValueError(f"species={list(species)!r} names an element twice; name each once")
    return np.sort(numbers) if unique else numbers
