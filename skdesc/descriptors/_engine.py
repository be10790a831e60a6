"""A fitted descriptor without any estimator around it: what features carry to derivatives."""

from __future__ import annotations

import numpy as np

from ..density import RadialSpline, make_radial_basis, make_radial_scaling
from ..density._expansion_cy import DensityExpansion
from ..features import Blocks, Jacobian
from ..invariants import (
    PowerSpectrum,
    describe,
    differentiate_energies,
    gradient_rows,
    jacobian,
    memory_of_describing,
    pull_back,
    workspace_of_rows,
)
from ..utils.threads import effective_n_threads


def check_cotangent(g, shape, features, owner, *, finite=True):
    """Check derivatives by features and return them in double precision.

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
    """Parameters, where those that a file of an older version lacks are None: not asked for."""

    def __missing__(self, name):
        return None


class Engine:
    """Tables and kernels of one set of parameters; base class.

    Subclasses make ``expansion``, ``invariant`` and ``layout`` in ``_build``.

    Parameters
    ----------
    species : sequence of int
        Atomic numbers, ascending.
    parameters : dict
        The validated parameters of the transformer.
    """

    def __init__(self, species, parameters):
        self.species = np.asarray(species, dtype=np.intp)
        self.parameters = _Parameters(parameters)
        self.cutoff = float(parameters["cutoff"])
        self._index = np.full(int(self.species[-1]) + 1, -1, dtype=np.intp)
        self._index[self.species] = np.arange(len(self.species))
        self._build()

    def _make_spline(self):
        """Radial functions of a neighbor's distance."""
        p = self.parameters
        basis = make_radial_basis(
            p["radial_basis"], cutoff=self.cutoff, n_max=p["n_max"], l_max=p["l_max"],
            atom_sigma=p["atom_sigma"],
        )  # fmt: skip
        return RadialSpline(
            basis, cutoff=self.cutoff, cutoff_width=p["cutoff_width"], atom_sigma=p["atom_sigma"],
            scaling=make_radial_scaling(p["radial_scaling"]),
        )  # fmt: skip

    def __reduce__(self):
        # the tables are cheap to make again and the kernels hold no other state
        return type(self), (self.species, dict(self.parameters))

    @property
    def n_threads(self):
        """Threads to use here and now."""
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
        """Upper bound of what batches of `describe` take, in bytes."""
        return memory_of_describing(self, structures, pooling)

    def vjp(self, features, g):
        """Contract the derivatives of `features` with a cotangent; see ``AtomicFeatures.vjp``."""
        shape = features.values.shape
        g = check_cotangent(g, shape, "features", "center", finite=False)  # pull_back looks
        return pull_back(self, features.structures, features.centers, features.offsets, g)

    def differentiate_energies(self, structures, centers, offsets, energy_slopes):
        """Values and derivatives in one go; see ``invariants.differentiate_energies``."""
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
        """Bound of what :meth:`gradient_rows` takes beside its result."""
        return workspace_of_rows(self, structures, n_rows)

    def gradient_rows(self, features, Q, weights):
        """Derivatives of many functions; see ``AtomicFeatures.gradient_rows``."""
        return gradient_rows(self, features, Q, weights)


class SOAPEngine(Engine):
    """Tables and kernels of the power spectrum."""

    def _build(self):
        p = self.parameters
        self.expansion = DensityExpansion(
            self._make_spline(), len(self.species), p["center_weight"]
        )
        self.layout = PowerSpectrum(self.species, p["n_max"], p["l_max"], p["compression"])
        self.invariant = self.layout.kernel(self.expansion, p["normalize"])
