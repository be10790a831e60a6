"""How many threads `n_jobs` means, and work that several share."""

import threading
import time

import joblib
import pytest
from joblib import Parallel, delayed, parallel_config

from skdesc.utils.threads import effective_n_threads, ordered_map


def test_meaning_of_n_jobs(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    assert [effective_n_threads(n) for n in (None, 1, 3, -1, -3, -100)] == [1, 1, 3, 8, 6, 1]
    assert effective_n_threads(10**9) == 1024
    for bad in (0, 1.5, True, "2"):
        with pytest.raises(ValueError, match="n_jobs is"):
            effective_n_threads(bad)


def test_configuration_of_joblib_is_heeded(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    with parallel_config(n_jobs=3):
        assert [effective_n_threads(n) for n in (None, 1, 2)] == [3, 1, 2]
    for n_jobs in (-1, 500):
        with parallel_config("threading", n_jobs=n_jobs):
            assert effective_n_threads(None) == 8
    assert effective_n_threads(None) == 1


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_take_no_more_than_their_share(backend):
    cores = joblib.cpu_count()
    jobs = [delayed(effective_n_threads)(n) for n in (None, -1, 64)]
    shares = Parallel(2, backend=backend)(jobs)
    assert shares[0] == 1
    assert max(shares) <= (1 if backend == "threading" else max(1, cores // 2))


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_results_are_in_order(n_threads):
    def work(k):
        time.sleep(0.001 * (k % 3))
        return k

    for length in (0, 1, 2, 30):
        assert list(ordered_map(work, range(length), n_threads)) == list(range(length))


def test_threads_do_the_work_and_do_not_run_ahead():
    taken, workers = [], set()

    def items():
        for k in range(50):
            taken.append(k)
            yield k

    def work(k):
        workers.add(threading.get_ident())
        time.sleep(0.001)
        return k

    for k in ordered_map(work, items(), 2):
        assert len(taken) <= k + 8
    assert threading.get_ident() not in workers
    assert len(workers) == 2


@pytest.mark.parametrize("n_threads", [1, 3])
def test_errors_arrive_and_leave_no_thread_behind(n_threads):
    before = threading.active_count()

    def work(k):
        if k == 7:
            raise ValueError("seven")
        return k

    with pytest.raises(ValueError, match="seven"):
        list(ordered_map(work, range(100), n_threads))
    results = ordered_map(work, range(100), n_threads)
    next(results)
    results.close()
    assert threading.active_count() == before
