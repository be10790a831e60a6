"""Sums of many items by several threads, in an order that does not depend on their number.

Items belong to parts. The values of a part are added to its sum one after the other. The sums of
parts are merged in a binary tree: first with second, third with fourth, and so on, then the
resulting sums in the same way. The result is bit-identical for any number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from .threads import within_a_thread

S = TypeVar("S")
V = TypeVar("V")


def merge_in_pairs(sums: Sequence[S], merge: Callable[[S, S], S]) -> S:
    """Merge neighbors in pairs, then the results, until one sum remains.

    Parameters
    ----------
    sums : sequence
        At least one sum.
    merge : callable
        Returns the merger of two neighbors. A sum without a neighbor enters the next round.

    Returns
    -------
    object
        The sum.
    """
    sums = list(sums)
    while len(sums) > 1:
        pairs = [sums[index : index + 2] for index in range(0, len(sums), 2)]
        sums = [merge(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return sums[0]


def sum_in_parts(
    compute: Callable[[Any], V],
    parts: Sequence[Sequence[Any]],
    start: Callable[[], S],
    add: Callable[[S, V], None],
    merge: Callable[[S, S], S],
    n_threads: int,
) -> S:
    """Compute values of items, add them up part by part, and merge the sums of parts in pairs.

    Parameters
    ----------
    compute : callable
        Returns the value of an item; it is called by several threads at once.
    parts : sequence of sequence
        Items of each part; no part is empty.
    start : callable
        Returns an empty sum.
    add : callable
        Adds a value to a sum, in place.
    merge : callable
        Argument of :func:`merge_in_pairs`; it may change its own first argument.
    n_threads : int
        Number of threads; 1 means only the calling thread. At most twice as many values are in
        memory.

    Returns
    -------
    object
        Sum of the values of all items.
    """
    return _Summation(compute, parts, start, add, merge, n_threads).run()


class _Summation:
    """Shared state of the threads of :func:`sum_in_parts`, protected by a lock."""

    def __init__(self, compute, parts, start, add, merge, n_threads):
        self._compute, self._start, self._add, self._merge = compute, start, add, merge
        self._n_threads, self._n_parts = n_threads, len(parts)
        self._queue = iter([
            (part, index, item) for part, items in enumerate(parts)
            for index, item in enumerate(items)
        ])
        self._lengths = [len(items) for items in parts]
        self._changed = threading.Condition()
        self._n_unfinished = 0  # number of values that are being computed or waiting to be added
        self._ready, self._next, self._sums = {}, [0] * len(parts), {}
        self._adding = set()  # parts whose sum a thread is updating
        self._waiting = {}  # sums waiting for their neighbor, by level and index
        self._is_stopped = False

    def run(self):
        if self._n_threads == 1:
            self._work()
        else:
            with ThreadPoolExecutor(self._n_threads) as pool:
                try:
                    workers = [pool.submit(self._work_alone) for _ in range(self._n_threads)]
                    for worker in workers:
                        worker.result()
                finally:  # an error in one thread, or an interrupt, stops the others
                    self._stop()
        return self._waiting.popitem()[1]

    def _work_alone(self):
        try:
            with within_a_thread():
                self._work()
        except BaseException:
            self._stop()
            raise

    def _stop(self):
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _work(self):
        while (task := self._take()) is not None:
            part, index, item = task
            value = self._compute(item)
            with self._changed:
                self._ready[part, index] = value
            del value
            self._add_ready(part)

    def _take(self):
        """Wait until few values are in memory and return the next item; None if none remains."""
        with self._changed:
            while self._n_unfinished >= 2 * self._n_threads and not self._is_stopped:
                self._changed.wait()
            if self._is_stopped:
                return None
            task = next(self._queue, None)
            self._n_unfinished += task is not None
            return task

    def _add_ready(self, part):
        """Add the values of a part that are next in order, unless another thread is doing so."""
        with self._changed:
            if part in self._adding:
                return
            self._adding.add(part)
        while True:
            with self._changed:
                value = self._ready.pop((part, self._next[part]), None)
                if value is None:
                    self._adding.remove(part)
                    is_complete = self._next[part] == self._lengths[part]
                    # another thread may have completed the part already
                    total = self._sums.pop(part, None) if is_complete else None
                    break
                if part not in self._sums:
                    self._sums[part] = self._start()
                total = self._sums[part]
            self._add(total, value)
            del value
            with self._changed:
                self._next[part] += 1
                self._n_unfinished -= 1
                self._changed.notify_all()
        if total is not None:
            self._merge_upwards(part, total)

    def _merge_upwards(self, index, value):
        """Merge the sum of a part with its neighbors that are complete."""
        level, length = 0, self._n_parts
        while length > 1:
            if index % 2 or index + 1 < length:
                with self._changed:
                    neighbor = self._waiting.pop((level, index ^ 1), None)
                    if neighbor is None:
                        self._waiting[level, index] = value
                        return
                value = self._merge(neighbor, value) if index % 2 else self._merge(value, neighbor)
            level, index, length = level + 1, index // 2, (length + 1) // 2
        self._waiting[level, index] = value
