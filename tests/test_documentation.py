"""The documentation does what it says: its code runs, its output is as shown, and its reference is complete.

The python blocks of a page run one after another in one namespace, in a folder with the networks and data of the
examples; so do the plots, and shell blocks of the command ``relugrad``. A text block that follows such a block is what
that block prints. The line ``% times vary`` between the two says that numbers and the rows of a log differ from run to
run; the words around them are compared all the same. Output of one run, not compared, comes after ``% one run``. A
block after ``% needs torch`` is run where that package is installed.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pytest
from pyomo.contrib.solver.common.config import SolverConfig

from pyomo_relugrad.cli.main import main
from pyomo_relugrad.modeling.solver.config import ALIASES, ExactConfig
from pyomo_relugrad.search import METHODS, Auto, ProjectedDescent

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GENERATED = {"_build", "gallery"}
PAGES = [ROOT / "README.md"] + [
    page for page in sorted(DOCS.rglob("*.md")) if not GENERATED & set(page.relative_to(DOCS).parts)
]
LOG_ROW = re.compile(r"[*\s\d.e+%-]*")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, text, first line, and the lines between it and the block before."""

    language: str
    text: str
    line: int
    before: str


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    language, text, between, begin = None, [], [], 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if language is None and line.startswith("```"):
            language, text, begin = line[3:].strip(), [], number + 1
        elif language is None:
            between.append(line)
        elif line.rstrip() == "```":
            yield Block(language, "\n".join(text) + "\n", begin, "\n".join(between).strip())
            language, between = None, []
        else:
            text.append(line)
    assert language is None, f"{page}: the block of line {begin} has no end"


def is_run(block: Block) -> bool:
    """Whether a block is code, a plot, or a command of ours."""
    starts = {"python": "", "{eval-rst}": ".. plot::", "sh": "relugrad "}
    needed = re.findall(r"^% needs (\w+)$", block.before, re.M)
    is_ours = block.language in starts and block.text.startswith(starts[block.language])
    return is_ours and all(importlib.util.find_spec(package) for package in needed)


def examples_with_output(page: Path) -> list[tuple[Block, Block | None]]:
    """The blocks of a page that are run, each with the text block that follows at once, if there is one."""
    blocks = list(blocks_of(page))
    pairs = []
    for block, after in zip_longest(blocks, blocks[1:]):
        if is_run(block):
            is_output = after is not None and after.language == "text" and after.before in ("", "% times vary")
            pairs.append((block, after if is_output else None))
    return pairs


def without_numbers(output: str) -> list[str]:
    """The lines of an output whose numbers vary, without these and without the rows of logs."""
    lines = [line for line in output.splitlines() if not LOG_ROW.fullmatch(line)]
    return [" ".join(re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "#", line).split()) for line in lines]


def assert_prints(page: Path, shown: Block, printed: str) -> None:
    """What was printed is what the page shows."""
    if "times vary" in shown.before:
        assert without_numbers(printed) == without_numbers(shown.text), f"{page}:{shown.line} printed\n{printed}"
        return
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    equal = doctest.OutputChecker().check_output(shown.text, printed, flags)
    assert equal, f"{page}:{shown.line} shows\n{shown.text}\nbut was printed\n{printed}"


def run(block: Block, page: Path, namespace: dict[str, object]) -> str:
    """Run a block, and return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if block.language == "sh":
            for line in block.text.splitlines():
                assert main(shlex.split(line)[1:]) == 0, f"{page}:{block.line}: {line}"
        else:
            text = re.sub(r"^(\.\. plot::|   :[\w-]+:).*$", "", block.text, flags=re.M)
            exec(compile("\n" * (block.line - 1) + textwrap.dedent(text), str(page), "exec"), namespace)
    return printed.getvalue()


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the networks and data of the examples; searches end sooner."""
    monkeypatch.setitem(METHODS, "auto", Auto(projected=ProjectedDescent(patience=8)))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    if "keras" not in sys.modules:
        monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    for pattern in ("*.onnx", "*.csv", "*.vnnlib"):
        for file in (ROOT / "examples").glob(pattern):
            shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("data_folder")
def test_code_of_page_runs_and_prints_what_is_shown(page: Path) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block, shown in examples_with_output(page):
        printed = run(block, page, namespace)
        if shown is not None:
            assert_prints(page, shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed", "agree"),
    [
        ("value 2.5\n", "value 2.5\n", True),
        ("value 2.5\n", "value 2.6\n", False),
        ("value 2...\n", "value 2.6\n", True),
    ],
)
def test_outputs_are_compared(shown: str, printed: str, agree: bool) -> None:
    with contextlib.nullcontext() if agree else pytest.raises(AssertionError):
        assert_prints(DOCS / "page.md", Block("text", shown, 1, ""), printed)


def test_words_of_varying_outputs_are_compared() -> None:
    shown = Block("text", "Found in 0.5 s\n* 0.50  1  2.0 -\nStopped\n", 1, "% times vary")
    assert_prints(DOCS / "page.md", shown, "Found in 12.25 s\nStopped\n")
    with pytest.raises(AssertionError):
        assert_prints(DOCS / "page.md", shown, "Found in 0.5 s\n")


def reference_text() -> str:
    """All pages of the API reference."""
    return "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))


def test_files_and_folders_that_pages_name_are_there() -> None:
    folders = (ROOT / name for name in ("pyomo_relugrad", "tests", "benchmarks", "docs", "examples"))
    places = [f"/{place.relative_to(ROOT)}" for folder in folders for place in (folder, *folder.rglob("*"))]
    for page in (*PAGES, ROOT / "CONTRIBUTING.md"):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        named = re.findall(r"`([\w./]+(?:\.py|/))`", text)
        missing = [name for name in named if not any(place.endswith(f"/{name.rstrip('/')}") for place in places)]
        assert not missing, f"{page} names {missing}"


@pytest.mark.parametrize(
    "package", ["", ".network", ".plotting", ".programs", ".proof", ".search", ".solve", ".errors"]
)
def test_reference_names_everything_public(package: str) -> None:
    imported = importlib.import_module(f"pyomo_relugrad{package}")
    names = getattr(imported, "__all__", [name for name in vars(imported) if name.endswith("Error")])
    text = reference_text()
    described = [name for name in names if not name.startswith("__") and not name.isupper()]
    assert [name for name in described if not re.search(rf"^\.\. auto\w+:: .*\b{name}$", text, re.M)] == []


def test_reference_names_every_method() -> None:
    text = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert [name for name in METHODS if f"`{name}`" not in text] == []


def test_reference_names_every_option() -> None:
    text = (DOCS / "reference" / "solvers.md").read_text(encoding="utf-8")
    own = set(ExactConfig()) - set(SolverConfig()) | {"time_limit", "tee", *ALIASES}
    assert [name for name in sorted(own) if f"`{name}`" not in text] == []
