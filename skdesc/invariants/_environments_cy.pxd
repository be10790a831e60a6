"""Environments of a batch, for use by loops over centers in other modules."""

from skdesc.density._expansion_cy cimport DensityExpansion, Environment
from skdesc.invariants._invariant_cy cimport Invariant


cdef class Neighborhoods:
    cdef readonly DensityExpansion expansion
    cdef readonly Invariant invariant
    cdef readonly Py_ssize_t n_centers, max_neighbors
    cdef const Py_ssize_t[::1] offsets, neighbor, species, centers
    cdef const double[:, ::1] displacement
    cdef const double[::1] distance
    cdef double[::1] doubles
    cdef Py_ssize_t[::1] integers
    cdef Py_ssize_t n_expansion, n_invariant
    cdef readonly bint derivatives

    cdef void expand(self, Environment *env, Py_ssize_t k) noexcept nogil
    cdef void bind(self, Environment *env, Py_ssize_t k) noexcept nogil
    cdef double *scratch(self) noexcept nogil
    cdef double *extra(self) noexcept nogil
    cdef void coefficients_of_center(self, Py_ssize_t k, double *out) noexcept nogil
    cdef void pull_back_center(self, Py_ssize_t k, const double *D,
                               double *out) noexcept nogil
    cdef void change_of_center(self, Py_ssize_t k, const double *moves,
                               Py_ssize_t n_blocks, const Py_ssize_t *species,
                               double *out) noexcept nogil
    cdef void linearize_center(self, Py_ssize_t k, double *c, double *H,
                               double *dc) noexcept nogil
    cdef void feature(self, Py_ssize_t k, double *row, bint cleared,
                      double *kept) noexcept nogil
    cdef void pair_gradient(self, Py_ssize_t k, const double *cotangent,
                            double *out, const double *kept) noexcept nogil
