"""What may be typed after ``relugrad``, and what ``--help`` says about it."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.cli import help_text
from pyomo_relugrad.cli.exit_codes import ArgumentError, ExitCode
from pyomo_relugrad.cli.values import SUFFIXES, read_vector
from pyomo_relugrad.version import __version__

if TYPE_CHECKING:
    from pyomo_relugrad.search.methods import Method

# A word that begins a list of numbers with a minus, which argparse takes for an option.
_NEGATIVE = re.compile(r"-(\d|\.\d|inf\b)")


@dataclass
class Arguments(argparse.Namespace):
    """A command line. Each command has some of these; the others keep their defaults."""

    command: str = ""
    file: Path | None = None
    property: Path = Path()
    lower: Array | None = None
    upper: Array | None = None
    output: int | None = None
    weights: Array | None = None
    time_limit: float = 10.0
    method: str = "auto"
    methods: list[str] | None = None
    seed: int = 0
    exact: bool = False
    gap: float | None = None
    networks: int = 3
    json: bool = False
    save: Path | None = None


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and whose help may list the search methods."""

    lists_methods = False

    def format_help(self) -> str:
        """What ``--help`` prints."""
        if self.lists_methods:
            summaries = [f"  {name:<15}{method.summary}" for name, method in _methods().items()]
            self.epilog = "\n".join(["methods:", *summaries])
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(f"{message} (see '{self.prog} --help')")


def parse(words: Sequence[str]) -> Arguments:
    """Read a command line.

    Raises
    ------
    ArgumentError
        If it is wrong.
    SystemExit
        After ``--help`` and ``--version``.
    """
    arguments = _parser().parse_args(list(_joined(words)), namespace=Arguments())
    absent = {side is None for side in (arguments.file, arguments.lower, arguments.upper)}
    if arguments.command == "bench" and len(absent) > 1:
        raise ArgumentError("bench takes a FILE together with --lower and --upper, or none of them")
    return arguments


def _joined(words: Sequence[str]) -> Iterator[str]:
    """The words, with lists of numbers that begin with a minus put into the word of their option."""
    waiting = None
    for word in words:
        if waiting is not None and _NEGATIVE.match(word):
            yield f"{waiting}={word}"
            waiting = None
            continue
        if waiting is not None:
            yield waiting
        waiting = word if word.startswith("--") and "=" not in word else None
        if waiting is None:
            yield word
    if waiting is not None:
        yield waiting


def _parser() -> argparse.ArgumentParser:
    codes = "\n".join(f"  {code.value:<4} {code.meaning}" for code in ExitCode)
    parser = _Parser(
        prog="relugrad",
        description=help_text.DESCRIPTION,
        epilog=help_text.EXAMPLES + codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"relugrad {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    info = _command(commands, "info", "sizes, stability, and what the reader did", help_text.INFO)
    _add_file(info)
    _add_box(info, default="0 and 1")

    for name, adjective in (("maximize", "largest"), ("minimize", "smallest")):
        text = help_text.OPTIMIZE.format(command=name, adjective=adjective)
        optimize = _command(commands, name, f"the inputs with the {adjective} output", text)
        _add_file(optimize)
        _add_objective(optimize)
        _add_box(optimize)
        _add_search(optimize)
        _add_answer(optimize)
        optimize.add_argument("--exact", action="store_true", help="prove it: branch and bound, or HiGHS, follow")
        optimize.add_argument("--gap", type=_positive, help="relative gap that is proof enough (1e-4), with --exact")

    falsify = _command(commands, "falsify", "an input that breaks a property", help_text.FALSIFY)
    _add_file(falsify)
    falsify.add_argument("property", type=Path, metavar="PROPERTY.vnnlib", help="also compressed, .vnnlib.gz")
    _add_search(falsify)
    _add_answer(falsify)

    bench = _command(commands, "bench", "compare the search methods", help_text.BENCH)
    bench.add_argument("file", type=Path, nargs="?", metavar="FILE", help="ONNX file; random networks without")
    _add_objective(bench)
    _add_box(bench)
    bench.add_argument("--networks", type=_positive_count, default=3, help="number of random networks (3)")
    bench.add_argument(
        "--method",
        dest="methods",
        action="append",
        type=_method,
        metavar="METHOD",
        help="see below; may be repeated (all)",
    )
    bench.add_argument("--time-limit", type=_positive, default=1.0, metavar="SECONDS", help="of each search (1)")
    bench.add_argument("--seed", type=_count, default=0, help="of networks and searches (0)")
    bench.add_argument("--json", action="store_true", help="print the numbers as JSON")
    return parser


def _command(commands: argparse._SubParsersAction[_Parser], name: str, summary: str, text: str) -> _Parser:
    parser = commands.add_parser(
        name, help=summary, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.lists_methods = name != "info"
    return parser


def _add_file(parser: _Parser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="ONNX file")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON, and no log")


def _add_box(parser: _Parser, default: str = "") -> None:
    named = f"; {default} without" if default else ""
    box = parser.add_argument_group("box of inputs", help_text.BOX)
    required = parser.prog.endswith(("maximize", "minimize"))
    for side in ("lower", "upper"):
        box.add_argument(f"--{side}", type=_vector, metavar="BOUND", required=required, help=f"{side} bounds{named}")


def _add_objective(parser: _Parser) -> None:
    objective = parser.add_mutually_exclusive_group()
    objective.add_argument("--output", type=_count, metavar="K", help="number of the output, from 0")
    objective.add_argument("--weights", type=_vector, metavar="W", help="weights of the outputs, typed as bounds are")


def _add_search(parser: _Parser) -> None:
    parser.add_argument("--time-limit", type=_positive, default=10.0, metavar="SECONDS", help="seconds (10)")
    parser.add_argument("--method", type=_method, default="auto", metavar="METHOD", help="see below (auto)")
    parser.add_argument("--seed", type=_count, default=0, help="of the random starts (0)")


def _add_answer(parser: _Parser) -> None:
    parser.add_argument("--save", type=_vector_file, metavar="FILE", help="keep the inputs found, as .npy or .csv")


def _methods() -> Mapping[str, Method]:
    """The search methods. They stand on SciPy, which is slow to import and not needed to say what can be typed."""
    from pyomo_relugrad.search.methods import METHODS

    return METHODS


def _method(text: str) -> str:
    methods = _methods()
    if text not in methods:
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {', '.join(methods)})")
    return text


def _vector(text: str) -> Array:
    try:
        return read_vector(text)
    except (OSError, ValueError) as error:
        reason = f": {error}" if text.lower().endswith(SUFFIXES) else ""
        message = f"{text!r} is no number, list of numbers, or readable .npy or .csv file{reason}"
        raise argparse.ArgumentTypeError(message) from error


def _vector_file(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in SUFFIXES:
        raise argparse.ArgumentTypeError(f"{text!r} must end in {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from error
    if not number > 0 or math.isnan(number):
        raise argparse.ArgumentTypeError(f"{text!r} must be larger than 0")
    return number


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no integer") from error
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} must not be negative")
    return number


def _positive_count(text: str) -> int:
    return int(_positive(str(_count(text))))
