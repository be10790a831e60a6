"""``read_structures``: from paths to structures."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import ase.io
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype

from ._cp2k import parse_cp2k
from ._extended_xyz import parse_extended_xyz
from ._folders import list_folder
from ._libraries import read_database, read_deepmd, read_table
from ._mtp import BEGIN, parse_mtp
from ._paths import DATABASES, ending, select, split_index

_XYZ = (".xyz", ".extxyz", ".exyz")
_XML = "<modeling>"
_CP2K = "CP2K| "
# first and last lines of the outputs of programs
_ENDS = {_XML: "</modeling>", "vasp.": "General timing", "Program PWSCF": "JOB DONE",
         "CASTEP": "Total time", _CP2K: "PROGRAM ENDED AT"}
_PICKLES = (".pkl", ".pickle", ".lmdb")


def read_structures(
    paths: str | Path | Iterable[str | Path], *, elements: Sequence[str] | None = None
) -> list[Atoms]:
    """Read structures, with their reference data, from files and folders.

    Extended xyz, all that ASE reads (with outputs of VASP, CASTEP and Quantum ESPRESSO),
    outputs of CP2K, databases of ASE and configurations of MLIP (``.cfg``), plain or compressed by
    gzip, bzip2 or xz; and, with libraries that have to be installed, folders of DeePMD (dpdata),
    databases in LMDB (ase-db-backends) and Parquet tables as those of ColabFit (pyarrow).
    Energies are in eV, lengths in angstrom, stresses in eV/angstrom^3 with ASE's sign.

    Parameters
    ----------
    paths : str, path-like or iterable of these
        Files, with ASE's syntax for some of the structures, such as ``train.xyz@::2``. Of a
        folder, all files within it that hold structures, in the order of their names.
    elements : sequence of str, default=None
        Chemical symbols of the types 0, 1, ... of formats that number elements: MLIP's, and
        DeePMD's without ``type_map.raw``.

    Returns
    -------
    list of ase.Atoms
        At least one structure. The results are stored as ASE's readers store them, see
        :func:`~skdesc.extract_targets`.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ImportError
        If a format needs a library that is not installed.
    ValueError
        If a file cannot be read, is cut off, or has no structures.

    Examples
    --------
    >>> import tempfile, ase.io
    >>> from ase.build import bulk
    >>> from skdesc import read_structures
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ase.io.write(f"{folder}/some.xyz", [bulk("Cu"), bulk("Ag"), bulk("Au")])
    ...     [atoms.get_chemical_formula() for atoms in read_structures(f"{folder}/some.xyz@::2")]
    ['Cu', 'Au']
    """
    if isinstance(paths, (str, Path)) or hasattr(paths, "__fspath__"):
        paths = [paths]
    frames = []
    for path in paths:
        frames += _read(*split_index(path), elements)
    if not frames:
        raise ValueError("paths is empty, but must have at least one file")
    return frames


def _read(
    path: Path, index: int | slice | str, elements: Sequence[str] | None
) -> list[Atoms]:
    if isinstance(index, str):
        return select(_read_source(path, index, elements), slice(None), path)
    if not path.is_file() and not path.is_dir():
        raise FileNotFoundError(f"{path} is neither a file nor a folder")
    sources = list_folder(path) if path.is_dir() else [path]
    frames = [atoms for source in sources for atoms in _read_source(source, "", elements)]
    return select(frames, index, path)


def _read_source(path: Path, selection: str, elements: Sequence[str] | None) -> list[Atoms]:
    """Read all structures of a file or DeePMD system, or the selected rows of a database."""
    try:
        if path.is_dir():
            return read_deepmd(path, elements)
        return _read_file(path, selection, elements)
    except ImportError:
        raise  # the message names the package to install
    except OSError as error:
        if error.filename is not None:
            raise
        raise ValueError(f"{path} cannot be read as structures ({error})") from error
    # readers raise exceptions of many kinds for malformed files
    except Exception as error:
        detail = str(error)
        if not isinstance(error, ValueError) or not detail:
            detail = f"{type(error).__name__}: {detail}" if detail else type(error).__name__
        raise ValueError(
            f"{path} cannot be read as structures ({detail}); extended xyz is expected, or a "
            "format that ASE knows by the name of the file"
        ) from error


def _read_file(path: Path, selection: str, elements: Sequence[str] | None) -> list[Atoms]:
    kind, opener = ending(path)
    if kind in _PICKLES:
        raise ValueError("it holds pickles, which can run code when they are loaded; open "
                         "it with load_atoms if you trust it, and pass list(dataset)")
    if opener is open and kind in DATABASES:
        return read_database(path, selection)
    if opener is open and kind == ".parquet":
        return read_table(path)
    with opener(path, "rb") as file:
        begin = file.read(20_000)
    if begin.lstrip().startswith(BEGIN.encode()):
        return parse_mtp(_text_of(path), elements)
    if _is_extended_xyz(path):
        # ASE would decompress a file from its beginning for each structure
        return parse_extended_xyz(_text_of(path))
    if opener is not open:
        return _read_unpacked(path, selection, elements)
    for beginning, end in _ENDS.items():
        if beginning.encode() in begin:
            _check_end(_text_of(path), beginning, end)
    if _CP2K.encode() in begin:
        return parse_cp2k(_text_of(path))
    return ase.io.read(str(path), ":", do_not_split_by_at_sign=True)


def _read_unpacked(path: Path, selection: str, elements: Sequence[str] | None) -> list[Atoms]:
    """Read a compressed file of a format whose reader needs a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder) / path.stem
        with ending(path)[1](path, "rb") as file, unpacked.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        return _read_file(unpacked, selection, elements)


def _check_end(text: str, beginning: str, end: str) -> None:
    """Refuse an output that ends within a line or an element."""
    is_cut_off = end not in text and (beginning == _XML or not text.endswith("\n"))
    if is_cut_off:
        raise ValueError(f"it ends with {text[-30:].split(chr(10))[-1]!r}, but must end with "
                         f"{end!r} or a whole line: it is cut off; let the calculation finish")


def _text_of(path: Path) -> str:
    with ending(path)[1](path, "rt", encoding="utf-8") as file:
        return file.read()


def _is_extended_xyz(path: Path) -> bool:
    kind = ending(path)[0]
    if kind in _XYZ:
        return True
    try:
        return filetype(str(path), read=True) == "extxyz"
    except UnknownFileTypeError:
        return False
