"""Base class of descriptors of neighbor densities: per center, or pooled."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..features import AtomicFeatures
from ..invariants import check_cotangent
from ..structures import check_structures
from ..utils.memory import SPARE, check_fits_memory, fits_memory
from ..utils.typing import ArrayLike, Samples
from ._auto_parameters import AUTO_PARAMETERS, is_auto, resolve, resolved_attributes
from ._base import StructureTransformer
from ._centers import check_centers, find_centers
from ._loading import arguments_of_part, check_fitted_parameters, check_fitted_species
from ._parameters import check_choice, check_density_parameters, check_flag, check_lengths
from ._pooling import pool, pull_back_pooled


class DensityTransformer(StructureTransformer):
    """Base class of descriptors computed from density coefficients.

    Subclasses have the parameters that :func:`check_density_parameters` checks, and `centers`,
    `normalize`, `pooling`, `handle_unknown`, `dtype` and `n_jobs`; they make the descriptor, and
    say in `_memory_remedy` how to save memory.
    """

    _unknown_choices = ("error", "ignore")

    _before_they_existed = {"radial_scaling": None}  # parameters that old files lack

    def __setstate__(self, state):
        if "_engine" in state:  # the name in files of version 0.1
            state = {**state, "_descriptor": state["_engine"]}
            del state["_engine"]
        super().__setstate__(state)
        if isinstance(vars(self).get("_descriptor"), self._descriptor_type):
            self._take_from_descriptor()  # pickles of older versions lack what follows from it

    def _check_loaded(self):
        """Check the stored values, then build the tables."""
        arguments = arguments_of_part(self, "_descriptor", self._descriptor_type)
        if arguments is None:
            self._check_parameters()
            return
        if not isinstance(arguments, tuple) or len(arguments) != 2:
            raise ValueError(f"_descriptor has the arguments {arguments!s:.200}, but must have "
                             "species and parameters; fit anew")
        self._descriptor = self._descriptor_type(*self._check_fitted(*arguments))
        self._take_from_descriptor()

    def _check_saved(self):
        """Refuse parameters that were changed after the fit, before they are saved."""
        if hasattr(self, "_descriptor"):
            self._check_fitted(self._descriptor.species, self._descriptor.parameters)

    def _check_fitted(self, species, parameters):
        """Species and parameters of a fit, by the rules of the constructor's."""
        species = check_fitted_species(species, self.species)
        used = check_fitted_parameters(self, parameters)
        for name in AUTO_PARAMETERS:
            if is_auto(used[name]):
                raise ValueError(f"{name} of the fit is 'auto', but must be what it stands for; "
                                 "fit anew")
        return species, used

    def _take_from_descriptor(self):
        """Set the attributes that the tables determine."""
        self.species_ = self._descriptor.species
        self.n_features_out_ = self._descriptor.layout.n_features
        vars(self).update(resolved_attributes(self._descriptor.parameters))

    def _fit(self, X):
        """Learn the elements and build the tables."""
        parameters = self._check_parameters()
        structures = check_structures(X, extra_arrays=self._extra_arrays)
        self._learn_species(structures)
        parameters = resolve(parameters, structures, self.species_)
        check_lengths(parameters)
        self._descriptor = self._make_descriptor(parameters)
        self._take_from_descriptor()

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

        Notes
        -----
        Memory of features and Jacobians that nobody refers to any more serves later ones, since
        writing to memory that is new to the process can take longer than computing. What is
        kept is a tenth of the physical memory at most; ``skdesc.utils.memory.SPARE.budget``
        sets another number of bytes, or 0 to keep none.
        """
        structures, descriptor, centers, offsets = self._locate(X)
        self._check_memory(structures, len(centers))
        if self.pooling is None:
            shape = (len(centers), descriptor.layout.n_features)
            values, cleared = SPARE.take(shape, self.dtype)
            if values.dtype == np.float64:
                for _ in descriptor.describe(structures, centers, offsets, values, cleared):
                    pass
            else:
                for rows, part in descriptor.describe(structures, centers, offsets):
                    values[rows] = part
            return AtomicFeatures(values, structures, centers, offsets, descriptor)
        pooled = np.zeros((len(structures), descriptor.layout.n_features), dtype=self.dtype)
        pool(self.pooling, descriptor, structures, centers, offsets, pooled)
        return pooled

    def pooled_vjp(self, X: Samples, g: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
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
        structures, descriptor, centers, offsets = self._locate(X)
        shape = (len(structures), descriptor.layout.n_features)
        g = check_cotangent(g, shape, "pooled features", "structure")
        return pull_back_pooled(self.pooling, descriptor, structures, centers, offsets, g)

    def memory_estimate(self, X: Samples) -> int:
        """Estimate the peak memory of :meth:`transform`, in addition to `X`, without computing.

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
        structures, descriptor, centers, _ = self._locate(X)
        output = self._output_bytes(structures, len(centers))
        return output + descriptor.batch_bytes(structures, self.pooling)

    @property
    def _extra_arrays(self):
        """Names of the per-atom arrays that structures must have."""
        return (self.centers,) if isinstance(self.centers, str) else ()

    def _locate(self, X):
        """Checked structures, tables, and which atoms to describe."""
        if not hasattr(self, "_descriptor"):  # what is below looks through all attributes
            check_is_fitted(self)
        structures = check_structures(X, extra_arrays=self._extra_arrays)
        descriptor = self._descriptor_for(structures)
        return structures, descriptor, *find_centers(self.centers, structures)

    def _output_bytes(self, structures, n_centers):
        n_rows = n_centers if self.pooling is None else len(structures)
        return n_rows * self._row_bytes

    @property
    def _row_bytes(self):
        # what the tables write, whatever the attribute says
        return self._descriptor.layout.n_features * np.dtype(self.dtype).itemsize

    def _check_memory(self, structures, n_centers):
        needed = self._output_bytes(structures, n_centers)
        if fits_memory(needed):  # to write what else there is to say takes long, for few atoms
            return
        check_fits_memory(
            needed,
            f"{needed // self._row_bytes} rows of {self._descriptor.layout.n_features} features "
            f"in {self.dtype}",
            self._memory_remedy + ", fewer centers, dtype='float32' or pooling, or transform "
            "fewer structures at a time; memory_estimate(X) tells what is needed",
        )

    def get_atomic_feature_names(self) -> np.ndarray:
        """Names of the features, with pooling or without: their channels and angular momenta.

        Returns
        -------
        ndarray of str objects
            One name per feature.
        """
        check_is_fitted(self)
        return self._descriptor.layout.names()

    def _descriptor_for(self, structures):
        """Tables for structures that may have further elements."""
        if self._descriptor.species_index(structures.numbers).min() < 0:
            self._check_species(structures)
        return self._descriptor

    def _check_parameters(self):
        """Check every parameter and return them as the descriptor takes them."""
        check_density_parameters(self)
        check_choice("pooling", self.pooling, (None, "mean", "sum", "inner"))
        check_centers(self.centers)
        check_choice("handle_unknown", self.handle_unknown, self._unknown_choices)
        check_choice("dtype", self.dtype, ("float64", "float32"))
        check_flag("normalize", self.normalize)
        names = ("cutoff", "cutoff_width", "n_max", "l_max", "atom_sigma", "radial_basis",
                 "radial_scaling", "center_weight", "normalize", "n_jobs")
        return {name: getattr(self, name) for name in names}
