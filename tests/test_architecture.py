"""The stair of the package: which package may import which, and which may import Pyomo, ONNX or HiGHS."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "pyomo_relugrad"
ROOT = Path(__file__).parents[1] / PACKAGE

ARRAYS = {"numpy", "scipy"}
HIGHS = ARRAYS | {"highspy"}
PYOMO = HIGHS | {"pyomo", "omlt"}

#: Packages and modules from the lowest to the highest, and the third-party packages that each may import. A module may
#: import what stands above its own line, and what shares its package; frameworks and matplotlib only when asked for.
STAIR: dict[str, set[str]] = {
    "version": set(),
    "errors": set(),
    "words": set(),
    "notebook": set(),
    "deadline": set(),
    "arrays": {"numpy"},
    "checks": {"numpy"},
    "network": ARRAYS,
    "expression": ARRAYS,
    "readers": ARRAYS | {"onnx", "onnxruntime", "google"},  # google.protobuf is onnx's
    "learning": ARRAYS,
    "problem": ARRAYS,
    "programs": HIGHS | {"threadpoolctl"},
    "run": ARRAYS,
    "search": HIGHS,
    "proof": HIGHS,
    "solve": ARRAYS,
    "modeling": PYOMO,
    "plotting": ARRAYS,
    "cli": ARRAYS,
    "__main__": set(),
    "": set(),
}

#: The same inside packages whose parts stand on one another.
INNER_STAIRS: dict[str, list[str]] = {
    "problem": ["problem", "presolve"],
    "solve": ["elsewhere", "verdicts"],
    "search": [
        "domains",
        "regions",
        "sequential",
        "descent",
        "dynamic_programming",
        "separable",
        "decisions",
        "smoothing",
        "lattice",
        "neighbourhoods",
        "literature",
    ],
}

#: Packages of which all others import from the face alone, so that a module can move, with those of their parts and
#: modules that are imported by their own names: an empty part of a name is the package's face.
FACES: dict[str, set[str]] = {
    "expression": {""},
    "network": {"", "bounds", "building", "curves", "linear_maps", "sweeps"},
    "problem": {"", "presolve"},
    "programs": {""},
    "proof": {""},
    "run": {""},
    "solve": {""},
}


def _modules() -> dict[str, Path]:
    """Path of each module by its dotted name; a package's is that of its `__init__`."""
    paths = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


MODULES = _modules()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(module: str) -> set[str]:
    """What a module imports, also inside functions, for type checkers alone, and by name when first used."""
    names = set()
    for node in ast.walk(_tree(MODULES[module])):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                names.add(submodule if submodule in MODULES else str(node.module))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "attempt_import":
            names.update(each.value for each in node.args if isinstance(each, ast.Constant))
    return names


def _step(module: str) -> str:
    """The package of a module of ours: the first name below the top, empty for the top itself."""
    return module.removeprefix(PACKAGE).lstrip(".").split(".")[0]


def _misplaced(module: str) -> Iterator[str]:
    """The imports of a module that its step of the stair does not allow."""
    steps = list(STAIR)
    own = _step(module)
    for name in _imports(module):
        top = name.split(".")[0]
        if top == PACKAGE:
            if steps.index(_step(name)) > steps.index(own):
                yield name
        elif top not in STAIR[own] | set(sys.stdlib_module_names):
            yield name


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_what_stands_above_it(module: str) -> None:
    assert sorted(_misplaced(module)) == []


@pytest.mark.parametrize("package", INNER_STAIRS)
def test_the_parts_of_a_package_import_only_what_stands_above_them(package: str) -> None:
    prefix, parts = f"{PACKAGE}.{package}.", INNER_STAIRS[package]
    found = {module: module.removeprefix(prefix).split(".")[0] for module in MODULES if module.startswith(prefix)}
    assert set(parts) <= set(found.values())
    for module, part in found.items():
        above = [found.get(name) for name in _imports(module)]
        if part in parts:
            assert not set(above) & set(parts[parts.index(part) + 1 :]), module


@pytest.mark.parametrize("package", FACES)
def test_others_import_from_the_face(package: str) -> None:
    face = f"{PACKAGE}.{package}"
    allowed = {f"{face}.{part}".rstrip(".") for part in FACES[package]}
    inside = {
        name for module in MODULES if _step(module) != package for name in _imports(module) if _step(name) == package
    }
    assert {name for name in inside - allowed if not name.startswith(f"{PACKAGE}.problem.presolve.")} == set()


def test_every_package_stands_on_the_stair() -> None:
    assert {_step(module) for module in MODULES} == set(STAIR)


def test_no_module_imports_itself_through_others() -> None:
    graph = {module: {name for name in _imports(module) if name in MODULES} for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_no_two_classes_share_a_name() -> None:
    owners: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in _tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                owners.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in owners.items() if len(modules) > 1} == {}


def test_the_check_sees_imports_inside_functions_and_those_for_type_checkers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "module.py"
    source.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import pyomo.environ\n"
        "def later():\n    from pyomo_relugrad import network\n"
        "omlt, found = attempt_import('omlt.io')\n",
        encoding="utf-8",
    )
    monkeypatch.setitem(MODULES, "a module of this test", source)
    assert _imports("a module of this test") == {"typing", "pyomo.environ", "pyomo_relugrad.network", "omlt.io"}
