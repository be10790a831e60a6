"""Invariants of given density coefficients, such as averages over centers, and their adjoints."""

from libc.string cimport memset

import numpy as np

from skdesc.density._expansion_cy cimport DensityExpansion, Environment
from skdesc.invariants._invariant_cy cimport Invariant


cdef class _Scratch:
    """An environment without neighbors, in which every group of channels is present."""

    cdef Environment env
    cdef DensityExpansion expansion
    cdef double[::1] doubles
    cdef Py_ssize_t[::1] integers
    cdef double *of_invariant

    def __init__(self, DensityExpansion expansion, Invariant invariant):
        cdef Py_ssize_t q
        cdef Py_ssize_t n = expansion.n_doubles(0, True)
        self.expansion = expansion
        self.doubles = np.zeros(n + invariant.n_doubles() + 16)
        self.integers = np.zeros(expansion.n_integers() + 16, dtype=np.intp)
        expansion.bind(&self.env, 0, True, &self.doubles[0], &self.integers[0])
        self.of_invariant = &self.doubles[n]
        self.env.n_neighbors = 0
        self.env.center_species = -1
        self.env.n_present = expansion.n_groups
        self.env.ld = (expansion.n_groups + expansion.n_spare) * expansion.n_pad
        for q in range(expansion.n_groups):
            self.env.present[q] = q
            self.env.run[q] = 0
        self.env.run[expansion.n_groups] = 0

    cdef void load(self, const double *c) noexcept nogil:
        """Take coefficients (n_lm, n_groups, n_max)."""
        cdef Py_ssize_t lm, q, n, n_max = self.expansion.n_max
        memset(self.env.c, 0, self.expansion.n_lm * self.env.ld * sizeof(double))
        for lm in range(self.expansion.n_lm):
            for q in range(self.expansion.n_groups):
                for n in range(n_max):
                    self.env.c[lm * self.env.ld + q * self.expansion.n_pad + n] = c[0]
                    c += 1


def features(DensityExpansion expansion, Invariant invariant,
             const double[:, :, :, ::1] coefficients, double[:, ::1] out):
    """Write the invariants of coefficients (n_rows, n_lm, n_groups, n_max) to (n_rows, features).
    """
    cdef _Scratch scratch = _Scratch(expansion, invariant)
    cdef Py_ssize_t k
    with nogil:
        for k in range(coefficients.shape[0]):
            scratch.load(&coefficients[k, 0, 0, 0])
            invariant.forward(&scratch.env, &out[k, 0], False, scratch.of_invariant)


def adjoint(DensityExpansion expansion, Invariant invariant,
            const double[:, :, :, ::1] coefficients, const double[:, ::1] cotangents,
            double[:, :, :, ::1] out):
    """Write dE/d(coefficients) from dE/d(features), both laid out as for `features`."""
    cdef _Scratch scratch = _Scratch(expansion, invariant)
    cdef Py_ssize_t k, lm, q, n
    with nogil:
        for k in range(coefficients.shape[0]):
            scratch.load(&coefficients[k, 0, 0, 0])
            invariant.adjoint(&scratch.env, &cotangents[k, 0], scratch.of_invariant)
            for lm in range(expansion.n_lm):
                for q in range(expansion.n_groups):
                    for n in range(expansion.n_max):
                        out[k, lm, q, n] = scratch.env.D[
                            lm * scratch.env.ld + q * expansion.n_pad + n]
