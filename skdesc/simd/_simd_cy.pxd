"""Declarations of simd.h, and the choice of a variant."""

cdef extern from "simd.h" nogil:
    ctypedef struct skd_simd:
        void (*gemm)(Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t depth, const double *A,
                     Py_ssize_t row_step, Py_ssize_t k_step, const double *B, Py_ssize_t ldb,
                     double *C, Py_ssize_t ldc, int accumulate) noexcept nogil
        void (*gemm_per_l)(int l_max, Py_ssize_t cols, Py_ssize_t depth, const double *A,
                           Py_ssize_t lda, const double *B, Py_ssize_t ldb, Py_ssize_t b_step,
                           double *C, Py_ssize_t ldc, int accumulate) noexcept nogil
        void (*multiply)(int l_max, Py_ssize_t n_max, Py_ssize_t n_pad, const double *x,
                         Py_ssize_t ldx, const double *y, Py_ssize_t ldy, double *out,
                         int accumulate) noexcept nogil
        void (*gram)(Py_ssize_t rows, Py_ssize_t cols, const double *c, Py_ssize_t ldc,
                     double *G, Py_ssize_t ldg) noexcept nogil
        void (*spline)(Py_ssize_t width, const double *knots, double t, double inv_step,
                       double *value, double *derivative) noexcept nogil
        void (*harmonics)(int l_max, const double *norms, const double *xyz, int gradients,
                          double *Y, Py_ssize_t ld) noexcept nogil
        void (*pull_back)(int l_max, Py_ssize_t n_pad, const double *D, Py_ssize_t ldd,
                          const double *Y, const double *R, const double *dR,
                          double inv_distance, const double *unit,
                          double *gradient) noexcept nogil
        void (*differentiate_lane)(int l_max, Py_ssize_t n_pad, const double *Y, const double *R,
                                   const double *dR, double inv_distance, const double *unit,
                                   double *out, Py_ssize_t axis_step) noexcept nogil
        void (*pack_upper)(Py_ssize_t n_max, Py_ssize_t n_pad, const double *tile, double *out,
                           int exact) noexcept nogil
        void (*transpose_tiles)(int l_max, Py_ssize_t n_max, Py_ssize_t n_pad, const double *w,
                                double *out) noexcept nogil
        int (*finite)(Py_ssize_t n, const double *x) noexcept nogil
        void (*scale)(Py_ssize_t n, double factor, double *x) noexcept nogil
        double (*dot)(Py_ssize_t n, const double *x, const double *y) noexcept nogil
        void (*couple)(Py_ssize_t n_out, const int *start, const int *a, const int *b,
                       const double *w, const double *x, const double *y, double *out,
                       int accumulate) noexcept nogil
        Py_ssize_t (*select_within)(Py_ssize_t n, const double *x, const double *y, const double *z,
                                    const double *center, double squared_cutoff,
                                    int *index) noexcept nogil
        const char *name

    enum: SKD_LANES
    enum: SKD_MAX_L
    enum: SKD_BLOCK


cdef const skd_simd *select_simd(const char *wanted) noexcept nogil
