"""PyTorch's two exporters to ONNX, silence around exporters, and what they write."""

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pyomo_relugrad.errors import RelugradError, UnsupportedOperatorError
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.frameworks.packages import first_line
from pyomo_relugrad.readers.onnx import load_onnx


def export(torch: Any, module: Any, inputs: tuple[Any, ...], path: Path, name: str) -> None:
    """Write the module as an ONNX file: by torch.export where it can, or else by TorchScript.

    Raises
    ------
    UnsupportedOperatorError
        If neither can.
    """
    is_script = isinstance(module, torch.jit.ScriptModule)
    reasons = []
    for dynamo in (True, False):
        if dynamo and (is_script or find_spec("onnxscript") is None):
            continue
        try:
            with silence() as caught:
                torch.onnx.export(module, inputs, str(path), verbose=False, dynamo=dynamo)
        except Exception as error:  # the exporters raise errors of many kinds
            reasons.append(first_line(error))
            continue
        guessed = any(issubclass(warning.category, torch.jit.TracerWarning) for warning in caught)
        if not (reasons and guessed):  # a trace keeps the branch that the example takes
            return
    raise UnsupportedOperatorError(
        f"PyTorch cannot export {name} to ONNX: {'; '.join(dict.fromkeys(reasons))}. Write that step "
        "in another way, or export the module yourself and read the file with load_onnx",
        name,
    )


def read_exported(path: Path) -> Network:
    """The network of an exported file, whose errors name the module rather than the file."""
    try:
        return load_onnx(path)
    except RelugradError as error:
        error.args = (str(error).replace(str(path), path.stem),)
        raise


@contextmanager
def silence() -> Iterator[list[warnings.WarningMessage]]:
    """Nothing is printed, warned or logged inside; yields the warnings."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(record=True) as caught, redirect_stdout(io.StringIO()), _closed_descriptors():
            warnings.simplefilter("always")
            with redirect_stderr(io.StringIO()):
                yield caught
    finally:
        logging.disable(disabled)


@contextmanager
def _closed_descriptors() -> Iterator[None]:
    """What is printed past Python, as the TorchScript exporter prints its graph, goes nowhere."""
    try:
        kept = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    except OSError:  # there is nothing to print to
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor, _ in kept:
            os.dup2(nowhere, descriptor)
        yield
    finally:
        for descriptor, copy in kept:
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(nowhere)
