"""A fitted descriptor without any estimator around it: what features carry to derivatives."""

from __future__ import annotations

import numpy as np

from ..density import RadialSpline, make_radial_basis
from ..density._expansion_cy import DensityExpansion
from ..invariants import PowerSpectrum, describe, pull_back
from ..invariants._gradient_rows import gradient_rows
from ..utils.threads import effective_n_threads


class SOAPEngine:
    """Tables and kernels of one set of SOAP parameters.

    Parameters
    ----------
    species : sequence of int
        Atomic numbers, ascending.
    parameters : dict
        The validated parameters of the transformer.
    """

    def __init__(self, species, parameters):
        self.species = np.asarray(species, dtype=np.intp)
        self.parameters = dict(parameters)
        self._build()

    def _build(self):
        p = self.parameters
        self.cutoff = float(p["cutoff"])
        basis = make_radial_basis(
            p["radial_basis"], cutoff=self.cutoff, n_max=p["n_max"], l_max=p["l_max"],
            atom_sigma=p["atom_sigma"],
        )  # fmt: skip
        self.spline = RadialSpline(
            basis, cutoff=self.cutoff, cutoff_width=p["cutoff_width"], atom_sigma=p["atom_sigma"]
        )
        self.expansion = DensityExpansion(self.spline, len(self.species), p["center_weight"])
        self.layout = PowerSpectrum(self.species, p["n_max"], p["l_max"])
        self.invariant = self.layout.kernel(self.expansion, p["normalize"])

    def __reduce__(self):
        # the tables are cheap to make again and the kernels hold no other state
        return type(self), (self.species, self.parameters)

    @property
    def normalize(self):
        """Whether features have unit norm."""
        return self.parameters["normalize"]

    @property
    def n_threads(self):
        """Threads to use here and now."""
        return effective_n_threads(self.parameters["n_jobs"])

    def species_index(self, numbers):
        """Index of each atomic number among the species; -1 for others."""
        table = np.full(max(int(np.max(numbers)), int(self.species[-1])) + 1, -1, dtype=np.intp)
        table[self.species] = np.arange(len(self.species))
        return table[numbers]

    def describe(self, structures, centers, offsets):
        """Yield the features of batches of centers; see ``invariants.describe``."""
        return describe(self, structures, centers, offsets, self.n_threads)

    def vjp(self, features, g):
        """Contract the derivatives of `features` with a cotangent; see ``AtomicFeatures.vjp``."""
        g = np.asarray(g, dtype=np.float64)
        if g.shape != features.values.shape:
            raise ValueError(
                f"g has shape {g.shape}, but the features have shape {features.values.shape}; "
                "give dE/d(feature) for every center and feature"
            )
        if not np.isfinite(g).all():
            raise ValueError("g has NaN or infinite entries; all must be finite")
        return pull_back(
            self, features.structures, features.centers, features.offsets, features.values,
            features.norms, g, self.n_threads,
        )  # fmt: skip

    def gradient_rows(self, features, Q, weights):
        """Derivatives of many functions; see ``AtomicFeatures.gradient_rows``."""
        return gradient_rows(self, features, Q, weights, self.n_threads)
