"""What every invariant offers to the loops over environments."""

from skdesc.density._expansion_cy cimport Environment


cdef class Invariant:
    cdef readonly Py_ssize_t n_features
    cdef readonly bint normalize

    cdef Py_ssize_t n_doubles(self) noexcept nogil
    cdef double forward(self, Environment *env, double *row, double *scratch) noexcept nogil
    cdef void adjoint(self, Environment *env, const double *row, const double *cotangent,
                      double norm, double *scratch) noexcept nogil
