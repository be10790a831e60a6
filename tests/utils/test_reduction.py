"""Sums of parts by several threads: the same for any number of threads, errors, little memory."""

import threading
import time

import pytest

from skdesc.utils.reduction import merge_in_pairs, sum_in_parts
from skdesc.utils.threads import effective_n_threads

PARTS = [["a", "b", "c"], ["d"], ["e", "f"], ["g"], ["h", "i", "j", "k"]]


def summed(parts, n_threads, compute=str.upper):
    """Which values were added in which order, and how sums were merged."""
    return sum_in_parts(
        compute, parts, list, list.append, lambda left, right: [left, right], n_threads
    )


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
@pytest.mark.parametrize("n_parts", [1, 2, 3, 4, 5])
def test_order(n_parts, n_threads):
    parts = PARTS[:n_parts]

    def compute(item):
        time.sleep(0.001 * (ord(item) * 7 % 5))  # so that threads finish in another order
        return item.upper()

    expected = merge_in_pairs(
        [[item.upper() for item in part] for part in parts], lambda *pair: list(pair)
    )
    assert summed(parts, n_threads, compute) == expected


def test_pairs():
    assert merge_in_pairs("abcde", "({}{})".format) == "(((ab)(cd))e)"
    assert merge_in_pairs("abcdef", "({}{})".format) == "(((ab)(cd))(ef))"
    assert merge_in_pairs(["a"], None) == "a"


@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_error_ends_all_threads(n_threads):
    computed = []

    def compute(item):
        computed.append(item)
        if item == 3:
            raise ZeroDivisionError("three")
        return item

    with pytest.raises(ZeroDivisionError, match="three"):
        summed([range(1000)], n_threads, compute)
    assert len(computed) < 900


def test_few_values_are_in_memory():
    """A slow first item does not let all others pile up behind it."""
    lock, alive, most = threading.Lock(), set(), []

    def compute(item):
        with lock:
            alive.add(item)
            most.append(len(alive))
        if item == 0:
            time.sleep(0.05)
        return item

    def add(total, item):
        with lock:
            alive.discard(item)

    sum_in_parts(compute, [range(50), range(50, 60)], list, add, lambda left, right: left, 2)
    assert max(most) <= 4


def test_work_in_threads_uses_no_further_threads():
    found = summed([[4, 5], [6]], 2, lambda n: effective_n_threads(n))
    assert found == [[1, 1], [1]]
    assert effective_n_threads(2) == 2
