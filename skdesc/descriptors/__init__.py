"""Transformers from structures to features."""

from ._soap import SOAPTransformer
from ._tensor_reduced import TensorReducedTransformer
from ._two_body import TwoBodyTransformer

__all__ = ["SOAPTransformer", "TensorReducedTransformer", "TwoBodyTransformer"]
