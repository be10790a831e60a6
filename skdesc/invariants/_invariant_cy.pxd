"""What every invariant offers to the loops over environments."""

from skdesc.density._expansion_cy cimport DensityExpansion, Environment


cdef class Invariant:
    cdef readonly DensityExpansion expansion
    cdef readonly Py_ssize_t n_features
    cdef readonly bint normalize
    cdef public list columns, vanishing
    cdef Py_ssize_t[::1] n_touched

    cdef Py_ssize_t n_doubles(self) noexcept nogil
    cdef void forward(self, Environment *env, double *row, bint cleared,
                      double *scratch) noexcept nogil
    cdef void adjoint(self, Environment *env, const double *cotangent,
                      double *scratch) noexcept nogil
    cdef void linearize(self, Environment *env, double *scratch) noexcept nogil
    cdef void tangent(self, Environment *env, Py_ssize_t q, double *dc, double *row,
                      bint compact, double *scratch) noexcept nogil
    cdef void scale_tangent(self, Environment *env, double *dc) noexcept nogil
