"""ONNX models for tests, and the comparison of a network with onnxruntime on its model."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from pyomo_relugrad.readers.onnx import load_onnx


def initializer(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def weights(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def make_model(
    nodes,
    shape,
    initializers=None,
    *,
    outputs=("y",),
    opset=17,
    inputs=None,
    kind=TensorProto.FLOAT,
    functions=(),
    ir=8,
):
    """A model of the given nodes from the input `x` to the outputs; `initializers` maps names to arrays."""
    given = inputs or {"x": shape}
    values = [helper.make_tensor_value_info(name, kind, own) for name, own in given.items()]
    results = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    stored = [initializer(name, array) for name, array in (initializers or {}).items()]
    graph = helper.make_graph(nodes, "model", values, results, stored)
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(f.domain, 1) for f in functions[:1])]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir, functions=list(functions))


def evaluate(model, points):
    """Outputs of onnxruntime, one run per row of `points`, concatenated over the model's outputs."""
    source = model if isinstance(model, bytes | str) else model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    shapes = [[size if isinstance(size, int) and size > 0 else 1 for size in tensor.shape] for tensor in inputs]
    rows = max(1, sum(int(np.prod(shape)) for shape in shapes) // points.shape[1])
    results = []
    repeats = -(-len(points) // rows) * rows
    padded = np.resize(points, (repeats, points.shape[1]))
    for start in range(0, repeats, rows):
        flat, feeds, offset = padded[start : start + rows], {}, 0
        for tensor, shape in zip(inputs, shapes, strict=True):
            size = int(np.prod(shape)) // rows
            kind = {"tensor(double)": np.float64, "tensor(int64)": np.int64}.get(tensor.type, np.float32)
            feeds[tensor.name] = flat[:, offset : offset + size].reshape(shape).astype(kind)
            offset += size
        results.append(np.concatenate([output.reshape(rows, -1) for output in session.run(None, feeds)], axis=1))
    return np.concatenate(results)[: len(points)].astype(np.float64)


def points_for(network, seed=0, count=8):
    """Random and extreme float32 points."""
    rng = np.random.default_rng(seed)
    size = (3 * count, network.n_inputs)
    scales = np.repeat([0.1, 1.0, 1000.0], count)[:, None]
    corners = rng.choice([-1.0, 0.0, 1.0, 6.0], size=size)
    return np.concatenate([scales * rng.normal(size=size), corners]).astype(np.float32)


def relative_gap(model, network, points):
    """Largest difference from onnxruntime at each point, over what float32 lets one expect there.

    That is a relative 1e-5 of the numbers that are added up in the output layer, and what rounding in earlier layers
    makes of the output (seen from the network itself in float32; of a saturated neuron that shows little).
    """
    hidden = network.activations(points)
    output = network.layers[-1]
    sums = abs(output.bias) + sum(
        abs(hidden[source]) @ abs(weight).T for source, weight in zip(output.sources, output.weights, strict=True)
    )
    rounding = abs(network.astype(np.float32).value(points) - hidden[-1]).max(axis=1, initial=0)
    factor = 10 if network.is_piecewise_linear else 100
    allowed = 1e-5 * (np.broadcast_to(sums, hidden[-1].shape).max(axis=1) + 1e-3) + factor * rounding
    expected = evaluate(model, points)
    assert expected.shape == hidden[-1].shape
    return abs(hidden[-1] - expected).max(axis=1) / allowed


def assert_agrees(model, network=None, points=None):
    """The network of the model has onnxruntime's values; returns the network."""
    network = network or load_onnx(model)
    points = points_for(network) if points is None else points
    assert relative_gap(model, network, points).max() <= 1.0
    return network
