"""Atoms and periodic images that can be neighbors, in boxes where there are many.

The candidates of a small structure are compared with every center, at SIMD speed; those of a
large one are sorted into boxes first, so that a center meets only those nearby, and the search
takes a time proportional to the number of atoms.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.math cimport cbrt, ceil, floor, sqrt
from libc.string cimport memset

import numpy as np

from skdesc.simd._simd_cy cimport select_simd

cdef double INFINITE = float("inf")


cdef void _cross(const double *a, const double *b, double *out) noexcept nogil:
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


cdef double _dot(const double *a, const double *b) noexcept nogil:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


cdef void _reciprocal(const double *cell, const unsigned char *pbc,
                      double *reciprocal) noexcept nogil:
    """Rows b_a with a_c . b_a = 1 where a = c, else 0, in the span of the periodic a_c.

    Rows of open axes are zero, so that nothing is wrapped along them.
    """
    cdef int periodic[3]
    cdef int count = 0, axis, k
    cdef const double *x
    cdef const double *y
    cdef double normal[3]
    cdef double volume
    memset(reciprocal, 0, 9 * sizeof(double))
    for axis in range(3):
        if pbc[axis]:
            periodic[count] = axis
            count += 1
    if count == 1:
        x = cell + 3 * periodic[0]
        for k in range(3):
            reciprocal[3 * periodic[0] + k] = x[k] / _dot(x, x)
    elif count == 2:
        x, y = cell + 3 * periodic[0], cell + 3 * periodic[1]
        _cross(x, y, normal)
        _cross(y, normal, reciprocal + 3 * periodic[0])
        _cross(normal, x, reciprocal + 3 * periodic[1])
        for k in range(9):
            reciprocal[k] /= _dot(normal, normal)
    elif count == 3:
        for axis in range(3):
            _cross(cell + 3 * ((axis + 1) % 3), cell + 3 * ((axis + 2) % 3), reciprocal + 3 * axis)
        volume = _dot(cell, reciprocal)
        for k in range(9):
            reciprocal[k] /= volume


cdef class Candidates:
    """Atoms and images that can be neighbors, structure by structure.

    Parameters
    ----------
    positions : ndarray of shape (n_atoms, 3)
    cells : ndarray of shape (n_structures, 3, 3)
    pbc : ndarray of bool of shape (n_structures, 3)
    offsets : ndarray of shape (n_structures + 1,)
    cutoff : float

    Attributes
    ----------
    counts : memoryview of int of shape (n_structures,)
        Number of candidates.
    largest : int
        The largest of these numbers.
    total : float
        Their sum; a float, since an absurd cutoff overflows integers.
    """

    def __init__(self, const double[:, ::1] positions, const double[:, :, ::1] cells, pbc,
                 const Py_ssize_t[::1] offsets, double cutoff):
        cdef Py_ssize_t n_structures = offsets.shape[0] - 1, s, i
        cdef const unsigned char[:, ::1] periodic = pbc.view(np.uint8)
        cdef double reciprocal[9]
        cdef double margin, low, high, product, count, shift
        cdef int axis, k
        self.cells, self.offsets, self.cutoff = cells, offsets, cutoff
        self.n_structures, self.infinite = n_structures, INFINITE
        self.wrapped = np.array(positions)
        self.fractional = np.zeros((positions.shape[0], 3))
        self.bounds = np.empty((n_structures, 2, 3))
        self.counts = np.zeros(n_structures, dtype=np.intp)
        for s in range(n_structures):
            _reciprocal(&cells[s, 0, 0], &periodic[s, 0], reciprocal)
            for axis in range(3):
                low, high = 1.0, 0.0
                for i in range(offsets[s], offsets[s + 1]):
                    if periodic[s, axis]:
                        self.fractional[i, axis] = _dot(&positions[i, 0], reciprocal + 3 * axis)
                        shift = floor(self.fractional[i, axis])
                        self.fractional[i, axis] -= shift
                        for k in range(3):
                            self.wrapped[i, k] -= shift * cells[s, axis, k]
                    low = min(low, self.fractional[i, axis])
                    high = max(high, self.fractional[i, axis])
                # relative and absolute slack, so that rounding loses no neighbor
                margin = cutoff * sqrt(_dot(reciprocal + 3 * axis, reciprocal + 3 * axis))
                margin = margin * (1 + 1e-9) + (1e-9 if periodic[s, axis] else 0.0)
                self.bounds[s, 0, axis] = low - margin
                self.bounds[s, 1, axis] = high + margin
            count = 0.0
            for i in range(offsets[s], offsets[s + 1]):
                product = 1.0
                for axis in range(3):
                    product *= (floor(self.bounds[s, 1, axis] - self.fractional[i, axis])
                                - ceil(self.bounds[s, 0, axis] - self.fractional[i, axis]) + 1.0)
                count += product
            self.total += count
            if self.total < 9e15:
                self.counts[s] = <Py_ssize_t>count
                self.largest = max(self.largest, self.counts[s])

    def __dealloc__(self):
        self.free()

    cdef void free(self) noexcept:
        cdef Py_ssize_t s
        if self.grids != NULL:
            for s in range(self.n_structures):
                PyMem_RawFree(self.grids[s].starts)
        PyMem_RawFree(self.grids)
        PyMem_RawFree(self.points)
        PyMem_RawFree(self.atoms)
        PyMem_RawFree(self.home)
        self.grids = NULL
        self.points = NULL
        self.atoms = self.home = NULL

    def prepare(self, const Py_ssize_t[::1] species, Py_ssize_t max_direct):
        """List the candidates; those of structures with more than `max_direct`, in boxes.

        Parameters
        ----------
        species : ndarray of shape (n_atoms,)
            Species index of each atom; -1: no neighbor.
        max_direct : int
            Most candidates that every center is compared with.
        """
        cdef Py_ssize_t i, n_atoms = species.shape[0]
        cdef int failed
        if n_atoms != self.wrapped.shape[0]:
            raise ValueError(f"species has {n_atoms} entries for {self.wrapped.shape[0]} atoms")
        self.free()
        self.simd = select_simd(NULL)
        self.species = species
        self.n_points, self.n_species = <Py_ssize_t>self.total, 1
        for i in range(n_atoms):
            self.n_species = max(self.n_species, species[i] + 1)
        self.points = <double *>PyMem_RawMalloc((3 * self.n_points + 8) * sizeof(double))
        self.atoms = <Py_ssize_t *>PyMem_RawMalloc((self.n_points + 1) * sizeof(Py_ssize_t))
        self.home = <Py_ssize_t *>PyMem_RawMalloc((n_atoms + 1) * sizeof(Py_ssize_t))
        self.grids = <Grid *>PyMem_RawMalloc((self.n_structures + 1) * sizeof(Grid))
        if self.grids == NULL or self.points == NULL or self.atoms == NULL or self.home == NULL:
            PyMem_RawFree(self.grids)
            self.grids = NULL
            raise MemoryError(f"no memory for {self.n_points} atoms and periodic images")
        memset(self.grids, 0, (self.n_structures + 1) * sizeof(Grid))
        with nogil:
            failed = self.fill(max_direct)
        if failed:
            raise MemoryError(f"no memory to sort {self.n_points} atoms and periodic images")

    cdef int fill(self, Py_ssize_t max_direct) noexcept nogil:
        """List candidates by structure and species; whether memory has failed."""
        cdef Py_ssize_t s, i, where = 0, kind, position, n_atoms = self.species.shape[0]
        cdef int axis, a, b, c, failed = 0
        cdef int[3] low
        cdef int[3] high
        cdef Py_ssize_t *order = <Py_ssize_t *>PyMem_RawMalloc(
            (n_atoms + self.n_species + 2) * sizeof(Py_ssize_t))
        cdef Py_ssize_t *first = order + n_atoms
        if order == NULL:
            return 1
        for s in range(self.n_structures):
            # counting sort by species
            memset(first, 0, (self.n_species + 1) * sizeof(Py_ssize_t))
            for i in range(self.offsets[s], self.offsets[s + 1]):
                self.home[i] = -1
                if self.species[i] >= 0:
                    first[self.species[i] + 1] += 1
            for kind in range(self.n_species):
                first[kind + 1] += first[kind]
            n_atoms = first[self.n_species]
            for i in range(self.offsets[s], self.offsets[s + 1]):
                if self.species[i] >= 0:
                    order[first[self.species[i]]] = i
                    first[self.species[i]] += 1
            self.grids[s].first = where
            for position in range(n_atoms):
                i = order[position]
                for axis in range(3):
                    low[axis] = <int>ceil(self.bounds[s, 0, axis] - self.fractional[i, axis])
                    high[axis] = <int>floor(self.bounds[s, 1, axis] - self.fractional[i, axis])
                for a in range(low[0], high[0] + 1):
                    for b in range(low[1], high[1] + 1):
                        for c in range(low[2], high[2] + 1):
                            if a == 0 and b == 0 and c == 0:
                                self.home[i] = where
                            for axis in range(3):
                                self.points[axis * self.n_points + where] = (
                                    self.wrapped[i, axis] + a * self.cells[s, 0, axis]
                                    + b * self.cells[s, 1, axis] + c * self.cells[s, 2, axis]
                                )
                            self.atoms[where] = i
                            where += 1
            self.grids[s].last = where
            if where - self.grids[s].first > max_direct:
                failed = failed or self.sort_into_boxes(&self.grids[s])
        PyMem_RawFree(order)
        return failed

    cdef int sort_into_boxes(self, Grid *grid) noexcept nogil:
        """Sort the candidates of a structure by boxes; whether memory has failed."""
        cdef Py_ssize_t n = grid.last - grid.first, n_boxes = 1, k, where, total = 0, count
        cdef int axis
        cdef double x, high, edge, room, shrink = 1.0
        cdef double[3] extent
        cdef double *points
        cdef Py_ssize_t *atoms
        cdef Py_ssize_t *box
        for axis in range(3):
            points = self.points + axis * self.n_points + grid.first
            grid.low[axis], high = INFINITE, -INFINITE
            for k in range(n):
                grid.low[axis] = min(grid.low[axis], points[k])
                high = max(high, points[k])
            extent[axis] = high - grid.low[axis]
        # as long as the cutoff; shorter where many atoms fit, longer where boxes would be empty
        edge = self.cutoff * (1 + 1e-6)
        room = 1.0
        for axis in range(3):
            room *= max(extent[axis] / edge, 1.0)
        if n / room > 40:
            edge, room = 0.5 * edge, 8 * room
        if room > 2.0 * n:
            shrink = cbrt(2.0 * n / room)
        for axis in range(3):
            grid.size[axis] = <Py_ssize_t>min(max(shrink * extent[axis] / edge, 1.0), 2.0 * n)
            grid.per_angstrom[axis] = (
                grid.size[axis] / extent[axis] if extent[axis] > 0 else 1 / edge)
        while grid.size[0] * grid.size[1] > 4 * n + 8:  # long in one direction
            axis = 0 if grid.size[0] > grid.size[1] else 1
            grid.size[axis] = (grid.size[axis] + 1) // 2
            grid.per_angstrom[axis] = grid.size[axis] / extent[axis]
        while grid.size[0] * grid.size[1] * grid.size[2] > 4 * n + 8:
            axis = 0
            for k in range(1, 3):
                if grid.size[k] > grid.size[axis]:
                    axis = <int>k
            grid.size[axis] = (grid.size[axis] + 1) // 2
            grid.per_angstrom[axis] = grid.size[axis] / extent[axis]
        n_boxes = grid.size[0] * grid.size[1] * grid.size[2]

        grid.starts = <Py_ssize_t *>PyMem_RawMalloc((n_boxes + 1) * sizeof(Py_ssize_t))
        points = <double *>PyMem_RawMalloc((3 * n + 1) * sizeof(double))
        atoms = <Py_ssize_t *>PyMem_RawMalloc((2 * n + 1) * sizeof(Py_ssize_t))
        if grid.starts == NULL or points == NULL or atoms == NULL:
            PyMem_RawFree(points)
            PyMem_RawFree(atoms)
            return 1
        box = atoms + n
        memset(grid.starts, 0, (n_boxes + 1) * sizeof(Py_ssize_t))
        for k in range(n):
            where = 0
            for axis in range(3):
                x = self.points[axis * self.n_points + grid.first + k]
                points[axis * n + k] = x
                x = (x - grid.low[axis]) * grid.per_angstrom[axis]
                count = <Py_ssize_t>min(max(x, 0.0), <double>(grid.size[axis] - 1))
                where = where * grid.size[axis] + count
            box[k] = where
            grid.starts[where] += 1
            atoms[k] = self.atoms[grid.first + k]
            # not to be taken for a new place below
            if self.home[atoms[k]] == grid.first + k:
                self.home[atoms[k]] = -2 - k
        total = grid.first
        for k in range(n_boxes):
            count = grid.starts[k]
            grid.starts[k] = total
            total += count
        for k in range(n):
            where = grid.starts[box[k]]
            grid.starts[box[k]] += 1
            for axis in range(3):
                self.points[axis * self.n_points + where] = points[axis * n + k]
            self.atoms[where] = atoms[k]
            if self.home[atoms[k]] == -2 - k:
                self.home[atoms[k]] = where
        # each entry has become that of the next box
        for k in range(n_boxes, 0, -1):
            grid.starts[k] = grid.starts[k - 1]
        grid.starts[0] = grid.first
        PyMem_RawFree(points)
        PyMem_RawFree(atoms)
        return 0
