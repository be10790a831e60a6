"""What learning of mixing weights uses of the tensor-reduced invariants."""

from skdesc.density._expansion_cy cimport Environment
from skdesc.invariants._invariant_cy cimport Invariant
from skdesc.simd._simd_cy cimport skd_simd


cdef class ProductTable:
    cdef Py_ssize_t n_out
    cdef const int[::1] start, a, b
    cdef const double[::1] w

    cdef void apply(self, const skd_simd *simd, const double *x, const double *y,
                    double *out, bint accumulate) noexcept nogil


cdef class TensorReducedInvariant(Invariant):
    cdef Py_ssize_t n_channels, n_pad, n_blocks, n_terms, n_inner, n_lm
    cdef Py_ssize_t n_coefficients, n_pairs, n_rows
    cdef ProductTable pairs, features, pairs_reverse, features_reverse, pairs_tangent
    cdef ProductTable features_tangent

    cdef Py_ssize_t n_doubles_of_change(self) noexcept nogil
    cdef void adjoint_change(self, Environment *env, const double *cotangent, const double *dc,
                             double *dD, double *scratch) noexcept nogil
    cdef void gather(self, Environment *env, Py_ssize_t block, const double *c, Py_ssize_t ld,
                     Py_ssize_t first, Py_ssize_t count, double *rows) noexcept nogil
    cdef void scatter(self, Environment *env, Py_ssize_t block, const double *rows,
                      double *D) noexcept nogil
    cdef void write(self, Py_ssize_t block, const double *out, double *row,
                    bint accumulate) noexcept nogil
    cdef void read(self, Py_ssize_t block, const double *row, double *out) noexcept nogil
    cdef void evaluate(self, Environment *env, double *rows, Py_ssize_t step, double *out,
                       double *row) noexcept nogil
    cdef void pull(self, Environment *env, const double *cotangent, const double *rows,
                   double *derivatives, double *out) noexcept nogil
    cdef void push(self, const double *own, double *change, double *out) noexcept nogil
    cdef void of_unnormalized(self, const double *cotangent, double *row, double *drow, double *w,
                              double *dw) noexcept nogil
