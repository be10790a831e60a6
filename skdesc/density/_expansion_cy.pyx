"""Density expansion coefficients of atomic environments, and their adjoint.

For the center i, c[l m, s, n] = sum_j R_nl(r_ij) Y_lm(r_ij / |r_ij|) over the neighbors j of
species s, and the center itself in its own species. Only species that are present take space.
"""

from libc.math cimport pi, sqrt
from libc.string cimport memset

import numpy as np

from skdesc.simd._simd_cy cimport SKD_LANES, select_simd


cdef class DensityExpansion:
    """Expansion in the functions of a radial spline and real spherical harmonics.

    Parameters
    ----------
    spline : RadialSpline
        The radial functions.
    n_species : int
        Number of species.
    center_weight : float
        Weight of the center's own Gaussian.
    instruction_set : str, default=None
        Use no better than "avx512", "avx2" or "baseline"; for tests and measurements.
    """

    def __init__(self, spline, n_species, center_weight, instruction_set=None):
        cdef Py_ssize_t l, m, part
        self.n_max = spline.n_max
        self.n_pad = spline.n_pad
        self.l_max = spline.l_max
        self.n_lm = (self.l_max + 1) ** 2
        self.width = spline.width
        self.n_species = self.n_groups = n_species
        self.center_weight = center_weight
        self.table = spline.table
        self.center = spline.center * (center_weight * sqrt(1 / (4 * pi)))
        wanted = None if instruction_set is None else instruction_set.encode()
        self.simd = select_simd(NULL) if wanted is None else select_simd(<const char *>wanted)
        self.n_parts = len(spline.breaks)
        for part, (start, stop, count, first) in enumerate(spline.breaks):
            self.part_start[part] = start
            self.part_scale[part] = count / (stop - start)
            self.part_count[part] = count
            self.part_first[part] = first
        self.norms = np.zeros((self.l_max + 1) * (self.l_max + 2) // 2 + self.l_max + 2)
        for l in range(self.l_max + 1):
            factor = (2 * l + 1) / (4 * pi)
            self.norms[l * (l + 1) // 2] = sqrt(factor)
            factor *= 2
            for m in range(1, l + 1):
                factor /= (l - m + 1) * (l + m)
                self.norms[l * (l + 1) // 2 + m] = sqrt(factor)
        for m in range(1, self.l_max + 2):
            self.norms[(self.l_max + 1) * (self.l_max + 2) // 2 + m] = 1.0 / m

    @property
    def instruction_set(self):
        """Name of the variant of the SIMD loops in use."""
        return self.simd.name.decode()

    def groups_of(self, species):
        """Group of channels to which neighbors of some species contribute."""
        return species

    cdef Py_ssize_t n_doubles(self, Py_ssize_t max_neighbors, bint derivatives) noexcept nogil:
        """Doubles of scratch memory that one thread needs."""
        cdef Py_ssize_t lanes = (max_neighbors + SKD_LANES) // SKD_LANES * SKD_LANES
        cdef Py_ssize_t c = self.n_lm * self.longest_row()
        cdef Py_ssize_t n = self.n_lm * lanes + lanes * self.width + c
        if derivatives:
            n += lanes * self.width + c + 4 * self.n_lm * SKD_LANES
        return n + 64

    cdef Py_ssize_t longest_row(self) noexcept nogil:
        """Largest possible row length of the coefficients."""
        return (self.n_groups + self.n_spare) * self.n_pad + SKD_LANES

    cdef Py_ssize_t n_integers(self) noexcept nogil:
        """Integers of scratch memory that one thread needs."""
        return 2 * (self.n_groups + self.n_spare) + 1

    cdef void bind(self, Environment *env, Py_ssize_t max_neighbors, bint derivatives,
                   double *doubles, Py_ssize_t *integers) noexcept nogil:
        """Lay out an environment in scratch memory."""
        cdef Py_ssize_t lanes = (max_neighbors + SKD_LANES) // SKD_LANES * SKD_LANES
        cdef Py_ssize_t c = self.n_lm * self.longest_row()
        env.present = integers
        env.run = integers + self.n_groups + self.n_spare
        env.ld_Y = lanes
        env.c = <double *>((<size_t>doubles + 63) & ~<size_t>63)
        env.R = env.c + (c + 7) // 8 * 8
        env.Y = env.R + lanes * self.width
        env.dR = env.D = NULL
        if derivatives:
            # Y has room for the values of all neighbors or the gradients of one block
            env.dR = env.Y + self.n_lm * (lanes + 4 * SKD_LANES)
            env.D = env.dR + lanes * self.width

    cdef void expand(self, Environment *env, bint derivatives) noexcept nogil:
        """Coefficients of one center from its neighbors, leaving spare channels untouched."""
        cdef Py_ssize_t j = 0, q
        cdef double xyz[24]
        self.arrange(env)
        while j < env.n_neighbors:
            self.load_block(env, j, xyz)
            self.simd.harmonics(<int>self.l_max, &self.norms[0], xyz, 0, env.Y + j, env.ld_Y)
            j += SKD_LANES
        self.evaluate_radial(env, derivatives)
        for q in range(env.n_present):
            self.simd.gemm_per_l(
                <int>self.l_max, self.n_pad, env.run[q + 1] - env.run[q], env.Y + env.run[q],
                env.ld_Y, env.R + env.run[q] * self.width, self.width, self.n_pad,
                env.c + q * self.n_pad, env.ld, 0,
            )
        if env.center_species >= 0 and self.center_weight != 0.0:
            self.add_center(env)

    cdef void arrange(self, Environment *env) noexcept nogil:
        """Group the neighbors, and choose the row length of the coefficients."""
        cdef Py_ssize_t q, width
        self.group(env)
        env.ld = width = (env.n_present + self.n_spare) * self.n_pad
        if env.n_present > 1 and width >= 64 and width % (2 * SKD_LANES) == 0:
            # with rows of an even number of cache lines, the column of a group, one line of every
            # row, would meet itself in few sets of the first cache
            env.ld += SKD_LANES
            for q in range(self.n_lm):
                memset(env.c + q * env.ld + width, 0, SKD_LANES * sizeof(double))

    cdef void group(self, Environment *env) noexcept nogil:
        """Runs of neighbors of one species; the center's own species joins in order."""
        cdef Py_ssize_t j, s, last = -1, own = env.center_species
        cdef bint pending = own >= 0 and self.center_weight != 0.0
        env.n_present = 0
        for j in range(env.n_neighbors):
            s = env.species[env.neighbor[j]]
            if s == last:
                continue
            if pending and own <= s:
                if own < s:
                    env.present[env.n_present] = own
                    env.run[env.n_present] = j
                    env.n_present += 1
                pending = False
            env.present[env.n_present] = s
            env.run[env.n_present] = j
            env.n_present += 1
            last = s
        if pending:
            env.present[env.n_present] = own
            env.run[env.n_present] = env.n_neighbors
            env.n_present += 1
        env.run[env.n_present] = env.n_neighbors

    cdef void evaluate_radial(self, Environment *env, bint derivatives) noexcept nogil:
        """Radial functions of every neighbor: env.R and, with derivatives, env.dR."""
        cdef Py_ssize_t j
        for j in range(env.n_neighbors):
            self.evaluate_spline(env.distance[j], env.R + j * self.width,
                                 env.dR + j * self.width if derivatives else NULL)

    cdef void evaluate_spline(self, double distance, double *value,
                              double *derivative) noexcept nogil:
        cdef Py_ssize_t part = self.n_parts - 1, where
        cdef double t
        while part > 0 and distance < self.part_start[part]:
            part -= 1
        t = (distance - self.part_start[part]) * self.part_scale[part]
        where = min(<Py_ssize_t>t, self.part_count[part] - 1)
        self.simd.spline(self.table.shape[2], &self.table[self.part_first[part] + where, 0, 0],
                         t - where, self.part_scale[part], value, derivative)

    cdef void add_center(self, Environment *env) noexcept nogil:
        """Add the center's own Gaussian, which has l = 0 only."""
        cdef Py_ssize_t q, n
        for q in range(env.n_present):
            if env.present[q] == env.center_species:
                for n in range(self.n_max):
                    env.c[q * self.n_pad + n] += self.center[n]

    cdef void load_block(self, Environment *env, Py_ssize_t start, double *xyz) noexcept nogil:
        """Unit vectors of a block of neighbors, one per lane; spare lanes repeat the last."""
        cdef Py_ssize_t lane, j
        cdef int axis
        cdef double inverse
        for lane in range(SKD_LANES):
            j = min(start + lane, env.n_neighbors - 1)
            inverse = 1.0 / env.distance[j]
            for axis in range(3):
                xyz[axis * SKD_LANES + lane] = env.displacement[3 * j + axis] * inverse

    cdef void harmonics_of_block(self, Environment *env, Py_ssize_t start,
                                 double *xyz) noexcept nogil:
        """Harmonics and gradients of a block of neighbors, in env.Y; xyz: unit vectors."""
        self.load_block(env, start, xyz)
        self.simd.harmonics(<int>self.l_max, &self.norms[0], xyz, 1, env.Y, SKD_LANES)

    cdef void pull_back(self, Environment *env, double *gradient) noexcept nogil:
        """Gradient by every neighbor's displacement, (n_neighbors, 3), from dE/dc in env.D."""
        cdef Py_ssize_t start = 0, lane, j, q = 0
        cdef double xyz[24]
        cdef double unit[3]
        cdef int axis
        while start < env.n_neighbors:
            self.harmonics_of_block(env, start, xyz)
            for lane in range(min(<Py_ssize_t>SKD_LANES, env.n_neighbors - start)):
                j = start + lane
                while env.run[q + 1] <= j:
                    q += 1
                for axis in range(3):
                    unit[axis] = xyz[axis * SKD_LANES + lane]
                self.simd.pull_back(
                    <int>self.l_max, self.n_pad, env.D + q * self.n_pad, env.ld, env.Y + lane,
                    env.R + j * self.width, env.dR + j * self.width,
                    1.0 / env.distance[j], unit, gradient + 3 * j,
                )
            start += SKD_LANES

    cdef void differentiate(self, Environment *env, Py_ssize_t j, const double *xyz,
                            double *out) noexcept nogil:
        """Add to out, (3, n_lm, n_pad), the derivatives of the coefficients of j's group by j.

        xyz: what `harmonics_of_block` gave for the block of j.
        """
        cdef Py_ssize_t lane = j % SKD_LANES
        cdef double unit[3]
        cdef int axis
        for axis in range(3):
            unit[axis] = xyz[axis * SKD_LANES + lane]
        self.simd.differentiate_lane(
            <int>self.l_max, self.n_pad, env.Y + lane, env.R + j * self.width,
            env.dR + j * self.width, 1.0 / env.distance[j], unit, out, self.n_lm * self.n_pad,
        )
