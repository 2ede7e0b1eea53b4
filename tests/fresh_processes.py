"""Programs that tests run in processes of their own.

Each is forked from a server that has imported the packages from elsewhere, but not ours: that takes a second or two.
"""

import multiprocessing
import os
import subprocess
import tempfile
from collections.abc import Callable
from multiprocessing.context import BaseContext
from pathlib import Path

import processor_clock

IMPORTED = (
    "highspy",
    "matplotlib.pyplot",
    "omlt.io",
    "omlt.neuralnet",
    "onnxruntime",
    "pyomo.environ",
    "pyomo.contrib.appsi.solvers.highs",
    "pyomo.contrib.solver.common.factory",
    "scipy.optimize",
    "scipy.sparse.csgraph",
    "scipy.spatial",
    "sklearn.datasets",
    "sklearn.neural_network",
    "sklearn.pipeline",
)


def run_script(script: Path, rate: float, folder: Path, timeout: float = 180.0) -> str:
    """What a script prints that runs in a folder by a clock of that speed; it must end well."""
    return _output(processor_clock.run, (str(script), rate), folder, timeout)


def run_code(code: str, timeout: float = 180.0) -> str:
    """What a program prints; it must end well."""
    return _output(exec, (code, {"__name__": "__main__"}), Path.cwd(), timeout)


def _output(function: Callable[..., object], arguments: tuple[object, ...], folder: Path, timeout: float) -> str:
    with tempfile.TemporaryDirectory() as place:
        printed, errors = Path(place, "printed"), Path(place, "errors")
        process = _context().Process(target=_call, args=(function, arguments, folder, printed, errors))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(str(arguments[0]), timeout)
        assert process.exitcode == 0, errors.read_text(encoding="utf-8")
        return printed.read_text(encoding="utf-8")


def _context() -> BaseContext:
    """Where processes cannot be forked, they are started."""
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if has_server else "spawn")
    context.set_forkserver_preload(list(IMPORTED))
    return context


def _call(
    function: Callable[..., object], arguments: tuple[object, ...], folder: Path, printed: Path, errors: Path
) -> None:
    for file, stream in ((printed, 1), (errors, 2)):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, stream)
    os.environ["MPLBACKEND"] = "Agg"
    os.chdir(folder)
    function(*arguments)
