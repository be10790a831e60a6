"""All neighbors of every center within a cutoff, periodic images included."""

from ._nearest import FARTHEST_NEIGHBOR, nearest_distances
from ._pairs import NeighborSearch, Pairs, bound_neighbors, find_pairs, search_bytes

__all__ = [
    "FARTHEST_NEIGHBOR",
    "NeighborSearch",
    "Pairs",
    "bound_neighbors",
    "find_pairs",
    "nearest_distances",
    "search_bytes",
]
