"""What a descriptor hands to a regressor."""

from ._atomic_features import AtomicFeatures

__all__ = ["AtomicFeatures"]
