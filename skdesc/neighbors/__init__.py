"""All neighbors of every center within a cutoff, periodic images included."""

from ._nearest import FARTHEST_NEIGHBOR, nearest_distances
from ._pairs import NeighborSearch, Pairs, bound_neighbors, find_pairs, search_bytes
from ._shortest import N_SHORTEST, ShortestDistances, is_table, pair_numbers

__all__ = [
    "FARTHEST_NEIGHBOR",
    "N_SHORTEST",
    "NeighborSearch",
    "Pairs",
    "ShortestDistances",
    "bound_neighbors",
    "find_pairs",
    "is_table",
    "nearest_distances",
    "pair_numbers",
    "search_bytes",
]
