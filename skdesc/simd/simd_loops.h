/* Included by simd.c once per instruction set, with SKD_ISA (suffix) and SKD_W (doubles per
 * vector) defined. Vectors are loaded and stored unaligned. */

#define V SKD_NAME(vec)
#define H SKD_NAME(half)
typedef double V __attribute__((vector_size(8 * SKD_W), aligned(8), may_alias));
/* The innermost width that divides the padding (4): half a vector where vectors hold 8. */
#if SKD_W == 8
typedef double H __attribute__((vector_size(32), aligned(8), may_alias));
#endif

#include "simd_products.h"

/* Quintic Hermite interpolation: a knot holds f, h f', h^2 f'' of every radial function. */
static void SKD_NAME(spline)(ptrdiff_t width, const double *knots, double t, double inv_step,
                             double *value, double *derivative) {
    const double t2 = t * t, t3 = t2 * t, t4 = t3 * t, t5 = t4 * t;
    const double w3 = 10 * t3 - 15 * t4 + 6 * t5, w0 = 1 - w3;
    const double w1 = t - 6 * t3 + 8 * t4 - 3 * t5, w4 = -4 * t3 + 7 * t4 - 3 * t5;
    const double w2 = 0.5 * (t2 - 3 * t3 + 3 * t4 - t5), w5 = 0.5 * (t3 - 2 * t4 + t5);
    const double *f0 = knots, *f1 = f0 + width, *f2 = f1 + width;
    const double *f3 = f2 + width, *f4 = f3 + width, *f5 = f4 + width;
    if (!derivative) {
        for (ptrdiff_t k = 0; k < width; k += SKD_W)
            *(V *)(value + k) = w0 * *(const V *)(f0 + k) + w1 * *(const V *)(f1 + k) +
                                w2 * *(const V *)(f2 + k) + w3 * *(const V *)(f3 + k) +
                                w4 * *(const V *)(f4 + k) + w5 * *(const V *)(f5 + k);
        return;
    }
    const double d3 = inv_step * (30 * t2 - 60 * t3 + 30 * t4), d0 = -d3;
    const double d1 = inv_step * (1 - 18 * t2 + 32 * t3 - 15 * t4);
    const double d4 = inv_step * (-12 * t2 + 28 * t3 - 15 * t4);
    const double d2 = inv_step * (t - 4.5 * t2 + 6 * t3 - 2.5 * t4);
    const double d5 = inv_step * (1.5 * t2 - 4 * t3 + 2.5 * t4);
    for (ptrdiff_t k = 0; k < width; k += SKD_W) {
        const V v0 = *(const V *)(f0 + k), v1 = *(const V *)(f1 + k), v2 = *(const V *)(f2 + k);
        const V v3 = *(const V *)(f3 + k), v4 = *(const V *)(f4 + k), v5 = *(const V *)(f5 + k);
        *(V *)(value + k) = w0 * v0 + w1 * v1 + w2 * v2 + w3 * v3 + w4 * v4 + w5 * v5;
        *(V *)(derivative + k) = d0 * v0 + d1 * v1 + d2 * v2 + d3 * v3 + d4 * v4 + d5 * v5;
    }
}

/* Real spherical harmonics from the solid ones, S_lm = N_lm Q_l^|m|(z) {cos, sin}(x, y), and
 * their Cartesian gradients, which are solid harmonics of l - 1 (Bigi, Fraux, Browning,
 * Ceriotti, J. Chem. Phys. 159, 064802 (2023)). Q_l^m is the m-th derivative of the Legendre
 * polynomial, so there is no Condon-Shortley phase. */
SKD_INLINE void SKD_NAME(harmonics_block)(int l_max, const double *norms, const double *xyz,
                                          const int gradients, double *Y, ptrdiff_t ld) {
    const V x = *(const V *)xyz, y = *(const V *)(xyz + SKD_LANES);
    const V z = *(const V *)(xyz + 2 * SKD_LANES);
    const V zero = x - x;
    const ptrdiff_t step = (gradients ? 4 : 1) * ld;
    const double *reciprocal = norms + (l_max + 1) * (l_max + 2) / 2; /* of 0 to l_max + 1 */
    V c = zero + 1.0, s = zero, c_below = zero, s_below = zero;
    double q_mm = 1.0;
    /* Q_{l-1}^{m+1} is needed for the gradient at (l, m): run two columns side by side */
    for (int m = 0; m <= l_max; m++) {
        V q = zero + q_mm, q_below = zero;           /* Q_l^m, Q_{l-1}^m */
        V right = zero, right_below = zero;          /* Q_{l-1}^{m+1}, Q_{l-2}^{m+1} */
        for (int l = m; l <= l_max; l++) {
            const double norm = norms[l * (l + 1) / 2 + m];
            const V value = norm * q;
            double *plus = Y + (ptrdiff_t)(l * l + l + m) * step;
            double *minus = Y + (ptrdiff_t)(l * l + l - m) * step;
            *(V *)plus = value * c;
            if (m) *(V *)minus = value * s;
            if (gradients) {
                const V radial = norm * right, polar = (norm * (l + m)) * q_below;
                const V azimuth = (double)m * value;
                *(V *)(plus + ld) = azimuth * c_below - x * radial * c;
                *(V *)(plus + 2 * ld) = -(azimuth * s_below) - y * radial * c;
                *(V *)(plus + 3 * ld) = polar * c;
                if (m) {
                    *(V *)(minus + ld) = azimuth * s_below - x * radial * s;
                    *(V *)(minus + 2 * ld) = azimuth * c_below - y * radial * s;
                    *(V *)(minus + 3 * ld) = polar * s;
                }
                /* advance the column m + 1 from l - 1 to l */
                V next;
                if (l <= m)
                    next = zero;
                else if (l == m + 1)
                    next = zero + q_mm * (2 * m + 1);
                else {
                    const double factor = reciprocal[l - m - 1];
                    next = ((2 * l - 1) * factor * z) * right - ((l + m) * factor) * right_below;
                }
                right_below = right;
                right = next;
            }
            /* one operation after the other in q alone: the recursion is a chain of these */
            const double factor = reciprocal[l + 1 - m];
            const V next = ((2 * l + 1) * factor * z) * q - ((l + m) * factor) * q_below;
            q_below = q;
            q = next;
        }
        q_mm *= 2 * m + 1;
        c_below = c;
        s_below = s;
        c = x * c_below - y * s_below;
        s = x * s_below + y * c_below;
    }
}

static void SKD_NAME(harmonics)(int l_max, const double *norms, const double *xyz, int gradients,
                                double *Y, ptrdiff_t ld) {
    for (int lane = 0; lane < SKD_LANES; lane += SKD_W) {
        if (gradients)
            SKD_NAME(harmonics_block)(l_max, norms, xyz + lane, 1, Y + lane, ld);
        else
            SKD_NAME(harmonics_block)(l_max, norms, xyz + lane, 0, Y + lane, ld);
    }
}

/* With u = r / |r| and S the solid harmonic,
 *   grad (R Y) = (R' - l R / r) Y u + (R / r) grad S(u),
 * so the four sums over m are contracted with dE/dc first and meet the radial functions after. */
#define SKD_DEFINE_PULL(NAME, TYPE)                                                              \
    SKD_INLINE void NAME(int l_max, const double *D, ptrdiff_t ldd, const double *Y,             \
                         const double *R, const double *dR, ptrdiff_t n_pad, double inv_distance, \
                         double *sums) {                                                         \
        TYPE along = {0}, gx = {0}, gy = {0}, gz = {0};                                          \
        for (int l = 0; l <= l_max; l++) {                                                       \
            TYPE s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};                                         \
            for (int m = 0; m <= 2 * l; m++) {                                                   \
                const TYPE d = *(const TYPE *)D;                                                 \
                s0 += Y[0] * d;                                                                  \
                s1 += Y[SKD_LANES] * d;                                                          \
                s2 += Y[2 * SKD_LANES] * d;                                                      \
                s3 += Y[3 * SKD_LANES] * d;                                                      \
                D += ldd;                                                                        \
                Y += 4 * SKD_LANES;                                                              \
            }                                                                                    \
            const TYPE tangential = inv_distance * *(const TYPE *)(R + l * n_pad);               \
            along += (*(const TYPE *)(dR + l * n_pad) - (double)l * tangential) * s0;            \
            gx += tangential * s1;                                                               \
            gy += tangential * s2;                                                               \
            gz += tangential * s3;                                                               \
        }                                                                                        \
        for (size_t lane = 0; lane < sizeof(TYPE) / 8; lane++) {                                 \
            sums[0] += along[lane];                                                              \
            sums[1] += gx[lane];                                                                 \
            sums[2] += gy[lane];                                                                 \
            sums[3] += gz[lane];                                                                 \
        }                                                                                        \
    }

SKD_DEFINE_PULL(SKD_NAME(pull), V)
#if SKD_W == 8
SKD_DEFINE_PULL(SKD_NAME(pull_half), H)
#endif

static void SKD_NAME(pull_back)(int l_max, ptrdiff_t n_pad, const double *D, ptrdiff_t ldd,
                                const double *Y, const double *R, const double *dR,
                                double inv_distance, const double *unit, double *gradient) {
    double sums[4] = {0, 0, 0, 0};
    ptrdiff_t n = 0;
    for (; n + SKD_W <= n_pad; n += SKD_W)
        SKD_NAME(pull)(l_max, D + n, ldd, Y, R + n, dR + n, n_pad, inv_distance, sums);
#if SKD_W == 8
    if (n < n_pad)
        SKD_NAME(pull_half)(l_max, D + n, ldd, Y, R + n, dR + n, n_pad, inv_distance, sums);
#endif
    for (int axis = 0; axis < 3; axis++) gradient[axis] = sums[0] * unit[axis] + sums[1 + axis];
}

/* The derivatives themselves, out[axis * axis_step + lm * n_pad + n], for explicit Jacobians. */
#define SKD_DEFINE_DIFFERENTIATE(NAME, TYPE)                                                     \
    SKD_INLINE void NAME(int l_max, const double *Y, const double *R, const double *dR,          \
                         ptrdiff_t n_pad, double inv_distance, const double *unit, double *out,  \
                         ptrdiff_t axis_step) {                                                  \
        for (int l = 0; l <= l_max; l++) {                                                       \
            const TYPE tangential = inv_distance * *(const TYPE *)(R + l * n_pad);               \
            const TYPE radial = *(const TYPE *)(dR + l * n_pad) - (double)l * tangential;        \
            for (int m = 0; m <= 2 * l; m++) {                                                   \
                const TYPE along = Y[0] * radial;                                                \
                for (int axis = 0; axis < 3; axis++)                                             \
                    *(TYPE *)(out + axis * axis_step) +=                                         \
                        unit[axis] * along + Y[(1 + axis) * SKD_LANES] * tangential;             \
                out += n_pad;                                                                    \
                Y += 4 * SKD_LANES;                                                              \
            }                                                                                    \
        }                                                                                        \
    }

SKD_DEFINE_DIFFERENTIATE(SKD_NAME(derive), V)
#if SKD_W == 8
SKD_DEFINE_DIFFERENTIATE(SKD_NAME(derive_half), H)
#endif

static void SKD_NAME(differentiate_lane)(int l_max, ptrdiff_t n_pad, const double *Y,
                                         const double *R, const double *dR, double inv_distance,
                                         const double *unit, double *out, ptrdiff_t axis_step) {
    ptrdiff_t n = 0;
    for (; n + SKD_W <= n_pad; n += SKD_W)
        SKD_NAME(derive)(l_max, Y, R + n, dR + n, n_pad, inv_distance, unit, out + n, axis_step);
#if SKD_W == 8
    if (n < n_pad)
        SKD_NAME(derive_half)(l_max, Y, R + n, dR + n, n_pad, inv_distance, unit, out + n,
                              axis_step);
#endif
}

/* Rows of the upper triangle one after another. Whole vectors are copied, so that each row spills
 * into the next one, which is written after it; only `exact` leaves what comes behind alone. */
static void SKD_NAME(pack_upper)(ptrdiff_t n_max, ptrdiff_t n_pad, const double *tile, double *out,
                                 int exact) {
    for (ptrdiff_t n = 0; n < n_max; n++) {
        const double *row = tile + n * n_pad + n;
        ptrdiff_t k = 0;
        if (exact)
            for (; k < n_max - n; k++) out[k] = row[k];
        else
            for (; k < n_max - n; k += SKD_W) *(V *)(out + k) = *(const V *)(row + k);
        out += n_max - n;
    }
}

#if SKD_W == 8
/* Blocks of two, four and eight change sides in turn. */
SKD_INLINE void SKD_NAME(transpose_eight)(const double *w, double *out) {
    __m512d r[8], s[8];
    for (int k = 0; k < 8; k += 2) {
        const __m512d x = _mm512_loadu_pd(w + 8 * k), y = _mm512_loadu_pd(w + 8 * k + 8);
        r[k] = _mm512_unpacklo_pd(x, y);
        r[k + 1] = _mm512_unpackhi_pd(x, y);
    }
    for (int k = 0; k < 8; k += 4)
        for (int i = 0; i < 2; i++) {
            s[k + i] = _mm512_shuffle_f64x2(r[k + i], r[k + i + 2], 0x88);
            s[k + i + 2] = _mm512_shuffle_f64x2(r[k + i], r[k + i + 2], 0xdd);
        }
    /* s[i] and s[i + 4] hold the columns i and i + 4 of the upper and of the lower rows */
    for (int i = 0; i < 4; i++) {
        _mm512_storeu_pd(out + 8 * i, _mm512_shuffle_f64x2(s[i], s[i + 4], 0x88));
        _mm512_storeu_pd(out + 8 * i + 32, _mm512_shuffle_f64x2(s[i], s[i + 4], 0xdd));
    }
}
#endif

static void SKD_NAME(transpose_tiles)(int l_max, ptrdiff_t n_max, ptrdiff_t n_pad,
                                      const double *w, double *out) {
    for (int l = 0; l <= l_max; l++, w += n_max * n_max, out += n_max * n_pad) {
#if SKD_W == 8
        if (n_max == 8 && n_pad == 8) {
            SKD_NAME(transpose_eight)(w, out);
            continue;
        }
#endif
        for (ptrdiff_t n = 0; n < n_max; n++)
            for (ptrdiff_t k = 0; k < n_max; k++) out[k * n_pad + n] = w[n * n_max + k];
    }
}

static int SKD_NAME(finite)(ptrdiff_t n, const double *x) {
    V sums[4] = {{0}, {0}, {0}, {0}};
    double total = 0;
    ptrdiff_t k = 0;
    /* x - x is 0, or NaN where x is infinite or NaN */
    for (; k + 4 * SKD_W <= n; k += 4 * SKD_W)
        for (int part = 0; part < 4; part++) {
            const V values = *(const V *)(x + k + part * SKD_W);
            sums[part] += values - values;
        }
    for (; k < n; k++) total += x[k] - x[k];
    return total + SKD_NAME(sum)(sums[0] + sums[1] + sums[2] + sums[3]) == 0.0;
}

static void SKD_NAME(scale)(ptrdiff_t n, double factor, double *x) {
    ptrdiff_t k = 0;
    for (; k + SKD_W <= n; k += SKD_W) *(V *)(x + k) *= factor;
    for (; k < n; k++) x[k] *= factor;
}

/* Sums of products of two rows, out[o] = sum_e w[e] x[a[e]] y[b[e]], rows of SKD_BLOCK numbers. */
static void SKD_NAME(couple)(ptrdiff_t n_out, const int *start, const int *a, const int *b,
                             const double *w, const double *x, const double *y, double *out,
                             int accumulate) {
    for (ptrdiff_t o = 0; o < n_out; o++) {
        V *target = (V *)(out + o * SKD_BLOCK);
        V sums[SKD_BLOCK / SKD_W];
        for (int k = 0; k < SKD_BLOCK / SKD_W; k++) sums[k] = accumulate ? target[k] : (V){0};
        for (int e = start[o]; e < start[o + 1]; e++) {
            const V *left = (const V *)(x + (ptrdiff_t)a[e] * SKD_BLOCK);
            const V *right = (const V *)(y + (ptrdiff_t)b[e] * SKD_BLOCK);
            for (int k = 0; k < SKD_BLOCK / SKD_W; k++) sums[k] += w[e] * left[k] * right[k];
        }
        for (int k = 0; k < SKD_BLOCK / SKD_W; k++) target[k] = sums[k];
    }
}

static double SKD_NAME(dot)(ptrdiff_t n, const double *x, const double *y) {
    V sums[4] = {{0}, {0}, {0}, {0}};
    ptrdiff_t k = 0;
    for (; k + 4 * SKD_W <= n; k += 4 * SKD_W)
        for (int part = 0; part < 4; part++)
            sums[part] += *(const V *)(x + k + part * SKD_W) * *(const V *)(y + k + part * SKD_W);
    double total = 0;
    for (; k < n; k++) total += x[k] * y[k];
    return total + SKD_NAME(sum)(sums[0] + sums[1] + sums[2] + sums[3]);
}

static ptrdiff_t SKD_NAME(select_within)(ptrdiff_t n, const double *x, const double *y,
                                         const double *z, const double *center,
                                         double squared_cutoff, int *index) {
    const double cx = center[0], cy = center[1], cz = center[2];
    ptrdiff_t k = 0, found = 0;
#if SKD_W == 8
    const __m512d vx = _mm512_set1_pd(cx), vy = _mm512_set1_pd(cy), vz = _mm512_set1_pd(cz);
    const __m512d limit = _mm512_set1_pd(squared_cutoff);
    __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (; k + 8 <= n; k += 8) {
        const __m512d dx = _mm512_sub_pd(_mm512_loadu_pd(x + k), vx);
        const __m512d dy = _mm512_sub_pd(_mm512_loadu_pd(y + k), vy);
        const __m512d dz = _mm512_sub_pd(_mm512_loadu_pd(z + k), vz);
        const __m512d r2 = _mm512_add_pd(_mm512_add_pd(_mm512_mul_pd(dx, dx), _mm512_mul_pd(dy, dy)),
                                         _mm512_mul_pd(dz, dz));
        const __mmask8 near = _mm512_cmp_pd_mask(r2, limit, _CMP_LT_OQ);
        /* compressed in a register: a compressing store to memory is slow on some processors */
        _mm256_storeu_si256((__m256i *)(index + found), _mm256_maskz_compress_epi32(near, number));
        found += __builtin_popcount(near);
        number = _mm256_add_epi32(number, _mm256_set1_epi32(8));
    }
#endif
    for (; k < n; k++) {
        const double dx = x[k] - cx, dy = y[k] - cy, dz = z[k] - cz;
        index[found] = (int)k;
        /* no branch that could be mispredicted */
        found += dx * dx + dy * dy + dz * dz < squared_cutoff;
    }
    return found;
}

static const skd_simd SKD_CAT(skd_table, SKD_ISA) = {
#define SKD_STRING2(x) #x
#define SKD_STRING(x) SKD_STRING2(x)
    .gemm = SKD_NAME(gemm),
    .gemm_per_l = SKD_NAME(gemm_per_l),
    .multiply = SKD_NAME(multiply),
    .gram = SKD_NAME(gram),
    .spline = SKD_NAME(spline),
    .harmonics = SKD_NAME(harmonics),
    .pull_back = SKD_NAME(pull_back),
    .differentiate_lane = SKD_NAME(differentiate_lane),
    .pack_upper = SKD_NAME(pack_upper),
    .transpose_tiles = SKD_NAME(transpose_tiles),
    .finite = SKD_NAME(finite),
    .scale = SKD_NAME(scale),
    .dot = SKD_NAME(dot),
    .couple = SKD_NAME(couple),
    .select_within = SKD_NAME(select_within),
    .name = SKD_STRING(SKD_ISA),
#undef SKD_STRING
#undef SKD_STRING2
};

#undef V
#undef H
#undef SKD_DEFINE_MICRO
#undef SKD_SWITCH_ROWS
#undef SKD_DEFINE_PULL
#undef SKD_DEFINE_DIFFERENTIATE
