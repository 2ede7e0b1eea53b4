"""The arrows between the rooms: which module may import which, and which may import Pyomo, ONNX or HiGHS."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "pyomo_relugrad"
ROOT = Path(__file__).parents[1] / PACKAGE

BASE = {"arrays", "errors", "version"}
PROBLEM = BASE | {"network", "problem"}
ARRAYS = {"numpy", "scipy"}

#: Room: the rooms that it may import, and the third-party packages.
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "arrays": (set(), {"numpy"}),
    "errors": (set(), set()),
    "version": (set(), set()),
    "network": (BASE, ARRAYS),
    "onnx_reader": (BASE | {"network"}, ARRAYS | {"onnx", "google"}),  # google.protobuf, on which onnx stands
    "problem": (BASE | {"network"}, ARRAYS),
    "problem_bounds": (PROBLEM, ARRAYS),
    "search": (PROBLEM | {"problem_bounds"}, ARRAYS | {"highspy", "threadpoolctl"}),
    "milp": (PROBLEM | {"problem_bounds", "search"}, ARRAYS | {"highspy"}),
    "branch": (PROBLEM | {"problem_bounds", "search", "milp"}, ARRAYS | {"highspy"}),
    "exact": (PROBLEM | {"problem_bounds", "search", "milp", "branch"}, ARRAYS),
    "vnnlib": (BASE, ARRAYS),
    "counterexample": (PROBLEM | {"search", "vnnlib", "onnx_reader"}, ARRAYS),
    "frameworks": (BASE | {"network", "onnx_reader"}, ARRAYS),  # the frameworks themselves only when asked for
    "plotting": (PROBLEM | {"search"}, ARRAYS),  # matplotlib only when asked for
    "cli": (
        PROBLEM | {"search", "milp", "branch", "exact", "onnx_reader", "vnnlib", "counterexample", "log"},
        ARRAYS,
    ),
    "__main__": ({"cli"}, set()),
    "log": (PROBLEM | {"search", "milp", "branch"}, ARRAYS),
}

#: Room inside `search`: the other rooms there that it may import.
SEARCH_ROOMS: dict[str, set[str]] = {
    "domains": set(),
    "regions": set(),
    "climbing": {"domains", "regions"},
    "literature": {"domains", "regions"},
    "sequential": set(),
}

#: What all searches stand on; the rest of `search` puts them together, and none of them imports it.
SEARCH_GROUND = {"budget", "landscape", "linear_program", "surroundings"}

#: Every other module of the package's top level is the Pyomo face, which may import all rooms.
FACE_PACKAGES = ARRAYS | {"pyomo", "omlt", "highspy"}


def _modules() -> dict[str, Path]:
    """Path of each module by its dotted name; a package's is that of its `__init__`."""
    paths = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


MODULES = _modules()


class _Imports(ast.NodeVisitor):
    """Collects what a module imports when it runs: what only type checkers see is left out."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        for child in node.orelse if "TYPE_CHECKING" in ast.unparse(node.test) else [*node.body, *node.orelse]:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        self.names.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "imports are absolute"
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            self.names.add(submodule if submodule in MODULES else str(node.module))


def _imports(module: str) -> set[str]:
    collector = _Imports()
    collector.visit(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    return collector.names


def _room(module: str) -> str:
    """The room of a module of ours: the first name below the package, empty for the package itself."""
    return module.removeprefix(PACKAGE).lstrip(".").split(".")[0]


def _misplaced(module: str) -> Iterator[str]:
    """The imports of a module that its room does not allow."""
    room = _room(module)
    every_room = {_room(name) for name in MODULES} - {""}
    rooms, packages = ROOMS.get(room, (every_room, FACE_PACKAGES))
    for name in _imports(module):
        top = name.split(".")[0]
        if top == PACKAGE:
            if _room(name) not in rooms | {room}:
                yield name
        elif top not in packages | set(sys.stdlib_module_names):
            yield name


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_what_its_room_allows(module: str) -> None:
    assert sorted(_misplaced(module)) == []


@pytest.mark.parametrize("room", SEARCH_ROOMS)
def test_the_rooms_of_the_search_import_only_what_lies_below_them(room: str) -> None:
    prefix = f"{PACKAGE}.search."
    allowed = SEARCH_ROOMS[room] | SEARCH_GROUND | {room}
    modules = [module for module in MODULES if module.startswith(f"{prefix}{room}.")]
    assert modules
    imported = {name for module in modules for name in _imports(module) if name.startswith(prefix)}
    assert {name for name in imported if name.removeprefix(prefix).split(".")[0] not in allowed} == set()


def test_every_room_of_the_search_is_told_what_it_may_import() -> None:
    rooms = {path.parent.name for path in (ROOT / "search").glob("*/__init__.py")}
    assert rooms == set(SEARCH_ROOMS)


def test_no_module_imports_itself_through_others() -> None:
    graph = {module: {name for name in _imports(module) if name in MODULES} for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_the_rooms_below_the_face_exist() -> None:
    assert {_room(module) for module in MODULES} >= {*BASE, "network", "onnx_reader", "problem", "search"}


def test_the_check_sees_imports_inside_functions_and_leaves_out_those_for_type_checkers() -> None:
    collector = _Imports()
    collector.visit(
        ast.parse(
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    import pyomo.environ\nelse:\n    import json\n"
            "def later():\n    from pyomo_relugrad import network\n"
        )
    )
    assert collector.names == {"typing", "json", "pyomo_relugrad.network"}
