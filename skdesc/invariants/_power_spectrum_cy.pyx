"""The SOAP power spectrum of one environment, and its adjoint.

p[(s n) (s' n') l] = pi sqrt(8 / (2 l + 1)) sum_m c[l m, s, n] c[l m, s', n'] for pairs of
channels (s n) <= (s' n'), those of unequal channels times sqrt 2, so that the scalar product of
two packed spectra is that of the full ones. Coefficients are scaled by 2^(1/4) beforehand, which
gives that factor to every product at once; the few equal pairs are mended.

Features are ordered by species pair, then l, then (n, n').
"""

from libc.math cimport pi, sqrt
from libc.string cimport memcpy, memset

import numpy as np

from skdesc.density._expansion_cy cimport DensityExpansion, Environment
from skdesc.invariants._invariant_cy cimport Invariant


cdef class PowerSpectrumKernel(Invariant):
    """Power spectrum over listed pairs of species.

    Parameters
    ----------
    expansion : DensityExpansion
        Where the coefficients come from.
    normalize : bool
        Divide each spectrum by its Euclidean norm; a spectrum of zeros stays zero.
    """

    cdef DensityExpansion expansion
    cdef Py_ssize_t[:, ::1] first     # (n_species, n_species), first feature of a pair
    cdef double[::1] factor           # (l_max + 1,), scale of the coefficients

    def __init__(self, DensityExpansion expansion, normalize):
        cdef Py_ssize_t a, b, where = 0
        cdef Py_ssize_t n = expansion.n_max, s = expansion.n_species
        self.expansion = expansion
        self.normalize = normalize
        self.first = np.zeros((s, s), dtype=np.intp)
        for a in range(s):
            for b in range(a, s):
                self.first[a, b] = where
                where += (expansion.l_max + 1) * (n * (n + 1) // 2 if a == b else n * n)
        self.n_features = where
        degree = 2 * np.arange(expansion.l_max + 1) + 1
        self.factor = np.sqrt(np.sqrt(2.0) * pi * np.sqrt(8 / degree))

    cdef Py_ssize_t n_doubles(self) noexcept nogil:
        return (self.n_features + 2 * self.expansion.n_pad * self.expansion.n_pad
                + self.expansion.n_species + 16)

    cdef void scale(self, Environment *env, double *coefficients) noexcept nogil:
        cdef Py_ssize_t l, ld = env.n_present * self.expansion.n_pad
        for l in range(self.expansion.l_max + 1):
            self.expansion.kernels.scale((2 * l + 1) * ld, self.factor[l],
                                         coefficients + l * l * ld)

    cdef double forward(self, Environment *env, double *row, double *scratch) noexcept nogil:
        cdef Py_ssize_t a, b, qa = 0, qb
        cdef Py_ssize_t n_species = self.expansion.n_species
        cdef double squared, norm
        self.scale(env, env.c)
        for a in range(n_species):
            if qa == env.n_present or env.present[qa] != a:
                memset(row + self.first[a, a], 0, self.row_length(a) * sizeof(double))
                continue
            self.diagonal_block(env, qa, row + self.first[a, a], scratch)
            qb = qa + 1
            for b in range(a + 1, n_species):
                if qb == env.n_present or env.present[qb] != b:
                    memset(row + self.first[a, b], 0, self.expansion.n_max
                           * self.expansion.n_max * (self.expansion.l_max + 1) * sizeof(double))
                    continue
                self.block(env, qa, qb, row + self.first[a, b], scratch)
                qb += 1
            qa += 1
        squared = self.expansion.kernels.dot(self.n_features, row, row)
        norm = sqrt(squared)
        if self.normalize and norm > 0.0:
            self.expansion.kernels.scale(self.n_features, 1.0 / norm, row)
        return norm

    cdef Py_ssize_t row_length(self, Py_ssize_t a) noexcept nogil:
        """Number of features whose first species is a."""
        if a + 1 < self.expansion.n_species:
            return self.first[a + 1, a + 1] - self.first[a, a]
        return self.n_features - self.first[a, a]

    cdef void product(self, Environment *env, Py_ssize_t qa, Py_ssize_t qb, Py_ssize_t l,
                      double *tile, Py_ssize_t ld_tile) noexcept nogil:
        """tile[n, n'] = sum_m c[l m, qa, n] c[l m, qb, n']"""
        cdef Py_ssize_t pad = self.expansion.n_pad, ld = env.n_present * self.expansion.n_pad
        cdef double *c = env.c + l * l * ld
        self.expansion.kernels.gemm(self.expansion.n_max, pad, 2 * l + 1, c + qa * pad, 1, ld,
                                    c + qb * pad, ld, tile, ld_tile, 0)

    cdef void block(self, Environment *env, Py_ssize_t qa, Py_ssize_t qb, double *out,
                    double *tile) noexcept nogil:
        cdef Py_ssize_t l, n, n_max = self.expansion.n_max, pad = self.expansion.n_pad
        for l in range(self.expansion.l_max + 1):
            if n_max == pad:
                self.product(env, qa, qb, l, out, n_max)
            else:
                self.product(env, qa, qb, l, tile, pad)
                for n in range(n_max):
                    memcpy(out + n * n_max, tile + n * pad, n_max * sizeof(double))
            out += n_max * n_max

    cdef void diagonal_block(self, Environment *env, Py_ssize_t q, double *out,
                             double *tile) noexcept nogil:
        cdef Py_ssize_t l, n, n_max = self.expansion.n_max, pad = self.expansion.n_pad
        for l in range(self.expansion.l_max + 1):
            self.product(env, q, q, l, tile, pad)
            for n in range(n_max):
                memcpy(out, tile + n * pad + n, (n_max - n) * sizeof(double))
                out[0] *= sqrt(0.5)
                out += n_max - n

    cdef void adjoint(self, Environment *env, const double *row, const double *cotangent,
                      double norm, double *scratch) noexcept nogil:
        cdef Py_ssize_t k, qa, qb, a, b
        cdef double *w = scratch
        cdef double *tile = scratch + self.n_features
        cdef double along, inverse
        cdef Py_ssize_t ld = env.n_present * self.expansion.n_pad
        memset(env.D, 0, self.expansion.n_lm * ld * sizeof(double))
        if self.normalize:
            if norm == 0.0:
                return
            along = self.expansion.kernels.dot(self.n_features, row, cotangent)
            inverse = 1.0 / norm
            for k in range(self.n_features):
                w[k] = (cotangent[k] - along * row[k]) * inverse
            cotangent = w
        self.scale(env, env.c)
        for qa in range(env.n_present):
            a = env.present[qa]
            self.diagonal_adjoint(env, qa, cotangent + self.first[a, a], tile)
            for qb in range(qa + 1, env.n_present):
                b = env.present[qb]
                self.block_adjoint(env, qa, qb, cotangent + self.first[a, b], tile)
        self.scale(env, env.D)

    cdef void contract(self, Environment *env, Py_ssize_t q_from, Py_ssize_t q_to, Py_ssize_t l,
                       const double *tile, Py_ssize_t ld_tile) noexcept nogil:
        """D[l m, q_to, n'] += sum_n c[l m, q_from, n] tile[n, n']"""
        cdef Py_ssize_t pad = self.expansion.n_pad, ld = env.n_present * self.expansion.n_pad
        self.expansion.kernels.gemm(2 * l + 1, pad, self.expansion.n_max,
                                    env.c + l * l * ld + q_from * pad, ld, 1, tile, ld_tile,
                                    env.D + l * l * ld + q_to * pad, ld, 1)

    cdef void block_adjoint(self, Environment *env, Py_ssize_t qa, Py_ssize_t qb,
                            const double *w, double *tile) noexcept nogil:
        cdef Py_ssize_t l, n, k, n_max = self.expansion.n_max, pad = self.expansion.n_pad
        cdef double *turned = tile + pad * pad
        memset(tile, 0, 2 * pad * pad * sizeof(double))
        for l in range(self.expansion.l_max + 1):
            for n in range(n_max):
                for k in range(n_max):
                    turned[k * pad + n] = w[n * n_max + k]
            if n_max == pad:
                self.contract(env, qa, qb, l, w, pad)
            else:
                for n in range(n_max):
                    memcpy(tile + n * pad, w + n * n_max, n_max * sizeof(double))
                self.contract(env, qa, qb, l, tile, pad)
            self.contract(env, qb, qa, l, turned, pad)
            w += n_max * n_max

    cdef void diagonal_adjoint(self, Environment *env, Py_ssize_t q, const double *w,
                               double *tile) noexcept nogil:
        cdef Py_ssize_t l, n, k, n_max = self.expansion.n_max, pad = self.expansion.n_pad
        memset(tile, 0, pad * pad * sizeof(double))
        for l in range(self.expansion.l_max + 1):
            for n in range(n_max):
                tile[n * pad + n] = sqrt(2.0) * w[0]
                for k in range(n + 1, n_max):
                    tile[n * pad + k] = tile[k * pad + n] = w[k - n]
                w += n_max - n
            self.contract(env, q, q, l, tile, pad)
