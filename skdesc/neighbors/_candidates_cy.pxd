"""Candidates for the neighbors of each atom, for use by the search among them."""

from skdesc.simd._simd_cy cimport skd_simd


cdef struct Grid:
    # Boxes that the candidates of one structure are sorted into; one box holds all of few.
    Py_ssize_t first, last          # its candidates
    double[3] low                   # corner, in angstrom
    double[3] per_angstrom          # boxes
    Py_ssize_t[3] size              # number of boxes
    Py_ssize_t *starts              # (n_boxes + 1,) first candidate of each; NULL: one box


cdef class Candidates:
    cdef readonly Py_ssize_t[::1] counts
    cdef readonly Py_ssize_t largest
    cdef readonly double total, cutoff, infinite
    cdef double[:, ::1] wrapped, fractional
    cdef double[:, :, ::1] bounds
    cdef const double[:, :, ::1] cells
    cdef const Py_ssize_t[::1] offsets, species
    cdef const skd_simd *simd
    cdef Py_ssize_t n_structures, n_species, n_points
    cdef double *points             # (3, n_points) candidates
    cdef Py_ssize_t *atoms          # (n_points,) whose images they are
    cdef Py_ssize_t *home           # (n_atoms,) the candidate that is the atom itself; -1
    cdef Grid *grids                # (n_structures,)

    cdef void free(self) noexcept
    cdef int fill(self, Py_ssize_t max_direct) noexcept nogil
    cdef int sort_into_boxes(self, Grid *grid) noexcept nogil
