"""Rotation invariants of density expansions, with their derivatives."""

from ._descriptor import (
    DensityDescriptor,
    PowerSpectrumDescriptor,
    TensorReducedDescriptor,
    check_cotangent,
)
from ._energy_derivatives import differentiate_energies
from ._environments import describe, memory_of_describing, pull_back
from ._gradient_rows import gradient_rows, workspace_of_rows
from ._inner import describe_means, pull_back_means
from ._jacobian import jacobian
from ._power_spectrum import COMPRESSIONS, PowerSpectrum
from ._tensor_reduced import TensorReduced

__all__ = [
    "COMPRESSIONS",
    "DensityDescriptor",
    "PowerSpectrum",
    "PowerSpectrumDescriptor",
    "TensorReduced",
    "TensorReducedDescriptor",
    "check_cotangent",
    "describe",
    "describe_means",
    "differentiate_energies",
    "gradient_rows",
    "jacobian",
    "memory_of_describing",
    "pull_back",
    "pull_back_means",
    "workspace_of_rows",
]
