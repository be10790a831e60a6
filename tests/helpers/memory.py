"""Memory that a call takes."""

import tracemalloc


def peak_of(function):
    """Bytes that Python and NumPy hold at most while a function runs, beside what was there."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
