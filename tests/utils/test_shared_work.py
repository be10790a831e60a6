"""Results that fits share within a scope, and nowhere else."""

import threading

import numpy as np
import pytest

from skdesc.utils import shared_work
from skdesc.utils.shared_work import forget, is_sharing, shared, sharing


class _Counter:
    def __init__(self, size=8):
        self.count, self.size = 0, size

    def get(self, *key):
        return shared(self._compute, *key, n_bytes=lambda _: self.size)

    def _compute(self):
        self.count += 1
        return self.count


@pytest.fixture(autouse=True)
def _empty():
    yield
    assert not shared_work._store


def test_nothing_is_shared_outside_a_scope():
    counter = _Counter()
    assert not is_sharing()
    assert [counter.get("a"), counter.get("a")] == [1, 2]


def test_equal_content_is_computed_once_in_a_scope():
    counter = _Counter()
    with sharing("one"):
        assert is_sharing()
        assert counter.get(np.arange(3), "a") == counter.get(np.arange(3), "a") == 1
        assert counter.get(np.arange(4), "a") == 2
    with sharing("two"):
        assert counter.get(np.arange(3), "a") == 3
    with sharing("one"):
        assert counter.get(np.arange(3), "a") == 1
        forget("one")
        assert counter.get(np.arange(3), "a") == 4
    forget("one")
    forget("two")


def test_scopes_are_left_after_errors():
    def fail():
        with sharing("one"):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert not is_sharing()


def test_what_was_used_longest_ago_goes_first(monkeypatch):
    monkeypatch.setattr(shared_work, "MAX_BYTES", 20)
    counter = _Counter(size=8)
    with sharing("one"):
        first = [counter.get(key) for key in "ab"]
        assert counter.get("a") == first[0]
        counter.get("c")  # too much: b goes
        assert counter.get("a") == first[0]
        assert counter.get("b") == 4
        # what is too large is not kept at all
        large = _Counter(size=21)
        assert [large.get("x"), large.get("x")] == [1, 2]
    forget("one")


def test_a_scope_is_that_of_its_thread():
    seen = []
    with sharing("one"):
        thread = threading.Thread(target=lambda: seen.append(is_sharing()))
        thread.start()
        thread.join()
    assert seen == [False]
