"""Tensor-reduced invariants of one environment, their adjoint and their tangent.

Channels are independent of each other, so the work goes in blocks of channels that fill a few
SIMD registers. In a block, coefficients and everything made of them are rows, and all the algebra
of the couplings is in tables: each output row is a sum of products of two rows times a number.
The adjoint and the tangent are tables of the same form, and as all products are of two rows, the
tangent of the adjoint takes no further ones.

Rows of a block: mixed coefficients (l m, unmixed, factor), coupled pairs of them, a row of ones.
"""

from libc.math cimport sqrt
from libc.string cimport memcpy, memset

import numpy as np

from skdesc.density._expansion_cy cimport DensityExpansion, Environment
from skdesc.simd._simd_cy cimport SKD_BLOCK, skd_simd

from ._products import forward_derivative, reverse


cdef class ProductTable:
    """A table of products as C arrays.

    Parameters
    ----------
    products : Products
        Which rows to multiply and add.
    """

    def __init__(self, products):
        self.n_out = len(products.start) - 1
        self.start = products.start
        # never empty, so that the first entry has an address
        self.a, self.b = np.append(products.a, np.int32(0)), np.append(products.b, np.int32(0))
        self.w = np.append(products.w, 0.0)

    cdef void apply(self, const skd_simd *simd, const double *x, const double *y,
                    double *out, bint accumulate) noexcept nogil:
        """out[o] (+)= sum w x[a] y[b]"""
        simd.couple(self.n_out, &self.start[0], &self.a[0], &self.b[0], &self.w[0], x, y, out,
                    accumulate)


cdef class TensorReducedInvariant(Invariant):
    """Tensor-reduced invariants.

    Parameters
    ----------
    expansion : MixedExpansion
        Where the mixed coefficients come from.
    layout : TensorReduced
        Which invariants there are.
    normalize : bool
        Divide features by their Euclidean norm; features of zeros stay zero.
    """

    def __init__(self, DensityExpansion expansion, layout, normalize):
        self.expansion = expansion
        self.normalize = normalize
        self.n_features = layout.n_features
        self.n_channels = layout.n_channels
        self.n_terms = len(layout.terms)
        self.n_lm = expansion.n_lm
        self.n_coefficients = layout.n_rows
        # rows of one (l m) that a group of the expansion holds
        self.n_inner = layout.n_rows // (self.n_lm * expansion.n_groups)
        self.n_pad = expansion.n_pad // self.n_inner
        self.n_blocks = (self.n_channels + SKD_BLOCK - 1) // SKD_BLOCK
        pairs, features = layout.products()
        self.n_pairs = len(pairs.start) - 1
        self.n_rows = self.n_coefficients + self.n_pairs + 1
        self.pairs, self.features = ProductTable(pairs), ProductTable(features)
        self.pairs_reverse = ProductTable(reverse(pairs, self.n_coefficients))
        self.features_reverse = ProductTable(reverse(features, self.n_rows))
        self.pairs_tangent = ProductTable(forward_derivative(pairs))
        self.features_tangent = ProductTable(forward_derivative(features))
        self.columns = [np.arange(self.n_features)] * expansion.n_groups
        self.vanishing = [np.arange(0)] * expansion.n_groups
        self.n_touched = np.full(expansion.n_groups, self.n_features, dtype=np.intp)

    cdef Py_ssize_t n_doubles(self) noexcept nogil:
        # rows of all blocks, their derivatives and outputs for one block, features, cotangents
        return (SKD_BLOCK * (self.n_rows * (self.n_blocks + 1) + self.n_terms)
                + 2 * self.n_features + 8)

    cdef Py_ssize_t n_doubles_of_change(self) noexcept nogil:
        """Doubles of scratch memory that `adjoint_change` needs."""
        return (SKD_BLOCK * (self.n_rows * (2 * self.n_blocks + 2) + self.n_terms)
                + 4 * self.n_features + 8)

    cdef void gather(self, Environment *env, Py_ssize_t block, const double *c, Py_ssize_t ld,
                     Py_ssize_t first, Py_ssize_t count, double *rows) noexcept nogil:
        """Coefficients of one block of channels, of the groups first to first + count."""
        cdef Py_ssize_t lm, q, i, where, width
        cdef Py_ssize_t n_groups = self.expansion.n_groups, k = block * SKD_BLOCK
        width = min(<Py_ssize_t>SKD_BLOCK, self.n_pad - k)
        if count < n_groups or width < SKD_BLOCK:
            memset(rows, 0, self.n_coefficients * SKD_BLOCK * sizeof(double))
        for lm in range(self.n_lm):
            for q in range(count):
                where = (lm * n_groups + env.present[first + q]) * self.n_inner
                for i in range(self.n_inner):
                    memcpy(rows + (where + i) * SKD_BLOCK,
                           c + lm * ld + q * self.expansion.n_pad + i * self.n_pad + k,
                           width * sizeof(double))

    cdef void scatter(self, Environment *env, Py_ssize_t block, const double *rows,
                      double *D) noexcept nogil:
        """Derivatives of one block of channels to their places in D."""
        cdef Py_ssize_t lm, q, i, where, width
        cdef Py_ssize_t n_groups = self.expansion.n_groups, k = block * SKD_BLOCK
        width = min(<Py_ssize_t>SKD_BLOCK, self.n_pad - k)
        for lm in range(self.n_lm):
            for q in range(env.n_present):
                where = (lm * n_groups + env.present[q]) * self.n_inner
                for i in range(self.n_inner):
                    memcpy(D + lm * env.ld + q * self.expansion.n_pad + i * self.n_pad + k,
                           rows + (where + i) * SKD_BLOCK, width * sizeof(double))

    cdef void write(self, Py_ssize_t block, const double *out, double *row,
                    bint accumulate) noexcept nogil:
        """Features of one block of channels to their places in a row."""
        cdef Py_ssize_t term, i, k = block * SKD_BLOCK
        cdef Py_ssize_t width = min(<Py_ssize_t>SKD_BLOCK, self.n_channels - k)
        for term in range(self.n_terms):
            for i in range(width):
                if accumulate:
                    row[term * self.n_channels + k + i] += out[term * SKD_BLOCK + i]
                else:
                    row[term * self.n_channels + k + i] = out[term * SKD_BLOCK + i]

    cdef void read(self, Py_ssize_t block, const double *row, double *out) noexcept nogil:
        cdef Py_ssize_t term, k = block * SKD_BLOCK
        cdef Py_ssize_t width = min(<Py_ssize_t>SKD_BLOCK, self.n_channels - k)
        if width < SKD_BLOCK:
            memset(out, 0, self.n_terms * SKD_BLOCK * sizeof(double))
        for term in range(self.n_terms):
            memcpy(out + term * SKD_BLOCK, row + term * self.n_channels + k,
                   width * sizeof(double))

    cdef void evaluate(self, Environment *env, double *rows, Py_ssize_t step, double *out,
                       double *row) noexcept nogil:
        """Unnormalized features; rows of block number b are left at rows + b step."""
        cdef Py_ssize_t block, i
        cdef double *ones
        cdef double *own
        for block in range(self.n_blocks):
            own = rows + block * step
            ones = own + (self.n_rows - 1) * SKD_BLOCK
            for i in range(SKD_BLOCK):
                ones[i] = 1.0
            self.gather(env, block, env.c, env.ld, 0, env.n_present, own)
            self.pairs.apply(self.expansion.simd, own, own,
                             own + self.n_coefficients * SKD_BLOCK, False)
            self.features.apply(self.expansion.simd, own, own, out, False)
            self.write(block, out, row, False)

    cdef void forward(self, Environment *env, double *row, bint cleared,
                      double *scratch) noexcept nogil:
        cdef double squared
        cdef double *out = aligned(scratch)
        self.evaluate(env, out + self.n_terms * SKD_BLOCK, 0, out, row)
        if self.normalize:
            squared = self.expansion.simd.dot(self.n_features, row, row)
            if squared > 0.0:
                self.expansion.simd.scale(self.n_features, 1.0 / sqrt(squared), row)

    cdef void pull(self, Environment *env, const double *cotangent, const double *rows,
                   double *derivatives, double *out) noexcept nogil:
        """env.D from dE/d(unnormalized features), with the rows that `evaluate` left."""
        cdef Py_ssize_t block
        cdef Py_ssize_t step = self.n_rows * SKD_BLOCK
        cdef const double *own
        for block in range(self.n_blocks):
            own = rows + block * step
            self.read(block, cotangent, out)
            self.features_reverse.apply(self.expansion.simd, out, own, derivatives, False)
            self.pairs_reverse.apply(self.expansion.simd,
                                     derivatives + self.n_coefficients * SKD_BLOCK, own,
                                     derivatives, True)
            self.scatter(env, block, derivatives, env.D)

    cdef void adjoint(self, Environment *env, const double *cotangent,
                      double *scratch) noexcept nogil:
        cdef Py_ssize_t i
        cdef double squared, along, inverse
        cdef double *out = aligned(scratch)
        cdef double *rows = out + self.n_terms * SKD_BLOCK
        cdef double *derivatives = rows + self.n_blocks * self.n_rows * SKD_BLOCK
        cdef double *row = derivatives + self.n_rows * SKD_BLOCK
        cdef double *w = row + self.n_features
        self.evaluate(env, rows, self.n_rows * SKD_BLOCK, out, row)
        if self.normalize:
            squared = self.expansion.simd.dot(self.n_features, row, row)
            if squared == 0.0:
                memset(env.D, 0, self.n_lm * env.ld * sizeof(double))
                return
            along = self.expansion.simd.dot(self.n_features, row, cotangent) / squared
            inverse = 1.0 / sqrt(squared)
            for i in range(self.n_features):
                w[i] = (cotangent[i] - along * row[i]) * inverse
            cotangent = w
        self.pull(env, cotangent, rows, derivatives, out)

    cdef void linearize(self, Environment *env, double *scratch) noexcept nogil:
        cdef double squared
        cdef double *out = aligned(scratch)
        cdef double *rows = out + self.n_terms * SKD_BLOCK
        cdef double *derivatives = rows + self.n_blocks * self.n_rows * SKD_BLOCK
        cdef double *row = derivatives + self.n_rows * SKD_BLOCK
        self.evaluate(env, rows, self.n_rows * SKD_BLOCK, out, row)
        memset(env.D, 0, self.n_lm * env.ld * sizeof(double))
        env.scale = 1.0
        if self.normalize:
            squared = self.expansion.simd.dot(self.n_features, row, row)
            if squared > 0.0:
                env.scale = 1.0 / sqrt(squared)
                self.expansion.simd.scale(self.n_features, 1.0 / squared, row)
                self.pull(env, row, rows, derivatives, out)

    cdef void tangent(self, Environment *env, Py_ssize_t q, double *dc, double *row,
                      bint compact, double *scratch) noexcept nogil:
        cdef Py_ssize_t block
        cdef double *out = aligned(scratch)
        cdef double *own = out + self.n_terms * SKD_BLOCK
        cdef double *change = own + self.n_blocks * self.n_rows * SKD_BLOCK
        for block in range(self.n_blocks):
            self.gather(env, block, dc, self.expansion.n_pad, q, 1, change)
            self.push(own, change, out)
            self.expansion.simd.scale(self.n_terms * SKD_BLOCK, env.scale, out)
            self.write(block, out, row, not compact)
            own += self.n_rows * SKD_BLOCK

    cdef void push(self, const double *own, double *change, double *out) noexcept nogil:
        """Change of one block of features, and of all rows, with that of the coefficients."""
        self.pairs_tangent.apply(self.expansion.simd, change, own,
                                 change + self.n_coefficients * SKD_BLOCK, False)
        memset(change + (self.n_rows - 1) * SKD_BLOCK, 0, SKD_BLOCK * sizeof(double))
        self.features_tangent.apply(self.expansion.simd, change, own, out, False)

    cdef void adjoint_change(self, Environment *env, const double *cotangent, const double *dc,
                             double *dD, double *scratch) noexcept nogil:
        """Write env.D as `adjoint` does, and to dD its change when c changes by dc.

        dc and dD are laid out as env.c. The scratch memory is that of `n_doubles_of_change`.
        """
        cdef Py_ssize_t block, step = self.n_rows * SKD_BLOCK
        cdef Py_ssize_t behind = self.n_coefficients * SKD_BLOCK
        cdef const skd_simd *simd = self.expansion.simd
        cdef double *out = aligned(scratch)
        cdef double *rows = out + self.n_terms * SKD_BLOCK
        cdef double *changes = rows + self.n_blocks * step
        cdef double *derivatives = changes + self.n_blocks * step
        cdef double *second = derivatives + step
        cdef double *row = second + step
        cdef double *drow = row + self.n_features
        cdef double *w = drow + self.n_features
        cdef double *dw = w + self.n_features
        self.evaluate(env, rows, step, out, row)
        for block in range(self.n_blocks):
            self.gather(env, block, dc, env.ld, 0, env.n_present, changes + block * step)
            self.push(rows + block * step, changes + block * step, out)
            self.write(block, out, drow, False)
        if self.normalize:
            if simd.dot(self.n_features, row, row) == 0.0:
                memset(env.D, 0, self.n_lm * env.ld * sizeof(double))
                memset(dD, 0, self.n_lm * env.ld * sizeof(double))
                return
            self.of_unnormalized(cotangent, row, drow, w, dw)
            cotangent = w
        for block in range(self.n_blocks):
            self.read(block, cotangent, out)
            self.features_reverse.apply(simd, out, rows, derivatives, False)
            self.features_reverse.apply(simd, out, changes, second, False)
            if self.normalize:
                self.read(block, dw, out)
                self.features_reverse.apply(simd, out, rows, second, True)
            self.pairs_reverse.apply(simd, second + behind, rows, second, True)
            self.pairs_reverse.apply(simd, derivatives + behind, changes, second, True)
            self.pairs_reverse.apply(simd, derivatives + behind, rows, derivatives, True)
            self.scatter(env, block, derivatives, env.D)
            self.scatter(env, block, second, dD)
            rows += step
            changes += step

    cdef void of_unnormalized(self, const double *cotangent, double *row, double *drow, double *w,
                              double *dw) noexcept nogil:
        """dE/d(unnormalized features), w, and its change dw, from dE/d(features).

        row and drow, the unnormalized features and their change, become the normalized ones.
        """
        cdef Py_ssize_t i, n = self.n_features
        cdef const skd_simd *simd = self.expansion.simd
        cdef double inverse = 1.0 / sqrt(simd.dot(n, row, row)), growth, along, change
        simd.scale(n, inverse, row)
        simd.scale(n, inverse, drow)
        growth = simd.dot(n, row, drow)
        for i in range(n):
            drow[i] -= row[i] * growth
        along = simd.dot(n, row, cotangent)
        change = simd.dot(n, drow, cotangent)
        for i in range(n):
            w[i] = (cotangent[i] - row[i] * along) * inverse
            dw[i] = -(drow[i] * along + row[i] * change) * inverse - w[i] * growth


cdef double *aligned(double *scratch) noexcept nogil:
    return <double *>((<size_t>scratch + 63) & ~<size_t>63)
