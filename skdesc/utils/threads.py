"""How many threads to use."""

import os
import threading
from numbers import Integral

import joblib

from ._threads_cy import has_openmp, max_threads

# more threads than this only where there are as many cores: where the system refuses a thread,
# OpenMP ends the process
_MANY = 256


def check_n_jobs(n_jobs):
    """Refuse a parameter `n_jobs` that is neither None nor an integer other than 0.

    Parameters
    ----------
    n_jobs : object
        As given by the user.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if n_jobs is None:
        return
    if not isinstance(n_jobs, Integral) or isinstance(n_jobs, bool) or n_jobs == 0:
        raise ValueError(f"n_jobs is {n_jobs!r}, but must be an integer other than 0, or None")


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
        If `n_jobs` is neither.
    """
    check_n_jobs(n_jobs)
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
    return int(n_jobs) if n_jobs <= _MANY else min(int(n_jobs), max(_MANY, joblib.cpu_count()))
