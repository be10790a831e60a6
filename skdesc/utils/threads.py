"""Numbers of threads, and distribution of work among them.

Threads are Python's: each takes a piece of work whose bounds do not depend on their number, and
leaves Python for as long as it computes. They wait for one another without using a processor.
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
"""More threads than this are started only where there are as many cores."""

_here = threading.local()

_THREAD_VARIABLES = [
    f"{library}_NUM_THREADS" for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMBA", "NUMEXPR")
]


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


def effective_n_threads(n_jobs: int | None) -> int:
    """Resolve scikit-learn's `n_jobs` to a number of threads.

    Parameters
    ----------
    n_jobs : int or None
        None means 1, unless ``joblib.parallel_config(n_jobs=...)`` says otherwise; negative
        values count from all cores: -1 is all, -2 all but one.

    Returns
    -------
    int
        At least 1. Inside a worker of joblib no more than its share of the cores: that is 1,
        unless joblib has granted a process more. Also 1 :func:`within_a_thread`.

    Raises
    ------
    ValueError
        If `n_jobs` is neither.
    """
    check_n_jobs(n_jobs)
    if n_jobs == 1 or getattr(_here, "is_one_of_many", False):
        return 1
    backend, configured = get_active_backend()
    if n_jobs is None and configured in (None, 1):
        return 1  # avoids counting cores, which takes as long as describing a small structure
    cores = joblib.cpu_count()
    if n_jobs is None:  # on a cluster this is the number for all machines together
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
    """Threads that a worker of joblib may use."""
    if threading.current_thread() is not threading.main_thread():
        return 1
    # joblib sets these in its processes, except those that the user has set
    shares = [os.environ.get(name, "") for name in _THREAD_VARIABLES]
    return max(1, min((int(share) for share in shares if share.isdecimal()), default=1))


def ordered_map(function: Callable[[T], R], items: Iterable[T], n_threads: int) -> Iterator[R]:
    """Apply a function to items by several threads, and yield the results in order.

    Parameters
    ----------
    function : callable
        What it does to one item must not depend on others.
    items : iterable
        Taken one by one, by the thread of the caller, not far ahead of the results.
    n_threads : int
        Number of threads; with 1 the caller's own does all.

    Yields
    ------
    object
        What the function returns.
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
