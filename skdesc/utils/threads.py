"""Numbers of threads, and distribution of work among them.

Threads are Python's. Each takes pieces of work whose bounds do not depend on the number of
threads, and releases the interpreter lock while it computes. Waiting threads use no processor.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from numbers import Integral
from typing import TypeVar

import joblib
from joblib.parallel import get_active_backend

T = TypeVar("T")
R = TypeVar("R")

_MANY = 1024
"""Larger numbers of threads are limited to the number of cores."""

_here = threading.local()

_THREAD_VARIABLES = [
    f"{library}_NUM_THREADS" for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMBA", "NUMEXPR")
]


def check_n_jobs(n_jobs):
    """Refuse a parameter `n_jobs` that is neither None nor an integer other than 0.

    Parameters
    ----------
    n_jobs : object
        Value from the user.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if n_jobs is None:
        return
    if not isinstance(n_jobs, Integral) or isinstance(n_jobs, bool) or n_jobs == 0:
        raise ValueError(f"n_jobs is {n_jobs!r}, but must be an integer other than 0, or None")


def effective_n_threads(n_jobs: int | None) -> int:
    """Resolve scikit-learn's `n_jobs` to a number of threads.

    Parameters
    ----------
    n_jobs : int or None
        None means 1, unless set by ``joblib.parallel_config(n_jobs=...)``; -1 means all cores,
        -2 all but one, and so on.

    Returns
    -------
    int
        Number of threads, at least 1. Inside a worker of joblib it is at most the worker's share
        of the cores, which is 1 unless joblib grants a process more. It is 1
        :func:`within_a_thread`.

    Raises
    ------
    ValueError
        If `n_jobs` is neither None nor an integer other than 0.
    """
    check_n_jobs(n_jobs)
    if n_jobs == 1 or getattr(_here, "is_one_of_many", False):
        return 1
    backend, configured = get_active_backend()
    if n_jobs is None and configured in (None, 1):
        return 1  # counting cores takes as long as computing the descriptor of a small structure
    cores = joblib.cpu_count()
    if n_jobs is None:  # on a cluster this is the number of cores of all machines together
        n_jobs = min(configured, cores)
    if n_jobs == 1:
        return 1
    wanted = max(1, cores + 1 + n_jobs) if n_jobs < 0 else min(int(n_jobs), max(_MANY, cores))
    if backend.nesting_level:
        return min(wanted, _share_of_worker())
    return wanted


@contextmanager
def within_a_thread() -> Iterator[None]:
    """Context of one thread among several, in which nested calls use no further threads."""
    before = getattr(_here, "is_one_of_many", False)
    _here.is_one_of_many = True
    try:
        yield
    finally:
        _here.is_one_of_many = before


def _share_of_worker():
    """Return the number of threads that a worker of joblib may use."""
    if threading.current_thread() is not threading.main_thread():
        return 1
    # joblib sets these variables in its processes, unless the user has set them
    shares = [os.environ.get(name, "") for name in _THREAD_VARIABLES]
    return max(1, min((int(share) for share in shares if share.isdecimal()), default=1))


def ordered_map(function: Callable[[T], R], items: Iterable[T], n_threads: int) -> Iterator[R]:
    """Apply a function to items by several threads, and yield the results in order.

    Parameters
    ----------
    function : callable
        The function; its result for an item must not depend on other items.
    items : iterable
        Items, consumed one by one by the calling thread, not far ahead of the results.
    n_threads : int
        Number of threads; 1 means only the calling thread.

    Yields
    ------
    object
        Result for each item.
    """
    items = iter(items)
    first = [item for _, item in zip(range(2), items, strict=False)]
    if n_threads == 1 or len(first) < 2:
        for item in first:
            yield function(item)
        yield from map(function, items)
        return
    pending = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for item in first:
                pending.append(pool.submit(function, item))
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > 2 * n_threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
