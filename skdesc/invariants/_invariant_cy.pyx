"""What every invariant offers to the loops over environments.

All of it takes the coefficients of an environment in env.c, and may change them. With
`normalize`, features are divided by their Euclidean norm; those of an environment without any
density stay zero, and so do their derivatives.
"""


cdef class Invariant:
    """Base class: features of an environment from its density coefficients.

    Attributes
    ----------
    n_features : int
        Number of features.
    normalize : bool
        Whether rows have unit norm.
    columns : list of ndarray
        For each group of channels, the features that a change of its coefficients touches
        before normalization, ascending.
    vanishing : list of ndarray
        For each group of channels, the features that are zero where the group is absent.
    """

    cdef Py_ssize_t n_doubles(self) noexcept nogil:
        """Doubles of scratch memory that one thread needs."""
        return 0

    cdef void forward(self, Environment *env, double *row, bint cleared,
                      double *scratch) noexcept nogil:
        """Write the features; with `cleared`, row holds zeros already."""
        pass

    cdef void adjoint(self, Environment *env, const double *cotangent,
                      double *scratch) noexcept nogil:
        """Write env.D = dE/dc from dE/d(features)."""
        pass

    cdef void linearize(self, Environment *env, double *scratch) noexcept nogil:
        """Prepare derivatives at env.c, which `tangent` gives, and write env.D.

        The derivative of the normalized features p in the direction dc is
        ``tangent(dc) - (env.D . dc) p``, with dc as `tangent` leaves it: where features of unit
        norm would make every entry depend on every neighbor, the first term keeps its zeros.
        """
        pass

    cdef void tangent(self, Environment *env, Py_ssize_t q, double *dc, double *row,
                      bint compact, double *scratch) noexcept nogil:
        """Derivative in the direction dc, (n_lm, n_pad), of group q's coefficients.

        Written to a row of the columns of the group if compact, else added to a full row. dc is
        scaled as the coefficients are.
        """
        pass

    cdef void scale_tangent(self, Environment *env, double *dc) noexcept nogil:
        """Scale dc as the coefficients are scaled; what `tangent` begins with."""
        pass
