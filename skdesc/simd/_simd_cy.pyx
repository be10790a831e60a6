"""The one extension that holds the SIMD loops; others call them through its table."""

cdef extern from "simd.h" nogil:
    const skd_simd *skd_select(const char *wanted)


cdef const skd_simd *select_simd(const char *wanted) noexcept nogil:
    """The best variant of this processor; `wanted` (or NULL) restricts the choice by name."""
    return skd_select(wanted)
