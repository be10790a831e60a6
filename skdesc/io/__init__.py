"""Model files that hold data and no code, and potentials in the format of QUIP."""

from ._model import load, save
from ._quip_read import read_quip_xml
from ._quip_write import write_quip_xml

__all__ = ["load", "read_quip_xml", "save", "write_quip_xml"]
