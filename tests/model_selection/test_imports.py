"""The search knows no physics, and one module alone knows pyswarms."""

import ast
from pathlib import Path

from model_selection.processes import run_python

import skdesc.model_selection

FOLDER = Path(skdesc.model_selection.__file__).parent


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module, node.level


def test_what_is_imported():
    for path in FOLDER.glob("*.py"):
        for module, level in _imports(path):
            assert not module.startswith("skdesc")
            if level == 2:
                assert module.split(".")[0] in {"structures", "utils"}
            if module.startswith("pyswarms"):
                assert path.name == "_swarm.py"
            if module.startswith("sklearn"):
                assert "._" not in module


def test_pyswarms_and_matplotlib_are_imported_late():
    code = (
        "import sys, skdesc.model_selection\n"
        "assert not {'pyswarms', 'matplotlib', 'skdesc.density'} & set(sys.modules)"
    )
    run_python(code)
