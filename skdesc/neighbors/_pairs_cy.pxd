"""Neighbor search, for use by loops over centers that never leave compiled code."""

from skdesc.neighbors._candidates_cy cimport Candidates, Grid


cdef struct Notes:
    # Candidates found for several centers, one after the other, and room for one search.
    int *found
    int *scratch
    Py_ssize_t *counts              # (n_species + 1,)
    Py_ssize_t n_found, room, scratch_room


cdef void free_notes(Notes *notes) noexcept nogil


cdef class NeighborSearch(Candidates):
    cdef int check(self, const Py_ssize_t[::1] centers) except -1
    cdef copy_into(self, const Py_ssize_t[::1] centers, const Py_ssize_t[::1] offsets,
                   const Notes *notes, Py_ssize_t[::1] neighbor, double[:, ::1] displacement,
                   double[::1] distance, double *closest)
    cdef Py_ssize_t note(self, const Py_ssize_t *centers, Py_ssize_t n_centers,
                         Py_ssize_t *offsets, Notes *notes) noexcept nogil
    cdef Py_ssize_t note_center(self, const Grid *grid, Py_ssize_t atom,
                                Notes *notes) noexcept nogil
    cdef Py_ssize_t scan(self, Py_ssize_t start, Py_ssize_t stop, const double *center,
                         Py_ssize_t where, Notes *notes) noexcept nogil
    cdef double copy(self, const Py_ssize_t *centers, Py_ssize_t n_centers,
                     const Py_ssize_t *offsets, const Notes *notes, Py_ssize_t *neighbor,
                     double *displacement, double *distance) noexcept nogil
