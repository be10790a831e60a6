"""Limits of the number of BLAS threads that nest across Python threads."""

from __future__ import annotations

import threading
from functools import lru_cache

from joblib import cpu_count
from threadpoolctl import ThreadpoolController

from .threads import effective_n_threads


@lru_cache(maxsize=1)
def _libraries():
    """Find the libraries once: it takes as long as predicting a small structure."""
    controllers = ThreadpoolController().lib_controllers
    return [library for library in controllers if library.user_api == "blas"]


class _Limit:
    """Reentrant context that limits the number of BLAS threads.

    The limit is a setting of the whole process. If several threads set and restored it
    independently, one of them could restore a limit that another one had set, which would remain
    forever. Therefore the lowest limit that any thread requests holds, and the last thread to
    leave restores the setting that the first one found.

    Parameters
    ----------
    n_threads : int
        Largest number of BLAS threads.
    """

    # reentrant: an interrupt between the lines of a block may leave it locked by this thread
    _lock = threading.RLock()
    _wanted = []
    _original = []

    def __init__(self, n_threads):
        self.n_threads = n_threads

    def __enter__(self):
        with self._lock:
            before = min(self._wanted, default=None)
            self._wanted.append(self.n_threads)
            if before is None:
                self._original[:] = [library.num_threads for library in _libraries()]
            try:
                self._change(before)
            except BaseException:  # __exit__ does not run if __enter__ fails
                self._wanted.remove(self.n_threads)
                raise

    def __exit__(self, *exception):
        with self._lock:
            before = min(self._wanted)
            self._wanted.remove(self.n_threads)
            self._change(before)

    def _change(self, before):
        limit = min(self._wanted, default=None)
        if limit == before:
            return
        for library, original in zip(_libraries(), self._original, strict=True):
            wanted, present = (original if n is None else n for n in (limit, before))
            if wanted == present:  # setting the same number takes as long as any other
                continue
            # since version 3.8, threadpoolctl lets only the thread that set a limit restore it, but
            # the last thread to leave may be another one
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)
            library.set_num_threads(wanted)


def threads(n_jobs):
    """Context that limits the number of BLAS threads to `n_jobs`.

    Parameters
    ----------
    n_jobs : int or None
        Argument of :func:`~skdesc.utils.threads.effective_n_threads`.

    Returns
    -------
    context manager
        Restores the limit on exit.
    """
    n_threads = effective_n_threads(n_jobs)
    return one_thread if n_threads == 1 else _Limit(min(n_threads, cpu_count()))


one_thread = _Limit(1)
