"""From pairs to atoms: which pairs share a block, and sums over pairs in a fixed order."""

import numpy as np


def number_blocks(const Py_ssize_t[::1] offsets, const Py_ssize_t[::1] neighbor,
                  Py_ssize_t n_atoms):
    """Give the pairs of a center with images of the same atom the same number.

    Returns
    -------
    block : ndarray of shape (n_pairs,)
        Numbered by center, then by first appearance.
    block_offsets : ndarray of shape (n_centers + 1,)
        First block of each center.
    atom : ndarray of shape (n_blocks,)
        Atom of each block.
    """
    cdef Py_ssize_t k, pair, count = 0
    cdef Py_ssize_t[::1] latest = np.full(n_atoms, -1, dtype=np.intp)
    block_array = np.empty(neighbor.shape[0], dtype=np.intp)
    atom_array = np.empty(neighbor.shape[0], dtype=np.intp)
    offsets_array = np.zeros(offsets.shape[0], dtype=np.intp)
    cdef Py_ssize_t[::1] block = block_array, atom = atom_array, block_offsets = offsets_array
    with nogil:
        for k in range(offsets.shape[0] - 1):
            for pair in range(offsets[k], offsets[k + 1]):
                if latest[neighbor[pair]] < block_offsets[k]:
                    latest[neighbor[pair]] = count
                    atom[count] = neighbor[pair]
                    count += 1
                block[pair] = latest[neighbor[pair]]
            block_offsets[k + 1] = count
    return block_array, offsets_array, atom_array[:count]


def scatter_rows(
    const double[:, :, ::1] rows,          # IN (n_neighbors, 3, n_rows) of one center
    const Py_ssize_t[::1] neighbor,
    Py_ssize_t center,
    const double[:, ::1] displacement,
    const double[::1] weights,             # IN (n_rows,), factors of the rows
    double[:, :, ::1] gradient,            # OUT (n_atoms, 3, n_rows), added to
    double[:, :, ::1] strain_gradient,     # OUT (3, 3, n_rows), added to
):
    """Sum the rows of a center's neighbors into those of atoms and of a strain."""
    cdef Py_ssize_t j, m
    cdef int a
    cdef double g, r0, r1, r2
    cdef double *of_neighbor
    cdef double *of_center
    cdef double *of_strain
    cdef Py_ssize_t n_rows = rows.shape[2]
    with nogil:
        for j in range(rows.shape[0]):
            r0, r1, r2 = displacement[j, 0], displacement[j, 1], displacement[j, 2]
            for a in range(3):
                of_neighbor = &gradient[neighbor[j], a, 0]
                of_center = &gradient[center, a, 0]
                of_strain = &strain_gradient[a, 0, 0]
                for m in range(n_rows):
                    g = rows[j, a, m] * weights[m]
                    of_neighbor[m] += g
                    of_center[m] -= g
                    of_strain[m] += g * r0
                    of_strain[n_rows + m] += g * r1
                    of_strain[2 * n_rows + m] += g * r2


def scatter(
    const Py_ssize_t[::1] offsets,
    const Py_ssize_t[::1] neighbor,
    const double[:, ::1] displacement,
    const Py_ssize_t[::1] centers,
    const Py_ssize_t[::1] structure,       # IN (n_centers,)
    const double[:, ::1] pair_gradients,
    double[:, ::1] gradient,               # OUT (n_atoms, 3), added to
    double[:, :, ::1] strain_gradient,     # OUT (n_structures, 3, 3), added to
):
    """Sum gradients of pairs into those of atoms and of strains, in a fixed order."""
    cdef Py_ssize_t k, pair
    cdef int a, b
    cdef double g
    with nogil:
        for k in range(centers.shape[0]):
            for pair in range(offsets[k], offsets[k + 1]):
                for a in range(3):
                    g = pair_gradients[pair, a]
                    gradient[neighbor[pair], a] += g
                    gradient[centers[k], a] -= g
                    for b in range(3):
                        strain_gradient[structure[k], a, b] += g * displacement[pair, b]
