"""Transformers from structures to features."""

from ._soap import SOAPTransformer

__all__ = ["SOAPTransformer"]
