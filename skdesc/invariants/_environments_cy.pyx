"""Loops over environments: values and derivatives of any invariant.

They leave Python, so that threads can run them for several batches at a time.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.string cimport memcpy, memset

import numpy as np

from skdesc.density._expansion_cy cimport DensityExpansion, Environment
from skdesc.invariants._invariant_cy cimport Invariant
from skdesc.neighbors._pairs_cy cimport NeighborSearch, Notes, free_notes
from skdesc.simd._simd_cy cimport SKD_LANES

cdef class Neighborhoods:
    """Pairs of a batch of centers, and scratch memory; one thread uses it at a time.

    Parameters
    ----------
    expansion : DensityExpansion
        What to expand in.
    invariant : Invariant or None
        Made of that expansion.
    pairs : Pairs
        Neighbors of the centers.
    species : ndarray of shape (n_atoms,)
        Species index of every atom, -1 for unknown ones.
    centers : ndarray of shape (n_centers,)
        Atoms.
    derivatives : bool
        Whether derivatives of the coefficients will be asked for.
    n_extra : int, default=0
        Further doubles of scratch memory.
    """

    cdef readonly DensityExpansion expansion
    cdef readonly Invariant invariant
    cdef readonly Py_ssize_t n_centers, max_neighbors
    cdef const Py_ssize_t[::1] offsets, neighbor, species, centers
    cdef const double[:, ::1] displacement
    cdef const double[::1] distance
    cdef double[::1] doubles
    cdef Py_ssize_t[::1] integers
    cdef Py_ssize_t n_expansion, n_invariant
    cdef readonly bint derivatives

    def __init__(self, DensityExpansion expansion, Invariant invariant, pairs, species, centers,
                 bint derivatives, Py_ssize_t n_extra=0):
        self.expansion = expansion
        self.invariant = invariant
        self.offsets, self.neighbor = pairs.offsets, pairs.neighbor
        self.displacement, self.distance = pairs.displacement, pairs.distance
        self.species, self.centers = species, centers
        self.n_centers = self.centers.shape[0]
        self.max_neighbors = pairs.max_neighbors
        self.derivatives = derivatives
        self.n_expansion = expansion.n_doubles(self.max_neighbors, derivatives)
        self.n_invariant = 0 if invariant is None else invariant.n_doubles()
        self.doubles = np.empty(self.n_expansion + self.n_invariant + n_extra + 16)
        self.integers = np.empty(expansion.n_integers() + 16, dtype=np.intp)

    cdef void expand(self, Environment *env, Py_ssize_t k) noexcept nogil:
        """Coefficients of center k."""
        self.bind(env, k)
        self.expansion.expand(env, self.derivatives)

    cdef void bind(self, Environment *env, Py_ssize_t k) noexcept nogil:
        """Neighbors of center k, and scratch memory."""
        cdef Py_ssize_t start = self.offsets[k]
        self.expansion.bind(env, self.max_neighbors, self.derivatives, &self.doubles[0],
                            &self.integers[0])
        env.n_neighbors = self.offsets[k + 1] - start
        if env.n_neighbors:
            env.displacement = &self.displacement[start, 0]
            env.distance = &self.distance[start]
            env.neighbor = &self.neighbor[start]
        env.species = &self.species[0]
        env.center_species = self.species[self.centers[k]]

    cdef double *scratch(self) noexcept nogil:
        """Of the invariant."""
        return &self.doubles[self.n_expansion]

    cdef double *extra(self) noexcept nogil:
        return &self.doubles[self.n_expansion + self.n_invariant]

    def coefficients(self):
        """Density coefficients themselves, for inspection and tests.

        Returns
        -------
        ndarray of shape (n_centers, (l_max + 1)^2, n_groups, n_max)
        """
        cdef Py_ssize_t k
        cdef DensityExpansion expansion = self.expansion
        result = np.zeros((self.n_centers, expansion.n_lm, expansion.n_groups, expansion.n_max))
        cdef double[:, :, :, ::1] out = result
        with nogil:
            for k in range(self.n_centers):
                self.coefficients_of_center(k, &out[k, 0, 0, 0])
        return result

    cdef void coefficients_of_center(self, Py_ssize_t k, double *out) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t lm, q, n, n_max = self.expansion.n_max
        self.expand(&env, k)
        for lm in range(self.expansion.n_lm):
            for q in range(env.n_present):
                for n in range(n_max):
                    out[(lm * self.expansion.n_groups + env.present[q]) * n_max + n] = env.c[
                        lm * env.ld + q * self.expansion.n_pad + n]

    def pull_back_coefficients(self, const double[:, :, :, ::1] D, const Py_ssize_t[::1] which,
                               double[:, ::1] out):
        """Write dE/d(displacement) of every pair from dE/d(coefficients).

        Parameters
        ----------
        D : ndarray of shape (n_rows, (l_max + 1)^2, n_groups, n_max)
            dE/d(coefficients).
        which : ndarray of shape (n_centers,)
            Row of each center.
        out : ndarray of shape (n_pairs, 3)
        """
        cdef Py_ssize_t k
        with nogil:
            for k in range(self.n_centers):
                if self.offsets[k + 1] > self.offsets[k]:
                    self.pull_back_center(k, &D[which[k], 0, 0, 0],
                                          &out[self.offsets[k], 0])

    cdef void pull_back_center(self, Py_ssize_t k, const double *D,
                               double *out) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t lm, q, n, n_max = self.expansion.n_max
        self.expand(&env, k)
        memset(env.D, 0, self.expansion.n_lm * env.ld * sizeof(double))
        for lm in range(self.expansion.n_lm):
            for q in range(env.n_present):
                for n in range(n_max):
                    env.D[lm * env.ld + q * self.expansion.n_pad + n] = D[
                        (lm * self.expansion.n_groups + env.present[q]) * n_max + n]
        self.expansion.pull_back(&env, out)

    def changes_of_coefficients(self, const double[:, ::1] moves, const Py_ssize_t[::1] first,
                                const Py_ssize_t[::1] last, const Py_ssize_t[::1] species,
                                double[:, :, ::1] out):
        """Change of the coefficients when neighbors move relative to their centers.

        Extra scratch memory: three times the coefficients of one group.

        Parameters
        ----------
        moves : ndarray of shape (n_pairs, 3)
            Changes of the displacements.
        first, last : ndarray of shape (n_centers,)
            Each center's blocks of `out`.
        species : ndarray of shape (n_blocks,)
            Group of each block, ascending for each center; groups without a block are left out.
        out : ndarray of shape (n_blocks, (l_max + 1)^2, n_max)
            Gets the changes.
        """
        cdef Py_ssize_t k
        with nogil:
            for k in range(self.n_centers):
                if last[k] > first[k]:
                    self.change_of_center(
                        k,
                        &moves[self.offsets[k], 0] if self.offsets[k + 1] > self.offsets[k]
                        else NULL, last[k] - first[k], &species[first[k]], &out[first[k], 0, 0],
                    )

    cdef void change_of_center(self, Py_ssize_t k, const double *moves,
                               Py_ssize_t n_blocks, const Py_ssize_t *species,
                               double *out) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t j, lanes, start, q = 0, b = 0, lm, n
        cdef Py_ssize_t pad = self.expansion.n_pad, n_max = self.expansion.n_max
        cdef Py_ssize_t size = self.expansion.n_lm * pad
        cdef double *d = self.extra()
        cdef double *target
        cdef const double *v
        cdef double xyz[24]
        memset(out, 0, n_blocks * self.expansion.n_lm * n_max * sizeof(double))
        self.expand(&env, k)
        for lanes in range((env.n_neighbors + SKD_LANES - 1) // SKD_LANES):
            start = lanes * SKD_LANES
            self.expansion.harmonics_of_block(&env, start, xyz)
            for j in range(start, min(start + <Py_ssize_t>SKD_LANES, env.n_neighbors)):
                while env.run[q + 1] <= j:
                    q += 1
                while b < n_blocks and species[b] < env.present[q]:
                    b += 1
                if b == n_blocks or species[b] != env.present[q]:
                    continue
                memset(d, 0, 3 * size * sizeof(double))
                self.expansion.differentiate(&env, j, xyz, d)
                v = moves + 3 * j
                target = out + b * self.expansion.n_lm * n_max
                for lm in range(self.expansion.n_lm):
                    for n in range(n_max):
                        target[lm * n_max + n] += (
                            v[0] * d[lm * pad + n] + v[1] * d[size + lm * pad + n]
                            + v[2] * d[2 * size + lm * pad + n])

    def linearize(self, double[:, :, :, ::1] c, double[:, :, :, ::1] H,
                  double[:, :, :, ::1] dc):
        """What the derivatives of quadratic invariants are made of.

        Parameters
        ----------
        c : ndarray of shape (n_centers, (l_max + 1)^2, n_groups + n_spare, n_max)
            Gets the coefficients as the invariant scales them, such that features have unit
            norm if they are normalized. Holds zeros.
        H : ndarray of the same shape
            Gets half the derivative of the squared norm by c.
        dc : ndarray of shape (n_pairs, 3, (l_max + 1)^2, n_max)
            Gets the derivatives of c, of the group of each neighbor, by its position.
        """
        cdef Py_ssize_t k
        with nogil:
            for k in range(self.n_centers):
                self.linearize_center(k, &c[k, 0, 0, 0], &H[k, 0, 0, 0],
                                      &dc[self.offsets[k], 0, 0, 0]
                                      if self.offsets[k + 1] > self.offsets[k] else NULL)

    cdef void linearize_center(self, Py_ssize_t k, double *c, double *H,
                               double *dc) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t j, lanes, start, q, n, lm, where
        cdef Py_ssize_t pad = self.expansion.n_pad, n_max = self.expansion.n_max
        cdef Py_ssize_t size = self.expansion.n_lm * pad
        cdef Py_ssize_t ld = (self.expansion.n_groups + self.expansion.n_spare) * n_max
        cdef double *block = self.extra()
        cdef double xyz[24]
        self.expand(&env, k)
        # the harmonics of the derivatives take the place of those of the values
        for lanes in range((env.n_neighbors + SKD_LANES - 1) // SKD_LANES):
            start = lanes * SKD_LANES
            self.expansion.harmonics_of_block(&env, start, xyz)
            for j in range(start, min(start + <Py_ssize_t>SKD_LANES, env.n_neighbors)):
                memset(block + 3 * size * j, 0, 3 * size * sizeof(double))
                self.expansion.differentiate(&env, j, xyz, block + 3 * size * j)
        self.invariant.linearize(&env, self.scratch())
        for lm in range(self.expansion.n_lm):
            for q in range(env.n_present + self.expansion.n_spare):
                where = lm * ld + env.present[q] * n_max
                for n in range(n_max):
                    c[where + n] = env.c[lm * env.ld + q * pad + n]
                    H[where + n] = env.D[lm * env.ld + q * pad + n]
        for j in range(3 * env.n_neighbors):
            self.invariant.scale_tangent(&env, block + j * size)
            for lm in range(self.expansion.n_lm):
                for n in range(n_max):
                    dc[(j * self.expansion.n_lm + lm) * n_max + n] = block[j * size + lm * pad + n]

    @property
    def n_coefficients(self):
        """Doubles that the coefficients of one center take at most."""
        return self.expansion.n_lm * self.expansion.longest_row()

    def features(self, double[:, ::1] out, bint cleared, double[:, ::1] coefficients=None):
        """Write the features of every center; with `cleared`, out holds zeros already.

        Parameters
        ----------
        out : ndarray of shape (n_centers, n_features)
        coefficients : ndarray of shape (n_centers, n_coefficients), default=None
            Gets the coefficients, for `pair_gradients`.
        """
        cdef Py_ssize_t k
        cdef bint keep = coefficients is not None
        with nogil:
            for k in range(self.n_centers):
                self.feature(k, &out[k, 0], cleared,
                             &coefficients[k, 0] if keep else NULL)

    cdef void feature(self, Py_ssize_t k, double *row, bint cleared,
                      double *kept) noexcept nogil:
        cdef Environment env
        self.bind(&env, k)
        # radial derivatives are computed where they are needed
        self.expansion.expand(&env, False)
        if kept != NULL:
            memcpy(kept, env.c, self.expansion.n_lm * env.ld * sizeof(double))
        self.invariant.forward(&env, row, cleared, self.scratch())

    def pair_gradients(self, const double[:, ::1] cotangents, double[:, ::1] out,
                       const double[:, ::1] coefficients=None):
        """Write dE/d(displacement) of every pair.

        Parameters
        ----------
        cotangents : ndarray of shape (n_centers, n_features)
            dE/d(features).
        out : ndarray of shape (n_pairs, 3)
        coefficients : ndarray of shape (n_centers, n_coefficients), default=None
            As `features` has kept them; computed again by default.

        Returns
        -------
        bool
            Whether all cotangents are finite; they are looked at here, since to read them
            once more would take as long as all else where there are many features.
        """
        cdef Py_ssize_t k, n_bad = 0
        cdef bint kept = coefficients is not None
        with nogil:
            for k in range(self.n_centers):
                if not self.expansion.simd.finite(cotangents.shape[1], &cotangents[k, 0]):
                    n_bad += 1
                elif self.offsets[k + 1] > self.offsets[k]:
                    self.pair_gradient(k, &cotangents[k, 0], &out[self.offsets[k], 0],
                                       &coefficients[k, 0] if kept else NULL)
        return n_bad == 0

    cdef void pair_gradient(self, Py_ssize_t k, const double *cotangent,
                            double *out, const double *kept) noexcept nogil:
        cdef Environment env
        if kept == NULL:
            self.expand(&env, k)
        else:
            self.bind(&env, k)
            self.expansion.arrange(&env)
            self.expansion.evaluate_radial(&env, True)
            memcpy(env.c, kept, self.expansion.n_lm * env.ld * sizeof(double))
        self.invariant.adjoint(&env, cotangent, self.scratch())
        self.expansion.pull_back(&env, out)

    def jacobian(self, const Py_ssize_t[::1] block, const Py_ssize_t[::1] block_offsets,
                 const Py_ssize_t[::1] place, double[::1] values, double[:, ::1] along,
                 double[:, :, ::1] own, double[:, ::1] own_along,
                 double[:, :, :, ::1] strain, double[:, :, ::1] strain_along):
        """Derivatives of the features by every atom near a center, see `Jacobian`.

        Arrays hold zeros. Extra scratch memory: `n_extra_of_jacobian`.

        Parameters
        ----------
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
        cdef Py_ssize_t k
        with nogil:
            for k in range(self.n_centers):
                self.jacobian_of_center(
                    k,
                    &block[self.offsets[k]] if self.offsets[k + 1] > self.offsets[k] else NULL,
                    block_offsets[k], block_offsets[k + 1], &place[0] if place.shape[0] else NULL,
                    &values[0] if values.shape[0] else NULL,
                    &along[0, 0] if along.shape[0] else NULL, &own[k, 0, 0], &own_along[k, 0],
                    &strain[k, 0, 0, 0] if strain.shape[0] else NULL,
                    &strain_along[k, 0, 0] if strain.shape[0] else NULL,
                )

    cdef void jacobian_of_center(
        self, Py_ssize_t k, const Py_ssize_t *block, Py_ssize_t first_block,
        Py_ssize_t last_block, const Py_ssize_t *place, double *values, double *along,
        double *own, double *own_along, double *strain, double *strain_along,
    ) noexcept nogil:
        cdef Environment env
        cdef Py_ssize_t j, b, q = 0, x, lanes, start, axis, other, lm
        cdef Py_ssize_t pad = self.expansion.n_pad, size = self.expansion.n_lm * pad
        cdef double *dc = self.extra()
        cdef double *sums = dc + 3 * size * (last_block - first_block)
        cdef double *slope = sums + 3 * size
        cdef double *strains = slope + size
        cdef double *scratch = self.scratch()
        cdef double *of_block
        cdef double minus = -1.0
        cdef double xyz[24]
        self.expand(&env, k)
        if env.n_neighbors == 0:
            return
        memset(dc, 0, 3 * size * (last_block - first_block) * sizeof(double))
        if strain != NULL:
            memset(strains, 0, 9 * size * env.n_present * sizeof(double))
        for lanes in range((env.n_neighbors + SKD_LANES - 1) // SKD_LANES):
            start = lanes * SKD_LANES
            self.expansion.harmonics_of_block(&env, start, xyz)
            for j in range(start, min(start + <Py_ssize_t>SKD_LANES, env.n_neighbors)):
                self.expansion.differentiate(&env, j, xyz,
                                             dc + 3 * size * (block[j] - first_block))
                if strain != NULL:
                    while env.run[q + 1] <= j:
                        q += 1
                    memset(sums, 0, 3 * size * sizeof(double))
                    self.expansion.differentiate(&env, j, xyz, sums)
                    for axis in range(3):
                        for other in range(3):
                            for x in range(size):
                                strains[((q * 3 + axis) * 3 + other) * size + x] += (
                                    sums[axis * size + x] * env.displacement[3 * j + other])
        self.invariant.linearize(&env, scratch)
        b = first_block
        j = 0
        for q in range(env.n_present):
            if env.run[q + 1] == env.run[q]:
                continue
            memset(sums, 0, 3 * size * sizeof(double))
            for lm in range(self.expansion.n_lm):
                memcpy(slope + lm * pad, env.D + lm * env.ld + q * pad, pad * sizeof(double))
            # blocks of a center are numbered in the order in which its neighbors name them
            while j < env.run[q + 1]:
                if block[j] == b:
                    of_block = dc + 3 * size * (b - first_block)
                    # sums -= derivatives of the block
                    self.expansion.simd.gemm(1, 3 * size, 1, &minus, 1, 1, of_block, 3 * size,
                                             sums, 3 * size, 1)
                    self.rows_of(&env, q, of_block, 3, values + place[b],
                                 self.invariant.n_touched[env.present[q]], slope, along + 3 * b,
                                 scratch)
                    b += 1
                j += 1
            self.rows_of(&env, q, sums, 3, own, 0, slope, own_along, scratch)
            if strain != NULL:
                self.rows_of(&env, q, strains + 9 * q * size, 9, strain, 0, slope, strain_along,
                             scratch)

    cdef void rows_of(self, Environment *env, Py_ssize_t q, double *dc, Py_ssize_t count,
                      double *rows, Py_ssize_t n_columns, const double *slope, double *along,
                      double *scratch) noexcept nogil:
        """Derivatives in some directions; with n_columns 0, added to full rows."""
        cdef Py_ssize_t k, size = self.expansion.n_lm * self.expansion.n_pad
        cdef Py_ssize_t length = n_columns if n_columns else self.invariant.n_features
        for k in range(count):
            self.invariant.tangent(env, q, dc + k * size, rows + k * length, n_columns > 0,
                                   scratch)
            along[k] += self.expansion.simd.dot(size, slope, dc + k * size)


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


def scratch_bytes(DensityExpansion expansion, Invariant invariant, Py_ssize_t max_neighbors,
                  bint derivatives):
    """Bytes of scratch memory that `Neighborhoods` holds, without extra."""
    return 8 * (expansion.n_doubles(max_neighbors, derivatives) + invariant.n_doubles()
                + expansion.n_integers() + 32)


def n_extra_of_jacobian(DensityExpansion expansion, Py_ssize_t max_blocks, bint strain):
    """Doubles of scratch memory that `jacobian` needs."""
    return expansion.n_lm * expansion.n_pad * (
        3 * (max_blocks + 1) + 1 + (9 * expansion.n_groups if strain else 0))
