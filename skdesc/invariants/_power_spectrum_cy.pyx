"""The SOAP power spectrum of one environment, its adjoint and its derivatives.

p[(a n) (b n') l] = pi sqrt(8 / (2 l + 1)) sum_m c[l m, a, n] c[l m, b, n'] for listed pairs of
groups a <= b: species, or the sum of all species, which comes last. In a symmetric spectrum,
pairs of unequal channels (a n) < (b n') carry a factor sqrt 2, so that the scalar product of two
packed spectra is that of the full ones. Coefficients are scaled by 2^(1/4) beforehand, which
gives that factor to every product at once; the few equal pairs are mended.

Norms come from the Gram matrices G_l[m, m'] = sum_(a n) c[l m, a, n] c[l m', a, n]: the squared
norm of the full spectrum is the sum of their squared entries. So coefficients are scaled before
products are formed, and nothing ever passes over the long rows a second time.
"""

from libc.math cimport pi, sqrt
from libc.string cimport memcpy, memset

import numpy as np

from skdesc.density._expansion_cy cimport DensityExpansion, Environment
from skdesc.invariants._invariant_cy cimport Invariant
from skdesc.simd._simd_cy cimport SKD_LANES

# below this many features the norm of the row itself is cheaper than that of Gram matrices
cdef Py_ssize_t SHORT_ROW = 12_000


cdef class PowerSpectrumInvariant(Invariant):
    """Power spectrum over listed pairs of groups.

    Parameters
    ----------
    expansion : DensityExpansion
        Where the coefficients come from.
    pairs : list of tuple (int, int)
        Pairs a <= b of groups, in the order of the features; the number of species stands for
        the sum of all.
    symmetric : bool
        Whether the pairs are one half of a symmetric matrix, not a rectangular one.
    normalize : bool
        Divide each spectrum by its Euclidean norm; a spectrum of zeros stays zero.
    """

    cdef Py_ssize_t[:, ::1] first     # (n_groups, n_groups), first feature of a pair a <= b; -1
    cdef Py_ssize_t[:, :, ::1] place  # (n_species, ...) its first entry among the columns of s
    cdef double[::1] factor           # (l_max + 1,), scale of the coefficients
    cdef bint symmetric, crossed, summed

    def __init__(self, DensityExpansion expansion, pairs, symmetric, normalize):
        cdef Py_ssize_t a, b, s, where = 0, n_species = expansion.n_species
        self.expansion = expansion
        self.symmetric = symmetric
        self.normalize = normalize
        self.summed = any(b == n_species for _, b in pairs)
        self.crossed = any(a != b for a, b in pairs)
        expansion.n_spare = self.summed
        n_groups = n_species + expansion.n_spare
        self.first = np.full((n_groups, n_groups), -1, dtype=np.intp)
        self.place = np.full((n_species, n_groups, n_groups), -1, dtype=np.intp)
        self.n_touched = np.zeros(n_species, dtype=np.intp)
        self.columns, self.vanishing = [], []
        for a, b in pairs:
            self.first[a, b] = where
            where += self.size(a, b)
        self.n_features = where
        for s in range(n_species):
            touched = [(a, b) for a, b in pairs if {a, b} & {s, n_species}]
            for a, b in touched:
                self.place[s, a, b] = self.n_touched[s]
                self.n_touched[s] += self.size(a, b)
            self.columns.append(self.features_of(touched))
            self.vanishing.append(self.features_of([(a, b) for a, b in pairs if s in (a, b)]))
        degree = 2 * np.arange(expansion.l_max + 1) + 1
        self.factor = np.sqrt((np.sqrt(2.0) if symmetric else 1.0) * pi * np.sqrt(8 / degree))

    cdef object features_of(self, list pairs):
        """Features of some pairs, in their order."""
        cdef Py_ssize_t a, b
        parts = [np.arange(self.first[a, b], self.first[a, b] + self.size(a, b)) for a, b in pairs]
        return np.concatenate([np.empty(0, dtype=np.intp), *parts])

    cdef Py_ssize_t size(self, Py_ssize_t a, Py_ssize_t b) noexcept nogil:
        """Number of features of a pair."""
        cdef Py_ssize_t n = self.expansion.n_max
        return (self.expansion.l_max + 1) * (n * (n + 1) // 2 if a == b else n * n)

    cdef Py_ssize_t n_doubles(self) noexcept nogil:
        cdef Py_ssize_t n_m = 2 * self.expansion.l_max + 8
        return (2 * (self.expansion.l_max + 1) * self.expansion.n_pad ** 2
                + self.expansion.n_lm * self.expansion.longest_row() + 2 * n_m * n_m + 64)

    cdef void prepare(self, Environment *env) noexcept nogil:
        """Scale the coefficients and fill the group that is the sum of all."""
        cdef Py_ssize_t l, lm, q, n, pad = self.expansion.n_pad
        cdef double *row
        for lm in range(self.expansion.n_lm if self.summed else 0):
            row = env.c + lm * env.ld
            memset(row + env.n_present * pad, 0, pad * sizeof(double))
            for q in range(env.n_present):
                for n in range(pad):
                    row[env.n_present * pad + n] += row[q * pad + n]
        if self.summed:
            env.present[env.n_present] = self.expansion.n_species
        for l in range(self.expansion.l_max + 1):
            self.expansion.simd.scale((2 * l + 1) * env.ld, self.factor[l],
                                      env.c + l * l * env.ld)

    cdef void gram(self, Environment *env, Py_ssize_t l, Py_ssize_t q, Py_ssize_t n_groups,
                   double *G) noexcept nogil:
        """G[m, m'] of some groups, its rows padded to `row_of_gram(l)`."""
        cdef Py_ssize_t pad = self.expansion.n_pad
        self.expansion.simd.gram(2 * l + 1, n_groups * pad, env.c + l * l * env.ld + q * pad,
                                 env.ld, G, self.row_of_gram(l))

    cdef Py_ssize_t row_of_gram(self, Py_ssize_t l) noexcept nogil:
        return (2 * l + 4) // 4 * 4

    cdef double squared_norm(self, Environment *env, double *H, double *scratch) noexcept nogil:
        """Squared norm of the spectrum; half its derivative by c is added to H, if not NULL."""
        cdef Py_ssize_t l, q, n_m = 2 * self.expansion.l_max + 8
        cdef double *G = scratch
        cdef double *other = G + n_m * n_m
        cdef double total = 0.0
        for l in range(self.expansion.l_max + 1):
            n_m = (2 * l + 1) * self.row_of_gram(l)
            if not self.symmetric:
                # each species with the sum of all
                self.gram(env, l, env.n_present, 1, G)
                self.gram(env, l, 0, env.n_present, other)
                total += self.expansion.simd.dot(n_m, G, other)
                self.multiply(env, l, 0, env.n_present, G, H)
                self.multiply(env, l, env.n_present, 1, other, H)
                continue
            # all groups at once where all pairs count, else each with itself
            q = env.n_present if self.summed else 0
            while q < env.n_present + self.summed:
                n_m = env.n_present if self.crossed else 1
                self.gram(env, l, q, n_m, G)
                self.multiply(env, l, q, n_m, G, H)
                q += n_m
                n_m = (2 * l + 1) * self.row_of_gram(l)
                total += 0.5 * self.expansion.simd.dot(n_m, G, G)
        return total

    cdef void multiply(self, Environment *env, Py_ssize_t l, Py_ssize_t q, Py_ssize_t n_groups,
                       const double *G, double *H) noexcept nogil:
        """H += G c for some groups."""
        cdef Py_ssize_t n_m = 2 * l + 1
        cdef Py_ssize_t start = l * l * env.ld + q * self.expansion.n_pad
        if H != NULL:
            self.expansion.simd.gemm(n_m, n_groups * self.expansion.n_pad, n_m, G,
                                     self.row_of_gram(l), 1, env.c + start, env.ld, H + start,
                                     env.ld, 1)

    cdef void forward(self, Environment *env, double *row, bint cleared,
                      double *scratch) noexcept nogil:
        cdef Py_ssize_t a, b, qa = 0, qb, n_groups, present
        cdef double squared
        # a norm of the row itself is formed and applied block by block, without the zeros
        cdef bint by_row = self.normalize and self.n_features < SHORT_ROW
        self.prepare(env)
        if self.normalize and not by_row:
            squared = self.squared_norm(env, NULL, scratch)
            if squared > 0.0:
                self.expansion.simd.scale(self.expansion.n_lm * env.ld,
                                          1.0 / sqrt(sqrt(squared)), env.c)
        n_groups = self.first.shape[0]
        present = env.n_present + self.summed
        squared = 0.0
        for a in range(n_groups):
            if qa == present or env.present[qa] != a:
                if not cleared:
                    for b in range(a, n_groups):
                        self.clear(row, a, b)
                continue
            qb = qa
            for b in range(a, n_groups):
                if qb == present or env.present[qb] != b:
                    if not cleared:
                        self.clear(row, a, b)
                    continue
                if self.first[a, b] >= 0:
                    self.block(env, qa, qb, row + self.first[a, b], scratch)
                    if by_row:
                        squared += self.expansion.simd.dot(
                            self.size(a, b), row + self.first[a, b], row + self.first[a, b])
                qb += 1
            qa += 1
        if squared > 0.0:
            for qa in range(present):
                for qb in range(qa, present):
                    a, b = env.present[qa], env.present[qb]
                    if self.first[a, b] >= 0:
                        self.expansion.simd.scale(self.size(a, b), 1.0 / sqrt(squared),
                                                  row + self.first[a, b])

    cdef void clear(self, double *row, Py_ssize_t a, Py_ssize_t b) noexcept nogil:
        if self.first[a, b] >= 0:
            memset(row + self.first[a, b], 0, self.size(a, b) * sizeof(double))

    cdef void products(self, const double *x, Py_ssize_t ld_x, const double *y, Py_ssize_t ld_y,
                       double *out, bint accumulate) noexcept nogil:
        """out[l, n, n'] = sum_m x[l m, n] y[l m, n'], with rows of n_pad."""
        self.expansion.simd.multiply(<int>self.expansion.l_max, self.expansion.n_max,
                                     self.expansion.n_pad, x, ld_x, y, ld_y, out, accumulate)

    cdef void block(self, Environment *env, Py_ssize_t qa, Py_ssize_t qb, double *out,
                    double *tiles) noexcept nogil:
        """Features of two groups that are present."""
        cdef Py_ssize_t pad = self.expansion.n_pad
        cdef double *c = env.c + qa * pad
        if qa != qb:
            self.rectangle(c, env.ld, env.c + qb * pad, env.ld, out, False, tiles)
        else:
            self.products(c, env.ld, c, env.ld, tiles, False)
            self.pack(tiles, out)

    cdef void rectangle(self, const double *x, Py_ssize_t ld_x, const double *y, Py_ssize_t ld_y,
                        double *out, bint accumulate, double *tiles) noexcept nogil:
        """Products of two groups for all l, packed."""
        cdef Py_ssize_t row, k, n_max = self.expansion.n_max, pad = self.expansion.n_pad
        if n_max == pad:
            self.products(x, ld_x, y, ld_y, out, accumulate)
            return
        self.products(x, ld_x, y, ld_y, tiles, False)
        for row in range((self.expansion.l_max + 1) * n_max):
            if accumulate:
                for k in range(n_max):
                    out[row * n_max + k] += tiles[row * pad + k]
            else:
                memcpy(out + row * n_max, tiles + row * pad, n_max * sizeof(double))

    cdef void pack(self, double *tiles, double *out) noexcept nogil:
        """Write the upper triangles of tiles, equal pairs mended."""
        cdef Py_ssize_t l, n, n_max = self.expansion.n_max, pad = self.expansion.n_pad
        cdef Py_ssize_t size = n_max * (n_max + 1) // 2
        for l in range(self.expansion.l_max + 1):
            for n in range(n_max):
                tiles[n * pad + n] *= sqrt(0.5)
            self.expansion.simd.pack_upper(n_max, pad, tiles, out,
                                           (self.expansion.l_max - l) * size < SKD_LANES)
            tiles += n_max * pad
            out += size

    cdef void adjoint(self, Environment *env, const double *cotangent,
                      double *scratch) noexcept nogil:
        cdef Py_ssize_t qa, qb, a, b, size = self.expansion.n_lm * env.ld
        cdef double squared, along
        cdef double *H = scratch
        memset(env.D, 0, size * sizeof(double))
        self.prepare(env)
        for qa in range(env.n_present + self.summed):
            a = env.present[qa]
            for qb in range(qa, env.n_present + self.summed):
                b = env.present[qb]
                if self.first[a, b] < 0:
                    continue
                if a == b:
                    self.diagonal_adjoint(env, qa, cotangent + self.first[a, a], scratch)
                else:
                    self.block_adjoint(env, qa, qb, cotangent + self.first[a, b], scratch)
        if self.normalize:
            memset(H, 0, size * sizeof(double))
            squared = self.squared_norm(env, H, scratch + size)
            if squared > 0.0:
                # the spectrum is quadratic in c: c . dE/dc is twice cotangent . spectrum
                along = -0.5 * self.expansion.simd.dot(size, env.c, env.D) / squared
                # D += along H
                self.expansion.simd.gemm(1, size, 1, &along, 1, 1, H, size, env.D, size, 1)
                self.expansion.simd.scale(size, 1.0 / sqrt(squared), env.D)
        self.finish(env)

    cdef void add_sum(self, Environment *env) noexcept nogil:
        """What the sum of all depends on, every group does."""
        cdef Py_ssize_t lm, n, q, pad = self.expansion.n_pad
        cdef double *row
        if self.summed:
            for lm in range(self.expansion.n_lm):
                row = env.D + lm * env.ld
                for q in range(env.n_present):
                    for n in range(pad):
                        row[q * pad + n] += row[env.n_present * pad + n]

    cdef void finish(self, Environment *env) noexcept nogil:
        """From derivatives by scaled coefficients to those by what they were made of."""
        cdef Py_ssize_t l
        self.add_sum(env)
        for l in range(self.expansion.l_max + 1):
            self.expansion.simd.scale((2 * l + 1) * env.ld, self.factor[l],
                                      env.D + l * l * env.ld)

    cdef void contract(self, Environment *env, Py_ssize_t q_from, Py_ssize_t q_to,
                       const double *tiles) noexcept nogil:
        """D[l m, q_to, n'] += sum_n c[l m, q_from, n] tiles[l, n, n']"""
        cdef Py_ssize_t n_max = self.expansion.n_max, pad = self.expansion.n_pad
        self.expansion.simd.gemm_per_l(
            <int>self.expansion.l_max, pad, n_max, env.c + q_from * pad, env.ld, tiles, pad,
            n_max * pad, env.D + q_to * pad, env.ld, 1,
        )

    cdef void block_adjoint(self, Environment *env, Py_ssize_t qa, Py_ssize_t qb,
                            const double *w, double *tiles) noexcept nogil:
        cdef Py_ssize_t n, n_max = self.expansion.n_max, pad = self.expansion.n_pad
        cdef Py_ssize_t size = (self.expansion.l_max + 1) * n_max * pad
        if n_max < pad:
            memset(tiles, 0, 2 * size * sizeof(double))
        self.expansion.simd.transpose_tiles(<int>self.expansion.l_max, n_max, pad, w, tiles + size)
        self.contract(env, qb, qa, tiles + size)
        if n_max == pad:
            self.contract(env, qa, qb, w)
            return
        for n in range((self.expansion.l_max + 1) * n_max):
            memcpy(tiles + n * pad, w + n * n_max, n_max * sizeof(double))
        self.contract(env, qa, qb, tiles)

    cdef void diagonal_adjoint(self, Environment *env, Py_ssize_t q, const double *w,
                               double *tiles) noexcept nogil:
        cdef Py_ssize_t n, k, n_max = self.expansion.n_max, pad = self.expansion.n_pad
        cdef double *tile = tiles
        memset(tiles, 0, (self.expansion.l_max + 1) * n_max * pad * sizeof(double))
        for _ in range(self.expansion.l_max + 1):
            for n in range(n_max):
                tile[n * pad + n] = sqrt(2.0) * w[0]
                for k in range(n + 1, n_max):
                    tile[n * pad + k] = tile[k * pad + n] = w[k - n]
                w += n_max - n
            tile += n_max * pad
        self.contract(env, q, q, tiles)

    cdef void linearize(self, Environment *env, double *scratch) noexcept nogil:
        cdef double squared
        cdef Py_ssize_t size = self.expansion.n_lm * env.ld
        self.prepare(env)
        memset(env.D, 0, size * sizeof(double))
        env.scale = 1.0
        if self.normalize:
            squared = self.squared_norm(env, env.D, scratch)
            if squared > 0.0:
                env.scale = 1.0 / sqrt(sqrt(squared))
            self.expansion.simd.scale(size, env.scale, env.c)
            self.expansion.simd.scale(size, env.scale * env.scale * env.scale, env.D)
            self.add_sum(env)

    cdef void tangent(self, Environment *env, Py_ssize_t q, double *dc, double *row,
                      bint compact, double *scratch) noexcept nogil:
        cdef Py_ssize_t qa, qb, a, b, pad = self.expansion.n_pad
        cdef Py_ssize_t s = env.present[q], total = self.expansion.n_species
        cdef double *out
        cdef double *c = env.c
        self.scale_tangent(env, dc)
        for qa in range(env.n_present + self.summed):
            a = env.present[qa]
            for qb in range(qa, env.n_present + self.summed):
                b = env.present[qb]
                if self.first[a, b] < 0 or self.place[s, a, b] < 0:
                    continue
                out = row + (self.place[s, a, b] if compact else self.first[a, b])
                if a == b:
                    self.diagonal_tangent(dc, c + qa * pad, env.ld, out, not compact, scratch)
                    continue
                if a == s or a == total:
                    self.rectangle(dc, pad, c + qb * pad, env.ld, out, not compact, scratch)
                if b == s or b == total:
                    self.rectangle(c + qa * pad, env.ld, dc, pad, out,
                                   not compact or a == s or a == total, scratch)

    cdef void scale_tangent(self, Environment *env, double *dc) noexcept nogil:
        cdef Py_ssize_t l, pad = self.expansion.n_pad
        for l in range(self.expansion.l_max + 1):
            self.expansion.simd.scale((2 * l + 1) * pad, self.factor[l] * env.scale,
                                      dc + l * l * pad)

    cdef void diagonal_tangent(self, const double *dc, const double *c, Py_ssize_t ld,
                               double *out, bint accumulate, double *tiles) noexcept nogil:
        cdef Py_ssize_t k, n_l = self.expansion.l_max + 1, n = self.expansion.n_max
        cdef double *packed = tiles + n_l * n * self.expansion.n_pad
        self.products(dc, self.expansion.n_pad, c, ld, tiles, False)
        self.products(c, ld, dc, self.expansion.n_pad, tiles, True)
        if not accumulate:
            self.pack(tiles, out)
            return
        self.pack(tiles, packed)
        for k in range(n_l * n * (n + 1) // 2):
            out[k] += packed[k]
