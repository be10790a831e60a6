"""A cache of results within a process, with a limit in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")


class ProcessCache:
    """Cache of results by key; the least recently used are dropped first.

    Parameters
    ----------
    budget : int
        Limit of the total size of the results, in bytes.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._entries: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self._n_bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def n_bytes(self) -> int:
        """Total size of all results in the cache, in bytes."""
        return self._n_bytes

    def get(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """Return the result of a key; compute it if it is not in the cache.

        Parameters
        ----------
        key : hashable
            Everything that the result depends on.
        make : callable
            Computes the result. Two threads that ask at the same time may both call it.
        size : callable
            Returns the size of a result in bytes.

        Returns
        -------
        object
            The result, which must not be modified.
        """
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key][0]
        result = make()
        n_bytes = size(result)
        with self._lock:
            if key not in self._entries and n_bytes <= self.budget:
                self._entries[key] = result, n_bytes
                self._n_bytes += n_bytes
                while self._n_bytes > self.budget:
                    self._n_bytes -= self._entries.popitem(last=False)[1][1]
        return result

    def clear(self) -> None:
        """Drop all results."""
        with self._lock:
            self._entries.clear()
            self._n_bytes = 0
