"""Pictures of searches and of predictions, in the style of scikit-learn's displays."""

from ._parity import ParityDisplay
from ._search import SearchDisplay

__all__ = ["ParityDisplay", "SearchDisplay"]
