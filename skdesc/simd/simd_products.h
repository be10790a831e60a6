/* Small matrix products; included by simd_loops.h once per instruction set. */

/* ROWS is a constant after inlining, so that the accumulators live in registers. */
#define SKD_DEFINE_MICRO(NAME, TYPE)                                                           \
    SKD_INLINE void NAME(const int rows, ptrdiff_t depth, const double *A, ptrdiff_t row_step, \
                         ptrdiff_t k_step, const double *B, ptrdiff_t ldb, double *C,          \
                         ptrdiff_t ldc, int accumulate) {                                      \
        TYPE acc[8];                                                                           \
        _Pragma("GCC unroll 8") for (int a = 0; a < rows; a++) {                               \
            if (accumulate)                                                                    \
                acc[a] = *(const TYPE *)(C + a * ldc);                                         \
            else                                                                               \
                acc[a] = (TYPE){0};                                                            \
        }                                                                                      \
        for (ptrdiff_t k = 0; k < depth; k++) {                                                \
            const TYPE b = *(const TYPE *)(B + k * ldb);                                       \
            _Pragma("GCC unroll 8") for (int a = 0; a < rows; a++) acc[a] +=                   \
                A[a * row_step + k * k_step] * b;                                              \
        }                                                                                      \
        _Pragma("GCC unroll 8") for (int a = 0; a < rows; a++) *(TYPE *)(C + a * ldc) = acc[a]; \
    }

#define SKD_SWITCH_ROWS(NAME, rows, ...)      \
    switch (rows) {                           \
    case 1: NAME(1, __VA_ARGS__); break;      \
    case 2: NAME(2, __VA_ARGS__); break;      \
    case 3: NAME(3, __VA_ARGS__); break;      \
    case 4: NAME(4, __VA_ARGS__); break;      \
    case 5: NAME(5, __VA_ARGS__); break;      \
    case 6: NAME(6, __VA_ARGS__); break;      \
    case 7: NAME(7, __VA_ARGS__); break;      \
    default: NAME(8, __VA_ARGS__);            \
    }

SKD_DEFINE_MICRO(SKD_NAME(micro), V)
#if SKD_W == 8
SKD_DEFINE_MICRO(SKD_NAME(micro_half), H)
#endif

SKD_INLINE void SKD_NAME(gemm_strided)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t depth,
                                       const double *A, const ptrdiff_t row_step,
                                       const ptrdiff_t k_step, const double *B, ptrdiff_t ldb,
                                       double *C, ptrdiff_t ldc, int accumulate) {
    ptrdiff_t n_pieces = (rows + 7) / 8;
    for (ptrdiff_t row = 0; n_pieces > 0; n_pieces--) {
        const ptrdiff_t left = rows - row;
        /* a division would take longer than a small product */
        const ptrdiff_t height = n_pieces == 1 ? left : n_pieces == 2 ? left / 2 : left / n_pieces;
        const double *a = A + row * row_step;
        double *c = C + row * ldc;
        ptrdiff_t col = 0;
        for (; col + SKD_W <= cols; col += SKD_W)
            SKD_SWITCH_ROWS(SKD_NAME(micro), height, depth, a, row_step, k_step, B + col, ldb,
                            c + col, ldc, accumulate)
#if SKD_W == 8
        if (col < cols)
            SKD_SWITCH_ROWS(SKD_NAME(micro_half), height, depth, a, row_step, k_step, B + col,
                            ldb, c + col, ldc, accumulate)
#endif
        row += height;
    }
}

static void SKD_NAME(gemm)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t depth, const double *A,
                           ptrdiff_t row_step, ptrdiff_t k_step, const double *B, ptrdiff_t ldb,
                           double *C, ptrdiff_t ldc, int accumulate) {
    /* the strides as constants spare the inner loop its address arithmetic */
    if (row_step == 1)
        SKD_NAME(gemm_strided)(rows, cols, depth, A, 1, k_step, B, ldb, C, ldc, accumulate);
    else
        SKD_NAME(gemm_strided)(rows, cols, depth, A, row_step, 1, B, ldb, C, ldc, accumulate);
}

/* The same for the rows of every degree l, in one call since each is small. */
static void SKD_NAME(gemm_per_l)(int l_max, ptrdiff_t cols, ptrdiff_t depth, const double *A,
                                 ptrdiff_t lda, const double *B, ptrdiff_t ldb, ptrdiff_t b_step,
                                 double *C, ptrdiff_t ldc, int accumulate) {
    for (int l = 0; l <= l_max; l++) {
        SKD_NAME(gemm_strided)(2 * l + 1, cols, depth, A, lda, 1, B, ldb, C, ldc, accumulate);
        A += (2 * l + 1) * lda;
        B += b_step;
        C += (2 * l + 1) * ldc;
    }
}

/* Products of every degree for one small n_max: nothing but sums in between. */
SKD_INLINE void SKD_NAME(multiply_fixed)(const int n_max, const int n_pad, int l_max,
                                         const double *x, ptrdiff_t ldx, const double *y,
                                         ptrdiff_t ldy, double *out) {
    const int upper = n_max > 8 ? n_max / 2 : n_max, lower = n_max - upper;
    for (int l = 0; l <= l_max; l++) {
        const ptrdiff_t depth = 2 * l + 1;
        double *below = out + upper * n_pad;
        SKD_NAME(micro)(upper, depth, x, 1, ldx, y, ldy, out, n_pad, 0);
        if (lower) SKD_NAME(micro)(lower, depth, x + upper, 1, ldx, y, ldy, below, n_pad, 0);
#if SKD_W == 8
        if (n_pad > SKD_W) {
            SKD_NAME(micro_half)(upper, depth, x, 1, ldx, y + 8, ldy, out + 8, n_pad, 0);
            SKD_NAME(micro_half)(lower, depth, x + upper, 1, ldx, y + 8, ldy, below + 8, n_pad, 0);
        }
#endif
        x += depth * ldx;
        y += depth * ldy;
        out += n_max * n_pad;
    }
}

static void SKD_NAME(multiply)(int l_max, ptrdiff_t n_max, ptrdiff_t n_pad, const double *x,
                               ptrdiff_t ldx, const double *y, ptrdiff_t ldy, double *out,
                               int accumulate) {
    if (n_pad == SKD_W && !accumulate) {
        SKD_SWITCH_ROWS(SKD_NAME(multiply_fixed), n_max, SKD_W, l_max, x, ldx, y, ldy, out)
        return;
    }
#if SKD_W == 8
    if (n_pad == 12 && !accumulate) switch (n_max) {
        case 9: SKD_NAME(multiply_fixed)(9, 12, l_max, x, ldx, y, ldy, out); return;
        case 10: SKD_NAME(multiply_fixed)(10, 12, l_max, x, ldx, y, ldy, out); return;
        case 11: SKD_NAME(multiply_fixed)(11, 12, l_max, x, ldx, y, ldy, out); return;
        case 12: SKD_NAME(multiply_fixed)(12, 12, l_max, x, ldx, y, ldy, out); return;
        }
#endif
    for (int l = 0; l <= l_max; l++) {
        SKD_NAME(gemm_strided)(n_max, n_pad, 2 * l + 1, x, 1, ldx, y, ldy, out, n_pad,
                               accumulate);
        x += (2 * l + 1) * ldx;
        y += (2 * l + 1) * ldy;
        out += n_max * n_pad;
    }
}

SKD_INLINE double SKD_NAME(sum)(V x) {
#if SKD_W == 8
    return _mm512_reduce_add_pd((__m512d)x);
#else
    double total = x[0];
    for (int lane = 1; lane < SKD_W; lane++) total += x[lane];
    return total;
#endif
}

/* Four rows at a time share what is loaded of another one. */
static void SKD_NAME(gram)(ptrdiff_t rows, ptrdiff_t cols, const double *c, ptrdiff_t ldc,
                           double *G, ptrdiff_t ldg) {
    for (ptrdiff_t a = 0; a < rows; a++) {
        const double *first = c + a * ldc;
        for (ptrdiff_t b = a; b < rows; b += 4) {
            const double *other[4];
            double totals[4] = {0, 0, 0, 0};
            V sums[4] = {{0}, {0}, {0}, {0}};
            ptrdiff_t k = 0;
            for (int i = 0; i < 4; i++) other[i] = c + (b + i < rows ? b + i : rows - 1) * ldc;
            for (; k + SKD_W <= cols; k += SKD_W) {
                const V x = *(const V *)(first + k);
                for (int i = 0; i < 4; i++) sums[i] += x * *(const V *)(other[i] + k);
            }
            for (; k < cols; k++)
                for (int i = 0; i < 4; i++) totals[i] += first[k] * other[i][k];
            for (int i = 0; i < 4 && b + i < rows; i++)
                G[a * ldg + b + i] = G[(b + i) * ldg + a] = totals[i] + SKD_NAME(sum)(sums[i]);
        }
        for (ptrdiff_t b = rows; b < ldg; b++) G[a * ldg + b] = 0.0;
    }
}
