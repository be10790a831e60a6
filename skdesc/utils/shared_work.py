"""Intermediate results that several fits to the same data have in common.

A search opens a scope around fits that differ in a few parameters. An estimator whose fit falls
into parts asks for the part that those parameters do not touch, and computes it only if no
earlier fit in the scope has. Outside any scope everything is computed, and nothing is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from contextvars import ContextVar

import joblib

_scope = ContextVar("scope", default=None)
_store = OrderedDict()
_lock = threading.Lock()

MAX_BYTES = 2**29
"""What a process keeps at most; the results used longest ago go first."""


@contextmanager
def sharing(scope):
    """Let fits in this context share intermediate results.

    Parameters
    ----------
    scope : str
        Fits of equal scopes share; the same in all worker processes.

    Yields
    ------
    None
        Nothing.
    """
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


def is_sharing():
    """Whether the current context is a scope."""
    return _scope.get() is not None


def content_hash(content):
    """Hash of an object by content, as a string; arrays cost least."""
    # twice as fast as MD5 where processors have instructions for it
    return joblib.hash(content, hash_name="sha1")


def shared(compute, *key, n_bytes):
    """Compute something, or take it from an earlier fit in the scope.

    Parameters
    ----------
    compute : callable
        Called without arguments. Its result must depend on the key alone, and nobody may
        change it.
    *key : object
        All that it depends on; hashed by content.
    n_bytes : callable
        Called with the result, for its size.

    Returns
    -------
    object
        The result.
    """
    if not is_sharing():
        return compute()
    name = _scope.get(), content_hash(key)
    with _lock:
        if name in _store:
            _store.move_to_end(name)
            return _store[name][0]
    # computed twice, if two threads ask at once: the results are the same
    result = compute()
    with _lock:
        _store[name] = result, n_bytes(result)
        while sum(size for _, size in _store.values()) > MAX_BYTES:
            _store.popitem(last=False)
    return result


def forget(scope):
    """Drop what this process has kept for a scope.

    Parameters
    ----------
    scope : str
        As given to :func:`sharing`.
    """
    with _lock:
        for name in [name for name in _store if name[0] == scope]:
            del _store[name]
