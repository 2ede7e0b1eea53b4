"""Keras models of known layers, read from their weights whatever the backend."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from onnx import ModelProto

from pyomo_relugrad.readers.frameworks.layer_graph import LayerGraph, UnknownLayerError

#: Writes a layer: takes the graph, the layer and the tensors that enter it.
Writer: TypeAlias = Callable[..., str]


def model_of_layers(model: Any) -> ModelProto:
    """A Keras model as an ONNX model.

    Raises
    ------
    UnknownLayerError
        If it has a layer that is not known here, or is neither sequential nor functional.
    """
    graph = LayerGraph(str(model.name))
    inputs = [(str(tensor.name), tuple(tensor.shape[1:])) for tensor in model.inputs]
    if not inputs:
        raise UnknownLayerError
    if any(str(weight.dtype) == "float64" for weight in model.weights):
        raise UnknownLayerError
    written = _through(graph, model, [name for name, _ in inputs])
    names = ["output"] if len(written) == 1 else [f"output_{place}" for place in range(len(written))]
    return graph.model(inputs, list(zip(names, written, strict=True)))


def _through(graph: LayerGraph, model: Any, tensors: Sequence[str]) -> list[str]:
    """The tensors that leave a model where these enter it."""
    functional = getattr(model, "_functional", model)  # what a sequential model keeps
    if not hasattr(functional, "_run_through_graph"):
        raise UnknownLayerError(f"the model {model.name!r} ({type(model).__name__}) has code of its own and is not")
    outputs = functional._run_through_graph(list(tensors), operation_fn=lambda layer: partial(_write, graph, layer))
    return _flat(outputs)


def _flat(outputs: Any) -> list[str]:
    if isinstance(outputs, str):
        return [outputs]
    parts = outputs.values() if isinstance(outputs, dict) else outputs
    return [tensor for part in parts for tensor in _flat(part)]


def _write(graph: LayerGraph, layer: Any, *entering: Any, **settings: Any) -> Any:
    """What a layer makes of the tensors that enter it."""
    kind = type(layer)
    if any(setting is not None for name, setting in settings.items() if name not in ("training", "mask")):
        raise UnknownLayerError(f"the call of the layer {layer.name!r} is not")
    if hasattr(layer, "_functional") or hasattr(layer, "_run_through_graph"):  # a model inside the model
        outputs = _through(graph, layer, _flat(entering))
        return outputs[0] if len(outputs) == 1 else outputs
    writer = _LAYERS.get(kind.__name__)
    if writer is None or not kind.__module__.startswith("keras."):
        raise UnknownLayerError(f"the layer {layer.name!r} ({kind.__name__}) is not")
    graph.begin(str(layer.name))
    try:
        return writer(graph, layer, *_entering(graph, entering))
    except UnknownLayerError:
        raise UnknownLayerError(f"the layer {layer.name!r} ({kind.__name__}) has settings that are not") from None


def _entering(graph: LayerGraph, given: Any) -> list[str]:
    """The tensors that enter a layer; an operation of ``keras.ops`` may take numbers beside them."""
    if isinstance(given, list | tuple):
        return [tensor for part in given for tensor in _entering(graph, part)]
    if isinstance(given, str | dict):
        return _flat(given)
    if not (isinstance(given, int | float | np.ndarray | np.generic) or hasattr(given, "numpy")):
        raise UnknownLayerError
    return [graph.weight(_numbers(given))]


def _numbers(variable: Any) -> Any:
    """A weight as numbers, whatever the backend."""
    value = variable.numpy() if hasattr(variable, "numpy") else variable
    return np.asarray(value, np.float32)


# --- activations ----------------------------------------------------------------------------------------------------


#: Activation functions by Keras's names for them, with its default settings.
_ACTIVATIONS: dict[str, Callable[[LayerGraph, str], str]] = {
    "linear": lambda graph, tensor: tensor,
    "relu": lambda graph, tensor: graph.add("Relu", tensor),
    "relu6": lambda graph, tensor: graph.clip(tensor, 0.0, 6.0),
    "leaky_relu": lambda graph, tensor: graph.add("LeakyRelu", tensor, alpha=0.2),
    "hard_sigmoid": lambda graph, tensor: graph.add("HardSigmoid", tensor, alpha=1.0 / 6.0, beta=0.5),
    "hard_tanh": lambda graph, tensor: graph.clip(tensor, -1.0, 1.0),
    "celu": lambda graph, tensor: graph.add("Celu", tensor, alpha=1.0),
    "elu": lambda graph, tensor: graph.add("Elu", tensor, alpha=1.0),
    "exponential": lambda graph, tensor: graph.add("Exp", tensor),
    "gelu": lambda graph, tensor: graph.add("Gelu", tensor),
    "hard_silu": lambda graph, tensor: graph.add("HardSwish", tensor),
    "log_softmax": lambda graph, tensor: graph.add("LogSoftmax", tensor, axis=-1),
    "mish": lambda graph, tensor: graph.add("Mish", tensor),
    "selu": lambda graph, tensor: graph.add("Selu", tensor),
    "sigmoid": lambda graph, tensor: graph.add("Sigmoid", tensor),
    "silu": lambda graph, tensor: graph.add("Mul", tensor, graph.add("Sigmoid", tensor)),
    "softmax": lambda graph, tensor: graph.add("Softmax", tensor, axis=-1),
    "softplus": lambda graph, tensor: graph.add("Softplus", tensor),
    "softsign": lambda graph, tensor: graph.add("Softsign", tensor),
    "tanh": lambda graph, tensor: graph.add("Tanh", tensor),
}


def _activated(graph: LayerGraph, function: Any, tensor: str) -> str:
    """What an activation function makes of a tensor."""
    name = "linear" if function is None else getattr(function, "__name__", "")
    is_of_keras = function is None or getattr(function, "__module__", "").startswith("keras.")
    if name not in _ACTIVATIONS or not is_of_keras:
        raise UnknownLayerError
    return _ACTIVATIONS[name](graph, tensor)


# --- layers ---------------------------------------------------------------------------------------------------------


def _dense(graph: LayerGraph, layer: Any, tensor: str) -> str:
    bias = _numbers(layer.bias) if layer.use_bias else None
    return _activated(graph, layer.activation, graph.affine(tensor, _numbers(layer.kernel), bias))


def _activation(graph: LayerGraph, layer: Any, tensor: str) -> str:
    return _activated(graph, layer.activation, tensor)


def _relu(graph: LayerGraph, layer: Any, tensor: str) -> str:
    if layer.threshold:
        raise UnknownLayerError
    if layer.max_value is None:
        return graph.add("LeakyRelu", tensor, alpha=float(layer.negative_slope))
    if layer.negative_slope:
        raise UnknownLayerError
    return graph.clip(tensor, 0.0, float(layer.max_value))


def _leaky_relu(graph: LayerGraph, layer: Any, tensor: str) -> str:
    return graph.add("LeakyRelu", tensor, alpha=float(layer.negative_slope))


def _same(_: LayerGraph, __: Any, tensor: str) -> str:
    return tensor


def _flatten(graph: LayerGraph, layer: Any, tensor: str) -> str:
    if layer.data_format == "channels_first":
        raise UnknownLayerError
    return graph.add("Flatten", tensor, axis=1)


def _reshape(graph: LayerGraph, layer: Any, tensor: str) -> str:
    return graph.add("Reshape", tensor, graph.weight(np.array([0, *layer.target_shape])))


def _rescaling(graph: LayerGraph, layer: Any, tensor: str) -> str:
    scaled = graph.add("Mul", tensor, graph.weight(layer.scale))
    return graph.add("Add", scaled, graph.weight(layer.offset))


def _normalization(graph: LayerGraph, layer: Any, tensor: str) -> str:
    if layer.invert:
        raise UnknownLayerError
    shifted = graph.add("Sub", tensor, graph.weight(_numbers(layer.mean)))
    deviation = np.maximum(np.sqrt(_numbers(layer.variance)), np.float32(1e-7))
    return graph.add("Div", shifted, graph.weight(deviation))


def _batch_normalization(graph: LayerGraph, layer: Any, tensor: str) -> str:
    if layer.axis != -1:
        raise UnknownLayerError
    factor = 1.0 / np.sqrt(_numbers(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        factor = factor * _numbers(layer.gamma)
    shift = -_numbers(layer.moving_mean) * factor
    if layer.center:
        shift = shift + _numbers(layer.beta)
    return graph.add("Add", graph.add("Mul", tensor, graph.weight(factor)), graph.weight(shift))


def _windows(operator: str, graph: LayerGraph, layer: Any, tensor: str, *weights: str, **settings: Any) -> str:
    """An operator on windows, whose channels stand first in ONNX, as a layer whose channels stand last."""
    if layer.data_format != "channels_last":
        raise UnknownLayerError
    pads = {"same": "SAME_UPPER", "valid": "VALID"}
    if layer.padding not in pads:
        raise UnknownLayerError
    strides = list(layer.strides)
    space = list(range(1, len(strides) + 1))
    first = graph.add("Transpose", tensor, perm=[0, len(space) + 1, *space])
    settings = {"auto_pad": pads[layer.padding], "strides": strides, **settings}
    outcome = graph.add(operator, first, *weights, **settings)
    return graph.add("Transpose", outcome, perm=[0, *(axis + 1 for axis in space), 1])


def _convolution(graph: LayerGraph, layer: Any, tensor: str) -> str:
    kernel = _numbers(layer.kernel)  # space, channels in, channels out
    weights = [graph.weight(np.moveaxis(kernel, (-1, -2), (0, 1)))]
    if layer.use_bias:
        weights.append(graph.weight(_numbers(layer.bias)))
    settings = {"dilations": list(layer.dilation_rate), "group": int(layer.groups)}
    return _activated(graph, layer.activation, _windows("Conv", graph, layer, tensor, *weights, **settings))


def _pooling(operator: str, graph: LayerGraph, layer: Any, tensor: str) -> str:
    return _windows(operator, graph, layer, tensor, kernel_shape=list(layer.pool_size))


def _concatenate(graph: LayerGraph, layer: Any, *tensors: str) -> str:
    if layer.axis == 0:
        raise UnknownLayerError
    return graph.add("Concat", *tensors, axis=int(layer.axis))


def _of_several(operator: str, graph: LayerGraph, _: Any, first: str, *others: str) -> str:
    for other in others:
        first = graph.add(operator, first, other)
    return first


#: Layers of Keras by their names.
_LAYERS: dict[str, Writer] = {
    "Dense": _dense,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    **dict.fromkeys(("Dropout", "GaussianDropout", "AlphaDropout", "SpatialDropout1D", "SpatialDropout2D"), _same),
    **dict.fromkeys(("GaussianNoise", "ActivityRegularization", "Identity", "InputLayer"), _same),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "BatchNormalization": _batch_normalization,
    **dict.fromkeys(("Conv1D", "Conv2D"), _convolution),
    **dict.fromkeys(("MaxPooling1D", "MaxPooling2D"), partial(_pooling, "MaxPool")),
    **dict.fromkeys(("AveragePooling1D", "AveragePooling2D"), partial(_pooling, "AveragePool")),
    "Concatenate": _concatenate,
    "Add": partial(_of_several, "Add"),
    "Subtract": partial(_of_several, "Sub"),
    "Multiply": partial(_of_several, "Mul"),
    "Maximum": partial(_of_several, "Max"),
    "Minimum": partial(_of_several, "Min"),
}
