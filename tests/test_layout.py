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
]
ALLOWED = {stage: {*ORDER[: index + 1], "exceptions"} for index, stage in enumerate(ORDER)}
ALLOWED["neighbors"] -= {"features"}
ALLOWED["density"] -= {"features"}
ALLOWED["reading"] = {"reading", "structures", "utils", "exceptions"}
# linear algebra knows neither atoms nor estimators, see below
ALLOWED["labels"] = {"labels", "least_squares", "structures", "utils", "exceptions"}
ALLOWED["least_squares"] = {"least_squares", "utils", "exceptions"}
ALLOWED["metrics"] = {"metrics", "structures", "utils"}
ALLOWED["gaussian_process"] = {
    "gaussian_process", "labels", "least_squares", "features", "structures", "repulsion",
    "neighbors", "utils", "exceptions", "metrics",
}
ALLOWED["repulsion"] = {"repulsion", "neighbors", "structures"}
ALLOWED["model_selection"] = {"model_selection", "utils"}
# it knows distances between atoms, and the search, which has no physics, does not know it
ALLOWED["auto"] = {
    "auto", "gaussian_process", "labels", "model_selection", "suggest", *ORDER, "exceptions",
    "calculator", "plotting",
}
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


def imported_libraries(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def test_linear_algebra_needs_numpy_and_scipy_alone():
    for path in PACKAGE.joinpath("least_squares").glob("*.py"):
        others = set(imported_libraries(path)) - set(sys.stdlib_module_names) - {"numpy", "scipy"}
        assert not others, f"{path.name} imports {others}"


def levels(stage):
    """Length of the longest chain of imports that ends at each module of a stage."""
    imports = {}
    for path in PACKAGE.joinpath(stage).glob("_[a-z]*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports[path.stem] = {
            node.module for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
        }

    def level(name):
        return 1 + max((level(other) for other in imports[name]), default=0)

    return {name: level(name) for name in imports}


def test_modules_of_the_gaussian_process():
    found = levels("gaussian_process")
    assert len(found) <= 16, sorted(found)
    assert max(found.values()) <= 7, found


def test_public_names():
    for name in skdesc.__all__:
        assert getattr(skdesc, name).__name__ == name
    assert set(skdesc.__all__) <= set(dir(skdesc))


def test_importing_is_lazy():
    code = ("import sys, skdesc; "
            "assert not {'pyswarms', 'matplotlib', 'sklearn', 'ase'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)
