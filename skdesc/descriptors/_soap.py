"""``SOAPTransformer``: the SOAP power spectrum as a scikit-learn transformer."""

from __future__ import annotations

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..features import AtomicFeatures
from ..invariants import COMPRESSIONS
from ..structures import check_structures
from ..utils.memory import check_fits_memory
from ._base import StructureTransformer, is_pooled
from ._centers import check_centers, find_centers
from ._engine import SOAPEngine
from ._parameters import (
    check_choice,
    check_density_parameters,
    check_flag,
    check_species,
    element_names,
)
from ._pooling import pool, pull_back_pooled


class SOAPTransformer(StructureTransformer):
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
    radial_basis : str, callable or array, default="gto"
        Radial functions, made orthonormal with respect to x^2 dx:

        - "gto": Gaussian type orbitals x^n exp(-x^2 / 2 s_n^2), as featomic has them;
        - "gto-dscribe": x^l exp(-a_nl x^2), as dscribe has them;
        - "polynomial": (cutoff - x)^(n + 2), n = 1 .. n_max;
        - "laplacian": spherical Bessel functions, eigenfunctions of the Laplacian;
        - "equispaced": equispaced Gaussians, sampled instead of integrated, as QUIP has them;
        - "quip_gto", "quip_polynomial": QUIP's other bases, for potentials that it shall run;
        - a function that takes (x, n_max), or (x, n_max, l) for functions that depend on l, and
          returns an array of shape (n_max, len(x)), smooth but for a jump at the cutoff. One
          that a module defines survives pickling, a lambda does not;
        - a table of shape (n_max + 1, n_points), or (l_max + 1, n_max + 1, n_points): radii
          that ascend from 0, then the functions there. Splines are laid between the points;
          beyond the last all functions are zero.
    radial_scaling : None, tuple or dict, default=None
        A further weight of neighbors by their distance: ``(rate, scale, exponent)``, or a dict
        of these, gives rate / (rate + (r / scale)^exponent) ([4]_); the functions of
        dscribe are ``{"function": "pow", "c", "d", "r0", "m"}``, c / (d + (r / r0)^m);
        ``{"function": "exp", "c", "d", "r0"}``, c / (d + exp(-r / r0)); and
        ``{"function": "poly", "c", "r0", "m"}``, c (1 + 2 (r / r0)^3 - 3 (r / r0)^2)^m, zero
        beyond r0. None of them touches the center's own weight.
    center_weight : float, default=1.0
        Weight of the center's own Gaussian.
    compression : {None, "mu1nu1", "mu2", "crossover"}, default=None
        Which pairs of densities are multiplied ([3]_): None, those of all pairs of species;
        "mu1nu1", that of each species with the density of all species; "mu2", that of all
        species with itself; "crossover", that of each species with itself.
    normalize : bool, default=True
        Scale each spectrum to unit norm, as kernels of Gaussian processes expect.
    pooling : {None, "mean", "sum", "inner"}, default=None
        With None, `transform` gives :class:`AtomicFeatures`, one row per center; otherwise an
        array with one row per structure: the mean or sum over its centers; or, with "inner",
        the spectrum of the mean of their coefficients c, which describes the structure
        as a whole. A structure without centers has a row of zeros.
    centers : None, list of str or int, str, or list of list of int, default=None
        Which atoms to describe. Others still count as neighbors. None, all; a list of elements,
        those of these elements; a string, those that the per-atom array of this name
        marks (``atoms.set_array(name, mask)``); lists of indices, one for each structure, those
        atoms, in ascending order. Lists of indices fit one set of structures only: where
        structures are split, as in cross-validation, use a per-atom array, which is split with
        them. A structure may have no center; it has no rows then.
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

    Notes
    -----
    Memory of features that nobody refers to any more, one block of at most 256 MB, is kept for
    the next :meth:`transform`: writing to fresh memory can take longer than computing.

    References
    ----------
    .. [1] A. P. Bartók, R. Kondor, G. Csányi, Phys. Rev. B 87, 184115 (2013).
    .. [2] S. De, A. P. Bartók, G. Csányi, M. Ceriotti, Phys. Chem. Chem. Phys. 18, 13754 (2016).
    .. [3] J. P. Darby, J. R. Kermode, G. Csányi, npj Comput. Mater. 8, 166 (2022).
    .. [4] M. J. Willatt, F. Musil, M. Ceriotti, Phys. Chem. Chem. Phys. 20, 29661 (2018).

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

    _unknown_choices = ("error", "ignore")

    _memory_remedy = "lower n_max or l_max, use compression"

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
        structures = check_structures(X, extra_arrays=self._extra_arrays)
        self._learn_species(structures)
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
        structures, engine, centers, offsets = self._locate(X)
        self._check_memory(structures, len(centers))
        if self.pooling is None:
            shape = (len(centers), self.n_features_out_)
            values, cleared = engine.spare_rows.take(shape, self.dtype)
            if values.dtype == np.float64:
                for _ in engine.describe(structures, centers, offsets, values, cleared):
                    pass
            else:
                for rows, part in engine.describe(structures, centers, offsets):
                    values[rows] = part
            return AtomicFeatures(values, structures, centers, offsets, engine)
        pooled = np.zeros((len(structures), self.n_features_out_), dtype=self.dtype)
        pool(self.pooling, engine, structures, centers, offsets, pooled)
        return pooled

    def pooled_vjp(self, X, g):
        """Contract the derivatives of pooled features with a cotangent.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.
        g : array-like of shape (n_structures, n_features)
            Derivative of a scalar function E of the pooled features, dE/d(feature), such as the
            coefficients of a linear model, repeated for every structure.

        Returns
        -------
        gradient : ndarray of shape (n_atoms, 3)
            dE/dr for every atom of all structures; the forces are its negative.
        strain_gradient : ndarray of shape (n_structures, 3, 3)
            dE/d(strain), each structure's own; the virial is its negative.
        """
        if self.pooling is None:
            raise ValueError("pooled_vjp needs pooling='mean', 'sum' or 'inner', but pooling is "
                             "None; use AtomicFeatures.vjp")
        structures, engine, centers, offsets = self._locate(X)
        g = np.asarray(g, dtype=np.float64)
        shape = (len(structures), self.n_features_out_)
        if g.shape != shape:
            raise ValueError(f"g has shape {g.shape}, but the pooled features have shape {shape}; "
                             "give dE/d(feature) for every structure and feature")
        if not np.isfinite(g).all():
            raise ValueError("g has NaN or infinite entries; all must be finite")
        return pull_back_pooled(self.pooling, engine, structures, centers, offsets, g)

    def memory_estimate(self, X):
        """Estimate the peak memory of :meth:`transform`, beside `X`, without computing anything.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.

        Returns
        -------
        int
            In bytes: the output, and what batches need. The second part does not grow with the
            number of structures.
        """
        structures, engine, centers, _ = self._locate(X)
        output = self._output_bytes(structures, len(centers))
        return output + engine.batch_bytes(structures, self.pooling)

    @property
    def _extra_arrays(self):
        """Names of the per-atom arrays that structures must have."""
        return (self.centers,) if isinstance(self.centers, str) else ()

    def _locate(self, X):
        """Checked structures, tables, and which atoms to describe."""
        if not hasattr(self, "_engine"):  # what is below looks through all attributes
            check_is_fitted(self)
        structures = check_structures(X, extra_arrays=self._extra_arrays)
        engine = self._engine_for(structures)
        return structures, engine, *find_centers(self.centers, structures)

    def _output_bytes(self, structures, n_centers):
        n_rows = n_centers if self.pooling is None else len(structures)
        return n_rows * self.n_features_out_ * np.dtype(self.dtype).itemsize

    def _check_memory(self, structures, n_centers):
        needed = self._output_bytes(structures, n_centers)
        check_fits_memory(
            needed,
            f"{needed / (self.n_features_out_ * np.dtype(self.dtype).itemsize):.0f} rows of "
            f"{self.n_features_out_} features in {self.dtype}",
            self._memory_remedy + ", fewer centers, dtype='float32' or pooling, or transform "
            "fewer structures at a time; memory_estimate(X) tells what is needed",
        )

    @available_if(is_pooled)
    def get_feature_names_out(self, input_features=None):
        """Names of the pooled features: both channels (element and n) and l.

        Without pooling, :meth:`get_atomic_feature_names` gives the same names; scikit-learn
        takes the output of whatever has this method for a plain array.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str objects
            One name per feature.
        """
        return self.get_atomic_feature_names()

    def get_atomic_feature_names(self):
        """Names of the features, with pooling or without: both channels (element and n) and l.

        Returns
        -------
        ndarray of str objects
            One name per feature.
        """
        check_is_fitted(self)
        return self._engine.layout.names()

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
        pair = tuple(int(number) for number in np.sort(check_species([first, second], False)))
        slices = self._engine.layout.slices()
        if pair not in slices:
            raise ValueError(f"({first!r}, {second!r}) is no pair of the species "
                             f"{element_names(self.species_)}")
        return slices[pair]

    def _make_engine(self, parameters):
        """Build the tables for `species_`."""
        return SOAPEngine(self.species_, parameters)

    def _engine_for(self, structures):
        """Tables for structures that may have further elements."""
        self._check_species(structures)
        return self._engine

    def _check_parameters(self):
        """Check every parameter and return them as the engine takes them."""
        check_density_parameters(self)
        check_choice("compression", self.compression, COMPRESSIONS)
        check_choice("pooling", self.pooling, (None, "mean", "sum", "inner"))
        check_centers(self.centers)
        check_choice("handle_unknown", self.handle_unknown, self._unknown_choices)
        check_choice("dtype", self.dtype, ("float64", "float32"))
        check_flag("normalize", self.normalize)
        names = ("cutoff", "cutoff_width", "n_max", "l_max", "atom_sigma", "radial_basis",
                 "radial_scaling", "center_weight", "compression", "normalize", "n_jobs")
        return {name: getattr(self, name) for name in names}
