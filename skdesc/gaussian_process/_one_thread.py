"""BLAS on one thread, for as long as any thread of Python wants it so."""

from __future__ import annotations

import threading

from threadpoolctl import ThreadpoolController


class _OneThread:
    """Reentrant context that limits BLAS to one thread.

    The limit is a setting of the whole process. If several threads set and reset it at their
    own pace, one may restore the limit that it has found, set by another, and leave it behind
    for good. So the first to enter sets it and the last to leave resets it.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._count = 0
        self._controller = None
        self._limiter = None

    def __enter__(self):
        with self._lock:
            if self._controller is None:
                self._controller = ThreadpoolController()  # looks for libraries: slow
            if self._count == 0:
                self._limiter = self._controller.limit(limits=1, user_api="blas")
            self._count += 1

    def __exit__(self, *exception):
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self._limiter.restore_original_limits()


one_thread = _OneThread()
