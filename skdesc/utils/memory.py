"""Refuse allocations that exceed the memory, and reuse freed blocks."""

import math
import os
from functools import cache

import numpy as np

SMALLEST_SPARE = 2**20
"""Smallest array, in bytes, whose memory is kept; malloc reuses smaller blocks by itself."""

LINE = 64
"""Bytes of a cache line."""


@cache
def available_memory():
    """Return the physical memory in bytes, or None if the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def fits_memory(n_bytes):
    """Whether an allocation fits into the physical memory; True if that is unknown."""
    memory = available_memory()
    return memory is None or n_bytes <= memory


def check_fits_memory(n_bytes, what, remedy):
    """Raise if an allocation exceeds the physical memory.

    Parameters
    ----------
    n_bytes : int
        Size of the allocation.
    what, remedy : str
        Name of the data that need the memory, and advice to the user.

    Raises
    ------
    ValueError
        If the allocation exceeds the memory.
    """
    if not fits_memory(n_bytes):
        raise ValueError(
            f"{what} need {n_bytes / 1e9:.1f} GB, but this machine has "
            f"{available_memory() / 1e9:.1f} GB of memory; {remedy}"
        )


def aligned(shape, dtype=np.float64, make=np.empty):
    """Return a new array that begins at a cache line, for fast vector loads and stores.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    dtype : dtype, default=float64
        Data type of the array.
    make : callable, default=numpy.empty
        Function that allocates it, numpy.empty or numpy.zeros.

    Returns
    -------
    ndarray
        The array.
    """
    block = make(math.prod(shape) * np.dtype(dtype).itemsize + LINE, dtype=np.uint8)
    start = -block.__array_interface__["data"][0] % LINE
    return np.ndarray(shape, dtype, block, start)


class SpareMemory:
    """Memory of deleted arrays, kept for new arrays of similar size.

    The system hands out zeroed pages one by one as they are first written to, which can take
    much longer than computing what is written.

    Parameters
    ----------
    budget : int
        Largest number of bytes to keep; the oldest blocks are dropped first.
    """

    def __init__(self, budget):
        self.budget = budget
        # by address; each change is one atomic operation, so that no two threads get the same block
        self._blocks = {}

    def take(self, shape, dtype=np.float64):
        """Return an array, and whether it is filled with zeros.

        Parameters
        ----------
        shape : tuple of int
            Shape of the array.
        dtype : dtype, default=float64
            Data type of the array.

        Returns
        -------
        array : ndarray
            The array. Its memory is kept for reuse once the last view of it is deleted.
        cleared : bool
            False if the content is arbitrary.
        """
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        if n_bytes < SMALLEST_SPARE:
            return aligned(shape, dtype), False
        if n_bytes > self.budget:
            return aligned(shape, dtype, np.zeros), True
        block = self._find(n_bytes)
        cleared = block is None
        if cleared:
            block = aligned((n_bytes,), np.uint8, np.zeros)
        values = np.asarray(_Lease(block, self))
        return values[:n_bytes].view(dtype).reshape(shape), cleared

    def give(self, block):
        """Keep a block of bytes, within the budget for all blocks."""
        self._blocks[block.__array_interface__["data"][0]] = block
        kept = 0
        for address in reversed(list(self._blocks)):
            one = self._blocks.get(address)
            kept += 0 if one is None else one.nbytes
            if kept > self.budget:
                self._blocks.pop(address, None)

    def _find(self, n_bytes):
        """Take a block of once to twice the size, or return None."""
        for address in reversed(list(self._blocks)):
            block = self._blocks.get(address)
            if block is not None and n_bytes <= block.nbytes <= 2 * n_bytes:
                block = self._blocks.pop(address, None)
                if block is not None:
                    return block
        return None


class _Lease:
    """Owner of an array's memory, which is kept for reuse when the array is deleted."""

    def __init__(self, block, spare):
        self.__array_interface__ = block.__array_interface__
        self._block, self._spare = block, spare

    def __del__(self):
        self._spare.give(self._block)


SPARE = SpareMemory((available_memory() or 2**32) // 10)
"""Spare memory of this process, up to a tenth of the physical memory."""
