"""Transformers from structures to features."""

from ._soap import SOAPTransformer
from ._two_body import TwoBodyTransformer

__all__ = ["SOAPTransformer", "TwoBodyTransformer"]
