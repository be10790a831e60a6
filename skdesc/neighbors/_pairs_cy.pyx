"""Neighbor search by brute force over the atoms and images around one structure.

For structures of up to a few hundred atoms, squared distances to all candidates at SIMD speed
take less time than building a cell list. Candidates are sorted by species, so the neighbors
of a center come out grouped by species.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.math cimport ceil, floor, sqrt
from libc.string cimport memset

import numpy as np

from skdesc.simd._simd_cy cimport skd_simd, select_simd

# distances of some two milliseconds: less is not worth the wait for other threads
cdef double _LEAST_SHARED = 2e6


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

    cdef readonly Py_ssize_t[::1] counts
    cdef readonly Py_ssize_t largest
    cdef readonly double total, cutoff
    cdef double[:, ::1] wrapped, fractional
    cdef double[:, :, ::1] bounds
    cdef const double[:, :, ::1] cells
    cdef const Py_ssize_t[::1] offsets

    def __init__(self, const double[:, ::1] positions, const double[:, :, ::1] cells, pbc,
                 const Py_ssize_t[::1] offsets, double cutoff):
        cdef Py_ssize_t n_structures = offsets.shape[0] - 1, s, i
        cdef const unsigned char[:, ::1] periodic = pbc.view(np.uint8)
        cdef double reciprocal[9]
        cdef double margin, low, high, product, count, shift
        cdef int axis, k
        self.cells, self.offsets, self.cutoff = cells, offsets, cutoff
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

    def search(self, const Py_ssize_t[::1] species, const Py_ssize_t[::1] centers, int n_threads):
        """Find the neighbors of some centers.

        Parameters
        ----------
        species : ndarray of shape (n_atoms,)
            Species index of each atom; -1: no neighbor.
        centers : ndarray of shape (n_centers,)
            Atoms, ascending.
        n_threads : int
            Number of threads, where there is enough to do.

        Returns
        -------
        offsets, neighbor, displacement, distance : ndarray
            See `Pairs`.
        """
        cdef const skd_simd *simd = select_simd(NULL)
        cdef Py_ssize_t n_structures = self.offsets.shape[0] - 1, n_centers = centers.shape[0]
        cdef Py_ssize_t n_atoms = species.shape[0], n_candidates = <Py_ssize_t>self.total
        cdef Py_ssize_t s, k, total = 0, n_species = 0, capacity = 64, largest
        for k in range(n_atoms):
            n_species = max(n_species, species[k] + 1)
        if n_centers * self.largest < _LEAST_SHARED:
            n_threads = 1
        # one allocation: NumPy's take longer than a search among few atoms
        cdef Py_ssize_t n_scratch = self.largest + 24
        cdef double[::1] workspace = np.empty(
            4 * n_candidates + 2 * n_structures + 2 * n_atoms + n_species + n_centers + 1
            + n_threads * n_scratch)
        cdef double *points = &workspace[0]
        cdef Py_ssize_t *starts = <Py_ssize_t *>(points + 3 * n_candidates)
        cdef Py_ssize_t *ends = starts + n_structures
        cdef Py_ssize_t *home = ends + n_structures
        cdef Py_ssize_t *order = home + n_atoms
        cdef Py_ssize_t *first = order + n_atoms
        cdef Py_ssize_t *structure = first + n_species + 1
        cdef Py_ssize_t *atoms = structure + n_centers
        cdef int *scratch = <int *>(atoms + n_candidates)
        for s in range(n_structures):
            starts[s] = total
            total += self.counts[s]
        self.fill(species, n_species, points, n_candidates, starts, ends, home, order, first,
                  atoms)

        s = 0
        for k in range(n_centers):
            while self.offsets[s + 1] <= centers[k]:
                s += 1
            structure[k] = s
        offsets_array = np.zeros(n_centers + 1, dtype=np.intp)
        cdef Py_ssize_t[::1] offsets = offsets_array
        cdef int[:, ::1] found
        # each center's neighbors are noted in a row of their own, and copied when all is known
        while n_centers:
            found = np.empty((n_centers, capacity), dtype=np.intc)
            with nogil, parallel(num_threads=n_threads):
                for k in prange(n_centers, schedule="static"):
                    offsets[k + 1] = _note(
                        simd, points + starts[structure[k]], n_candidates,
                        ends[structure[k]] - starts[structure[k]],
                        home[centers[k]] - starts[structure[k]], &self.wrapped[centers[k], 0],
                        self.cutoff * self.cutoff, scratch + threadid() * n_scratch, &found[k, 0],
                        capacity,
                    )
            largest = 0
            for k in range(n_centers):
                largest = max(largest, offsets[k + 1])
            if largest <= capacity:
                break
            capacity = largest
        for k in range(n_centers):
            offsets[k + 1] += offsets[k]
        total = offsets[n_centers]
        neighbor_array = np.empty(total, dtype=np.intp)
        displacement_array = np.empty((total, 3))
        distance_array = np.empty(total)
        cdef Py_ssize_t[::1] neighbor = neighbor_array
        cdef double[:, ::1] displacement = displacement_array
        cdef double[::1] distance = distance_array
        if total:
            with nogil, parallel(num_threads=n_threads):
                for k in prange(n_centers, schedule="static"):
                    if offsets[k + 1] > offsets[k]:
                        _copy(
                            points + starts[structure[k]], n_candidates,
                            atoms + starts[structure[k]], &self.wrapped[centers[k], 0],
                            &found[k, 0], offsets[k + 1] - offsets[k], &neighbor[offsets[k]],
                            &displacement[offsets[k], 0], &distance[offsets[k]],
                        )
        return offsets_array, neighbor_array, displacement_array, distance_array

    cdef void fill(self, const Py_ssize_t[::1] species, Py_ssize_t n_species,
                   double *points, Py_ssize_t n_candidates, const Py_ssize_t *starts,
                   Py_ssize_t *ends, Py_ssize_t *home, Py_ssize_t *order, Py_ssize_t *first,
                   Py_ssize_t *atoms) noexcept nogil:
        """List candidates by structure and species; home: the candidate that is the atom.

        Room for order: (n_atoms,), for first: (n_species + 1,).
        """
        cdef Py_ssize_t s, i, where, kind, n_atoms
        cdef int axis, a, b, c
        cdef int low[3]
        cdef int high[3]
        for s in range(self.offsets.shape[0] - 1):
            # counting sort by species
            memset(first, 0, (n_species + 1) * sizeof(Py_ssize_t))
            for i in range(self.offsets[s], self.offsets[s + 1]):
                home[i] = -1
                if species[i] >= 0:
                    first[species[i] + 1] += 1
            for kind in range(n_species):
                first[kind + 1] += first[kind]
            n_atoms = first[n_species]
            for i in range(self.offsets[s], self.offsets[s + 1]):
                if species[i] >= 0:
                    order[first[species[i]]] = i
                    first[species[i]] += 1
            where = starts[s]
            for kind in range(n_atoms):
                i = order[kind]
                for axis in range(3):
                    low[axis] = <int>ceil(self.bounds[s, 0, axis] - self.fractional[i, axis])
                    high[axis] = <int>floor(self.bounds[s, 1, axis] - self.fractional[i, axis])
                for a in range(low[0], high[0] + 1):
                    for b in range(low[1], high[1] + 1):
                        for c in range(low[2], high[2] + 1):
                            if a == 0 and b == 0 and c == 0:
                                home[i] = where
                            for axis in range(3):
                                points[axis * n_candidates + where] = (
                                    self.wrapped[i, axis] + a * self.cells[s, 0, axis]
                                    + b * self.cells[s, 1, axis] + c * self.cells[s, 2, axis]
                                )
                            atoms[where] = i
                            where += 1
            ends[s] = where


cdef Py_ssize_t _note(
    const skd_simd *simd, const double *x, Py_ssize_t stride, Py_ssize_t n,
    Py_ssize_t itself, const double *center, double squared_cutoff, int *scratch, int *found,
    Py_ssize_t capacity,
) noexcept nogil:
    """Write the numbers of all neighbors, if they fit, and return how many there are."""
    cdef Py_ssize_t k, where = 0
    cdef Py_ssize_t count = simd.select_within(n, x, x + stride, x + 2 * stride, center,
                                               squared_cutoff, scratch)
    for k in range(count):
        if scratch[k] != itself:
            if where < capacity:
                found[where] = scratch[k]
            where += 1
    return where


cdef void _copy(
    const double *x, Py_ssize_t stride, const Py_ssize_t *atoms, const double *center,
    const int *found, Py_ssize_t count, Py_ssize_t *neighbor, double *displacement,
    double *distance,
) noexcept nogil:
    cdef Py_ssize_t k
    cdef int axis
    for k in range(count):
        for axis in range(3):
            displacement[3 * k + axis] = x[axis * stride + found[k]] - center[axis]
        distance[k] = sqrt(_dot(displacement + 3 * k, displacement + 3 * k))
        neighbor[k] = atoms[found[k]]


def sort_pairs(
    const Py_ssize_t[:, ::1] pairs,        # IN (n_pairs, 2), atoms within one structure
    const double[:, ::1] vectors,          # IN (n_pairs, 3)
    const double[::1] distances,           # IN (n_pairs,)
    const Py_ssize_t[::1] slot,            # IN (n_atoms,), row of each center or -1
    const Py_ssize_t[::1] species_index,   # IN (n_atoms,), -1: no neighbor
    Py_ssize_t n_slots,
    Py_ssize_t n_species,
    Py_ssize_t first_atom,
):
    """Group an unordered list of pairs by center and species (a counting sort).

    Returns
    -------
    counts : ndarray of shape (n_slots,)
    neighbor : ndarray of shape (n_kept,)
    displacement : ndarray of shape (n_kept, 3)
    distance : ndarray of shape (n_kept,)
    """
    cdef Py_ssize_t k, bin_, where, total = 0, count
    cdef Py_ssize_t[::1] next_ = np.zeros(n_slots * n_species + 1, dtype=np.intp)
    for k in range(pairs.shape[0]):
        if slot[pairs[k, 0]] >= 0 and species_index[pairs[k, 1]] >= 0:
            next_[slot[pairs[k, 0]] * n_species + species_index[pairs[k, 1]]] += 1
    for bin_ in range(next_.shape[0]):
        count = next_[bin_]
        next_[bin_] = total
        total += count
    starts = np.array(next_)[::n_species][: n_slots + 1]
    neighbor_array = np.empty(total, dtype=np.intp)
    displacement_array = np.empty((total, 3))
    distance_array = np.empty(total)
    cdef Py_ssize_t[::1] neighbor = neighbor_array
    cdef double[:, ::1] displacement = displacement_array
    cdef double[::1] distance = distance_array
    for k in range(pairs.shape[0]):
        if slot[pairs[k, 0]] >= 0 and species_index[pairs[k, 1]] >= 0:
            bin_ = slot[pairs[k, 0]] * n_species + species_index[pairs[k, 1]]
            where = next_[bin_]
            next_[bin_] += 1
            neighbor[where] = first_atom + pairs[k, 1]
            displacement[where, 0] = vectors[k, 0]
            displacement[where, 1] = vectors[k, 1]
            displacement[where, 2] = vectors[k, 2]
            distance[where] = distances[k]
    return np.diff(starts), neighbor_array, displacement_array, distance_array
