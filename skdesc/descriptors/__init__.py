"""Transformers from structures to features."""

from ._cached import CachedDescriptor, FeatureCache
from ._soap import SOAPTransformer
from ._tensor_reduced import TensorReducedTransformer
from ._two_body_transformer import TwoBodyTransformer

__all__ = [
    "CachedDescriptor",
    "FeatureCache",
    "SOAPTransformer",
    "TensorReducedTransformer",
    "TwoBodyTransformer",
]
