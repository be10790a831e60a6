"""What a descriptor hands to a regressor."""

from ._atomic_features import AtomicFeatures
from ._jacobian import Blocks, Jacobian

__all__ = ["AtomicFeatures", "Blocks", "Jacobian"]
