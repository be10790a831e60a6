"""From Atoms to flat arrays: the container, checks of input, and training targets."""

from . import _packing as _packing
from ._structures import Structures
from ._targets import extract_targets
from ._validation import as_column, check_structures

__all__ = ["Structures", "as_column", "check_structures", "extract_targets"]
