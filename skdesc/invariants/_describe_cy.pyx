"""From prepared neighbor searches to features, for calls that need no lists of pairs."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.string cimport memset

import numpy as np

from skdesc.density._expansion_cy cimport DensityExpansion, Environment
from skdesc.invariants._invariant_cy cimport Invariant
from skdesc.neighbors._pairs_cy cimport NeighborSearch, Notes, free_notes

# scratch memory of earlier calls: fresh pages would take as long as describing some atoms
cdef list _SPARE_SCRATCH = []
cdef enum:
    MOST_SPARE = 4
    LARGEST_SPARE = 1 << 18  # doubles


cdef double[::1] _take_scratch(Py_ssize_t n_doubles):
    """Scratch memory of at least this size, which no other thread has."""
    try:
        scratch = _SPARE_SCRATCH.pop()
        if len(scratch) >= n_doubles:
            return scratch
    except IndexError:
        pass
    return np.empty(n_doubles)


def describe(DensityExpansion expansion, Invariant invariant, NeighborSearch search,
             const Py_ssize_t[::1] centers, double[:, ::1] out, bint cleared):
    """Compute features from the structures of a prepared search, without lists of pairs.

    Parameters
    ----------
    expansion : DensityExpansion
    invariant : Invariant
        Made of that expansion.
    search : NeighborSearch
        Prepared.
    centers : ndarray of shape (n_centers,)
        Atoms, ascending.
    out : ndarray of shape (n_centers, n_features)
        Gets the features; with `cleared`, it holds zeros already.

    Returns
    -------
    float
        The shortest distance of two atoms; features mean nothing where it is too short.
    """
    cdef Py_ssize_t n_centers = centers.shape[0], k, first, n = 0, total, n_pairs, n_integers
    cdef double closest = search.infinite
    cdef Notes notes
    cdef Environment env
    cdef double[::1] scratch
    cdef double *doubles
    cdef double *displacement
    cdef Py_ssize_t *integers
    cdef Py_ssize_t *offsets
    cdef Py_ssize_t *neighbor
    if n_centers == 0:
        return closest
    search.check(centers)
    if out.shape[0] != n_centers or out.shape[1] != invariant.n_features:
        raise ValueError("out has another shape than the features")
    memset(&notes, 0, sizeof(Notes))
    offsets = <Py_ssize_t *>PyMem_RawMalloc((n_centers + 1) * sizeof(Py_ssize_t))
    integers = NULL
    try:
        with nogil:
            total = -1 if offsets == NULL else search.note(&centers[0], n_centers, offsets, &notes)
        if total < 0:
            raise MemoryError(f"no memory for the neighbors of {n_centers} atoms")
        for k in range(n_centers):
            n = max(n, offsets[k + 1] - offsets[k])
        n_integers = expansion.n_integers()
        integers = <Py_ssize_t *>PyMem_RawMalloc((n_integers + n + 1) * sizeof(Py_ssize_t))
        if integers == NULL:
            raise MemoryError(f"no memory for {n} neighbors of an atom")
        n_pairs = expansion.n_doubles(n, False)
        scratch = _take_scratch(n_pairs + invariant.n_doubles() + 4 * n + 16)
        doubles = &scratch[0]
        displacement = doubles + n_pairs + invariant.n_doubles()
        neighbor = integers + n_integers
        with nogil:
            for k in range(n_centers):
                first = offsets[k]
                # pairs of one center stay in the first cache
                closest = min(closest, search.copy(
                    &centers[k], 1, offsets + k, &notes, neighbor - first,
                    displacement - 3 * first, displacement + 3 * n - first,
                ))
                expansion.bind(&env, n, False, doubles, integers)
                env.n_neighbors = offsets[k + 1] - first
                env.displacement, env.distance = displacement, displacement + 3 * n
                env.neighbor, env.species = neighbor, &search.species[0]
                env.center_species = search.species[centers[k]]
                expansion.expand(&env, False)
                invariant.forward(&env, &out[k, 0], cleared, doubles + n_pairs)
        if scratch.shape[0] <= LARGEST_SPARE and len(_SPARE_SCRATCH) < MOST_SPARE:
            _SPARE_SCRATCH.append(scratch)
    finally:
        free_notes(&notes)
        PyMem_RawFree(offsets)
        PyMem_RawFree(integers)
    return closest
