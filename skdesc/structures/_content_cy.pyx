"""Positions and cells of many structures, checked without any temporary array."""

import numpy as np

from skdesc.simd._simd_cy cimport skd_simd, select_simd


def sound(const double[:, ::1] positions, const double[:, :, ::1] cells, pbc,
          const Py_ssize_t[::1] offsets):
    """Whether there are structures, each with atoms, finite numbers and a cell that spans.

    Parameters
    ----------
    positions : ndarray of shape (n_atoms, 3)
        Of all atoms.
    cells : ndarray of shape (n_structures, 3, 3)
        Cell vectors as rows.
    pbc : ndarray of bool of shape (n_structures, 3)
        Periodic axes.
    offsets : ndarray of shape (n_structures + 1,)
        Structure `s` owns the atoms ``offsets[s]`` to ``offsets[s + 1]``.

    Returns
    -------
    bool
    """
    cdef const skd_simd *simd = select_simd(NULL)
    cdef Py_ssize_t s, n_structures = offsets.shape[0] - 1
    for s in range(n_structures):
        if offsets[s] == offsets[s + 1]:
            return False
    return (n_structures > 0
            and simd.finite(3 * positions.shape[0], &positions[0, 0])
            and simd.finite(9 * n_structures, &cells[0, 0, 0])
            and _bad_cell(cells, pbc.view(np.uint8))[0] < 0)


def first_bad_cell(const double[:, :, ::1] cells, pbc):
    """Find the first structure whose periodic cell vectors span nothing.

    Parameters
    ----------
    cells : ndarray of shape (n_structures, 3, 3)
        Cell vectors as rows.
    pbc : ndarray of bool of shape (n_structures, 3)
        Periodic axes.

    Returns
    -------
    index : int
        The structure, or -1 if there is none.
    axis : int
        The axis whose vector is zero, or -1 if vectors are linearly dependent.
    """
    return _bad_cell(cells, pbc.view(np.uint8))


cdef (Py_ssize_t, Py_ssize_t) _bad_cell(const double[:, :, ::1] cells,
                                        const unsigned char[:, ::1] periodic) noexcept:
    cdef double gram[3][3]
    cdef double determinant, lengths
    cdef Py_ssize_t s
    cdef int a, b, k
    for s in range(cells.shape[0]):
        # Gram matrix of the periodic vectors, and of unit vectors in place of the others
        lengths = 1.0
        for a in range(3):
            for b in range(3):
                gram[a][b] = a == b
                if periodic[s, a] and periodic[s, b]:
                    gram[a][b] = 0.0
                    for k in range(3):
                        gram[a][b] += cells[s, a, k] * cells[s, b, k]
            if gram[a][a] == 0.0:
                return s, a
            lengths *= gram[a][a]
        determinant = (
            gram[0][0] * (gram[1][1] * gram[2][2] - gram[1][2] * gram[2][1])
            - gram[0][1] * (gram[1][0] * gram[2][2] - gram[1][2] * gram[2][0])
            + gram[0][2] * (gram[1][0] * gram[2][1] - gram[1][1] * gram[2][0])
        )
        if determinant < 1e-16 * lengths:
            return s, -1
    return -1, -1
