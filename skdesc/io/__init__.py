"""Models in files: without code for this package, as potentials for other programs."""

from ._model import load, save
from ._quip_read import read_quip_xml
from ._quip_write import write_quip_xml

__all__ = ["load", "read_quip_xml", "save", "write_quip_xml"]
