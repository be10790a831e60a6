"""The direction of dependence, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import skdesc

PACKAGE = Path(skdesc.__file__).parent
# each stage may import those before it
ORDER = [
    "utils", "structures", "features", "neighbors", "density", "invariants", "mixing",
    "descriptors",
]  # fmt: skip
ALLOWED = {stage: {*ORDER[: index + 1], "exceptions"} for index, stage in enumerate(ORDER)}
ALLOWED["neighbors"] -= {"features"}
ALLOWED["density"] -= {"features"}
ALLOWED["reading"] = {"reading", "structures", "utils", "exceptions"}
ALLOWED["gaussian_process"] = {"gaussian_process", "features", "structures", "utils", "exceptions"}
ALLOWED["model_selection"] = {"model_selection", "utils"}
# it knows distances between atoms, and the search, which has no physics, does not know it
ALLOWED["auto"] = {
    "auto", "gaussian_process", "model_selection", "suggest", *ORDER, "exceptions", "calculator",
}  # fmt: skip
ALLOWED["suggest"] = {"suggest", "descriptors", "neighbors", "structures", "utils"}


def imported_stages(path):
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skdesc."):
            yield node.module.split(".")[1]


def test_dependence_runs_one_way():
    checked = 0
    for stage, allowed in ALLOWED.items():
        for path in [*PACKAGE.joinpath(stage).glob("*.py"), *PACKAGE.glob(f"{stage}.py")]:
            extra = set(imported_stages(path)) - allowed
            assert not extra, f"{path.name} of {stage} imports {extra}"
            checked += 1
    assert checked > 30


def test_the_search_sees_no_physics():
    """No samples of one kind, no elements, no quantities: only what the protocols say."""
    for path in PACKAGE.joinpath("model_selection").glob("*.py"):
        modules = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(node.module.split(".")[0])
        assert not {"ase", "skdesc"} & modules, path.name


def test_private_names_of_scikit_learn_are_imported_in_one_place():
    for path in PACKAGE.rglob("*.py"):
        if path.name == "_sklearn_compat.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sklearn":
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                private = [name for name in names if name.startswith("_")]
                assert not private, f"{path.name} imports {private} of scikit-learn"


def test_public_names():
    for name in skdesc.__all__:
        assert getattr(skdesc, name).__name__ == name
    assert set(skdesc.__all__) <= set(dir(skdesc))


def test_importing_is_lazy():
    code = ("import sys, skdesc; "
            "assert not {'pyswarms', 'matplotlib', 'sklearn', 'ase'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)
