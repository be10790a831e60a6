"""All neighbors of every center within a cutoff, periodic images included."""

from ._pairs import Pairs, find_pairs, search_bytes

__all__ = ["Pairs", "find_pairs", "search_bytes"]
