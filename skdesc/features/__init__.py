"""Atomic features, which descriptors pass to regressors."""

from ._atomic_features import AtomicFeatures
from ._jacobian import Blocks, Jacobian
from ._protocol import AtomicDescriptor

__all__ = ["AtomicDescriptor", "AtomicFeatures", "Blocks", "Jacobian"]
