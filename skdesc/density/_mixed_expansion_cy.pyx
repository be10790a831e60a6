"""Density expansion with channels mixed into fewer.

For a neighbor of species s, R~_kl(r) = sum_n W[s, l, n, k] R_nl(r) is itself a radial function.
Mixing the radial functions, before the sum over neighbors, makes the time per neighbor
independent of how many species there are.
"""

import numpy as np

from skdesc.density._expansion_cy cimport DensityExpansion, Environment
from skdesc.simd._simd_cy cimport SKD_LANES


cdef class MixedExpansion(DensityExpansion):
    """Expansion in mixed radial functions.

    Coefficients are (l m, group, column). A group is a species or, where species are mixed,
    all neighbors together.

    Parameters
    ----------
    spline : RadialSpline
        The radial functions.
    n_species : int
        Number of species.
    center_weight : float
        Weight of the center's own Gaussian.
    weights : ndarray of shape (n_species or 1, l_max + 1 or 1, n_max or 1, n_columns)
        Mixing weights; where species or l's share them, the axis has length one. With one
        radial function, radial functions are not mixed: the columns are repeated for each. The
        number of columns is a multiple of 8.
    instruction_set : str, default=None
        As for DensityExpansion.
    """

    cdef Py_ssize_t n_raw, raw_pad, raw_width, n_repeats, n_mixed
    cdef const double[:, :, :, ::1] weights
    cdef const double[:, ::1] mixed_center

    def __init__(self, spline, n_species, center_weight, weights, instruction_set=None):
        DensityExpansion.__init__(self, spline, n_species, center_weight, instruction_set)
        self.weights = weights
        self.n_raw = spline.n_max
        self.raw_pad, self.raw_width = spline.n_pad, spline.width
        self.n_repeats = 1 if weights.shape[2] > 1 else spline.n_max
        self.n_mixed = weights.shape[3]
        self.n_max = self.n_pad = self.n_repeats * self.n_mixed
        self.width = (self.l_max + 1) * self.n_pad
        if weights.shape[0] > 1:
            self.n_groups = 1
        center = np.asarray(self.center)[: spline.n_max]
        if self.n_repeats > 1:
            mixed = (center[:, None] * weights[:, 0]).reshape(len(weights), -1)
        else:
            mixed = center @ weights[:, 0]
        self.mixed_center = np.ascontiguousarray(mixed)

    def groups_of(self, species):
        """Group of neighbors of given species.

        Parameters
        ----------
        species : ndarray of int
            Species indices.

        Returns
        -------
        ndarray of int
            Zeros, where all neighbors are one group.
        """
        return np.zeros_like(species) if self.weights.shape[0] > 1 else species

    cdef Py_ssize_t n_doubles(self, Py_ssize_t max_neighbors, bint derivatives) noexcept nogil:
        return (DensityExpansion.n_doubles(self, max_neighbors, derivatives)
                + 2 * self.n_lanes(max_neighbors) * self.raw_width)

    cdef Py_ssize_t n_lanes(self, Py_ssize_t max_neighbors) noexcept nogil:
        return (max_neighbors + SKD_LANES) // SKD_LANES * SKD_LANES

    cdef void bind(self, Environment *env, Py_ssize_t max_neighbors, bint derivatives,
                   double *doubles, Py_ssize_t *integers) noexcept nogil:
        # the unmixed functions go before everything else
        cdef double *aligned = <double *>((<size_t>doubles + 63) & ~<size_t>63)
        DensityExpansion.bind(
            self, env, max_neighbors, derivatives,
            aligned + 2 * self.n_lanes(max_neighbors) * self.raw_width, integers,
        )

    cdef void group(self, Environment *env) noexcept nogil:
        if self.weights.shape[0] == 1:
            DensityExpansion.group(self, env)
            return
        env.n_present = 1
        env.present[0] = env.run[0] = 0
        env.run[1] = env.n_neighbors

    cdef void evaluate_radial(self, Environment *env, bint derivatives) noexcept nogil:
        cdef Py_ssize_t j, first = 0, s = 0, size = env.ld_Y * self.raw_width
        cdef double *raw = env.c - 2 * size
        for j in range(env.n_neighbors):
            self.evaluate_spline(env.distance[j], raw + j * self.raw_width,
                                 raw + size + j * self.raw_width if derivatives else NULL)
        for j in range(1, env.n_neighbors + 1):
            if self.weights.shape[0] > 1:
                s = env.species[env.neighbor[first]]
                if j < env.n_neighbors and env.species[env.neighbor[j]] == s:
                    continue
            elif j < env.n_neighbors:
                continue
            self.mix(s, j - first, raw + first * self.raw_width, env.R + first * self.width)
            if derivatives:
                self.mix(s, j - first, raw + size + first * self.raw_width,
                         env.dR + first * self.width)
            first = j

    cdef void mix(self, Py_ssize_t s, Py_ssize_t count, const double *raw,
                  double *mixed) noexcept nogil:
        """Mix the functions of neighbors of one species: (neighbor, l, n) to (..., column)."""
        cdef Py_ssize_t l, n, j, n_l = self.l_max + 1
        cdef Py_ssize_t depth = self.n_raw if self.n_repeats == 1 else 1
        for n in range(self.n_repeats):
            if self.weights.shape[1] > 1:
                for l in range(n_l):
                    self.simd.gemm(
                        count, self.n_mixed, depth, raw + l * self.raw_pad + n, self.raw_width, 1,
                        &self.weights[s, l, 0, 0], self.n_mixed,
                        mixed + l * self.n_pad + n * self.n_mixed, self.width, 0,
                    )
            elif self.raw_width == n_l * self.raw_pad:
                # all l of all neighbors are rows of one product
                self.simd.gemm(
                    count * n_l, self.n_mixed, depth, raw + n, self.raw_pad, 1,
                    &self.weights[s, 0, 0, 0], self.n_mixed,
                    mixed + n * self.n_mixed, self.n_pad, 0,
                )
            else:
                for j in range(count):
                    self.simd.gemm(
                        n_l, self.n_mixed, depth, raw + j * self.raw_width + n, self.raw_pad, 1,
                        &self.weights[s, 0, 0, 0], self.n_mixed,
                        mixed + j * self.width + n * self.n_mixed, self.n_pad, 0,
                    )

    cdef void add_center(self, Environment *env) noexcept nogil:
        cdef Py_ssize_t q, n
        cdef Py_ssize_t own = env.center_species if self.weights.shape[0] > 1 else 0
        for q in range(env.n_present):
            if self.weights.shape[0] > 1 or env.present[q] == env.center_species:
                for n in range(self.n_pad):
                    env.c[q * self.n_pad + n] += self.mixed_center[own, n]
