"""Mixing weights of tensor-reduced descriptors: random, given or learned."""

from ._ridge_loss import MixingProblem

__all__ = ["MixingProblem"]
