import threading

from threadpoolctl import threadpool_info

from skdesc.utils.blas import one_thread


def _blas():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_overlapping_limits_of_threads_are_undone():
    before = _blas()
    entered, leave = threading.Event(), threading.Event()

    def other():
        with one_thread:
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with one_thread:
        thread.start()
        assert entered.wait(10)
        assert set(_blas()) <= {1}
    # entered first, left first; the other one resets the limit that this thread has set
    assert set(_blas()) <= {1}
    leave.set()
    thread.join()
    assert _blas() == before
