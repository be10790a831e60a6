"""Neighbor search by brute force over the atoms and images around one structure.

For structures of up to a few hundred atoms, squared distances to all candidates at SIMD speed
take less time than building a cell list. Candidates are sorted by species, so the neighbors
of a center come out grouped by species.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.math cimport ceil, floor, sqrt

from skdesc.utils._kernels cimport skd_kernels, skd_select


def count_candidates(
    const double[:, ::1] fractional,  # IN (n_atoms, 3), in [0, 1) along periodic axes
    const double[:, ::1] margins,     # IN (n_structures, 3), cutoff in fractional coordinates
    const Py_ssize_t[::1] offsets,    # IN (n_structures + 1,)
    double[:, :, ::1] bounds,         # OUT (n_structures, 2, 3), range of candidates
    Py_ssize_t[::1] counts,           # OUT (n_structures,)
):
    """Bound the candidates of each structure and count atoms and images within the bounds.

    Returns
    -------
    float
        Number of all candidates; a float, since an absurd cutoff overflows integers.
    """
    cdef Py_ssize_t s, i
    cdef int axis
    cdef double low, high, product, count, total = 0.0
    for s in range(counts.shape[0]):
        for axis in range(3):
            low = high = fractional[offsets[s], axis]
            for i in range(offsets[s], offsets[s + 1]):
                low = min(low, fractional[i, axis])
                high = max(high, fractional[i, axis])
            bounds[s, 0, axis] = low - margins[s, axis]
            bounds[s, 1, axis] = high + margins[s, axis]
        count = 0.0
        for i in range(offsets[s], offsets[s + 1]):
            product = 1.0
            for axis in range(3):
                product *= (floor(bounds[s, 1, axis] - fractional[i, axis])
                            - ceil(bounds[s, 0, axis] - fractional[i, axis]) + 1.0)
            count += product
        total += count
        if total < 9e15:
            counts[s] = <Py_ssize_t>count
    return total


def fill_candidates(
    const double[:, ::1] positions,        # IN (n_atoms, 3), wrapped
    const double[:, ::1] fractional,       # IN (n_atoms, 3)
    const double[:, :, ::1] cells,         # IN (n_structures, 3, 3)
    const double[:, :, ::1] bounds,        # IN (n_structures, 2, 3)
    const Py_ssize_t[::1] offsets,         # IN (n_structures + 1,)
    const Py_ssize_t[::1] order,           # IN atoms, structure by structure, by species
    const Py_ssize_t[::1] order_offsets,   # IN (n_structures + 1,), into order
    const Py_ssize_t[::1] starts,          # IN (n_structures + 1,), candidates of each structure
    double[:, ::1] candidates,             # OUT (3, n_candidates)
    Py_ssize_t[::1] atoms,                 # OUT (n_candidates,), atom of each candidate
    Py_ssize_t[::1] home,                  # OUT (n_atoms,), the candidate that is the atom itself
    Py_ssize_t[::1] ends,                  # OUT (n_structures,), end of the used candidates
):
    """List every atom and image that can be a neighbor of an atom of its structure."""
    cdef Py_ssize_t s, k, i, where
    cdef int axis, a, b, c
    cdef int low[3]
    cdef int high[3]
    for s in range(ends.shape[0]):
        where = starts[s]
        for k in range(order_offsets[s], order_offsets[s + 1]):
            i = order[k]
            for axis in range(3):
                low[axis] = <int>ceil(bounds[s, 0, axis] - fractional[i, axis])
                high[axis] = <int>floor(bounds[s, 1, axis] - fractional[i, axis])
            for a in range(low[0], high[0] + 1):
                for b in range(low[1], high[1] + 1):
                    for c in range(low[2], high[2] + 1):
                        if a == 0 and b == 0 and c == 0:
                            home[i] = where
                        for axis in range(3):
                            candidates[axis, where] = (
                                positions[i, axis] + a * cells[s, 0, axis]
                                + b * cells[s, 1, axis] + c * cells[s, 2, axis]
                            )
                        atoms[where] = i
                        where += 1
        ends[s] = where


def count_neighbors(
    const double[:, ::1] positions,    # IN (n_atoms, 3), wrapped
    const double[:, ::1] candidates,   # IN (3, n_candidates)
    const Py_ssize_t[::1] starts,      # IN (n_structures + 1,)
    const Py_ssize_t[::1] ends,        # IN (n_structures,)
    const Py_ssize_t[::1] home,        # IN (n_atoms,), -1: no candidate itself
    const Py_ssize_t[::1] centers,     # IN (n_centers,), atom indices
    const Py_ssize_t[::1] structure,   # IN (n_centers,)
    double cutoff,
    double[:, ::1] scratch,            # (n_threads, largest number of candidates)
    Py_ssize_t[::1] counts,            # OUT (n_centers,)
):
    """Count the neighbors of every center."""
    cdef const skd_kernels *kernels = skd_select(NULL)
    cdef Py_ssize_t n_centers = centers.shape[0], k
    cdef int n_threads = <int>scratch.shape[0]
    cdef double squared = cutoff * cutoff
    if n_centers == 0:
        return
    with nogil, parallel(num_threads=n_threads):
        for k in prange(n_centers, schedule="static"):
            counts[k] = _count(
                kernels, ends[structure[k]] - starts[structure[k]],
                &candidates[0, starts[structure[k]]], candidates.shape[1],
                &positions[centers[k], 0], squared, &scratch[threadid(), 0],
            ) - (home[centers[k]] >= 0)


cdef Py_ssize_t _count(
    const skd_kernels *kernels, Py_ssize_t n, const double *x, Py_ssize_t stride,
    const double *center, double squared, double *scratch,
) noexcept nogil:
    cdef Py_ssize_t k, count = 0
    kernels.squared_distances(n, x, x + stride, x + 2 * stride, center, scratch)
    for k in range(n):
        count += scratch[k] < squared
    return count


def fill_neighbors(
    const double[:, ::1] positions,
    const double[:, ::1] candidates,
    const Py_ssize_t[::1] atoms,
    const Py_ssize_t[::1] starts,
    const Py_ssize_t[::1] ends,
    const Py_ssize_t[::1] home,
    const Py_ssize_t[::1] centers,
    const Py_ssize_t[::1] structure,
    double cutoff,
    double[:, ::1] scratch,
    const Py_ssize_t[::1] offsets,     # IN (n_centers + 1,)
    Py_ssize_t[::1] neighbor,          # OUT (n_pairs,), atom indices
    double[:, ::1] displacement,       # OUT (n_pairs, 3)
    double[::1] distance,              # OUT (n_pairs,)
):
    """Write the neighbors of every center; arguments as in `count_neighbors`."""
    cdef const skd_kernels *kernels = skd_select(NULL)
    cdef Py_ssize_t n_centers = centers.shape[0], k
    cdef int n_threads = <int>scratch.shape[0]
    cdef double squared = cutoff * cutoff
    if neighbor.shape[0] == 0:
        return
    with nogil, parallel(num_threads=n_threads):
        for k in prange(n_centers, schedule="static"):
            if offsets[k + 1] > offsets[k]:
                _fill(
                    kernels, ends[structure[k]] - starts[structure[k]],
                    &candidates[0, starts[structure[k]]], candidates.shape[1],
                    &atoms[starts[structure[k]]],
                    home[centers[k]] - starts[structure[k]], &positions[centers[k], 0],
                    squared, &scratch[threadid(), 0], offsets[k + 1] - offsets[k],
                    &neighbor[offsets[k]], &displacement[offsets[k], 0], &distance[offsets[k]],
                )


cdef void _fill(
    const skd_kernels *kernels, Py_ssize_t n, const double *x, Py_ssize_t stride,
    const Py_ssize_t *atoms, Py_ssize_t itself, const double *center, double squared,
    double *scratch, Py_ssize_t n_neighbors, Py_ssize_t *neighbor, double *displacement,
    double *distance,
) noexcept nogil:
    cdef Py_ssize_t k, found = 0
    cdef int axis
    kernels.squared_distances(n, x, x + stride, x + 2 * stride, center, scratch)
    if itself >= 0:
        scratch[itself] = squared
    # the candidate's number is written always and kept where it counts: no branch to mispredict
    k = 0
    while found < n_neighbors and k < n:
        neighbor[found] = k
        found += scratch[k] < squared
        k += 1
    for k in range(n_neighbors):
        found = neighbor[k]
        for axis in range(3):
            displacement[3 * k + axis] = x[axis * stride + found] - center[axis]
        distance[k] = sqrt(scratch[found])
        neighbor[k] = atoms[found]


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
    import numpy as np

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
