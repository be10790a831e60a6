"""Loops over environments: values and derivatives of any invariant.

They leave Python, so that threads can run them for several batches at a time.
"""

from libc.string cimport memcpy, memset

import numpy as np

from skdesc.density._expansion_cy cimport DensityExpansion, Environment
from skdesc.invariants._invariant_cy cimport Invariant
from skdesc.simd._simd_cy cimport SKD_LANES


cdef class Neighborhoods:
    """Pairs of a batch of centers, and scratch memory; one thread uses it at a time.

    Parameters
    ----------
    expansion : DensityExpansion
        What to expand in.
    invariant : Invariant or None
        Made of that expansion.
    pairs : Pairs
        Neighbors of the centers.
    species : ndarray of shape (n_atoms,)
        Species index of every atom, -1 for unknown ones.
    centers : ndarray of shape (n_centers,)
        Atoms.
    derivatives : bool
        Whether derivatives of the coefficients will be asked for.
    n_extra : int, default=0
        Further doubles of scratch memory.
    """

    def __init__(self, DensityExpansion expansion, Invariant invariant, pairs, species, centers,
                 bint derivatives, Py_ssize_t n_extra=0):
        self.expansion = expansion
        self.invariant = invariant
        self.offsets, self.neighbor = pairs.offsets, pairs.neighbor
        self.displacement, self.distance = pairs.displacement, pairs.distance
        self.species, self.centers = species, centers
        self.n_centers = self.centers.shape[0]
        self.max_neighbors = pairs.max_neighbors
        self.derivatives = derivatives
        self.n_expansion = expansion.n_doubles(self.max_neighbors, derivatives)
        self.n_invariant = 0 if invariant is None else invariant.n_doubles()
        self.doubles = np.empty(self.n_expansion + self.n_invariant + n_extra + 16)
        self.integers = np.empty(expansion.n_integers() + 16, dtype=np.intp)

    cdef void expand(self, Environment *env, Py_ssize_t k) noexcept nogil:
        """Coefficients of center k."""
        self.bind(env, k)
        self.expansion.expand(env, self.derivatives)

    cdef void bind(self, Environment *env, Py_ssize_t k) noexcept nogil:
        """Neighbors of center k, and scratch memory."""
        cdef Py_ssize_t start = self.offsets[k]
        self.expansion.bind(env, self.max_neighbors, self.derivatives, &self.doubles[0],
                            &self.integers[0])
        env.n_neighbors = self.offsets[k + 1] - start
        if env.n_neighbors:
            env.displacement = &self.displacement[start, 0]
            env.distance = &self.distance[start]
            env.neighbor = &self.neighbor[start]
        env.species = &self.species[0]
        env.center_species = self.species[self.centers[k]]

    cdef double *scratch(self) noexcept nogil:
        """Of the invariant."""
        return &self.doubles[self.n_expansion]

    cdef double *extra(self) noexcept nogil:
        return &self.doubles[self.n_expansion + self.n_invariant]

    def coefficients(self):
        """Density coefficients themselves, for inspection and tests.

        Returns
        -------
        ndarray of shape (n_centers, (l_max + 1)^2, n_groups, n_max)
        """
        cdef Py_ssize_t k
        cdef DensityExpansion expansion = self.expansion
        result = np.zeros((self.n_centers, expansion.n_lm, expansion.n_groups, expansion.n_max))
        cdef double[:, :, :, ::1] out = result
        with nogil:
            for k in range(self.n_centers):
                self.coefficients_of_center(k, &out[k, 0, 0, 0])
        return result

    cdef void coefficients_of_center(self, Py_ssize_t k, double *out) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t lm, q, n, n_max = self.expansion.n_max
        self.expand(&env, k)
        for lm in range(self.expansion.n_lm):
            for q in range(env.n_present):
                for n in range(n_max):
                    out[(lm * self.expansion.n_groups + env.present[q]) * n_max + n] = env.c[
                        lm * env.ld + q * self.expansion.n_pad + n]

    def pull_back_coefficients(self, const double[:, :, :, ::1] D, const Py_ssize_t[::1] which,
                               double[:, ::1] out):
        """Write dE/d(displacement) of every pair from dE/d(coefficients).

        Parameters
        ----------
        D : ndarray of shape (n_rows, (l_max + 1)^2, n_groups, n_max)
            dE/d(coefficients).
        which : ndarray of shape (n_centers,)
            Row of each center.
        out : ndarray of shape (n_pairs, 3)
        """
        cdef Py_ssize_t k
        with nogil:
            for k in range(self.n_centers):
                if self.offsets[k + 1] > self.offsets[k]:
                    self.pull_back_center(k, &D[which[k], 0, 0, 0],
                                          &out[self.offsets[k], 0])

    cdef void pull_back_center(self, Py_ssize_t k, const double *D,
                               double *out) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t lm, q, n, n_max = self.expansion.n_max
        self.expand(&env, k)
        memset(env.D, 0, self.expansion.n_lm * env.ld * sizeof(double))
        for lm in range(self.expansion.n_lm):
            for q in range(env.n_present):
                for n in range(n_max):
                    env.D[lm * env.ld + q * self.expansion.n_pad + n] = D[
                        (lm * self.expansion.n_groups + env.present[q]) * n_max + n]
        self.expansion.pull_back(&env, out)

    def changes_of_coefficients(self, const double[:, ::1] moves, const Py_ssize_t[::1] first,
                                const Py_ssize_t[::1] last, const Py_ssize_t[::1] species,
                                double[:, :, ::1] out):
        """Change of the coefficients when neighbors move relative to their centers.

        Extra scratch memory: three times the coefficients of one group.

        Parameters
        ----------
        moves : ndarray of shape (n_pairs, 3)
            Changes of the displacements.
        first, last : ndarray of shape (n_centers,)
            Each center's blocks of `out`.
        species : ndarray of shape (n_blocks,)
            Group of each block, ascending for each center; groups without a block are left out.
        out : ndarray of shape (n_blocks, (l_max + 1)^2, n_max)
            Gets the changes.
        """
        cdef Py_ssize_t k
        with nogil:
            for k in range(self.n_centers):
                if last[k] > first[k]:
                    self.change_of_center(
                        k,
                        &moves[self.offsets[k], 0] if self.offsets[k + 1] > self.offsets[k]
                        else NULL, last[k] - first[k], &species[first[k]], &out[first[k], 0, 0],
                    )

    cdef void change_of_center(self, Py_ssize_t k, const double *moves,
                               Py_ssize_t n_blocks, const Py_ssize_t *species,
                               double *out) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t j, lanes, start, q = 0, b = 0, lm, n
        cdef Py_ssize_t pad = self.expansion.n_pad, n_max = self.expansion.n_max
        cdef Py_ssize_t size = self.expansion.n_lm * pad
        cdef double *d = self.extra()
        cdef double *target
        cdef const double *v
        cdef double xyz[24]
        memset(out, 0, n_blocks * self.expansion.n_lm * n_max * sizeof(double))
        self.expand(&env, k)
        for lanes in range((env.n_neighbors + SKD_LANES - 1) // SKD_LANES):
            start = lanes * SKD_LANES
            self.expansion.harmonics_of_block(&env, start, xyz)
            for j in range(start, min(start + <Py_ssize_t>SKD_LANES, env.n_neighbors)):
                while env.run[q + 1] <= j:
                    q += 1
                while b < n_blocks and species[b] < env.present[q]:
                    b += 1
                if b == n_blocks or species[b] != env.present[q]:
                    continue
                memset(d, 0, 3 * size * sizeof(double))
                self.expansion.differentiate(&env, j, xyz, d)
                v = moves + 3 * j
                target = out + b * self.expansion.n_lm * n_max
                for lm in range(self.expansion.n_lm):
                    for n in range(n_max):
                        target[lm * n_max + n] += (
                            v[0] * d[lm * pad + n] + v[1] * d[size + lm * pad + n]
                            + v[2] * d[2 * size + lm * pad + n])

    def linearize(self, double[:, :, :, ::1] c, double[:, :, :, ::1] H,
                  double[:, :, :, ::1] dc):
        """What the derivatives of quadratic invariants are made of.

        Parameters
        ----------
        c : ndarray of shape (n_centers, (l_max + 1)^2, n_groups + n_spare, n_max)
            Gets the coefficients as the invariant scales them, such that features have unit
            norm if they are normalized. Holds zeros.
        H : ndarray of the same shape
            Gets half the derivative of the squared norm by c.
        dc : ndarray of shape (n_pairs, 3, (l_max + 1)^2, n_max)
            Gets the derivatives of c, of the group of each neighbor, by its position.
        """
        cdef Py_ssize_t k
        with nogil:
            for k in range(self.n_centers):
                self.linearize_center(k, &c[k, 0, 0, 0], &H[k, 0, 0, 0],
                                      &dc[self.offsets[k], 0, 0, 0]
                                      if self.offsets[k + 1] > self.offsets[k] else NULL)

    cdef void linearize_center(self, Py_ssize_t k, double *c, double *H,
                               double *dc) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t j, lanes, start, q, n, lm, where
        cdef Py_ssize_t pad = self.expansion.n_pad, n_max = self.expansion.n_max
        cdef Py_ssize_t size = self.expansion.n_lm * pad
        cdef Py_ssize_t ld = (self.expansion.n_groups + self.expansion.n_spare) * n_max
        cdef double *block = self.extra()
        cdef double xyz[24]
        self.expand(&env, k)
        # the harmonics of the derivatives take the place of those of the values
        for lanes in range((env.n_neighbors + SKD_LANES - 1) // SKD_LANES):
            start = lanes * SKD_LANES
            self.expansion.harmonics_of_block(&env, start, xyz)
            for j in range(start, min(start + <Py_ssize_t>SKD_LANES, env.n_neighbors)):
                memset(block + 3 * size * j, 0, 3 * size * sizeof(double))
                self.expansion.differentiate(&env, j, xyz, block + 3 * size * j)
        self.invariant.linearize(&env, self.scratch())
        for lm in range(self.expansion.n_lm):
            for q in range(env.n_present + self.expansion.n_spare):
                where = lm * ld + env.present[q] * n_max
                for n in range(n_max):
                    c[where + n] = env.c[lm * env.ld + q * pad + n]
                    H[where + n] = env.D[lm * env.ld + q * pad + n]
        for j in range(3 * env.n_neighbors):
            self.invariant.scale_tangent(&env, block + j * size)
            for lm in range(self.expansion.n_lm):
                for n in range(n_max):
                    dc[(j * self.expansion.n_lm + lm) * n_max + n] = block[j * size + lm * pad + n]

    @property
    def n_coefficients(self):
        """Doubles that the coefficients of one center take at most."""
        return self.expansion.n_lm * self.expansion.longest_row()

    def features(self, double[:, ::1] out, bint cleared, double[:, ::1] coefficients=None):
        """Write the features of every center; with `cleared`, out holds zeros already.

        Parameters
        ----------
        out : ndarray of shape (n_centers, n_features)
        coefficients : ndarray of shape (n_centers, n_coefficients), default=None
            Gets the coefficients, for `pair_gradients`.
        """
        cdef Py_ssize_t k
        cdef bint keep = coefficients is not None
        with nogil:
            for k in range(self.n_centers):
                self.feature(k, &out[k, 0], cleared,
                             &coefficients[k, 0] if keep else NULL)

    cdef void feature(self, Py_ssize_t k, double *row, bint cleared,
                      double *kept) noexcept nogil:
        cdef Environment env
        self.bind(&env, k)
        # radial derivatives are computed where they are needed
        self.expansion.expand(&env, False)
        if kept != NULL:
            memcpy(kept, env.c, self.expansion.n_lm * env.ld * sizeof(double))
        self.invariant.forward(&env, row, cleared, self.scratch())

    def pair_gradients(self, const double[:, ::1] cotangents, double[:, ::1] out,
                       const double[:, ::1] coefficients=None):
        """Write dE/d(displacement) of every pair.

        Parameters
        ----------
        cotangents : ndarray of shape (n_centers, n_features)
            dE/d(features).
        out : ndarray of shape (n_pairs, 3)
        coefficients : ndarray of shape (n_centers, n_coefficients), default=None
            As `features` has kept them; computed again by default.

        Returns
        -------
        bool
            Whether all cotangents are finite; they are looked at here, since to read them
            once more would take as long as all else where there are many features.
        """
        cdef Py_ssize_t k, n_bad = 0
        cdef bint kept = coefficients is not None
        with nogil:
            for k in range(self.n_centers):
                if not self.expansion.simd.finite(cotangents.shape[1], &cotangents[k, 0]):
                    n_bad += 1
                elif self.offsets[k + 1] > self.offsets[k]:
                    self.pair_gradient(k, &cotangents[k, 0], &out[self.offsets[k], 0],
                                       &coefficients[k, 0] if kept else NULL)
        return n_bad == 0

    cdef void pair_gradient(self, Py_ssize_t k, const double *cotangent,
                            double *out, const double *kept) noexcept nogil:
        cdef Environment env
        if kept == NULL:
            self.expand(&env, k)
        else:
            self.bind(&env, k)
            self.expansion.arrange(&env)
            self.expansion.evaluate_radial(&env, True)
            memcpy(env.c, kept, self.expansion.n_lm * env.ld * sizeof(double))
        self.invariant.adjoint(&env, cotangent, self.scratch())
        self.expansion.pull_back(&env, out)


def scratch_bytes(DensityExpansion expansion, Invariant invariant, Py_ssize_t max_neighbors,
                  bint derivatives):
    """Bytes of scratch memory that `Neighborhoods` holds, without extra."""
    return 8 * (expansion.n_doubles(max_neighbors, derivatives) + invariant.n_doubles()
                + expansion.n_integers() + 32)
