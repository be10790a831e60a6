"""The documentation: examples in docstrings and code in pages run, and names are listed."""

import ast
import doctest
import importlib
import os
import re
import tomllib
from pathlib import Path

import pytest

import skdesc

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("[!_]*/*.md"))]
NOT_RUN = "<!-- not run: "
# examples of these are those of the classes that make or take them
MADE_BY_OTHERS = {"AtomicFeatures", "FeatureCache"}


def modules_with_examples():
    """Found without importing anything: collecting tests must not change what others see."""
    package = Path(skdesc.__file__).parent
    for path in sorted(package.rglob("*.py")):
        if ">>>" in path.read_text(encoding="utf-8"):
            yield ".".join(["skdesc", *path.relative_to(package).with_suffix("").parts])


MODULES = list(modules_with_examples())


def test_there_are_examples():
    assert len(MODULES) > 15


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = []
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(verbose=False)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).attempted > 0
    assert not report, "".join(report)


def test_public_estimators_have_examples():
    for name in skdesc.__all__:
        if isinstance(getattr(skdesc, name), type) and name not in MADE_BY_OTHERS:
            assert ">>>" in getattr(skdesc, name).__doc__, name


def title(page):
    return page.relative_to(ROOT).with_suffix("").as_posix()


def blocks(page):
    """Code of a page that is meant to be run, below empty lines, so that line numbers are right."""
    lines = page.read_text(encoding="utf-8").splitlines()
    found, start, runs = [], None, True
    for number, line in enumerate(lines):
        if start is None and re.match(r" *`{3,}python$", line):
            above = next((text for text in reversed(lines[:number]) if text.strip()), "")
            start, runs = number + 1, not above.lstrip().startswith(NOT_RUN)
        elif start is not None and re.match(r" *`{3,}$", line):
            if runs:
                indent = re.match(" *", lines[start]).end()
                code = [text[indent:] for text in lines[start:number]]
                found.append("\n" * start + "\n".join(code))
            start = None
    assert start is None, f"{page.name}: a block is not closed"
    return found


# the code of the first, the README, is tested with the potentials
@pytest.mark.parametrize("page", [page for page in PAGES[1:] if blocks(page)], ids=title)
def test_code_of_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pyplot = importlib.import_module("matplotlib.pyplot")
    namespace = {"__name__": "__main__"}
    try:
        for code in blocks(page):
            exec(compile(code, str(page), "exec"), namespace)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] == "skdesc":
            raise
        pytest.skip(f"{page.name} needs {error.name}")
    except FileNotFoundError as error:
        if "SKDESC_DATA" not in str(error):
            raise
        pytest.skip(f"{page.name} needs public data: {error}")
    finally:
        pyplot.close("all")


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_code_is_fenced_and_named(page):
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^ *`{3,}(.*)$", text, flags=re.MULTILINE)
    assert all(fences[::2]), f"{page.name}: a block has no language"
    assert not any(fences[1::2]), f"{page.name}: a block is not closed"
    prose = re.sub(r"(?s)```.*?```", "", text)
    indented = re.findall(r"\n\n {4}(?! )(.*(?: = |\(|import ).*)", prose)
    assert not indented, f"{page.name}: indented code is not run, fence it: {indented}"


def test_messages_of_the_troubleshooting_page_exist():
    """Each message is in the code, but for what angle brackets stand for."""
    package = Path(skdesc.__file__).parent
    parts = []
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts.append("".join(
                    value.value if isinstance(value, ast.Constant) else "<>"
                    for value in node.values
                ))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts.append(node.value)
    code = "\n".join(parts)
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^`([^`]+)`[^:\n]*\n: ", page, flags=re.MULTILINE)
    of_others = {"libmpi.so.12: cannot open shared object file"}
    assert len(messages) > 20
    for message in set(messages) - of_others:
        for piece in re.split("<[^>]*>", message):
            assert piece.strip(" ,") in code, message


def listed_names():
    """Names in the API reference: these are the public ones."""
    text = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"^   ([a-zA-Z_.0-9]+)$", text, flags=re.MULTILINE)))


def attribute_of(name):
    module, _, attribute = f"skdesc.{name}".rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def own_members(name):
    """A public object and, of a class, the public methods and properties that are ours."""
    yield f"skdesc.{name}"
    content = attribute_of(name)
    ours = [base for base in getattr(content, "__mro__", ())
            if base.__module__.startswith("skdesc.")]
    for member, value in {k: v for base in reversed(ours) for k, v in vars(base).items()}.items():
        generated = re.fullmatch(r"_.*|set_\w+_request", member)
        if hasattr(value, "__get__") and not generated:
            yield f"skdesc.{name}.{member}"


@pytest.mark.parametrize("name", listed_names())
def test_docstrings_are_valid(name):
    validate = pytest.importorskip("numpydoc.validate").validate
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    checks = settings["tool"]["numpydoc_validation"]["checks"]
    faults = [(member, code, text) for member in own_members(name)
              for code, text in validate(member)["errors"] if code in checks]
    if getattr(attribute_of(name), "_is_protocol", False):  # nobody constructs a protocol
        faults = [fault for fault in faults if "'*args'" not in fault[2]]
    assert not faults


def test_docstrings_are_validated(monkeypatch):
    pytest.importorskip("numpydoc.validate")
    docstring = skdesc.SOAPTransformer.__doc__.replace("l_max : int", "largest_l : int")
    monkeypatch.setattr(skdesc.SOAPTransformer, "__doc__", docstring)
    with pytest.raises(AssertionError, match=r"PR01.*l_max"):
        test_docstrings_are_valid("SOAPTransformer")
    members = [member for name in listed_names() for member in own_members(name)]
    assert len(members) > 100


def test_public_names_are_in_the_reference():
    listed = set(listed_names())
    expected = set(skdesc.__all__)
    for module in ("calculator", "datasets", "distributed", "io", "lammps", "metrics", "openmm",
                   "plotting", "testing"):
        content = importlib.import_module(f"skdesc.{module}")
        callables = [name for name in content.__all__ if callable(getattr(content, name))]
        expected |= {f"{module}.{name}" for name in callables}
    assert expected <= listed
    for name in listed:
        attribute_of(name)


def test_every_example_is_run():
    """plot_*.py by the gallery, those of optional packages by tests."""
    tested = "".join(
        (ROOT / "tests" / "integration" / f"test_{name}.py").read_text(encoding="utf-8")
        for name in ("automl", "engines")
    )
    names = {path.stem for path in (ROOT / "examples").rglob("*.py")}
    others = {name for name in names if not name.startswith("plot_") and name not in tested}
    assert others == {"quickstart"}
    assert len(names) > 10


def test_linked_files_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            generated = target.startswith(("auto_examples/", "../auto_examples/"))
            assert generated or os.path.exists(page.parent / target), f"{page.name}: {target}"
