"""`load_torch`: PyTorch modules, from their weights where all layers are known, or by way of PyTorch's exporters."""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from pyomo_relugrad.errors import NetworkMismatchError, NetworkValueError
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.frameworks.exporters import export, read_exported, silence
from pyomo_relugrad.readers.frameworks.layer_graph import UnknownLayerError
from pyomo_relugrad.readers.frameworks.originals import check_module
from pyomo_relugrad.readers.frameworks.packages import first_line, require
from pyomo_relugrad.readers.frameworks.torch_layers import model_of_layers
from pyomo_relugrad.readers.onnx import load_onnx
from pyomo_relugrad.readers.onnx.model_file import open_model
from pyomo_relugrad.readers.onnx.original import rounding_of

_EXAMPLE = "give an example, such as load_torch(module, torch.zeros(1, 3, 8, 8))"


def load_torch(module: Any, example: Any = None) -> Network:
    """A PyTorch module in evaluation mode.

    A module of known layers is read from its weights, in milliseconds; others are exported by ``torch.onnx``.

    Parameters
    ----------
    module : torch.nn.Module
        Also one that was scripted, traced or loaded by ``torch.jit``, or a program of ``torch.export``, which stays in
        the mode in which it was exported; or what ``torch.onnx.export`` returns.
    example : tensor, array or tuple of them, optional
        Inputs of the right shapes, with a batch of one row. May be left out where the module takes rows of numbers and
        its first layer with weights, a ``Linear`` or ``BatchNorm1d``, tells how many.

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
    if type(module).__name__ == "ONNXProgram":
        return load_onnx(module.model_proto)
    torch = require("torch", "to export a PyTorch module")
    if type(module).__name__ == "ExportedProgram":
        given, module = module.example_inputs, module.module()
        example = given[0] if example is None and given else example
    module = _checked_module(torch, module)
    inputs = _tensors(torch, module, _row(torch, module) if example is None else example)
    with _in_evaluation_mode(module), _buffers_kept(torch, module):
        outputs = _outputs(torch, module, inputs, is_guess=example is None)
        network = _by_layers(torch, module, inputs) or _by_export(torch, module, inputs)
    return network.with_names(_input_names(module, network), _output_names(outputs, network))


def _row(torch: Any, module: Any) -> Any:
    """A row of zeros as wide as the first layer with weights asks for."""
    widths = {torch.nn.Linear: "in_features", torch.nn.BatchNorm1d: "num_features"}
    layers = (part for part in module.modules() if isinstance(part, tuple(widths)) or not any(part.children()))
    first = next((layer for layer in layers if any(True for _ in layer.parameters())), None)
    width = next((getattr(first, name) for kind, name in widths.items() if isinstance(first, kind)), None)
    if first is None or width is None:
        layer = "it has no layer with weights" if first is None else f"its first layer is {type(first).__name__}"
        raise NetworkValueError(f"the shape of the inputs of {_name(module)} is not known, as {layer}: {_EXAMPLE}")
    return torch.zeros(1, width, dtype=first.weight.dtype, device=first.weight.device)


def _by_layers(torch: Any, module: Any, inputs: tuple[Any, ...]) -> Network | None:
    """The network of the module's layers; None where one is not known, or their values are not the module's."""
    try:
        model = model_of_layers(torch, module, inputs, _name(module))
        network = load_onnx(model)
        if network.n_inputs * len(inputs[0]) != sum(tensor.numel() for tensor in inputs):
            return None
        with silence():
            check_module(network, torch, module, inputs, rounding_of(open_model(model)))
    except (UnknownLayerError, NetworkMismatchError):
        return None
    return network


def _by_export(torch: Any, module: Any, inputs: tuple[Any, ...]) -> Network:
    """The network of the file that an exporter of PyTorch makes of the module."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{_name(module)}.onnx"
        export(torch, module, inputs, path, _name(module))
        network = read_exported(path)
        rounding = rounding_of(open_model(path))
    with silence():
        check_module(network, torch, module, inputs, rounding)
    return network


def _name(module: Any) -> str:
    return str(getattr(module, "original_name", type(module).__name__))


def _checked_module(torch: Any, module: Any) -> Any:
    if isinstance(module, torch.nn.Module):
        if any(weight.is_meta for weight in module.parameters()):
            raise NetworkValueError(
                f"{type(module).__name__} is on the device 'meta', so it has no weights: make it on another device"
            )
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
            f"{str(module)!r} is a path, not a module: fill a module that you made by "
            "module.load_state_dict(torch.load(path, weights_only=True)), or use load_onnx if it is an ONNX file"
        )
    raise NetworkValueError(f"{type(module).__name__} is no torch.nn.Module: give one, or load_network what you have")


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


def _outputs(torch: Any, module: Any, inputs: tuple[Any, ...], is_guess: bool) -> Any:
    """What the module makes of the example, or of the row that its first layer asks for."""
    if any(tensor.is_complex() for tensor in (*inputs, *module.parameters(), *module.buffers())):
        raise NetworkValueError(f"{_name(module)} has complex numbers: only real ones can be read")
    try:
        with torch.no_grad(), silence():
            return module(*inputs)
    except Exception as error:  # a module may raise anything
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in inputs)
        is_short = isinstance(error, TypeError) and "missing" in str(error)
        if is_short:
            advice = ". Give a tuple as the example, a tensor for each argument"
        else:
            advice = f". As many enter its first layer; if others enter the module, {_EXAMPLE}" if is_guess else ""
        raise NetworkValueError(
            f"{_name(module)} cannot be run on the example of shape {shapes}: {first_line(error)}{advice}"
        ) from error


@contextmanager
def _in_evaluation_mode(module: Any) -> Iterator[None]:
    """Each submodule goes back to the mode it was in."""
    modes = [(part, part.training) for part in module.modules() if hasattr(part, "training")]
    with suppress(NotImplementedError):  # of an exported program
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
