"""How many threads to use."""

import os
import threading

import joblib

from ._threads_cy import has_openmp, max_threads


def effective_n_threads(n_jobs):
    """Resolve scikit-learn's `n_jobs` to a number of threads.

    Parameters
    ----------
    n_jobs : int or None
        None means OMP_NUM_THREADS or the physical cores that this process may use, but one
        thread inside a worker thread of joblib; negative values count from all cores.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        If `n_jobs` is 0.
    """
    if n_jobs == 0:
        raise ValueError("n_jobs is 0, but must be None, positive or negative; use n_jobs=1")
    if not has_openmp():
        return 1
    if n_jobs is None:
        if threading.current_thread() is not threading.main_thread():
            return 1
        if os.environ.get("OMP_NUM_THREADS"):
            return max_threads()
        return max(1, min(max_threads(), joblib.cpu_count(only_physical_cores=True)))
    if n_jobs < 0:
        return max(1, joblib.cpu_count() + 1 + n_jobs)
    return int(n_jobs)
