"""Features, and their derivatives by the mixing weights, from stored density coefficients.

Weights change from one step of learning to the next, coefficients do not. Of every center those
of the species present are stored, block by block. Where forces are learned, a change of the
coefficients goes with them: that of a displacement of all atoms, along which energies change as
the errors of the forces say.
"""

from libc.string cimport memset

import numpy as np

from skdesc.density._expansion_cy cimport Environment
from skdesc.invariants._tensor_reduced_cy cimport TensorReducedInvariant

cdef class PackedCoefficients:
    """Coefficients of many centers.

    Parameters
    ----------
    invariant : TensorReducedInvariant
        Made of an expansion that mixes species and radial functions.
    data : ndarray of shape (n_blocks, (l_max + 1)^2, n_max)
        Coefficients of one species around one center each.
    species : ndarray of shape (n_blocks,)
        Species index of each block.
    offsets : ndarray of shape (n_centers + 1,)
        Center i owns the blocks offsets[i] to offsets[i + 1].
    """

    cdef readonly TensorReducedInvariant invariant
    cdef const double[:, :, ::1] data
    cdef readonly const Py_ssize_t[::1] species, offsets
    cdef readonly Py_ssize_t n_centers
    cdef Py_ssize_t size
    cdef readonly Py_ssize_t n_doubles

    def __init__(self, TensorReducedInvariant invariant, data, species, offsets):
        self.invariant = invariant
        self.data, self.species, self.offsets = data, species, offsets
        self.n_centers = self.offsets.shape[0] - 1
        self.size = invariant.expansion.n_lm * invariant.expansion.n_pad
        # coefficients, derivatives, their changes
        self.n_doubles = 4 * self.size + max(
            invariant.n_doubles(), invariant.n_doubles_of_change())

    cdef double *bind(self, Environment *env, double *scratch,
                      Py_ssize_t *present) noexcept nogil:
        """Lay out an environment of mixed coefficients; returns scratch memory of the invariant."""
        env.c = scratch
        env.D = env.c + self.size
        env.ld = self.invariant.expansion.n_pad
        env.n_present = 1
        present[0] = 0
        env.present = present
        return env.c + 4 * self.size

    cdef void mix(self, Py_ssize_t k, const double[:, :, ::1] data,
                  const double[:, :, :, ::1] weights, double *mixed) noexcept nogil:
        """Mix the coefficients of center k, or what is laid out like them."""
        cdef Py_ssize_t block, l, count, first
        cdef Py_ssize_t n_l = weights.shape[1], n_max = data.shape[2], pad = weights.shape[3]
        if self.offsets[k + 1] == self.offsets[k]:
            memset(mixed, 0, self.size * sizeof(double))
        for block in range(self.offsets[k], self.offsets[k + 1]):
            for l in range(n_l):
                first = l * l
                count = 2 * l + 1 if n_l > 1 else data.shape[1]
                self.invariant.expansion.simd.gemm(
                    count, pad, n_max, &data[block, first, 0], n_max, 1,
                    &weights[self.species[block], l, 0, 0], pad, mixed + first * pad, pad,
                    block > self.offsets[k],
                )

    cdef void unmix(self, Py_ssize_t k, const double[:, :, ::1] data, const double *D,
                    const double[:, :, :, ::1] weights, double *total) noexcept nogil:
        """Adjoint of `mix`: add the derivatives by the weights to those of all centers."""
        cdef Py_ssize_t block, l, count, first
        cdef Py_ssize_t n_l = weights.shape[1], n_max = data.shape[2], pad = weights.shape[3]
        for block in range(self.offsets[k], self.offsets[k + 1]):
            for l in range(n_l):
                first = l * l
                count = 2 * l + 1 if n_l > 1 else data.shape[1]
                self.invariant.expansion.simd.gemm(
                    n_max, pad, count, &data[block, first, 0], 1, n_max, D + first * pad, pad,
                    total + ((self.species[block] * n_l + l) * n_max) * pad, pad, 1,
                )

    def features(self, const double[:, :, :, ::1] weights, double[:, ::1] out,
                 Py_ssize_t first, Py_ssize_t last):
        """Write the features of some centers.

        Parameters
        ----------
        weights : ndarray of shape (n_species, l_max + 1 or 1, n_max, n_columns)
            As the mixed expansion takes them.
        out : ndarray of shape (n_centers, n_features)
            The features.
        first, last : int
            The centers.
        """
        cdef Py_ssize_t k
        cdef double[::1] scratch = np.empty(self.n_doubles)
        with nogil:
            for k in range(first, last):
                self.feature(k, &scratch[0], weights, &out[k, 0])

    cdef void feature(self, Py_ssize_t k, double *doubles, const double[:, :, :, ::1] weights,
                      double *row) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t present
        cdef double *scratch = self.bind(&env, doubles, &present)
        self.mix(k, self.data, weights, env.c)
        self.invariant.forward(&env, row, False, scratch)

    def weight_gradient(self, const double[:, :, :, ::1] weights, const double[::1] cotangent,
                        const double[::1] factors, change, moved, Py_ssize_t first,
                        Py_ssize_t last):
        """Derivative by the weights of a sum over centers of energies and their changes.

        The energy of a center is ``features @ cotangent``. What is differentiated is the sum of
        ``factors`` times energies, and, with `change`, of the changes of the energies.

        Parameters
        ----------
        weights : ndarray of shape (n_species, l_max + 1 or 1, n_max, n_columns)
            As for `features`.
        cotangent : ndarray of shape (n_features,)
            dE/d(features), the same for all centers.
        factors : ndarray of shape (n_centers,)
            Factor of each center.
        change : ndarray of shape (n_blocks, (l_max + 1)^2, n_max) or None
            Change of the coefficients.
        moved : ndarray of bool of shape (n_centers,) or None
            Centers whose coefficients change.
        first, last : int
            The centers.

        Returns
        -------
        ndarray
            The derivative, of the shape of the weights.
        """
        cdef Py_ssize_t k
        cdef double[::1] scratch = np.empty(self.n_doubles)
        result = np.zeros_like(weights)
        cdef double[:, :, :, ::1] total = result
        cdef const double[:, :, ::1] changes = self.data if change is None else change
        cdef const unsigned char[::1] changing = (
            np.zeros(self.n_centers, dtype=np.uint8) if moved is None else moved.view(np.uint8))
        with nogil:
            for k in range(first, last):
                if changing[k]:
                    self.add_gradient_of_change(k, &scratch[0], weights, &cotangent[0],
                                                factors[k], changes, &total[0, 0, 0, 0])
                elif factors[k] != 0.0:
                    self.add_gradient(k, &scratch[0], weights, &cotangent[0], factors[k],
                                      &total[0, 0, 0, 0])
        return result

    cdef void add_gradient(self, Py_ssize_t k, double *doubles,
                           const double[:, :, :, ::1] weights, const double *cotangent,
                           double factor, double *total) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t present
        cdef double *scratch = self.bind(&env, doubles, &present)
        self.mix(k, self.data, weights, env.c)
        self.invariant.adjoint(&env, cotangent, scratch)
        self.invariant.expansion.simd.scale(self.size, factor, env.D)
        self.unmix(k, self.data, env.D, weights, total)

    cdef void add_gradient_of_change(
        self, Py_ssize_t k, double *doubles, const double[:, :, :, ::1] weights,
        const double *cotangent, double factor, const double[:, :, ::1] change, double *total,
    ) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t present, i
        cdef double *scratch = self.bind(&env, doubles, &present)
        cdef double *dc = env.D + self.size
        cdef double *dD = dc + self.size
        self.mix(k, self.data, weights, env.c)
        self.mix(k, change, weights, dc)
        self.invariant.adjoint_change(&env, cotangent, dc, dD, scratch)
        # d(features @ cotangent)/dc is env.D: the change's own derivative is that by dc, and
        # that by c is the change of env.D
        self.unmix(k, change, env.D, weights, total)
        for i in range(self.size):
            dD[i] += factor * env.D[i]
        self.unmix(k, self.data, dD, weights, total)
