"""What may be typed after ``relugrad``, and what ``--help`` says about it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.cli.exit_codes import ArgumentError, ExitCode
from pyomo_relugrad.cli.values import as_count, as_networks, as_positive, as_positive_count, as_vector, as_vector_file
from pyomo_relugrad.version import __version__

if TYPE_CHECKING:
    from pyomo_relugrad.search import Method

_DESCRIPTION = "Optimize over trained ReLU networks in ONNX files."

_EXAMPLES = """\
examples:
  relugrad info surrogate.onnx                              what is in the file, and how hard it is
  relugrad maximize surrogate.onnx --lower 0 --upper 1      the inputs in a box with the largest output
  relugrad minimize digits.onnx --output 3 --lower lower.npy --upper upper.npy --save image.npy
  relugrad maximize surrogate.onnx --lower=-1,0,0 --upper 2,1,1 --exact --time-limit 60
  relugrad falsify controller.onnx property.vnnlib          an input that breaks a property
  relugrad verify controller.onnx property.vnnlib           whether a property holds
  relugrad bench surrogate.onnx --lower 0 --upper 1         which method is best for this network

'relugrad COMMAND --help' tells more about each command.

exit codes:
"""

_BOX = """\
A bound is a number for all inputs, numbers with commas between them, or a .npy or .csv file of them.
"""

_INFO = """\
Show the inputs and outputs of a network, what its file was read into, how large its layers are, and, over a box of
inputs, which ReLUs are stable: always active or never, so that no solver has to decide them.

example:
  relugrad info digits.onnx --lower 0 --upper 1
"""

_OPTIMIZE = """\
Look for the inputs in a box with the {adjective} value of one output, or of a weighted sum of the outputs.

The search is local: it says how good its point is only where a bound is known. With --exact a proof follows, and the
answer is 'optimal' where it is proven. Ctrl-C ends both, and the best point so far is the answer.

examples:
  relugrad {command} surrogate.onnx --lower 0 --upper 1
  relugrad {command} digits.onnx --output 3 --lower lower.csv --upper upper.csv --save image.npy
  relugrad {command} digits.onnx --weights 0,0,0,1,0,0,0,0,-1,0 --lower 0 --upper 1 --json
  relugrad {command} surrogate.onnx --lower=-1,0,0 --upper 2,1,1 --exact --time-limit 60
"""

_NETWORKS = """\
A property in VNN-LIB 2.0 may be about several networks: then FILE lists their names and files, f=old.onnx,g=new.onnx.
"""

_FALSIFY = f"""\
Look for a counterexample of a property: an input that satisfies the assertions of a VNN-LIB file.

It is checked in float64, without any tolerance. Where none is found (exit code 1) there may still be one.
{_NETWORKS}
example:
  relugrad falsify controller.onnx property.vnnlib --time-limit 30 --save input.npy
"""

_VERIFY = f"""\
Say whether a property holds: whether no input satisfies the assertions of a VNN-LIB file.

A counterexample is checked in float64 and in onnxruntime. Where neither it nor a proof is found in time (exit code 1),
the answer is 'unknown', with the bounds that were reached. --results writes the answer as the verification competition
VNN-COMP wants it: sat (violated), unsat (holds), timeout or unknown, and the counterexample.
{_NETWORKS}
examples:
  relugrad verify controller.onnx property.vnnlib --time-limit 60 --results results.txt
  relugrad verify f=controller.onnx,g=pruned.onnx alike.vnnlib --time-limit 60
"""

_BENCH = """\
Compare the search methods, each for the same time: on a network of yours over a box, or on random networks.

examples:
  relugrad bench
  relugrad bench surrogate.onnx --lower 0 --upper 1 --time-limit 5 --method auto --method lp-walk
"""

# A word that begins a list of numbers with a minus, which argparse takes for an option.
_NEGATIVE = re.compile(r"-(\d|\.\d|inf\b)")


@dataclass
class Arguments(argparse.Namespace):
    """A command line. Each command has some of these; the others keep their defaults."""

    command: str = ""
    file: Path | None = None
    source: Path | dict[str, Path] = Path()
    property: Path = Path()
    lower: Array | None = None
    upper: Array | None = None
    output: int | None = None
    weights: Array | None = None
    time_limit: float = 10.0
    method: str = "auto"
    methods: list[str] | None = None
    seed: int = 0
    threads: int | None = None
    solutions: int = 1
    exact: bool = False
    gap: float | None = None
    networks: int = 3
    json: bool = False
    save: Path | None = None
    results: Path | None = None


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


_Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"


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
        description=_DESCRIPTION,
        epilog=_EXAMPLES + codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"relugrad {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    info = _command(commands, "info", "sizes, stability, and what the reader did", _INFO)
    info.add_argument("file", type=Path, metavar="FILE", help="ONNX file")
    _add_box(info, default="0 and 1")

    for name, adjective in (("maximize", "largest"), ("minimize", "smallest")):
        _add_optimization(commands, name, adjective)
    _add_question(commands, "falsify", "an input that breaks a property", _FALSIFY)
    verify = _add_question(commands, "verify", "whether a property holds", _VERIFY)
    _add_threads(verify)
    verify.add_argument("--results", type=Path, metavar="FILE", help="the answer as VNN-COMP wants it")
    _add_comparison(commands)
    return parser


def _add_optimization(commands: _Commands, name: str, adjective: str) -> None:
    text = _OPTIMIZE.format(command=name, adjective=adjective)
    optimize = _command(commands, name, f"the inputs with the {adjective} output", text)
    optimize.add_argument("file", type=Path, metavar="FILE", help="ONNX file")
    _add_objective(optimize)
    _add_box(optimize)
    _add_search(optimize)
    _add_threads(optimize)
    solutions = "distinct points that are wanted (1)"
    optimize.add_argument("--solutions", type=as_positive_count, default=1, metavar="N", help=solutions)
    optimize.add_argument("--exact", action="store_true", help="prove it: branch and bound, or HiGHS, follow")
    optimize.add_argument("--gap", type=as_positive, help="relative gap that is proof enough (1e-4), with --exact")


def _add_question(commands: _Commands, name: str, summary: str, text: str) -> _Parser:
    question = _command(commands, name, summary, text)
    question.add_argument("source", type=as_networks, metavar="FILE", help="ONNX file, or names and files")
    question.add_argument("property", type=Path, metavar="PROPERTY.vnnlib", help="also compressed, .vnnlib.gz")
    _add_search(question)
    return question


def _add_comparison(commands: _Commands) -> None:
    bench = _command(commands, "bench", "compare the search methods", _BENCH)
    bench.add_argument("file", type=Path, nargs="?", metavar="FILE", help="ONNX file; random networks without")
    _add_objective(bench)
    _add_box(bench)
    bench.add_argument("--networks", type=as_positive_count, default=3, help="number of random networks (3)")
    bench.add_argument(
        "--method",
        dest="methods",
        action="append",
        type=_method,
        metavar="METHOD",
        help="see below; may be repeated (all)",
    )
    bench.add_argument("--time-limit", type=as_positive, default=1.0, metavar="SECONDS", help="of each search (1)")
    bench.add_argument("--seed", type=as_count, default=0, help="of networks and searches (0)")


def _command(commands: _Commands, name: str, summary: str, text: str) -> _Parser:
    parser = commands.add_parser(
        name, help=summary, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.lists_methods = name != "info"
    parser.add_argument("--json", action="store_true", help="print the answer as JSON, and no log")
    return parser


def _add_box(parser: _Parser, default: str = "") -> None:
    named = f"; {default} without" if default else ""
    box = parser.add_argument_group("box of inputs", _BOX)
    required = parser.prog.endswith(("maximize", "minimize"))
    for side in ("lower", "upper"):
        box.add_argument(f"--{side}", type=as_vector, metavar="BOUND", required=required, help=f"{side} bounds{named}")


def _add_objective(parser: _Parser) -> None:
    objective = parser.add_mutually_exclusive_group()
    objective.add_argument("--output", type=as_count, metavar="K", help="number of the output, from 0")
    objective.add_argument("--weights", type=as_vector, metavar="W", help="weights of the outputs, typed as bounds are")


def _add_search(parser: _Parser) -> None:
    parser.add_argument("--time-limit", type=as_positive, default=10.0, metavar="SECONDS", help="seconds (10)")
    parser.add_argument("--method", type=_method, default="auto", metavar="METHOD", help="see below (auto)")
    parser.add_argument("--seed", type=as_count, default=0, help="of the random starts (0)")
    parser.add_argument("--save", type=as_vector_file, metavar="FILE", help="keep the inputs found, as .npy or .csv")


def _add_threads(parser: _Parser) -> None:
    parser.add_argument("--threads", type=as_positive_count, metavar="N", help="processor cores that may be used (all)")


def _methods() -> Mapping[str, Method]:
    """The search methods. They stand on SciPy, which is slow to import and not needed to say what can be typed."""
    from pyomo_relugrad.search import METHODS

    return METHODS


def _method(text: str) -> str:
    methods = _methods()
    if text not in methods:
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {', '.join(methods)})")
    return text
