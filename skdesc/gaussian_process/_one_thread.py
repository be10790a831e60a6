"""BLAS on some threads, or on one for as long as any thread of Python wants it so."""

from __future__ import annotations

import threading
from functools import lru_cache

from joblib import cpu_count, effective_n_jobs
from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=1)
def _controller():
    """Find the libraries once: it takes as long as predicting a small structure."""
    return ThreadpoolController()


def blas_threads(n_threads):
    """Context that limits BLAS to some threads.

    Parameters
    ----------
    n_threads : int
        At most.

    Returns
    -------
    context manager
        Resets the limit when it is left.
    """
    return _controller().limit(limits=n_threads, user_api="blas")


def threads(n_jobs):
    """Context that limits BLAS as a parameter `n_jobs` says.

    Parameters
    ----------
    n_jobs : int or None
        None stands for one: products are mostly small, and threads of BLAS and of descriptors
        that wait for one another make a call several times as long.

    Returns
    -------
    context manager
        Resets the limit when it is left.
    """
    if n_jobs is None:
        return one_thread
    # on a cluster, the number of jobs is that of all machines together
    return blas_threads(min(effective_n_jobs(n_jobs), cpu_count()))


class _OneThread:
    """Reentrant context that limits BLAS to one thread.

    The limit is a setting of the whole process. If several threads set and reset it at their
    own pace, one may restore the limit that it has found, set by another, and leave it behind
    for good. So the first to enter sets it and the last to leave resets it.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._count = 0
        self._limiter = None

    def __enter__(self):
        with self._lock:
            if self._count == 0:
                self._limiter = blas_threads(1)
            self._count += 1

    def __exit__(self, *exception):
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self._limiter.restore_original_limits()


one_thread = _OneThread()
