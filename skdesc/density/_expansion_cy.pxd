"""Density expansion of one center at a time, for use by the invariants."""

from skdesc.simd._simd_cy cimport skd_simd


cdef struct Environment:
    # One center: its neighbors grouped by species, and the coefficients made of them.
    Py_ssize_t n_neighbors
    const double *displacement      # (n_neighbors, 3)
    const double *distance          # (n_neighbors,)
    const Py_ssize_t *neighbor      # (n_neighbors,) atoms
    const Py_ssize_t *species       # (n_atoms,) species index of every atom
    Py_ssize_t center_species       # -1: unknown, no density of its own
    # What follows belongs to the scratch memory of a thread.
    Py_ssize_t n_present            # groups present, in ascending order
    Py_ssize_t *present             # (n_groups,) their indices
    Py_ssize_t *run                 # (n_groups + 1,) their first neighbors
    Py_ssize_t ld                   # row length of c and D, at least (n_present + n_spare) n_pad
    double *Y                       # ((l_max + 1)^2, ld_Y)
    Py_ssize_t ld_Y
    double *R                       # (n_neighbors, width)
    double *dR                      # the same
    double *c                       # ((l_max + 1)^2, ld): coefficients (n_present + n_spare, n_pad)
    double *D                       # the same: derivatives of a scalar by the coefficients
    double scale                    # for use by the invariant


cdef class DensityExpansion:
    cdef readonly Py_ssize_t n_max, n_pad, l_max, n_lm, n_species, n_groups, width
    cdef readonly double center_weight
    cdef public Py_ssize_t n_spare
    cdef const skd_simd *simd
    cdef const double[:, :, ::1] table
    cdef double[::1] norms, center
    cdef double[4] part_start, part_scale
    cdef Py_ssize_t[4] part_count, part_first
    cdef int n_parts

    cdef Py_ssize_t n_doubles(self, Py_ssize_t max_neighbors, bint derivatives) noexcept nogil
    cdef Py_ssize_t longest_row(self) noexcept nogil
    cdef Py_ssize_t n_integers(self) noexcept nogil
    cdef void bind(self, Environment *env, Py_ssize_t max_neighbors, bint derivatives,
                   double *doubles, Py_ssize_t *integers) noexcept nogil
    cdef void expand(self, Environment *env, bint derivatives) noexcept nogil
    cdef void arrange(self, Environment *env) noexcept nogil
    cdef void group(self, Environment *env) noexcept nogil
    cdef void evaluate_radial(self, Environment *env, bint derivatives) noexcept nogil
    cdef void evaluate_spline(self, double distance, double *value,
                              double *derivative) noexcept nogil
    cdef void add_center(self, Environment *env) noexcept nogil
    cdef void load_block(self, Environment *env, Py_ssize_t start, double *xyz) noexcept nogil
    cdef void harmonics_of_block(self, Environment *env, Py_ssize_t start,
                                 double *xyz) noexcept nogil
    cdef void pull_back(self, Environment *env, double *gradient) noexcept nogil
    cdef void differentiate(self, Environment *env, Py_ssize_t j, const double *xyz,
                            double *out) noexcept nogil
