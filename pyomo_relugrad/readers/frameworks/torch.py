"""`load_torch`: PyTorch modules, by way of PyTorch's two exporters to ONNX."""

from __future__ import annotations

import inspect
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pyomo_relugrad.errors import NetworkValueError, RelugradError, UnsupportedOperatorError
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.frameworks.originals import check_module
from pyomo_relugrad.readers.frameworks.packages import first_line, require
from pyomo_relugrad.readers.onnx import load_onnx
from pyomo_relugrad.readers.onnx.model_file import open_model
from pyomo_relugrad.readers.onnx.original import rounding_of


def load_torch(module: Any, example: Any) -> Network:
    """A PyTorch module, exported by ``torch.onnx`` in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        Also one that was scripted, traced or loaded by ``torch.jit``.
    example : tensor, array or tuple of them
        Inputs of the right shapes, with a batch of one row.

    Returns
    -------
    Network
        Of several inputs with one number each, the parameters of ``forward`` are the names; where ``forward`` returns
        a dictionary of such outputs, its keys are.

    Raises
    ------
    MissingPackageError
        If torch is not installed.
    NetworkFileError, UnsupportedOperatorError, NetworkValueError
        As `load_onnx`; also if it is no module, cannot be run on the example, or cannot be exported.
    NetworkMismatchError
        If the exported network does not have the module's values at some points that are tried.
    """
    torch = require("torch", "to export a PyTorch module")
    module = _checked_module(torch, module)
    inputs = _tensors(torch, module, example)
    with _in_evaluation_mode(module), _buffers_kept(torch, module):
        outputs = _outputs(torch, module, inputs)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{_name(module)}.onnx"
            _export(torch, module, inputs, path)
            network = _read(path)
            rounding = rounding_of(open_model(path))
        with _silence():
            check_module(network, torch, module, inputs, rounding)
    return network.with_names(_input_names(module, network), _output_names(outputs, network))


def _read(path: Path) -> Network:
    """The network of an exported file, whose errors name the module rather than the file."""
    try:
        return load_onnx(path)
    except RelugradError as error:
        error.args = (str(error).replace(str(path), path.stem),)
        raise


def _name(module: Any) -> str:
    return str(getattr(module, "original_name", type(module).__name__))


def _checked_module(torch: Any, module: Any) -> Any:
    if isinstance(module, torch.nn.Module):
        return getattr(module, "_orig_mod", module)  # what torch.compile wraps
    if isinstance(module, type):
        raise NetworkValueError(f"{module.__name__} is a class: give a module that was made of it, {module.__name__}()")
    if isinstance(module, Mapping):
        raise NetworkValueError(
            "a dictionary of weights says nothing of the layers: make the module, give it these by load_state_dict, "
            "and load the module"
        )
    if isinstance(module, (str, os.PathLike)):
        raise NetworkValueError(
            f"{str(module)!r} is a path, not a module: read it with torch.jit.load or torch.load first, or with "
            "load_onnx if it is an ONNX file"
        )
    raise NetworkValueError(f"{type(module).__name__} is no torch.nn.Module")


def _tensors(torch: Any, module: Any, example: Any) -> tuple[Any, ...]:
    """The example as the arguments of ``forward``; arrays become tensors of the module's floating-point type."""
    several = isinstance(example, tuple) or (
        isinstance(example, list) and any(isinstance(part, (torch.Tensor, np.ndarray)) for part in example)
    )
    kinds = [parameter.dtype for parameter in module.parameters() if parameter.dtype.is_floating_point]
    try:
        return tuple(_tensor(torch, part, kinds) for part in (example if several else (example,)))
    except (TypeError, ValueError, RuntimeError) as error:
        raise NetworkValueError(
            f"the example must be a tensor or an array, or a tuple of these, not {type(example).__name__}: "
            f"{first_line(error)}"
        ) from error


def _tensor(torch: Any, part: Any, kinds: list[Any]) -> Any:
    if isinstance(part, torch.Tensor):
        return part.detach().clone()  # a module may write into its input
    array = np.asarray(part)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(part).__name__} has no numbers")
    tensor = torch.as_tensor(array)
    return tensor.to(kinds[0] if kinds else torch.float32) if array.dtype.kind == "f" or array is not part else tensor


def _outputs(torch: Any, module: Any, inputs: tuple[Any, ...]) -> Any:
    """What the module makes of the example.

    Raises
    ------
    NetworkValueError
        If it cannot be run on it, or has complex numbers.
    """
    if any(tensor.is_complex() for tensor in (*inputs, *module.parameters(), *module.buffers())):
        raise NetworkValueError(f"{_name(module)} has complex numbers: only real ones can be read")
    try:
        with torch.no_grad(), _silence():
            return module(*inputs)
    except Exception as error:  # a module may raise anything
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in inputs)
        raise NetworkValueError(
            f"{_name(module)} cannot be run on the example of shape {shapes}: {first_line(error)}"
        ) from error


def _export(torch: Any, module: Any, inputs: tuple[Any, ...], path: Path) -> None:
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
            with _silence() as caught:
                torch.onnx.export(module, inputs, str(path), verbose=False, dynamo=dynamo)
        except Exception as error:  # the exporters raise errors of many kinds
            reasons.append(first_line(error))
            continue
        guessed = any(issubclass(warning.category, torch.jit.TracerWarning) for warning in caught)
        if not (reasons and guessed):  # a trace keeps the branch that the example takes
            return
    raise UnsupportedOperatorError(
        f"PyTorch cannot export {_name(module)} to ONNX: {'; '.join(dict.fromkeys(reasons))}. Write that step "
        "in another way, or export the module yourself and read the file with load_onnx",
        _name(module),
    )


@contextmanager
def _silence() -> Iterator[list[warnings.WarningMessage]]:
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


@contextmanager
def _in_evaluation_mode(module: Any) -> Iterator[None]:
    """Each submodule goes back to the mode it was in."""
    modes = [(part, part.training) for part in module.modules() if hasattr(part, "training")]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def _buffers_kept(torch: Any, module: Any) -> Iterator[None]:
    """Buffers that the module changes when it is run, such as counters, have their values again after."""
    kept = [
        (part, name, buffer, buffer.clone())
        for part in module.modules()
        for name, buffer in part.named_buffers(recurse=False)
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for part, name, buffer, values in kept:
                buffer.copy_(values)
                setattr(part, name, buffer)


def _input_names(module: Any, network: Network) -> list[str]:
    """Parameters of ``forward`` that are one number each; none where there is one, or they are not known."""
    if isinstance(module.forward, type(_input_names)) or inspect.ismethod(module.forward):
        names = list(inspect.signature(module.forward).parameters)
    else:
        names = [argument.name for argument in module.forward.schema.arguments[1:]]
    return names if _are_single(network.inputs, names) else []


def _output_names(outputs: Any, network: Network) -> list[str]:
    """Keys of a dictionary of outputs that are one number each; other outputs are named by the exporter alone."""
    names = [key for key in outputs if isinstance(key, str)] if isinstance(outputs, Mapping) else []
    return names if _are_single(network.outputs, names) else []


def _are_single(tensors: Any, names: list[str]) -> bool:
    return len(tensors) == len(names) > 1 and all(tensor.size == 1 for tensor in tensors)
