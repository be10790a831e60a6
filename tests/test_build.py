"""What an edit of compiled code costs: one extension, not all."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]


def test_other_compilers_are_refused_by_name():
    pytest.importorskip("Cython")
    Distribution = pytest.importorskip("setuptools").Distribution
    if not (ROOT / "setup.py").exists():
        pytest.skip("needs a source tree")
    specification = importlib.util.spec_from_file_location("skdesc_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    command = module.BuildExt(Distribution())
    command.compiler = SimpleNamespace(compiler_type="msvc")
    with pytest.raises(SystemExit, match=r"Microsoft's compiler \(MSVC\).*Clang or GCC"):
        command.build_extensions()


def modification_times(folder, suffix):
    return {path: path.stat().st_mtime_ns for path in folder.rglob(f"*{suffix}")}


@pytest.mark.slow
def test_an_edit_of_one_module_builds_one_extension(tmp_path):
    pytest.importorskip("Cython")
    built = list(ROOT.joinpath("skdesc").rglob("*_cy.c"))
    if not (ROOT / "setup.py").exists() or not built:
        pytest.skip("needs a source tree with its extensions built in place")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "skdesc", tmp_path / "skdesc")
    # as an installation from source leaves them: sources, then C code, then modules
    now = time.time()
    for age, suffixes in enumerate([(".so",), ("_cy.c",), (".pyx", ".pxd", ".h", "simd.c")]):
        for path in tmp_path.rglob("*"):
            if path.name.endswith(suffixes):
                os.utime(path, (now - 10 * age, now - 10 * age))
    modules, c_files = (modification_times(tmp_path, suffix) for suffix in (".so", "_cy.c"))
    source = tmp_path / "skdesc" / "invariants" / "_scatter_cy.pyx"
    source.write_text(source.read_text(encoding="utf-8") + "\n", encoding="utf-8")

    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=tmp_path, check=True, capture_output=True,
    )

    for before, suffix in ((modules, ".so"), (c_files, "_cy.c")):
        after = modification_times(tmp_path / "skdesc", suffix)
        changed = [path for path, time in before.items() if after[path] != time]
        assert [path.name.split(".")[0] for path in changed] == ["_scatter_cy"]
