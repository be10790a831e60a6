"""``SOAPTransformer``: the SOAP power spectrum as a scikit-learn transformer."""

from __future__ import annotations

from typing import Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..invariants import COMPRESSIONS, PowerSpectrumDescriptor
from ..utils.typing import Auto, Centers, Elements, Pooling, RadialBasis, RadialScaling
from ._density_transformer import DensityTransformer
from ._parameters import check_choice, check_species, element_names


class SOAPTransformer(DensityTransformer):
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
    cutoff : "auto" or float, default="auto"
        Neighbors within this radius count, in angstrom.
    cutoff_width : "auto" or float, default="auto"
        Width of the region in which the weight of a neighbor falls to zero (shifted cosine), in
        angstrom; 0 is a step.
    n_max : int, default=8
        Number of radial functions.
    l_max : int, default=6
        Largest angular momentum, included.
    atom_sigma : "auto" or float, default="auto"
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
    radial_scaling : "auto", None, tuple or dict, default="auto"
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
        Threads, -1 for all cores; None for one, unless ``joblib.parallel_config`` says otherwise.

    Attributes
    ----------
    species_ : ndarray of shape (n_species,)
        Atomic numbers, ascending.
    cutoff_, cutoff_width_, atom_sigma_ : float
        In angstrom: those given, or what "auto" stands for, see the notes.
    radial_scaling_ : None, tuple or dict
        The same, of the weight by distance.
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
    "auto" is resolved in `fit`. With d the median distance of nearest neighbors, in angstrom:

    =========================================  ==============  ============  ==========  ===========
    structures                                 cutoff          cutoff_width  atom_sigma  scaling
    =========================================  ==============  ============  ==========  ===========
    all but those below                        2.2 d           0.6 cutoff    0.18 d      (1, d, 2)
    a tenth or more have hydrogen beside       2.2 d, but      0.6 cutoff    0.3         (1, 1.8, 2)
    other elements; d is among these others    4 to 5
    ten elements or more, without hydrogen     2.0 d           0.2 cutoff    0.18 d      None
    none has more than two atoms               2.2 d, or 1.25  0.1 cutoff    0.25 d      None
                                               longest pairs
    =========================================  ==============  ============  ==========  ===========

    d is rounded to a few per cent, isolated atoms do not count, and if there are no others, d is
    twice the median covalent radius. What is given as a number stays, and the width goes with it.

    Targets play no role. Searches of this package describe all structures at once, so that all
    folds, and the final fit, use what "auto" means for all of them. scikit-learn's
    ``cross_validate`` and searches fit the descriptor to each training part; as d is rounded, the
    parameters are mostly the same. Where they must be, give the numbers that a first fit has
    found: ``soap.set_params(cutoff=soap.cutoff_, ...)``.

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

    _descriptor_type = PowerSpectrumDescriptor

    _memory_remedy = "lower n_max or l_max, use compression"

    def __init__(
        self,
        species: Elements | None = None,
        *,
        cutoff: float | Auto = "auto",
        cutoff_width: float | Auto = "auto",
        n_max: int = 8,
        l_max: int = 6,
        atom_sigma: float | Auto = "auto",
        radial_basis: RadialBasis = "gto",
        radial_scaling: RadialScaling = "auto",
        center_weight: float = 1.0,
        compression: Literal["mu1nu1", "mu2", "crossover"] | None = None,
        normalize: bool = True,
        pooling: Pooling = None,
        centers: Centers = None,
        handle_unknown: Literal["error", "ignore"] = "error",
        dtype: Literal["float64", "float32"] = "float64",
        n_jobs: int | None = None,
    ) -> None:
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

    def feature_slice(self, first: int | str, second: int | str) -> slice:
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
        slices = self._descriptor.layout.slices()
        if pair not in slices:
            raise ValueError(f"({first!r}, {second!r}) is no pair of the species "
                             f"{element_names(self.species_)}")
        return slices[pair]

    def _make_descriptor(self, parameters):
        """Build the tables for `species_`."""
        return PowerSpectrumDescriptor(self.species_, parameters)

    def _check_parameters(self):
        check_choice("compression", self.compression, COMPRESSIONS)
        return {**super()._check_parameters(), "compression": self.compression}
