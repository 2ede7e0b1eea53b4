"""Importing the package is cheap: what is slow to import is imported when it is first used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pyomo_relugrad as relugrad

SLOW = ("scipy", "scipy.stats", "onnx", "onnxruntime", "omlt", "highspy", "sklearn", "matplotlib")


def loaded_by(program: str) -> set[str]:
    """Which of the slow packages a program imports."""
    code = f"{program}\nimport sys\nprint('loaded:', *({{*{SLOW}}} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("loaded:")[1].split())


@pytest.mark.parametrize(
    "program",
    [
        "import pyomo_relugrad",
        "import pyomo.environ, pyomo_relugrad",
        "from pyomo_relugrad.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
        "from pyomo_relugrad.cli import main\nmain(['--unknown'])",
    ],
)
def test_no_slow_package_is_imported(program: str) -> None:
    assert loaded_by(program) == set()


def test_pyomo_loads_no_more_of_scipy_than_we_do() -> None:
    loaded = loaded_by("import pyomo.environ, pyomo_relugrad\npyomo_relugrad.Network")
    assert "scipy" in loaded
    assert "scipy.stats" not in loaded


@pytest.mark.parametrize("name", relugrad.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(relugrad, name) is not None
    assert name in dir(relugrad)


def test_type_checkers_see_the_names_that_are_imported_when_used() -> None:
    tree = ast.parse(Path(str(relugrad.__file__)).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen | {"__version__"} == set(relugrad.__all__)


def test_modules_are_attributes_and_other_names_are_not() -> None:
    assert relugrad.errors.RelugradError.__name__ == "RelugradError"
    with pytest.raises(AttributeError, match="no attribute 'maximal'"):
        _ = relugrad.maximal
