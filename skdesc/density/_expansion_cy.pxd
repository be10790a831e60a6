"""Density expansion of one center at a time, for use by the invariants."""

from skdesc.utils._kernels cimport skd_kernels


cdef struct Environment:
    # One center: its neighbors grouped by species, and the coefficients made of them.
    # All arrays but the first three belong to the scratch memory of a thread.
    Py_ssize_t n_neighbors
    const double *displacement      # (n_neighbors, 3)
    const double *distance          # (n_neighbors,)
    Py_ssize_t n_present            # species present, in ascending order
    Py_ssize_t *present             # (n_species,) their indices
    Py_ssize_t *run                 # (n_species + 1,) their first neighbors
    double *Y                       # ((l_max + 1)^2, ld_Y)
    Py_ssize_t ld_Y
    double *R                       # (n_neighbors, width)
    double *dR                      # the same
    double *c                       # ((l_max + 1)^2, n_present, n_pad): the coefficients
    double *D                       # the same: derivatives of a scalar by the coefficients


cdef class DensityExpansion:
    cdef readonly Py_ssize_t n_max, n_pad, l_max, n_lm, n_species, width
    cdef readonly double center_weight
    cdef const skd_kernels *kernels
    cdef const double[:, :, ::1] table
    cdef double[::1] norms, center
    cdef double[4] part_start, part_scale
    cdef Py_ssize_t[4] part_count, part_first
    cdef int n_parts

    cdef Py_ssize_t n_doubles(self, Py_ssize_t max_neighbors, bint derivatives) noexcept nogil
    cdef void bind(self, Environment *env, Py_ssize_t max_neighbors, bint derivatives,
                   double *doubles, Py_ssize_t *integers) noexcept nogil
    cdef void expand(self, Environment *env, Py_ssize_t first, const Py_ssize_t *neighbor,
                     Py_ssize_t n_neighbors, const double[:, ::1] displacement,
                     const double[::1] distance, const Py_ssize_t *species,
                     Py_ssize_t center_species, bint derivatives) noexcept nogil
    cdef void load_block(self, Environment *env, Py_ssize_t start, double *xyz) noexcept nogil
    cdef void pull_back(self, Environment *env, double *gradient) noexcept nogil
