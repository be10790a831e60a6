"""Files around the code: version, changelog, citation, commit messages."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import skdesc

ROOT = Path(__file__).parents[1]


needs_sources = pytest.mark.skipif(
    not ROOT.joinpath("skdesc").exists(), reason="needs the source tree"
)


def read(name):
    return ROOT.joinpath(name).read_text(encoding="utf-8")


def test_version_stands_in_one_place():
    project = tomllib.loads(read("pyproject.toml"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "skdesc.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", skdesc.__version__)


def test_changelog_has_known_headings():
    text = read("docs/changelog.md")
    versions = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+, \d{4}-\d\d-\d\d", name) for name in versions[1:])
    headings = re.findall(r"^### (.*)$", text, flags=re.MULTILINE)
    assert set(headings) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed"}
    unreleased = text.split("## Unreleased")[1].split("\n## ")[0]
    of_unreleased = re.findall(r"^### (.*)$", unreleased, flags=re.MULTILINE)
    assert len(of_unreleased) == len(set(of_unreleased)), "a heading occurs twice"


def test_deprecated_names_are_in_the_changelog():
    """Each FutureWarning that names a parameter has a line under "Deprecated"."""
    deprecated = read("docs/changelog.md").split("### Deprecated", 1)[1].split("\n### ")[0]
    names = set()
    for path in Path(skdesc.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names |= set(re.findall(r"(\w+) is deprecated", node.value))
    assert names
    for name in names:
        assert name in deprecated, name


@pytest.mark.parametrize(
    ("message", "is_accepted"),
    [
        ("Short subject\n", True),
        ("Short subject\n\nA body of any length " + "x" * 100, True),
        ("x" * 72, True),
        ("x" * 73, False),
        ("Short subject\nA body without an empty line", False),
        ("Short subject\n# comment of git\n", True),
    ],
)
def test_commit_messages(message, is_accepted, tmp_path):
    file = tmp_path / "message"
    file.write_text(message, encoding="utf-8")
    result = subprocess.run(
        ["bash", ROOT / ".ci" / "check_commit_message", file], check=False, capture_output=True
    )
    assert (result.returncode == 0) == is_accepted, result.stderr


@needs_sources
def test_files_that_pages_name_exist():
    """Paths below skdesc, tests, examples or .ci, and, after a folder was named, files in it."""
    for page in sorted(ROOT.joinpath("docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:skdesc|tests|examples|\.ci|packaging)/[\w/.]*)`", text):
            assert ROOT.joinpath(name).exists() or name.endswith(".xyz"), f"{page.name}: {name}"


@needs_sources
def test_files_that_the_walk_names_exist():
    """Names without a folder are those of the folder that was named last, or before."""
    text = read("docs/development.md").split("### From Atoms to energy")[1]
    text = text.split("### Where to add what")[0]
    folder, checked = "", 0
    for name in re.findall(r"`([\w/]*_\w+\.(?:py|pyx|h))`", text):
        if "/" in name:
            folder = name.rpartition("/")[0]
            assert ROOT.joinpath(name).exists(), name
        else:
            assert list(ROOT.joinpath("skdesc").rglob(name)), f"{name}, in {folder}?"
        checked += 1
    assert checked > 40


def lowest_versions(requirements):
    """Lower bounds by the names of packages; those of conda-forge are PyPI's."""
    pattern = re.compile(r"([\w.-]+)\s*>=\s*([\d.]+)")
    found = (pattern.match(text.strip()) for text in requirements)
    return {match[1].lower().removesuffix("-base"): match[2] for match in found if match}


def test_oldest_packages_are_those_of_the_metadata():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    bounds = lowest_versions([*project["dependencies"], *project["optional-dependencies"]["test"]])
    pins = re.findall(r"^([\w-]+)==([\d.]+)$", read(".ci/oldest.txt"), flags=re.MULTILINE)
    compared = [(name, pin, bounds[name]) for name, pin in pins if name in bounds]
    assert len(compared) > 7
    for name, pin, bound in compared:
        assert f"{pin}.".startswith(f"{bound}."), name


@needs_sources
def test_conda_recipe_has_the_same_requirements():
    project = tomllib.loads(read("pyproject.toml"))
    recipe = read("packaging/conda/meta.yaml")
    assert f'version = "{skdesc.__version__}"' in recipe
    host, run = re.search(r"  host:\n(.*?)  run:\n(.*?)\n\n", recipe, flags=re.DOTALL).groups()
    lines = {name: [line.strip("- ") for line in text.splitlines()]
             for name, text in (("host", host), ("run", run))}
    expected = lowest_versions(project["project"]["dependencies"])
    expected["python"] = project["project"]["requires-python"].removeprefix(">=")
    assert lowest_versions(lines["run"]) == expected
    built_with = lowest_versions(project["build-system"]["requires"])
    assert lowest_versions(lines["host"]) == built_with
