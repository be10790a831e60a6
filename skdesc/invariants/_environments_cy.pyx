"""Loops over environments: values and adjoints of any invariant, on several threads.

Every environment writes only what is its own, so results do not depend on the threads.
"""

from cython.parallel cimport parallel, prange, threadid

import numpy as np

from skdesc.density._expansion_cy cimport DensityExpansion, Environment
from skdesc.invariants._invariant_cy cimport Invariant
from skdesc.utils._kernels cimport SKD_LANES


def coefficients(
    DensityExpansion expansion,
    const Py_ssize_t[::1] offsets,
    const Py_ssize_t[::1] neighbor,
    const double[:, ::1] displacement,
    const double[::1] distance,
    const Py_ssize_t[::1] species,
    const Py_ssize_t[::1] centers,
    Py_ssize_t max_neighbors,
):
    """Density coefficients themselves, for inspection and tests.

    Returns
    -------
    ndarray of shape (n_centers, (l_max + 1)^2, n_species, n_max)
    """
    cdef Environment env
    cdef Py_ssize_t k, lm, q, n
    cdef double[::1] doubles = np.empty(expansion.n_doubles(max_neighbors, False))
    cdef Py_ssize_t[::1] integers = np.empty(2 * expansion.n_species + 1, dtype=np.intp)
    result = np.zeros((len(centers), expansion.n_lm, expansion.n_species, expansion.n_max))
    cdef double[:, :, :, ::1] out = result
    expansion.bind(&env, max_neighbors, False, &doubles[0], &integers[0])
    for k in range(centers.shape[0]):
        expansion.expand(
            &env, offsets[k], &neighbor[0] if neighbor.shape[0] else NULL,
            offsets[k + 1] - offsets[k], displacement, distance, &species[0],
            species[centers[k]], False,
        )
        for lm in range(expansion.n_lm):
            for q in range(env.n_present):
                for n in range(expansion.n_max):
                    out[k, lm, env.present[q], n] = env.c[
                        (lm * env.n_present + q) * expansion.n_pad + n
                    ]
    return result


def values(
    DensityExpansion expansion,
    Invariant invariant,
    const Py_ssize_t[::1] offsets,         # IN (n_centers + 1,), pairs of each center
    const Py_ssize_t[::1] neighbor,        # IN (n_pairs,)
    const double[:, ::1] displacement,     # IN (n_pairs, 3)
    const double[::1] distance,            # IN (n_pairs,)
    const Py_ssize_t[::1] species,         # IN (n_atoms,), species indices
    const Py_ssize_t[::1] centers,         # IN (n_centers,)
    Py_ssize_t max_neighbors,
    int n_threads,
    double[:, ::1] features,               # OUT (n_centers, n_features)
    double[::1] norms,                     # OUT (n_centers,)
):
    """Features of every center, and their norms before normalization."""
    cdef Py_ssize_t n_centers = centers.shape[0], k
    cdef Py_ssize_t n_expansion = expansion.n_doubles(max_neighbors, False)
    cdef Py_ssize_t n_invariant = invariant.n_doubles()
    cdef double[:, ::1] doubles = np.empty((n_threads, n_expansion + n_invariant + 8))
    cdef Py_ssize_t[:, ::1] integers = np.empty(
        (n_threads, 2 * expansion.n_species + 1 + 8), dtype=np.intp
    )
    if n_centers == 0:
        return
    cdef const Py_ssize_t *first_neighbor = &neighbor[0] if neighbor.shape[0] else NULL
    with nogil, parallel(num_threads=n_threads):
        for k in prange(n_centers, schedule="static"):
            norms[k] = _value(
                expansion, invariant, offsets[k], offsets[k + 1], first_neighbor, displacement,
                distance, &species[0], species[centers[k]], max_neighbors,
                &doubles[threadid(), 0], n_expansion, &integers[threadid(), 0], &features[k, 0],
            )


cdef double _value(
    DensityExpansion expansion, Invariant invariant, Py_ssize_t start, Py_ssize_t stop,
    const Py_ssize_t *neighbor, const double[:, ::1] displacement, const double[::1] distance,
    const Py_ssize_t *species, Py_ssize_t center_species, Py_ssize_t max_neighbors,
    double *doubles, Py_ssize_t n_expansion, Py_ssize_t *integers, double *row,
) noexcept nogil:
    cdef Environment env
    expansion.bind(&env, max_neighbors, False, doubles, integers)
    expansion.expand(&env, start, neighbor, stop - start, displacement, distance, species,
                     center_species, False)
    return invariant.forward(&env, row, doubles + n_expansion)


def adjoint(
    DensityExpansion expansion,
    Invariant invariant,
    const Py_ssize_t[::1] offsets,
    const Py_ssize_t[::1] neighbor,
    const double[:, ::1] displacement,
    const double[::1] distance,
    const Py_ssize_t[::1] species,
    const Py_ssize_t[::1] centers,
    Py_ssize_t max_neighbors,
    int n_threads,
    const double[:, ::1] features,         # IN (n_centers, n_features), as `values` gave them
    const double[::1] norms,               # IN (n_centers,)
    const double[:, ::1] cotangents,       # IN (n_centers, n_features), dE/d(features)
    double[:, ::1] pair_gradients,         # OUT (n_pairs, 3), dE/d(displacement)
):
    """Gradient of a scalar by every displacement; other arguments as for `values`."""
    cdef Py_ssize_t n_centers = centers.shape[0], k
    cdef Py_ssize_t n_expansion = expansion.n_doubles(max_neighbors, True)
    cdef Py_ssize_t n_invariant = invariant.n_doubles()
    cdef double[:, ::1] doubles = np.empty((n_threads, n_expansion + n_invariant + 8))
    cdef Py_ssize_t[:, ::1] integers = np.empty(
        (n_threads, 2 * expansion.n_species + 1 + 8), dtype=np.intp
    )
    if neighbor.shape[0] == 0:
        return
    with nogil, parallel(num_threads=n_threads):
        for k in prange(n_centers, schedule="static"):
            if offsets[k + 1] > offsets[k]:
                _adjoint(
                    expansion, invariant, offsets[k], offsets[k + 1], &neighbor[0], displacement,
                    distance, &species[0], species[centers[k]], max_neighbors,
                    &doubles[threadid(), 0], n_expansion, &integers[threadid(), 0],
                    &features[k, 0], &cotangents[k, 0], norms[k], &pair_gradients[offsets[k], 0],
                )


cdef void _adjoint(
    DensityExpansion expansion, Invariant invariant, Py_ssize_t start, Py_ssize_t stop,
    const Py_ssize_t *neighbor, const double[:, ::1] displacement, const double[::1] distance,
    const Py_ssize_t *species, Py_ssize_t center_species, Py_ssize_t max_neighbors,
    double *doubles, Py_ssize_t n_expansion, Py_ssize_t *integers, const double *row,
    const double *cotangent, double norm, double *gradients,
) noexcept nogil:
    cdef Environment env
    expansion.bind(&env, max_neighbors, True, doubles, integers)
    expansion.expand(&env, start, neighbor, stop - start, displacement, distance, species,
                     center_species, True)
    invariant.adjoint(&env, row, cotangent, norm, doubles + n_expansion)
    expansion.pull_back(&env, gradients)


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


def coefficient_derivatives(
    DensityExpansion expansion,
    const Py_ssize_t[::1] offsets,
    const Py_ssize_t[::1] neighbor,
    const double[:, ::1] displacement,
    const double[::1] distance,
    const Py_ssize_t[::1] species,
    const Py_ssize_t[::1] centers,
    Py_ssize_t max_neighbors,
    double[:, :, :, ::1] out,              # OUT (n_pairs, 3, (l_max + 1)^2, n_max)
):
    """Derivative of each neighbor's contribution to the coefficients by its displacement.

    grad (R Y) = (R' - l R / r) Y u + (R / r) grad S(u), S the solid harmonic, u the unit vector.
    """
    cdef Environment env
    cdef Py_ssize_t k, j, l, m, n, lm, start, lane, pair, ld = SKD_LANES
    cdef int axis
    cdef double inverse, radial, tangential
    cdef double xyz[24]
    cdef double *Y
    cdef double[::1] doubles = np.empty(expansion.n_doubles(max_neighbors, True))
    cdef Py_ssize_t[::1] integers = np.empty(2 * expansion.n_species + 1, dtype=np.intp)
    expansion.bind(&env, max_neighbors, True, &doubles[0], &integers[0])
    with nogil:
        for k in range(centers.shape[0]):
            if offsets[k + 1] == offsets[k]:
                continue
            expansion.expand(&env, offsets[k], &neighbor[0], offsets[k + 1] - offsets[k],
                             displacement, distance, &species[0], species[centers[k]], True)
            start = 0
            while start < env.n_neighbors:
                expansion.load_block(&env, start, xyz)
                expansion.kernels.harmonics(<int>expansion.l_max, &expansion.norms[0], xyz, 1,
                                            env.Y, ld)
                for lane in range(min(ld, env.n_neighbors - start)):
                    j = start + lane
                    pair = offsets[k] + j
                    inverse = 1.0 / env.distance[j]
                    for l in range(expansion.l_max + 1):
                        for lm in range(l * l, (l + 1) * (l + 1)):
                            Y = env.Y + 4 * lm * ld + lane
                            for axis in range(3):
                                for n in range(expansion.n_max):
                                    m = j * expansion.width + l * expansion.n_pad + n
                                    tangential = env.R[m] * inverse
                                    radial = env.dR[m] - l * tangential
                                    out[pair, axis, lm, n] = (
                                        radial * Y[0] * xyz[axis * ld + lane]
                                        + tangential * Y[(1 + axis) * ld]
                                    )
                start += SKD_LANES
