"""Files with structures in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from ._libraries import is_deepmd
from ._paths import ending

_ENDINGS = (".xyz", ".extxyz", ".exyz", ".traj", ".db", ".cfg", ".parquet", ".castep", ".pwo",
            ".cif", ".aselmdb")
# outputs of VASP; a run has several of them, of which the first found is read
_VASP = ("vasprun.xml", "OUTCAR")


def list_folder(folder: Path) -> list[Path]:
    """Find files and DeePMD systems in a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        The folder; links to folders are not followed.

    Returns
    -------
    list of Path
        Files, and folders of DeePMD, in the order of their names.

    Raises
    ------
    ValueError
        If there is none.
    """
    sources: list[Path] = []
    for name, folders, files in os.walk(folder):
        here = Path(name)
        folders[:] = sorted(inner for inner in folders if not inner.startswith("."))
        if is_deepmd(here):
            folders.clear()
            sources.append(here)
            continue
        sources += _structures(here, sorted(files))
    if not sources:
        raise ValueError(
            f"{folder} has no structures: neither data of DeePMD (type.raw), nor outputs of VASP "
            f"({', '.join(_VASP)}), nor files whose names end with {', '.join(_ENDINGS)}; name the "
            "files themselves"
        )
    return sources


def _structures(folder: Path, names: list[str]) -> list[Path]:
    chosen = []
    for kind in _VASP:
        outputs = [n for n in names if n.partition(".gz")[0].partition(".xz")[0] == kind]
        if outputs:
            chosen.append(folder / outputs[0])
            break
    return chosen + [folder / n for n in names
                     if not n.startswith(".") and ending(Path(n))[0] in _ENDINGS]
