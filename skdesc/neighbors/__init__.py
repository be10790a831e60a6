"""All neighbors of every center within a cutoff, periodic images included."""

from ._pairs import NeighborSearch, Pairs, bound_neighbors, find_pairs, search_bytes

__all__ = ["NeighborSearch", "Pairs", "bound_neighbors", "find_pairs", "search_bytes"]
