"""What every invariant offers to the loops over environments."""


cdef class Invariant:
    """Base class: features of an environment from its density coefficients."""

    cdef Py_ssize_t n_doubles(self) noexcept nogil:
        """Doubles of scratch memory that one thread needs."""
        return 0

    cdef double forward(self, Environment *env, double *row, double *scratch) noexcept nogil:
        """Write the features; return their norm before normalization. May change env.c."""
        return 0.0

    cdef void adjoint(self, Environment *env, const double *row, const double *cotangent,
                      double norm, double *scratch) noexcept nogil:
        """Write env.D = dE/dc from dE/d(features); row and norm as forward gave them."""
        pass
