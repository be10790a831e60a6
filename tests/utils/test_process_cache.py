"""Results that a process keeps: found again, within a budget, by several threads."""

from concurrent.futures import ThreadPoolExecutor

from skdesc.utils.process_cache import ProcessCache


def test_results_are_made_once():
    cache, made = ProcessCache(100), []

    def make(key):
        made.append(key)
        return [key]

    first = cache.get("a", lambda: make("a"), len)
    assert cache.get("a", lambda: make("a"), len) is first
    assert made == ["a"]
    cache.clear()
    assert (len(cache), cache.n_bytes) == (0, 0)


def test_the_least_recently_used_go_first():
    cache = ProcessCache(10)
    for key in "abcd":
        cache.get(key, lambda: object(), lambda _: 3)
        cache.get("a", lambda: object(), lambda _: 3)
    assert [key in cache._entries for key in "abcd"] == [True, False, True, True]
    assert cache.n_bytes == 9
    cache.get("large", lambda: object(), lambda _: 11)
    assert cache.n_bytes == 9


def test_many_threads():
    cache = ProcessCache(50)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: cache.get(k % 7, lambda: k % 7, lambda _: 10), range(700)))
    assert found == [k % 7 for k in range(700)]
    assert len(cache) == 5
    assert cache.n_bytes == 50
