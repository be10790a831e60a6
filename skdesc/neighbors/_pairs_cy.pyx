"""Neighbor search among the atoms and periodic images around each structure.

A structure is prepared once and then searched for some of its centers at a time, by any number of
threads. Neighbors of a center come grouped by species.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.math cimport sqrt
from libc.string cimport memset

import numpy as np

from skdesc.neighbors._candidates_cy cimport Candidates, Grid

cdef double INFINITE = float("inf")


cdef void free_notes(Notes *notes) noexcept nogil:
    PyMem_RawFree(notes.found)
    PyMem_RawFree(notes.scratch)
    PyMem_RawFree(notes.counts)
    notes.found = notes.scratch = NULL
    notes.counts = NULL


cdef int _grow(int **memory, Py_ssize_t *room, Py_ssize_t needed) noexcept nogil:
    """Make room for so many integers; whether that has failed."""
    cdef int *larger
    if needed <= room[0]:
        return 0
    needed += needed // 2
    larger = <int *>PyMem_RawRealloc(memory[0], needed * sizeof(int))
    if larger == NULL:
        return 1
    memory[0], room[0] = larger, needed
    return 0


cdef class NeighborSearch(Candidates):
    """Neighbors of atoms, found among the candidates of their structures."""

    cdef int check(self, const Py_ssize_t[::1] centers) except -1:
        """Refuse centers that are no atoms or do not ascend, and a search that is not prepared."""
        cdef Py_ssize_t k
        if self.grids == NULL:
            raise ValueError("the search is not prepared")
        for k in range(centers.shape[0]):
            if not (0 <= centers[k] < self.wrapped.shape[0]
                    and (k == 0 or centers[k - 1] <= centers[k])):
                raise ValueError("centers must ascend and be atoms")
        return 0

    def search(self, const Py_ssize_t[::1] centers):
        """Find the neighbors of some centers; `prepare` comes first.

        Parameters
        ----------
        centers : ndarray of shape (n_centers,)
            Atoms, ascending.

        Returns
        -------
        offsets, neighbor, displacement, distance : ndarray
            See `Pairs`.
        closest : float
            The shortest distance; infinite where there are no pairs.
        """
        cdef Py_ssize_t n_centers = centers.shape[0], total
        cdef double closest = INFINITE
        cdef Notes notes
        self.check(centers)
        memset(&notes, 0, sizeof(Notes))
        offsets_array = np.zeros(n_centers + 1, dtype=np.intp)
        cdef Py_ssize_t[::1] offsets = offsets_array
        try:
            with nogil:
                total = self.note(&centers[0] if n_centers else NULL, n_centers, &offsets[0],
                                  &notes)
            if total < 0:
                raise MemoryError(f"no memory for the neighbors of {n_centers} atoms")
            neighbor_array = np.empty(total, dtype=np.intp)
            displacement_array = np.empty((total, 3))
            distance_array = np.empty(total)
            if total:
                self.copy_into(centers, offsets, &notes, neighbor_array, displacement_array,
                               distance_array, &closest)
        finally:
            free_notes(&notes)
        return offsets_array, neighbor_array, displacement_array, distance_array, closest

    cdef copy_into(self, const Py_ssize_t[::1] centers, const Py_ssize_t[::1] offsets,
                   const Notes *notes, Py_ssize_t[::1] neighbor, double[:, ::1] displacement,
                   double[::1] distance, double *closest):
        with nogil:
            closest[0] = self.copy(&centers[0], centers.shape[0], &offsets[0], notes,
                                   &neighbor[0], &displacement[0, 0], &distance[0])

    cdef Py_ssize_t note(self, const Py_ssize_t *centers, Py_ssize_t n_centers,
                         Py_ssize_t *offsets, Notes *notes) noexcept nogil:
        """Note the neighbors of centers; their number, or -1 where memory has failed."""
        cdef Py_ssize_t s = 0, k, count, low, high
        notes.n_found = 0
        offsets[0] = 0
        if n_centers == 0:
            return 0
        if notes.counts == NULL:
            notes.counts = <Py_ssize_t *>PyMem_RawMalloc(
                (self.n_species + 1) * sizeof(Py_ssize_t))
            if notes.counts == NULL:
                return -1
        # the structure of the first center, by bisection
        low, high = 0, self.n_structures
        while high - low > 1:
            s = (low + high) // 2
            if self.offsets[s] <= centers[0]:
                low = s
            else:
                high = s
        s = low
        for k in range(n_centers):
            while self.offsets[s + 1] <= centers[k]:
                s += 1
            count = self.note_center(&self.grids[s], centers[k], notes)
            if count < 0:
                return -1
            offsets[k + 1] = offsets[k] + count
        return notes.n_found

    cdef Py_ssize_t note_center(self, const Grid *grid, Py_ssize_t atom,
                                Notes *notes) noexcept nogil:
        """Append the neighbors of an atom to the notes; how many, or -1."""
        cdef const double *center = &self.wrapped[atom, 0]
        # a little more than the cutoff, so that rounding loses no neighbor
        cdef double limit = self.cutoff * self.cutoff * (1 + 1e-6), dx, dy, half
        cdef double edge_x, edge_y
        cdef double[3] t
        cdef double[3] reach
        cdef Py_ssize_t a, b, row, low, high, count = 0, k, kept, kind
        cdef int axis
        cdef int *target
        if grid.starts == NULL:
            count = self.scan(grid.first, grid.last, center, 0, notes)
        else:
            for axis in range(3):
                t[axis] = (center[axis] - grid.low[axis]) * grid.per_angstrom[axis]
                reach[axis] = self.cutoff * grid.per_angstrom[axis] * (1 + 1e-6) + 1e-6
            edge_x, edge_y = 1.0 / grid.per_angstrom[0], 1.0 / grid.per_angstrom[1]
            for a in range(_box(grid, 0, t[0] - reach[0]), _box(grid, 0, t[0] + reach[0]) + 1):
                dx = max(max(a - t[0], t[0] - a - 1), 0.0) * edge_x
                for b in range(_box(grid, 1, t[1] - reach[1]), _box(grid, 1, t[1] + reach[1]) + 1):
                    dy = max(max(b - t[1], t[1] - b - 1), 0.0) * edge_y
                    half = limit - dx * dx - dy * dy
                    if half < 0:
                        continue
                    half = sqrt(half) * grid.per_angstrom[2]
                    row = (a * grid.size[1] + b) * grid.size[2]
                    low, high = _box(grid, 2, t[2] - half), _box(grid, 2, t[2] + half)
                    count = self.scan(grid.starts[row + low], grid.starts[row + high + 1], center,
                                      count, notes)
                    if count < 0:
                        return -1
        if count < 0 or _grow(&notes.found, &notes.room, notes.n_found + count):
            return -1
        target = notes.found + notes.n_found
        kept = 0
        for k in range(count):
            # no branch that could be mispredicted
            notes.scratch[kept] = notes.scratch[k]
            kept += notes.scratch[k] != self.home[atom]
        if grid.starts == NULL or self.n_species == 1:
            for k in range(kept):
                target[k] = notes.scratch[k]
        else:
            # counting sort by species
            memset(notes.counts, 0, (self.n_species + 1) * sizeof(Py_ssize_t))
            for k in range(kept):
                notes.counts[self.species[self.atoms[notes.scratch[k]]] + 1] += 1
            for kind in range(self.n_species):
                notes.counts[kind + 1] += notes.counts[kind]
            for k in range(kept):
                kind = self.species[self.atoms[notes.scratch[k]]]
                target[notes.counts[kind]] = notes.scratch[k]
                notes.counts[kind] += 1
        notes.n_found += kept
        return kept

    cdef Py_ssize_t scan(self, Py_ssize_t start, Py_ssize_t stop, const double *center,
                         Py_ssize_t where, Notes *notes) noexcept nogil:
        """Write the candidates near the center among some to scratch[where:]; where they end."""
        cdef const double *x = self.points + start
        cdef Py_ssize_t k, count
        if _grow(&notes.scratch, &notes.scratch_room, where + stop - start + 16):
            return -1
        count = self.simd.select_within(
            stop - start, x, x + self.n_points, x + 2 * self.n_points, center,
            self.cutoff * self.cutoff, notes.scratch + where,
        )
        if start:
            for k in range(where, where + count):
                notes.scratch[k] += <int>start
        return where + count

    cdef double copy(self, const Py_ssize_t *centers, Py_ssize_t n_centers,
                     const Py_ssize_t *offsets, const Notes *notes, Py_ssize_t *neighbor,
                     double *displacement, double *distance) noexcept nogil:
        """Write the pairs that were noted; returns the shortest distance."""
        cdef Py_ssize_t k, pair, found
        cdef int axis
        cdef double squared, closest = INFINITE
        cdef double[3] center
        for k in range(n_centers):
            for axis in range(3):
                center[axis] = self.wrapped[centers[k], axis]
            for pair in range(offsets[k], offsets[k + 1]):
                found = notes.found[pair]
                for axis in range(3):
                    displacement[3 * pair + axis] = (
                        self.points[axis * self.n_points + found] - center[axis])
                squared = (displacement[3 * pair] * displacement[3 * pair]
                           + displacement[3 * pair + 1] * displacement[3 * pair + 1]
                           + displacement[3 * pair + 2] * displacement[3 * pair + 2])
                closest = min(closest, squared)
                distance[pair] = sqrt(squared)
                neighbor[pair] = self.atoms[found]
        return sqrt(closest)


cdef Py_ssize_t _box(const Grid *grid, int axis, double t) noexcept nogil:
    """The box of a coordinate in units of boxes, or the nearest one."""
    # what is cut off of a positive number is its fraction
    return <Py_ssize_t>min(max(t, 0.0), <double>(grid.size[axis] - 1))
