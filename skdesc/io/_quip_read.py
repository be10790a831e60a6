"""Read potentials in QUIP's format, written by gap_fit or this package."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from xml.etree.ElementTree import TreeBuilder
from xml.parsers import expat

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from sklearn.pipeline import FeatureUnion, Pipeline

from ..descriptors import SOAPTransformer
from ..gaussian_process import GAPRegressor
from ..gaussian_process._serialization import set_weights
from ..structures._target_checks import LARGEST
from ..utils.files import check_regular
from ..utils.typing import PathName
from ._quip_descriptor import integer, interpret, logical, number, numbers, parse_descriptor
from ._quip_packing import FACTOR, n_elements, places

# with larger exponents only identical environments have a covariance
_LARGEST_ZETA = 1000.0
# bytes of a number in a file of sparse points, at most
_LONGEST_NUMBER = 64


def read_quip_xml(path: PathName) -> Pipeline:
    """Read a potential in QUIP's format, such as ``gap_fit`` writes.

    Parameters
    ----------
    path : str or path-like
        The XML file; files with sparse points that it names are looked for beside it.

    Returns
    -------
    Pipeline
        Steps "soap", a `SOAPTransformer` or a union of several, and "gap", a `GAPRegressor`,
        both fitted. It predicts energies, forces and virials, but no uncertainties, which
        cannot be derived from the weights alone.

    Raises
    ------
    ValueError
        If the file is not a potential in this format, or has a part that this package cannot
        represent, which the message names.

    See Also
    --------
    write_quip_xml : Write such a file.

    Notes
    -----
    Only descriptors ``soap`` with the covariance ``dot_product`` are read. Elements that no
    descriptor of the file has among its species are refused in predictions, where QUIP
    silently leaves them out.
    """
    path = Path(path)
    root = _parse(path)
    try:
        label = _check_potential(root)
        parameters = _only(root, "GAP_params", label)
        _check_data(parameters)
        version = integer(parameters.get("gap_version", "0"))
        sparse = _only(parameters, "gpSparse")
        if sparse.get("fitted", "T").upper() not in ("T", ".TRUE.", "TRUE"):
            raise ValueError("it is not fitted")
        coordinates = sparse.findall("gpCoordinates")
        if not coordinates or len(coordinates) != integer(sparse.get("n_coordinate", "-1")):
            raise ValueError(f"gpSparse has {len(coordinates)} gpCoordinates, which is not its "
                             "n_coordinate")
        blocks = [_read_block(block, path.parent, version) for block in coordinates]
        return _make_pipeline(blocks, _atom_energies(parameters))
    except Exception as error:  # constructors raise errors of several types for invalid values
        detail = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} cannot be read as a potential: {detail}") from error


@dataclass
class Block:
    """Sparse points of one descriptor.

    Parameters
    ----------
    soap : tuple of pair
        Parameters of the transformer.
    zeta : float
        Exponent.
    centers : list of int
        Atomic numbers of the atoms that have this descriptor.
    scale : float
        Scale of the energy, in eV.
    points : ndarray of shape (n_points, n_features)
        In our order.
    weights : ndarray of shape (n_points,)
        For a scale of 1.
    """

    soap: tuple
    zeta: float
    centers: list
    scale: float
    points: np.ndarray
    weights: np.ndarray


def _parse(path):
    """Parse the file. Document types are refused, because entities can expand without bound."""

    def refuse(*declaration):
        raise ValueError(f"{path} declares a document type, which potentials don't; it is not read")

    check_regular(path)
    builder = TreeBuilder()
    # checked by the parser, not in the bytes, because the file may have any encoding
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(path.read_bytes(), True)
        return builder.close()
    except (AssertionError, LookupError, MemoryError, expat.ExpatError) as error:
        raise ValueError(f"{path} is not a complete XML file: {error}") from error


def _check_potential(root):
    """Return the label of the potential; refuse everything but a plain GAP."""
    potentials = root.findall("Potential")
    if not potentials:
        return None
    if len(potentials) > 1:
        raise ValueError("it has several elements Potential, but only one can be read")
    arguments = potentials[0].get("init_args", "")
    words = arguments.split()
    if words[:2] != ["IP", "GAP"]:
        raise ValueError(f'init_args="{arguments}" is not a plain "IP GAP": sums of potentials and '
                         "core potentials are not supported")
    for word in words[2:]:
        key = word.partition("=")[0]
        if key != "label":
            raise ValueError(f'init_args has "{word}", which is not supported')
    return potentials[0].get("label")


def _only(parent, tag, label=None):
    found = [element for element in parent.iter(tag)
             if label is None or element.get("label") == label]
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} elements {tag}, but must have one"
                         + (f" of label {label}" if label else ""))
    return found[0]


def _check_data(parameters):
    data = parameters.find("GAP_data")
    if data is not None and logical(data.get("do_core", "F"), "do_core"):
        raise ValueError('do_core="T", a core potential, is not supported')


def _atom_energies(parameters):
    """Function from atomic number to the energy of a single atom."""
    data = parameters.find("GAP_data")
    if data is None:
        return lambda z: 0.0
    table = {}
    for element in data.findall("e0"):
        z = integer(element.attrib["Z"])
        if not 0 < z < len(chemical_symbols) or z in table:
            raise ValueError(f"it has an element e0 of Z={z}, but atomic numbers from 1 to "
                             f"{len(chemical_symbols) - 1} are needed, each once")
        table[z] = number(element.attrib["value"])
    if "e0" in data.attrib:
        common = number(data.get("e0"))
        return lambda z: table.get(z, common)
    return lambda z: table.get(z, 0.0)


def _read_block(element, folder, version):
    label = element.attrib["label"]
    for key, wanted in (("covariance_type", "2"), ("n_permutations", "1"), ("sparsified", "T")):
        if element.attrib[key].strip() != wanted:
            detail = " (dot_product)" if key == "covariance_type" else ""
            raise ValueError(f"{label} has {key}={element.get(key)}, but only {wanted}{detail} is "
                             "supported")
    zeta = element.get("zeta")
    if zeta is None:
        zeta = element.findtext("theta")  # as older programs wrote it
    if zeta is None:
        raise ValueError(f"{label} has no zeta")
    zeta, scale = number(zeta), number(element.attrib["signal_variance"])
    if not 1 <= zeta <= _LARGEST_ZETA:
        raise ValueError(f"{label} has zeta={zeta:g}, but it must be from 1 to {_LARGEST_ZETA:g}")
    if not 1 / LARGEST <= scale <= LARGEST:
        raise ValueError(f"{label} has signal_variance={scale:g}, but it must be from "
                         f"{1 / LARGEST:g} to {LARGEST:g}")
    mean = number(element.get("signal_mean", "0"))
    if mean != 0.0:
        raise ValueError(f"{label} has signal_mean={mean:g}, but only 0 is supported")
    keys = parse_descriptor(element.findtext("descriptor") or "", label)
    soap, order, centers = interpret(keys, label, version)
    soap_keys = dict(soap)
    n, l = soap_keys["n_max"], soap_keys["l_max"]
    size = n_elements(len(order), n, l)
    if integer(element.attrib["dimensions"]) != size:
        raise ValueError(f"{label} has dimensions={element.get('dimensions')}, but its descriptor "
                         f"has {size}")
    theirs, weights = _read_points(element, folder, label, size)
    points = theirs[:, places(order, n, l)]
    weights = scale**2 * weights
    if not soap_keys["normalize"]:
        points, weights = FACTOR * points, weights / FACTOR ** (2 * zeta)
    return Block(soap, zeta, centers, scale, points, weights)


def _read_weights(entries, label):
    """Weights of the sparse points, whose indices must be 1, 2, ... in order."""
    found = [integer(entry.attrib["i"]) for entry in entries]
    if found != list(range(1, len(entries) + 1)):
        raise ValueError(f"{label} has elements sparseX whose i are not 1 to {len(entries)}, each "
                         "once")
    factors = np.array([number(entry.get("sparseCutoff", "1")) for entry in entries])
    if (factors < 0).any():
        raise ValueError(f"{label} has sparseCutoff={factors.min():g}, but it must not be negative")
    return np.array([number(entry.attrib["alpha"]) for entry in entries]) * factors


def _read_points(element, folder, label, size):
    """Sparse points in QUIP's order, and their weights."""
    entries = element.findall("sparseX")
    count = integer(element.attrib["n_sparseX"])
    if len(entries) != count or count == 0:
        raise ValueError(f"{label} has {len(entries)} elements sparseX, but n_sparseX={count}")
    entries.sort(key=lambda entry: integer(entry.attrib["i"]))
    weights = _read_weights(entries, label)
    name = element.get("sparseX_filename")
    if name is not None:
        values = _read_beside(
            folder, name, element.get("sparseX_md5sum"), label, _LONGEST_NUMBER * count * size
        )
    else:
        values = numbers(" ".join(_text(entry) for entry in entries))
    if values.size != count * size:
        raise ValueError(f"{label} has {values.size} values of sparse points, but {count} times "
                         f"{size} are needed; it is incomplete")
    if not (np.isfinite(values).all() and np.isfinite(weights).all()):
        raise ValueError(f"{label} has sparse points or weights that are not finite")
    points = values.reshape(count, size)
    if points[:, -1].any():
        raise ValueError(f"{label} has sparse points of a covariance_sigma0 other than 0, which is "
                         "not supported")
    return points, weights


def _read_beside(folder, name, checksum, label, largest):
    if Path(name).name != name:
        raise ValueError(f"{label} names the file {name!r}, but it must be beside the XML file, "
                         "without a path")
    try:
        check_regular(folder / name, "sparseX_filename")
        with open(folder / name, "rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise ValueError(f"its sparse points are in {name}, which cannot be read ({error}); put it "
                         "beside the XML file") from error
    if len(content) > largest:
        raise ValueError(f"{name} has more than {largest} bytes, but fewer are enough for the "
                         f"sparse points of {label}; it belongs to another potential")
    found = md5(content, usedforsecurity=False).hexdigest()
    if checksum is not None and checksum.strip() != found:
        raise ValueError(f"{name} has the MD5 sum {found}, but {checksum.strip()} is expected; it "
                         "belongs to another potential or was changed")
    return numbers(content.decode("ascii"))


def _text(entry):
    """Values of a point, in one piece or in slices."""
    slices = entry.findall("sparseX_slice")
    if not slices:
        return entry.text or ""
    slices.sort(key=lambda part: integer(part.attrib["start"]))
    return " ".join(part.text or "" for part in slices)


def _make_pipeline(blocks, e0):
    """Pipeline of all blocks: those of equal descriptor and exponent are one."""
    groups = {}
    for block in blocks:
        groups.setdefault((block.soap, block.zeta), []).append(block)
    species = sorted({z for soap, _ in groups for z in dict(soap)["species"]})
    steps = [
        (f"soap{index}", _make_transformer(dict(soap), len(species)))
        for index, (soap, _) in enumerate(groups, start=1)
    ]
    parts = [_merge(members) for members in groups.values()]
    first = steps[0][1] if len(steps) == 1 else FeatureUnion(steps)
    zetas = [zeta for _, zeta in groups]
    gap = GAPRegressor(
        zeta=zetas if len(zetas) > 1 else zetas[0], baseline=None,
        e0={chemical_symbols[z]: e0(z) for z in species},
    )
    set_weights(gap, np.array(species), np.array([e0(z) for z in species]), parts, zetas)
    return Pipeline([("soap", first), ("gap", gap)])


def _make_transformer(parameters, n_species):
    symbols = [chemical_symbols[z] for z in parameters["species"]]
    if len(symbols) < n_species:
        # other descriptors of the file see the elements that this one lacks
        parameters["handle_unknown"] = "ignore"
    transformer = SOAPTransformer(**parameters | {"species": symbols})
    return transformer.fit([Atoms(symbol) for symbol in symbols])


def _merge(members):
    """Points, their species, weights and scale of blocks with one descriptor."""
    points, species, weights = [], [], []
    for z in sorted({z for block in members for z in block.centers}):
        for block in members:
            if z in block.centers:
                points.append(block.points)
                weights.append(block.weights)
                species.append(np.full(len(block.weights), z))
    scales = {block.scale for block in members}
    scale = scales.pop() if len(scales) == 1 else 1.0
    return np.concatenate(points), np.concatenate(species), np.concatenate(weights), scale
