/* The innermost loops: a table of functions, compiled once per instruction set in simd.c.
 *
 * Everything that is expensive about density expansions and their invariants is one of a few
 * things, and simd_loops.h has one function for each:
 *
 *   select_within  neighbors of a center among candidates
 *   harmonics      real spherical harmonics and gradients, one neighbor per SIMD lane
 *   spline         radial functions and their derivatives at one distance
 *   gemm           C[a, :] (+)= sum_k A[a, k] B[k, :]: expansion, power spectrum, its adjoint
 *   pull_back      gradient of one pair from the derivatives of a scalar by the coefficients
 *   differentiate_lane  derivatives of the coefficients by one neighbor
 */
#ifndef SKDESC_SIMD_H
#define SKDESC_SIMD_H

#include <stddef.h>

#define SKD_LANES 8 /* neighbors per block of spherical harmonics, whatever the vector width */
#define SKD_MAX_L 40
#define SKD_BLOCK 16 /* channels per block of tensor-reduced invariants */

typedef struct {
    /* C[a, 0:cols] (+)= sum_k A[a * row_step + k * k_step] * B[k, 0:cols]; cols % 4 == 0.
       One of row_step and k_step must be 1. */
    void (*gemm)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t depth, const double *A,
                 ptrdiff_t row_step, ptrdiff_t k_step, const double *B, ptrdiff_t ldb, double *C,
                 ptrdiff_t ldc, int accumulate);
    /* C[lm, 0:cols] (+)= sum_k A[lm, k] * B_l[k, 0:cols], B_l = B + l * b_step; cols % 4 == 0. */
    void (*gemm_per_l)(int l_max, ptrdiff_t cols, ptrdiff_t depth, const double *A,
                       ptrdiff_t lda, const double *B, ptrdiff_t ldb, ptrdiff_t b_step, double *C,
                       ptrdiff_t ldc, int accumulate);
    /* out[l, n, 0:n_pad] (+)= sum_m x[lm, n] * y[lm, 0:n_pad], n < n_max; n_pad % 4 == 0. */
    void (*multiply)(int l_max, ptrdiff_t n_max, ptrdiff_t n_pad, const double *x, ptrdiff_t ldx,
                     const double *y, ptrdiff_t ldy, double *out, int accumulate);
    /* G[a, b] = sum_k c[a, k] * c[b, k], k < cols; entries of G from b = rows to ldg are 0. */
    void (*gram)(ptrdiff_t rows, ptrdiff_t cols, const double *c, ptrdiff_t ldc, double *G,
                 ptrdiff_t ldg);
    /* out[0:width] = radial functions at t in one interval of the spline; derivative likewise,
       unless NULL. width % 8 == 0. */
    void (*spline)(ptrdiff_t width, const double *knots, double t, double inv_step, double *value,
                   double *derivative);
    /* Y[(lm * n_out) * ld + lane], n_out = 1: values; n_out = 4: values and d/dx, d/dy, d/dz of
       the solid harmonics on the unit sphere. xyz: [3][SKD_LANES]. norms: factors of (l, m >= 0),
       then the reciprocals of 0 to l_max + 1, of which the first is not read. */
    void (*harmonics)(int l_max, const double *norms, const double *xyz, int gradients, double *Y,
                      ptrdiff_t ld);
    /* Gradient of E with respect to one neighbor's displacement, from dE/dc of its species. */
    void (*pull_back)(int l_max, ptrdiff_t n_pad, const double *D, ptrdiff_t ldd, const double *Y,
                      const double *R, const double *dR, double inv_distance, const double *unit,
                      double *gradient);
    /* out += derivatives of that neighbor's share of the coefficients, axis_step apart. */
    void (*differentiate_lane)(int l_max, ptrdiff_t n_pad, const double *Y, const double *R,
                               const double *dR, double inv_distance, const double *unit,
                               double *out, ptrdiff_t axis_step);
    /* Upper triangle of a tile, packed by rows; reads, and unless `exact` writes, up to 7 entries
       beyond the end. */
    void (*pack_upper)(ptrdiff_t n_max, ptrdiff_t n_pad, const double *tile, double *out,
                       int exact);
    /* out[l, k, n] = w[l, n, k], n and k < n_max; rows of out are n_pad apart */
    void (*transpose_tiles)(int l_max, ptrdiff_t n_max, ptrdiff_t n_pad, const double *w,
                            double *out);
    /* whether no number is infinite or NaN */
    int (*finite)(ptrdiff_t n, const double *x);
    /* x[0:n] *= factor */
    void (*scale)(ptrdiff_t n, double factor, double *x);
    /* sum_k x[k] y[k] */
    double (*dot)(ptrdiff_t n, const double *x, const double *y);
    /* out[o] (+)= sum_e w[e] x[a[e]] y[b[e]], e = start[o] .. start[o + 1] - 1; x, y and out are
       rows of SKD_BLOCK numbers. */
    void (*couple)(ptrdiff_t n_out, const int *start, const int *a, const int *b, const double *w,
                   const double *x, const double *y, double *out, int accumulate);
    /* Numbers of the points nearer to the center than the cutoff, ascending; returns how many.
       index has room for n + 8. */
    ptrdiff_t (*select_within)(ptrdiff_t n, const double *x, const double *y, const double *z,
                               const double *center, double squared_cutoff, int *index);
    const char *name;
} skd_simd;

/* The best variant of this processor; `wanted` (or NULL) restricts the choice by name. */
const skd_simd *skd_select(const char *wanted);

#endif
