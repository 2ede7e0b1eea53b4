"""PyTorch modules of known layers, read from their weights."""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from onnx import ModelProto

from pyomo_relugrad.readers.frameworks.layer_graph import LayerGraph, UnknownLayerError

#: Writes a layer or a function: takes the graph, the layer and the name of the tensor that enters it, or what the
#: function takes, tensors by their names.
Writer = Callable[..., str]


def model_of_layers(torch: Any, module: Any, inputs: tuple[Any, ...], name: str) -> ModelProto:
    """The module as an ONNX model of inputs with the example's shapes, whose first dimension is the batch.

    Raises
    ------
    UnknownLayerError
        If it has a layer or a step that is not known here, or its steps depend on values.
    """
    if isinstance(module, torch.jit.ScriptModule) or not all(
        tensor.dim() > 1 and tensor.dtype in (torch.float32, torch.float16, torch.bfloat16) for tensor in inputs
    ):
        raise UnknownLayerError
    if any(parameter.dtype == torch.float64 for parameter in module.parameters()):
        raise UnknownLayerError  # the exporter keeps all digits
    try:
        steps = torch.fx.Tracer().trace(module)
    except Exception as error:  # it raises what the module does with its stand-ins for tensors
        raise UnknownLayerError from error
    return _Writing(torch, module, LayerGraph(name)).model(steps, inputs)


class _Writing:
    """Writes the steps of a traced module into a graph."""

    def __init__(self, torch: Any, module: Any, graph: LayerGraph) -> None:
        self._torch, self._module, self._graph = torch, module, graph
        self._functions = _functions(torch)

    def model(self, steps: Any, inputs: tuple[Any, ...]) -> ModelProto:
        names: dict[Any, str] = {}
        begins = [node for node in steps.nodes if node.op == "placeholder"]
        if len(begins) != len(inputs):  # parameters with defaults
            raise UnknownLayerError
        for node in steps.nodes:
            if node.op == "placeholder":
                names[node] = str(node.target)
            elif node.op == "output":
                returned = node.args[0]
            elif node.op == "get_attr":
                names[node] = self._graph.weight(_numbers(operator.attrgetter(node.target)(self._module)))
            else:
                names[node] = self._step(node, names)
        outputs = returned.items() if isinstance(returned, Mapping) else _numbered(returned)
        shapes = [tuple(tensor.shape[1:]) for tensor in inputs]
        try:
            written = [(str(key), names[node]) for key, node in outputs]
        except (KeyError, TypeError) as error:  # nested, or no tensor
            raise UnknownLayerError from error
        return self._graph.model(list(zip((names[node] for node in begins), shapes, strict=True)), written)

    def _step(self, node: Any, names: dict[Any, str]) -> str:
        arguments, settings = self._torch.fx.node.map_arg((node.args, node.kwargs), names.__getitem__)
        if node.op == "call_module":
            layer = self._module.get_submodule(node.target)
            kind = type(layer)
            is_of_torch = kind is getattr(self._torch.nn, kind.__name__, None)
            writer = _LAYERS.get(kind.__name__) if is_of_torch else None
            arguments = (layer, *arguments)
        else:
            writer = self._functions.get(node.target)
        if writer is None:
            raise UnknownLayerError
        self._graph.begin(str(node.target if node.op == "call_module" else node.name))
        try:
            return writer(self._graph, *arguments, **settings)
        except TypeError as error:  # it is called with more than is known here
            raise UnknownLayerError from error


def _numbered(returned: Any) -> list[tuple[str, Any]]:
    nodes = returned if isinstance(returned, (tuple, list)) else [returned]
    return [("output" if len(nodes) == 1 else f"output_{place}", node) for place, node in enumerate(nodes)]


# --- layers ---------------------------------------------------------------------------------------------------------


def _numbers(tensor: Any) -> Any:
    return tensor.detach().float().cpu().numpy()


def _linear(graph: LayerGraph, layer: Any, entering: str) -> str:
    bias = None if layer.bias is None else _numbers(layer.bias)
    return graph.affine(entering, _numbers(layer.weight).T, bias)


def _same(_: LayerGraph, __: Any, entering: str) -> str:
    return entering


def _operator(name: str, **settings: str) -> Writer:
    """A layer that is one operator; its settings are attributes of the layer by the operator's names."""

    def write(graph: LayerGraph, layer: Any, entering: str) -> str:
        return graph.add(name, entering, **{own: float(getattr(layer, theirs)) for own, theirs in settings.items()})

    return write


def _limits(graph: LayerGraph, layer: Any, entering: str) -> str:
    return graph.clip(entering, layer.min_val, layer.max_val)


def _flatten(graph: LayerGraph, layer: Any, entering: str) -> str:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise UnknownLayerError
    return graph.add("Flatten", entering, axis=1)


def _batch_normalization(graph: LayerGraph, layer: Any, entering: str) -> str:
    if layer.running_mean is None or layer.weight is None:
        raise UnknownLayerError
    statistics = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
    weights = [graph.weight(_numbers(part)) for part in statistics]
    return graph.add("BatchNormalization", entering, *weights, epsilon=layer.eps)


def _convolution(graph: LayerGraph, layer: Any, entering: str) -> str:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise UnknownLayerError
    weights = [graph.weight(_numbers(part)) for part in (layer.weight, layer.bias) if part is not None]
    sizes = {"strides": layer.stride, "pads": (*layer.padding, *layer.padding), "dilations": layer.dilation}
    return graph.add("Conv", entering, *weights, group=layer.groups, **sizes)


def _pooling(operator: str, dimensions: int, graph: LayerGraph, layer: Any, entering: str) -> str:
    """MaxPool or AveragePool."""
    if (
        layer.ceil_mode
        or getattr(layer, "return_indices", False)
        or getattr(layer, "divisor_override", None) is not None
    ):
        raise UnknownLayerError
    kernel, stride, padding = (
        _per_dimension(size, dimensions) for size in (layer.kernel_size, layer.stride, layer.padding)
    )
    if operator == "MaxPool":
        own: dict[str, Any] = {"dilations": _per_dimension(layer.dilation, dimensions)}
    else:
        own = {"count_include_pad": int(layer.count_include_pad)}
    return graph.add(operator, entering, kernel_shape=kernel, strides=stride, pads=padding * 2, **own)


def _per_dimension(size: Any, dimensions: int) -> list[int]:
    return [int(size)] * dimensions if isinstance(size, int) else [int(one) for one in size]


#: Layers of ``torch.nn`` by their names.
_LAYERS: dict[str, Writer] = {
    "Linear": _linear,
    **dict.fromkeys(("Identity", "Dropout", "Dropout1d", "Dropout2d", "AlphaDropout"), _same),
    "Flatten": _flatten,
    "BatchNorm1d": _batch_normalization,
    "BatchNorm2d": _batch_normalization,
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "MaxPool1d": partial(_pooling, "MaxPool", 1),
    "MaxPool2d": partial(_pooling, "MaxPool", 2),
    "AvgPool1d": partial(_pooling, "AveragePool", 1),
    "AvgPool2d": partial(_pooling, "AveragePool", 2),
    "ReLU": _operator("Relu"),
    "ReLU6": _limits,
    "Hardtanh": _limits,
    "LeakyReLU": _operator("LeakyRelu", alpha="negative_slope"),
    "ELU": _operator("Elu", alpha="alpha"),
    "SELU": _operator("Selu"),
    "CELU": _operator("Celu", alpha="alpha"),
    "Hardswish": _operator("HardSwish"),
    "Mish": _operator("Mish"),
    "Sigmoid": _operator("Sigmoid"),
    "Softsign": _operator("Softsign"),
    "Tanh": _operator("Tanh"),
}


# --- functions ------------------------------------------------------------------------------------------------------


def _of_tensor(name: str) -> Writer:
    """A function of one tensor that is an operator."""
    return lambda graph, entering, inplace=False: graph.add(name, entering)


def _of_two(name: str) -> Writer:
    """A function of two tensors, or of one and a number, that is an operator."""

    def write(graph: LayerGraph, left: str | float, right: str | float) -> str:
        sides = (side if isinstance(side, str) else graph.weight(float(side)) for side in (left, right))
        return graph.add(name, *sides)

    return write


def _leaky(graph: LayerGraph, entering: str, negative_slope: float = 0.01, inplace: bool = False) -> str:
    return graph.add("LeakyRelu", entering, alpha=float(negative_slope))


def _dropped(_: LayerGraph, entering: str, p: float = 0.5, training: bool = True, inplace: bool = False) -> str:
    if training:
        raise UnknownLayerError
    return entering


def _flattened(graph: LayerGraph, entering: str, start_dim: int = 0, end_dim: int = -1) -> str:
    if (start_dim, end_dim) != (1, -1):
        raise UnknownLayerError
    return graph.add("Flatten", entering, axis=1)


def _joined(graph: LayerGraph, tensors: Sequence[str], dim: int = 0) -> str:
    if dim == 0:  # the batch
        raise UnknownLayerError
    return graph.add("Concat", *tensors, axis=dim)


def _functions(torch: Any) -> dict[Any, Writer]:
    """What a module's ``forward`` may call besides its layers."""
    functional = torch.nn.functional
    return {
        **dict.fromkeys((torch.relu, functional.relu, "relu"), _of_tensor("Relu")),
        **dict.fromkeys((torch.sigmoid, functional.sigmoid, "sigmoid"), _of_tensor("Sigmoid")),
        **dict.fromkeys((torch.tanh, functional.tanh, "tanh"), _of_tensor("Tanh")),
        **dict.fromkeys((operator.add, torch.add), _of_two("Add")),
        **dict.fromkeys((operator.sub, torch.sub), _of_two("Sub")),
        **dict.fromkeys((operator.mul, torch.mul), _of_two("Mul")),
        **dict.fromkeys((operator.truediv, torch.div), _of_two("Div")),
        functional.dropout: _dropped,
        functional.leaky_relu: _leaky,
        **dict.fromkeys((torch.flatten, "flatten"), _flattened),
        torch.cat: _joined,
    }
