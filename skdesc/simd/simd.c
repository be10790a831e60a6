/* The loops of simd.h, compiled once per instruction set and chosen at run time.
 *
 * They are written in GCC/Clang vector extensions, and simd_loops.h is included once per vector
 * width. On x86-64 Linux three variants are built and the best one that the processor has is
 * used; elsewhere the baseline serves. No flag that changes floating-point semantics is used.
 */
#include "simd.h"

#include <math.h>
#include <string.h>

#define SKD_INLINE static inline __attribute__((always_inline))
#define SKD_CAT2(a, b) a##_##b
#define SKD_CAT(a, b) SKD_CAT2(a, b)
#define SKD_NAME(a) SKD_CAT(a, SKD_ISA)

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__)
#define SKD_DISPATCH 1
#include <immintrin.h>
#endif

#ifdef SKD_DISPATCH
#ifdef __clang__
#define SKD_PRAGMA(x) _Pragma(#x)
#define SKD_BEGIN_TARGET(t) \
    SKD_PRAGMA(clang attribute push(__attribute__((target(t))), apply_to = function))
#define SKD_END_TARGET SKD_PRAGMA(clang attribute pop)
#else
#define SKD_PRAGMA(x) _Pragma(#x)
#define SKD_BEGIN_TARGET(t) SKD_PRAGMA(GCC push_options) SKD_PRAGMA(GCC target(t))
#define SKD_END_TARGET SKD_PRAGMA(GCC pop_options)
#endif

SKD_BEGIN_TARGET("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#define SKD_ISA avx512
#define SKD_W 8
#include "simd_loops.h"
#undef SKD_W
#undef SKD_ISA
SKD_END_TARGET

SKD_BEGIN_TARGET("avx2,fma")
#define SKD_ISA avx2
#define SKD_W 4
#include "simd_loops.h"
#undef SKD_W
#undef SKD_ISA
SKD_END_TARGET
#endif

#define SKD_ISA baseline
#define SKD_W 2
#include "simd_loops.h"
#undef SKD_W
#undef SKD_ISA

const skd_simd *skd_select(const char *wanted) {
#ifdef SKD_DISPATCH
    __builtin_cpu_init();
    if ((!wanted || !strcmp(wanted, "avx512")) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return &skd_table_avx512;
    if ((!wanted || strcmp(wanted, "baseline")) && __builtin_cpu_supports("avx2") &&
        __builtin_cpu_supports("fma"))
        return &skd_table_avx2;
#endif
    (void)wanted;
    return &skd_table_baseline;
}
