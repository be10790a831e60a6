"""How long modules and functions are, and how complex: see docs/contributing.md."""

import ast
from pathlib import Path

import pytest

import skdesc

ROOT = Path(__file__).parents[1]
MOST_LINES_OF_MODULE = 400
MOST_LINES_OF_FUNCTION = 60
HIGHEST_COMPLEXITY = 12
PACKAGE = Path(skdesc.__file__).parent
MODULES = [
    path
    for folder in (PACKAGE, ROOT / "tests", ROOT / "examples", ROOT / "docs")
    for path in sorted(folder.rglob("*.py"))
    if "auto_examples" not in path.parts
]
COMPILED = [path for suffix in ("pyx", "pxd") for path in sorted(PACKAGE.rglob(f"*.{suffix}"))]


def name_of(path):
    is_ours = path.is_relative_to(PACKAGE)
    return path.relative_to(PACKAGE.parent if is_ours else ROOT).as_posix()


def functions(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def length(function):
    """Lines without the docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


def complex_functions(code):
    """Functions, methods and closures by name that are too complex; assertions do not count."""
    visitors = pytest.importorskip("radon.visitors")
    blocks = list(visitors.ComplexityVisitor.from_code(code, no_assert=True).blocks)
    result = {}
    while blocks:
        block = blocks.pop()
        for inner in ("methods", "closures", "inner_classes"):
            blocks += getattr(block, inner, [])
        is_function = isinstance(block, visitors.Function)
        if is_function and block.complexity > HIGHEST_COMPLEXITY:
            result[block.name] = block.complexity
    return result


def test_modules_are_short():
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines())
             for path in MODULES + COMPILED}
    assert len(lines) > 200
    too_long = {name: n for name, n in lines.items() if n > MOST_LINES_OF_MODULE}
    assert too_long == {}


def test_functions_are_short():
    too_long = {
        f"{name_of(path)}: {function.name}": length(function)
        for path in MODULES for function in functions(path)
        if length(function) > MOST_LINES_OF_FUNCTION
    }
    assert too_long == {}


def test_functions_are_simple():
    too_complex = {
        f"{name_of(path)}: {function}": complexity
        for path in MODULES
        for function, complexity in complex_functions(path.read_text(encoding="utf-8")).items()
    }
    assert too_complex == {}


def test_what_is_measured():
    branches = "\n".join(f"    if x == {n}: return {n}" for n in range(HIGHEST_COMPLEXITY))
    code = f"class A:\n  def f(self, x):\n{branches}\n    assert x\ndef g(): pass"
    assert complex_functions(code) == {"f": HIGHEST_COMPLEXITY + 1}
    text = 'def f():\n    """One.\n\n    Two.\n    """\n    return 1\n'
    assert length(ast.parse(text).body[0]) == 2
