"""What OpenMP offers here; the only module that asks it."""

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define SKD_HAS_OPENMP 1
    #else
    #define SKD_HAS_OPENMP 0
    static int omp_get_max_threads(void) { return 1; }
    #endif
    """
    int omp_get_max_threads() noexcept nogil
    int SKD_HAS_OPENMP


def max_threads():
    """Return how many threads OpenMP would use; 1 without OpenMP."""
    return omp_get_max_threads()


def has_openmp():
    """Tell whether this build uses OpenMP."""
    return bool(SKD_HAS_OPENMP)
