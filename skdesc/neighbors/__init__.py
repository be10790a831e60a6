"""All neighbors of every center within a cutoff, periodic images included."""

from ._pairs import Pairs, bound_neighbors, find_pairs, search_bytes

__all__ = ["Pairs", "bound_neighbors", "find_pairs", "search_bytes"]
