"""Descriptors of densities, without any estimator: what features carry to their derivatives."""

from __future__ import annotations

from copy import copy
from functools import cached_property

import numpy as np

from ..density import MixedExpansion, check_limits, make_spline
from ..density._expansion_cy import DensityExpansion
from ..features import AtomicDescriptor, Blocks, Jacobian
from ..utils.threads import effective_n_threads
from ._energy_derivatives import differentiate_energies
from ._environments import describe, memory_of_describing, pull_back
from ._gradient_rows import ByJacobian, Factorized, gradient_rows, workspace_of_rows
from ._jacobian import jacobian
from ._power_spectrum import PowerSpectrum
from ._tensor_reduced import TensorReduced

MOST_FEATURES = 2**25
"""More columns than this fit no memory: a row would take 256 MB."""

WIDEST_BY_JACOBIAN = 0.8
"""Features of a species, as a part of its coefficients, from which on the latter make less work."""


def check_cotangent(g, shape, features, owner, *, finite=True):
    """Check derivatives with respect to features and return them in double precision.

    Parameters
    ----------
    g : array-like
        As passed by the user.
    shape : tuple of int
        Shape of the features.
    features, owner : str
        What they are called, and what each row of them belongs to.
    finite : bool, default=True
        Whether to look at every number.

    Returns
    -------
    ndarray of float64
        Of that shape.
    """
    g = np.asarray(g, dtype=np.float64)
    if g.shape != shape:
        raise ValueError(f"g has shape {g.shape}, but the {features} have shape {shape}; give "
                         f"dE/d(feature) for every {owner} and feature")
    if finite and not np.isfinite(g).all():
        raise ValueError("g has NaN or infinite entries; all must be finite")
    return g


class _Parameters(dict):
    """Parameters; those that files of older versions lack are None, which means default."""

    def __missing__(self, name):
        return None


class DensityDescriptor(AtomicDescriptor):
    """Features of the density around atoms, for one set of parameters; base class.

    Subclasses make ``layout``, ``expansion`` and ``invariant`` in ``_build``, and may name in
    ``contraction`` another way to form derivatives of many linear functions.

    Parameters
    ----------
    species : sequence of int
        Atomic numbers, ascending.
    parameters : dict
        The validated parameters of the transformer.

    Attributes
    ----------
    spline : RadialSpline
        Radial functions of a neighbor's distance.
    layout : PowerSpectrum or TensorReduced
        Sizes, names and positions of the features.
    expansion : DensityExpansion
        Makes the coefficients.
    invariant : Invariant
        Makes the features.
    """

    contraction = ByJacobian

    _saved_with_estimator = True  # the loader checks the arguments in a file before the call

    def __init__(self, species, parameters):
        self.species = np.asarray(species, dtype=np.intp)
        self.parameters = _Parameters(parameters)
        self.cutoff = float(parameters["cutoff"])
        check_limits(
            cutoff=self.cutoff, cutoff_width=parameters["cutoff_width"],
            center_weight=parameters["center_weight"],
        )
        self._index = np.full(int(self.species[-1]) + 1, -1, dtype=np.intp)
        self._index[self.species] = np.arange(len(self.species))
        self.spline = make_spline(self.parameters)
        self._build()

    def __reduce__(self):
        # tables are cheap to compute, and the compiled objects hold no other state
        return type(self), (self.species, dict(self.parameters))

    @cached_property
    def density_expansion(self):
        """Expansion whose coefficients are not mixed."""
        return DensityExpansion(self.spline, len(self.species), self.parameters["center_weight"])

    @property
    def n_threads(self):
        """Number of threads to use at the moment."""
        return effective_n_threads(self.parameters["n_jobs"])

    def species_index(self, numbers):
        """Index of each atomic number among the species; -1 for others."""
        if numbers.max(initial=0) < len(self._index):
            return self._index[numbers]
        return np.where(numbers < len(self._index), self._index.take(numbers, mode="clip"), -1)

    def describe(self, structures, centers, offsets, out=None, cleared=False):
        """Yield the features of batches of centers; see ``invariants.describe``."""
        return describe(self, structures, centers, offsets, out, cleared)

    def batch_bytes(self, structures, pooling):
        """Upper bound of the memory of batches of `describe`, in bytes."""
        return memory_of_describing(self, structures, pooling)

    def vjp(self, features, g):
        """Contract the derivatives of `features` with a cotangent; see ``AtomicFeatures.vjp``."""
        shape = features.values.shape
        g = check_cotangent(g, shape, "features", "center", finite=False)  # pull_back checks
        return pull_back(self, features.structures, features.centers, features.offsets, g)

    def differentiate_energies(self, structures, centers, offsets, energy_slopes):
        """Values and derivatives together; see ``invariants.differentiate_energies``."""
        return differentiate_energies(self, structures, centers, offsets, energy_slopes)

    def jacobian(self, features, strain):
        """Explicit derivatives; see ``AtomicFeatures.jacobian``."""
        groups, by_strain, along = jacobian(
            self, features.structures, features.centers, features.offsets, strain
        )
        values = np.asarray(features.values, dtype=np.float64)
        if strain:
            by_strain -= along[..., None] * values[:, None, None, :]
        blocks = [Blocks(*group) for group in groups]
        return Jacobian(values, blocks, len(features.structures.positions), by_strain)

    def workspace_bytes(self, structures, n_rows):
        """Bound of the memory that :meth:`gradient_rows` takes beside its result."""
        return workspace_of_rows(self, structures, n_rows)

    def gradient_rows(self, features, Q, weights):
        """Derivatives of many functions; see ``AtomicFeatures.gradient_rows``."""
        return gradient_rows(self, features, Q, weights)


class PowerSpectrumDescriptor(DensityDescriptor):
    """The SOAP power spectrum."""

    def _build(self):
        p = self.parameters
        self.layout = PowerSpectrum(self.species, p["n_max"], p["l_max"], p["compression"])
        if self.layout.n_features > MOST_FEATURES:
            raise ValueError(
                f"n_max={p['n_max']} and l_max={p['l_max']} with {len(self.species)} species make "
                f"{self.layout.n_features} features, but there must be at most {MOST_FEATURES}; "
                "use compression or TensorReducedTransformer"
            )
        self.expansion = self.density_expansion
        self.invariant = self.layout.invariant(self.expansion, p["normalize"])
        n_coefficients = self.expansion.n_lm * self.expansion.n_max
        widest = max(map(len, self.invariant.columns))
        if widest > WIDEST_BY_JACOBIAN * n_coefficients:
            self.contraction = Factorized


class TensorReducedDescriptor(DensityDescriptor):
    """Tensor-reduced invariants."""

    def _build(self):
        p = self.parameters
        self.layout = TensorReduced(
            self.species, n_max=p["n_max"], l_max=p["l_max"], n_channels=p["n_channels"],
            orders=p["orders"], sketch=p["scheme"] == "sketch", reduce=p["reduce"],
        )
        weights = self.layout.with_all_axes(p["mixing_weights"], p["weights_per_l"])
        self._mix(self.layout.columns(weights))

    def _mix(self, columns):
        """Build everything that depends on the mixing weights."""
        p = self.parameters
        self.expansion = MixedExpansion(
            self.spline, len(self.species), p["center_weight"], columns
        )
        self.invariant = self.layout.invariant(self.expansion, p["normalize"])

    def with_weights(self, columns):
        """Return a descriptor with other mixing weights.

        Parameters
        ----------
        columns : ndarray of shape (species, l, n, n_factors * padded channels)
            The weights, as ``layout.columns`` gives them.

        Returns
        -------
        TensorReducedDescriptor
            It shares all else with this one, and is not to be saved: its ``parameters`` keep
            the weights of this one.
        """
        other = copy(self)
        other._mix(columns)
        return other
