"""Features, and their derivatives by the mixing weights, from stored density coefficients.

Weights change from one step of learning to the next, coefficients do not. Of every center those
of the species present are stored, block by block.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memset

import numpy as np

from skdesc.density._expansion_cy cimport Environment
from skdesc.invariants._invariant_cy cimport Invariant

# sums over centers are cut into as many parts whatever the number of threads
cdef enum:
    N_PARTS = 16


cdef class PackedCoefficients:
    """Coefficients of many centers.

    Parameters
    ----------
    invariant : TensorReducedKernel
        Made of an expansion that mixes species and radial functions.
    data : ndarray of shape (n_blocks, (l_max + 1)^2, n_max)
        Coefficients of one species around one center each.
    species : ndarray of shape (n_blocks,)
        Species index of each block.
    offsets : ndarray of shape (n_centers + 1,)
        Center i owns the blocks offsets[i] to offsets[i + 1].
    n_threads : int
        Number of threads.
    """

    cdef Invariant invariant
    cdef const double[:, :, ::1] data
    cdef const Py_ssize_t[::1] species, offsets
    cdef readonly Py_ssize_t n_centers
    cdef Py_ssize_t size
    cdef double[:, ::1] doubles
    cdef int n_threads

    def __init__(self, Invariant invariant, data, species, offsets, int n_threads):
        self.invariant = invariant
        self.data, self.species, self.offsets = data, species, offsets
        self.n_centers = self.offsets.shape[0] - 1
        self.n_threads = n_threads
        self.size = invariant.expansion.n_lm * invariant.expansion.n_pad
        # rows end with a cache line that no thread writes
        self.doubles = np.empty((n_threads, 2 * self.size + invariant.n_doubles() + 16))

    cdef void mix(self, Environment *env, Py_ssize_t k, int thread, Py_ssize_t *present,
                  const double[:, :, :, ::1] weights) noexcept nogil:
        """Mixed coefficients of center k."""
        cdef Py_ssize_t block, l, n_l, count, first
        cdef Py_ssize_t n_max = self.data.shape[2], pad = weights.shape[3]
        env.c = &self.doubles[thread, 0]
        env.D = env.c + self.size
        env.ld = pad
        env.n_present = 1
        present[0] = 0
        env.present = present
        if self.offsets[k + 1] == self.offsets[k]:
            memset(env.c, 0, self.size * sizeof(double))
        n_l = weights.shape[1]
        for block in range(self.offsets[k], self.offsets[k + 1]):
            for l in range(n_l):
                first = l * l
                count = 2 * l + 1 if n_l > 1 else self.data.shape[1]
                self.invariant.expansion.kernels.gemm(
                    count, pad, n_max, &self.data[block, first, 0], n_max, 1,
                    &weights[self.species[block], l, 0, 0], pad, env.c + first * pad, pad,
                    block > self.offsets[k],
                )

    def features(self, const double[:, :, :, ::1] weights, double[:, ::1] out):
        """Write the features of every center.

        Parameters
        ----------
        weights : ndarray of shape (n_species, l_max + 1 or 1, n_max, n_columns)
            As the mixed expansion takes them.
        out : ndarray of shape (n_centers, n_features)
            The features.
        """
        cdef Py_ssize_t k
        with nogil, parallel(num_threads=self.n_threads):
            for k in prange(self.n_centers, schedule="static"):
                self.feature(k, threadid(), weights, &out[k, 0])

    cdef void feature(self, Py_ssize_t k, int thread, const double[:, :, :, ::1] weights,
                      double *row) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t present
        self.mix(&env, k, thread, &present, weights)
        self.invariant.forward(&env, row, False, &self.doubles[thread, 2 * self.size])

    def weight_gradient(self, const double[:, :, :, ::1] weights,
                        const double[:, ::1] cotangents):
        """Derivative of a scalar E by the weights.

        Parameters
        ----------
        weights : ndarray of shape (n_species, l_max + 1 or 1, n_max, n_columns)
            As for `features`.
        cotangents : ndarray of shape (n_centers, n_features)
            dE/d(features).

        Returns
        -------
        ndarray
            dE/d(weights), of the shape of the weights.
        """
        cdef Py_ssize_t part, k
        shape = (N_PARTS, weights.shape[0], weights.shape[1], weights.shape[2], weights.shape[3])
        sums = np.zeros(shape)
        cdef double[:, :, :, :, ::1] parts = sums
        with nogil, parallel(num_threads=self.n_threads):
            for part in prange(N_PARTS, schedule="static"):
                for k in range(part * self.n_centers // N_PARTS,
                               (part + 1) * self.n_centers // N_PARTS):
                    self.add_gradient(k, threadid(), weights, &cotangents[k, 0],
                                      &parts[part, 0, 0, 0, 0])
        return sums.sum(axis=0)

    cdef void add_gradient(self, Py_ssize_t k, int thread, const double[:, :, :, ::1] weights,
                           const double *cotangent, double *total) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t present, block, l, first, count
        cdef Py_ssize_t n_l = weights.shape[1], n_max = weights.shape[2], pad = weights.shape[3]
        self.mix(&env, k, thread, &present, weights)
        self.invariant.adjoint(&env, cotangent, &self.doubles[thread, 2 * self.size])
        for block in range(self.offsets[k], self.offsets[k + 1]):
            for l in range(n_l):
                first = l * l
                count = 2 * l + 1 if n_l > 1 else self.data.shape[1]
                self.invariant.expansion.kernels.gemm(
                    n_max, pad, count, &self.data[block, first, 0], 1, n_max,
                    env.D + first * pad, pad,
                    total + ((self.species[block] * n_l + l) * n_max) * pad, pad, 1,
                )
