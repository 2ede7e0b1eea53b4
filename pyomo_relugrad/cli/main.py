"""From the words of a command line to its exit code."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from pyomo_relugrad.cli.arguments import Arguments, parse
from pyomo_relugrad.cli.exit_codes import ArgumentError, ExitCode
from pyomo_relugrad.errors import RelugradError

#: Module and function of each command; the module is imported when the command runs.
COMMANDS = {
    "info": ("info", "show_network"),
    "maximize": ("optimize", "optimize"),
    "minimize": ("optimize", "optimize"),
    "falsify": ("verify", "falsify"),
    "verify": ("verify", "verify_property"),
    "bench": ("bench", "compare_methods"),
}


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line.

    Parameters
    ----------
    words : sequence of str, optional
        Those after the program's name; ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        An `ExitCode`. Errors are one line on standard error.
    """
    try:
        arguments = parse(sys.argv[1:] if words is None else words)
        return int(_command(arguments.command)(arguments))
    except ArgumentError as error:
        return _fail(error, ExitCode.USAGE)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.FINE)
    except (RelugradError, OSError) as error:
        return _fail(error, ExitCode.UNREADABLE)
    except KeyboardInterrupt:
        return _fail("interrupted", ExitCode.INTERRUPTED)


def _command(name: str) -> Callable[[Arguments], ExitCode]:
    module, function = COMMANDS[name]
    command: Callable[[Arguments], ExitCode] = getattr(import_module(f"pyomo_relugrad.cli.{module}"), function)
    return command


def _fail(error: object, code: ExitCode) -> int:
    print("relugrad: error:", " ".join(str(error).split()), file=sys.stderr)
    return int(code)
