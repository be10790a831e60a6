"""Models in files: without code for this package, as potentials for other programs."""

from ._model import load, save

__all__ = ["load", "save"]
