"""From the words of a command line to its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from pyomo_relugrad.cli.arguments import Arguments, parse
from pyomo_relugrad.cli.bench import compare_methods
from pyomo_relugrad.cli.exit_codes import ArgumentError, ExitCode
from pyomo_relugrad.cli.falsify import falsify
from pyomo_relugrad.cli.info import show_network
from pyomo_relugrad.cli.optimise import optimise
from pyomo_relugrad.errors import RelugradError

COMMANDS: dict[str, Callable[[Arguments], ExitCode]] = {
    "info": show_network,
    "maximize": optimise,
    "minimize": optimise,
    "falsify": falsify,
    "bench": compare_methods,
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
        return int(COMMANDS[arguments.command](arguments))
    except ArgumentError as error:
        return _fail(error, ExitCode.USAGE)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.FINE)
    except (RelugradError, OSError) as error:
        return _fail(error, ExitCode.UNREADABLE)
    except KeyboardInterrupt:
        return _fail("interrupted", ExitCode.INTERRUPTED)


def _fail(error: object, code: ExitCode) -> int:
    print("relugrad: error:", " ".join(str(error).split()), file=sys.stderr)
    return int(code)
