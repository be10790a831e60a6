"""Refuse what would not fit into memory before anything is allocated."""

import os
from functools import cache


@cache
def available_memory():
    """Bytes of physical memory, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check_fits_memory(n_bytes, what, remedy):
    """Raise if an allocation exceeds the physical memory.

    Parameters
    ----------
    n_bytes : int
        Size of the allocation.
    what, remedy : str
        What needs the memory, and what the user can do.

    Raises
    ------
    ValueError
        With the size, the memory there is, and the remedy.
    """
    memory = available_memory()
    if memory is not None and n_bytes > memory:
        raise ValueError(
            f"{what} need {n_bytes / 1e9:.1f} GB, but this machine has {memory / 1e9:.1f} GB of "
            f"memory; {remedy}"
        )
