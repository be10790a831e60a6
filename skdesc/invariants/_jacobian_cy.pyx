"""Explicit derivatives of the features of a center by every atom near it."""

from libc.string cimport memcpy, memset

from skdesc.density._expansion_cy cimport DensityExpansion, Environment
from skdesc.invariants._environments_cy cimport Neighborhoods
from skdesc.simd._simd_cy cimport SKD_LANES


def jacobian(
    Neighborhoods environments, const Py_ssize_t[::1] block, const Py_ssize_t[::1] block_offsets,
    const Py_ssize_t[::1] place, double[::1] values, double[:, ::1] along, double[:, :, ::1] own,
    double[:, ::1] own_along, double[:, :, :, ::1] strain, double[:, :, ::1] strain_along,
):
    """Derivatives of the features by every atom near a center, see `Jacobian`.

    Arrays hold zeros. Extra scratch memory: `n_extra_of_jacobian`.

    Parameters
    ----------
    environments : Neighborhoods
        Centers, with derivatives and scratch memory.
    block : ndarray of shape (n_pairs,)
        Block of each pair: images of one atom share one.
    block_offsets : ndarray of shape (n_centers + 1,)
        Blocks of each center.
    place : ndarray of shape (n_blocks,)
        Where in values the block's three rows begin.
    values : ndarray
        Rows of all blocks.
    along : ndarray of shape (n_blocks, 3)
    own : ndarray of shape (n_centers, 3, n_features)
        Derivatives by the center itself; own_along, (n_centers, 3), goes with it.
    strain : ndarray of shape (n_centers, 3, 3, n_features), or of no length
        Derivatives by the strain; strain_along, (n_centers, 3, 3), goes with it.
    """
    cdef DensityExpansion expansion = environments.expansion
    cdef Py_ssize_t k
    cdef const Py_ssize_t *of_pairs
    with nogil:
        for k in range(environments.n_centers):
            of_pairs = NULL
            if environments.offsets[k + 1] > environments.offsets[k]:
                of_pairs = &block[environments.offsets[k]]
            jacobian_of_center(
                environments, expansion, k, of_pairs, block_offsets[k], block_offsets[k + 1],
                &place[0] if place.shape[0] else NULL, &values[0] if values.shape[0] else NULL,
                &along[0, 0] if along.shape[0] else NULL, &own[k, 0, 0], &own_along[k, 0],
                &strain[k, 0, 0, 0] if strain.shape[0] else NULL,
                &strain_along[k, 0, 0] if strain.shape[0] else NULL,
            )


cdef void jacobian_of_center(
    Neighborhoods environments, DensityExpansion expansion, Py_ssize_t k,
    const Py_ssize_t *block, Py_ssize_t first_block, Py_ssize_t last_block,
    const Py_ssize_t *place, double *values, double *along, double *own,
    double *own_along, double *strain, double *strain_along,
) noexcept nogil:
    cdef Environment env
    cdef Py_ssize_t j, b, q = 0, x, lanes, start, axis, other, lm
    cdef Py_ssize_t pad = expansion.n_pad, size = expansion.n_lm * pad
    cdef double *dc = environments.extra()
    cdef double *sums = dc + 3 * size * (last_block - first_block)
    cdef double *slope = sums + 3 * size
    cdef double *strains = slope + size
    cdef double *scratch = environments.scratch()
    cdef double *of_block
    cdef double minus = -1.0
    cdef double xyz[24]
    environments.expand(&env, k)
    if env.n_neighbors == 0:
        return
    memset(dc, 0, 3 * size * (last_block - first_block) * sizeof(double))
    if strain != NULL:
        memset(strains, 0, 9 * size * env.n_present * sizeof(double))
    for lanes in range((env.n_neighbors + SKD_LANES - 1) // SKD_LANES):
        start = lanes * SKD_LANES
        expansion.harmonics_of_block(&env, start, xyz)
        for j in range(start, min(start + <Py_ssize_t>SKD_LANES, env.n_neighbors)):
            expansion.differentiate(&env, j, xyz, dc + 3 * size * (block[j] - first_block))
            if strain != NULL:
                while env.run[q + 1] <= j:
                    q += 1
                memset(sums, 0, 3 * size * sizeof(double))
                expansion.differentiate(&env, j, xyz, sums)
                for axis in range(3):
                    for other in range(3):
                        for x in range(size):
                            strains[((q * 3 + axis) * 3 + other) * size + x] += (
                                sums[axis * size + x] * env.displacement[3 * j + other])
    environments.invariant.linearize(&env, scratch)
    b = first_block
    j = 0
    for q in range(env.n_present):
        if env.run[q + 1] == env.run[q]:
            continue
        memset(sums, 0, 3 * size * sizeof(double))
        for lm in range(expansion.n_lm):
            memcpy(slope + lm * pad, env.D + lm * env.ld + q * pad, pad * sizeof(double))
        # blocks of a center are numbered in the order in which its neighbors name them
        while j < env.run[q + 1]:
            if block[j] == b:
                of_block = dc + 3 * size * (b - first_block)
                # sums -= derivatives of the block
                expansion.simd.gemm(1, 3 * size, 1, &minus, 1, 1, of_block, 3 * size,
                                    sums, 3 * size, 1)
                rows_of(environments, &env, q, of_block, 3, values + place[b],
                        environments.invariant.n_touched[env.present[q]], slope, along + 3 * b,
                        scratch)
                b += 1
            j += 1
        rows_of(environments, &env, q, sums, 3, own, 0, slope, own_along, scratch)
        if strain != NULL:
            rows_of(environments, &env, q, strains + 9 * q * size, 9, strain, 0, slope,
                    strain_along, scratch)


cdef void rows_of(
    Neighborhoods environments, Environment *env, Py_ssize_t q, double *dc, Py_ssize_t count,
    double *rows, Py_ssize_t n_columns, const double *slope, double *along, double *scratch,
) noexcept nogil:
    """Derivatives in some directions; with n_columns 0, added to full rows."""
    cdef Py_ssize_t k, size = environments.expansion.n_lm * environments.expansion.n_pad
    cdef Py_ssize_t length = n_columns if n_columns else environments.invariant.n_features
    for k in range(count):
        environments.invariant.tangent(env, q, dc + k * size, rows + k * length, n_columns > 0,
                                       scratch)
        along[k] += environments.expansion.simd.dot(size, slope, dc + k * size)


def n_extra_of_jacobian(DensityExpansion expansion, Py_ssize_t max_blocks, bint strain):
    """Doubles of scratch memory that `jacobian` needs."""
    return expansion.n_lm * expansion.n_pad * (
        3 * (max_blocks + 1) + 1 + (9 * expansion.n_groups if strain else 0))
