import threading

from threadpoolctl import threadpool_info

from skdesc.utils.threads import blas_threads


def _blas():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_overlapping_limits_of_threads_are_undone():
    before = _blas()
    entered, leave = threading.Event(), threading.Event()

    def other():
        with blas_threads(1):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with blas_threads(1):
        thread.start()
        assert entered.wait(10)
        assert set(_blas()) <= {1}
    # entered first, left first
    assert _blas() == before
    leave.set()
    thread.join()
    assert _blas() == before
    with blas_threads(None):
        assert _blas() == before
