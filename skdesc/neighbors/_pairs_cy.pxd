"""Neighbor search, for use by loops over centers that never leave compiled code."""

from skdesc.simd._simd_cy cimport skd_simd


cdef struct Grid:
    # Boxes that the candidates of one structure are sorted into; one box holds all of few.
    Py_ssize_t first, last          # its candidates
    double[3] low                   # corner, in angstrom
    double[3] per_angstrom          # boxes
    Py_ssize_t[3] size              # number of boxes
    Py_ssize_t *starts              # (n_boxes + 1,) first candidate of each; NULL: one box


cdef struct Notes:
    # Candidates found for several centers, one after the other, and room for one search.
    int *found
    int *scratch
    Py_ssize_t *counts              # (n_species + 1,)
    Py_ssize_t n_found, room, scratch_room


cdef void free_notes(Notes *notes) noexcept nogil


cdef class NeighborSearch:
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
    cdef int check(self, const Py_ssize_t[::1] centers) except -1
    cdef copy_into(self, const Py_ssize_t[::1] centers, const Py_ssize_t[::1] offsets,
                   const Notes *notes, Py_ssize_t[::1] neighbor, double[:, ::1] displacement,
                   double[::1] distance, double *closest)
    cdef int fill(self, Py_ssize_t max_direct) noexcept nogil
    cdef int sort_into_boxes(self, Grid *grid) noexcept nogil
    cdef Py_ssize_t note(self, const Py_ssize_t *centers, Py_ssize_t n_centers,
                         Py_ssize_t *offsets, Notes *notes) noexcept nogil
    cdef Py_ssize_t note_center(self, const Grid *grid, Py_ssize_t atom,
                                Notes *notes) noexcept nogil
    cdef Py_ssize_t scan(self, Py_ssize_t start, Py_ssize_t stop, const double *center,
                         Py_ssize_t where, Notes *notes) noexcept nogil
    cdef double copy(self, const Py_ssize_t *centers, Py_ssize_t n_centers,
                     const Py_ssize_t *offsets, const Notes *notes, Py_ssize_t *neighbor,
                     double *displacement, double *distance) noexcept nogil
