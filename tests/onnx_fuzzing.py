"""Damaged and random ONNX models: whatever they hold, a network that agrees with onnxruntime or one of our errors.

``python tests/onnx_fuzzing.py [mutations] [graphs] [seed]`` runs 10,000 mutations and 1,000 random graphs by default.
"""

import sys
import time
from collections import Counter

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, helper
from onnx_models import make_model, points_for, relative_gap, weights

from pyomo_relugrad.errors import RelugradError
from pyomo_relugrad.onnx_reader import load_onnx


def ints(*values):
    return np.array(values, np.int64)


def seed_models():
    """Small valid models with most kinds of nodes, attributes and tensors."""
    node = helper.make_node
    convolution = [
        node("Sub", ["x", "mean"], ["s"]),
        node("Conv", ["s", "k", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", ["c", "b", "b", "b", "v"], ["n"]),
        node("Relu", ["n"], ["r"], name="relu"),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[1, 1]),
        node("Shape", ["p"], ["shape"]),
        node("Gather", ["shape", "zero"], ["rows"]),
        node("Unsqueeze", ["rows", "zero1"], ["rows1"]),
        node("Concat", ["rows1", "rest"], ["flat_shape"], axis=0),
        node("Reshape", ["p", "flat_shape"], ["f"]),
        node("Gemm", ["f", "w", "bw"], ["y"], transB=1, alpha=0.5),
    ]
    stored = {"mean": np.float32([[[0.5]]]), "k": weights(0, 3, 2, 3, 3), "b": weights(1, 3), "v": abs(weights(2, 3))}
    stored |= {"zero": np.array(0), "zero1": ints(0), "rest": ints(-1), "w": weights(3, 4, 12), "bw": weights(4, 4)}
    yield make_model(convolution, ("N", 2, 5, 6), stored)
    perceptron = [
        node("Flatten", ["x"], ["f"]),
        node("MatMul", ["f", "w0"], ["m"]),
        node("Add", ["m", "b0"], ["a"]),
        node("LeakyRelu", ["a"], ["l"], alpha=0.1),
        node("Clip", ["l", "low", "high"], ["c"]),
        node("Constant", [], ["w1"], value=helper.make_tensor("w1", TensorProto.FLOAT, [4, 2], weights(1, 8))),
        node("Gemm", ["c", "w1"], ["g"]),
        node("Dropout", ["g"], ["d"]),
        node("Split", ["d", "halves"], ["p", "q"], axis=1),
        node("Max", ["p", "q"], ["y"]),
    ]
    stored = {"w0": weights(0, 6, 4), "b0": weights(1, 4), "low": np.float32(-1), "high": np.float32(6)}
    yield make_model(perceptron, (1, 2, 3), stored | {"halves": ints(1, 1)}, outputs=("y", "g"))
    old = [
        node("Pad", ["x"], ["p"], pads=[0, 0, 1, 0, 0, 1], value=0.5),
        node("Slice", ["p"], ["s"], axes=[2], starts=[0], ends=[4]),
        node("Upsample", ["s"], ["u"], scales=[1.0, 1.0, 2.0]),
        node("Transpose", ["u"], ["t"], perm=[0, 2, 1]),
        node("ReduceMean", ["t"], ["m"], axes=[1], keepdims=0),
        node("PRelu", ["m", "slope"], ["y"]),
    ]
    yield make_model(old, (2, 3, 4), {"slope": weights(0, 3)}, opset=8)


def mutated_bytes(model, rng):
    """Bytes overwritten, cut off, removed or doubled."""
    content = bytearray(model.SerializeToString())
    kind, place = rng.integers(4), int(rng.integers(len(content)))
    if kind == 0:
        for _ in range(rng.integers(1, 5)):
            content[rng.integers(len(content))] = rng.integers(256)
    elif kind == 1:
        del content[place:]
    elif kind == 2:
        del content[place : place + int(rng.integers(1, 20))]
    else:
        other = int(rng.integers(len(content)))
        content[place:place] = content[other : other + int(rng.integers(1, 30))]
    return bytes(content)


def mutated_fields(model, rng):
    """A field of a node, tensor or input changed to something odd."""
    damaged = ModelProto()
    damaged.CopyFrom(model)
    for _ in range(rng.integers(1, 3)):
        _mutate(damaged.graph, rng)
    return damaged.SerializeToString()


NUMBERS = (-(2**62), -3, -1, 0, 1, 2, 3, 7, 100, 2**20, 2**40, 2**62)


def _mutate(graph, rng):
    node = graph.node[rng.integers(len(graph.node))]
    tensor = graph.initializer[rng.integers(len(graph.initializer))]
    names = [name for other in graph.node for name in (*other.input, *other.output)]
    kind = rng.integers(8)
    if kind == 0 and node.input:
        node.input[rng.integers(len(node.input))] = str(rng.choice([*names, "", "missing"]))
    elif kind == 1:
        node.op_type = str(rng.choice([other.op_type for other in graph.node] + OPERATORS + ODD_OPERATORS))
    elif kind == 2 and node.attribute:
        _mutate_attribute(node.attribute[rng.integers(len(node.attribute))], rng)
    elif kind == 3 and tensor.dims:
        tensor.dims[rng.integers(len(tensor.dims))] = int(rng.choice(NUMBERS))
    elif kind == 4 and tensor.raw_data:
        content = bytearray(tensor.raw_data)
        content[rng.integers(len(content))] = int(rng.choice([0, 127, 128, 255]))
        tensor.raw_data = bytes(content)
    elif kind == 5:
        tensor.data_type = int(rng.integers(0, 24))
    elif kind == 6:
        dimensions = graph.input[0].type.tensor_type.shape.dim
        dimensions[rng.integers(len(dimensions))].dim_value = int(rng.choice(NUMBERS))
    elif kind == 7:
        del graph.node[rng.integers(len(graph.node))]


def _mutate_attribute(attribute, rng):
    if attribute.type == AttributeProto.INTS and attribute.ints:
        attribute.ints[rng.integers(len(attribute.ints))] = int(rng.choice(NUMBERS))
    elif attribute.type == AttributeProto.INT:
        attribute.i = int(rng.choice(NUMBERS))
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = float(rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e30, -2.0]))
    else:
        attribute.type = int(rng.integers(0, 15))


OPERATORS = [
    *("Relu", "Abs", "Neg", "Identity", "LeakyRelu", "HardSigmoid", "Flatten", "Transpose", "Add", "Sub", "Mul", "Div"),
    *("MatMul", "Gemm", "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceMax", "Concat"),
    *("ReduceL1", "Slice", "Gather", "Clip", "Max", "Min", "Sum", "Mean", "Pad", "Reshape", "Sigmoid", "Squeeze"),
]
ODD_OPERATORS = [
    "Softmax",
    "Tile",
    "Expand",
    "ConstantOfShape",
    "Shape",
    "Where",
    "Greater",
    "Split",
    "Resize",
    "Loop",
    "If",
]


def random_graph(rng):
    """A random graph of operators on random tensors, mostly valid."""
    shape = tuple(int(size) for size in rng.integers(1, 6, size=rng.choice([1, 2, 3, 4])))
    first = "N" if rng.random() < 0.3 and len(shape) > 1 else shape[0] if rng.random() < 0.3 else 1
    shape = (first, *shape[1:])
    tensors, nodes, stored = ["x"], [], {}
    for index in range(rng.integers(1, 9)):
        operator = str(rng.choice(OPERATORS))
        output = f"t{index}"
        inputs, attributes = _random_node(operator, rng, tensors, stored, index, len(shape))
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        tensors.append(output)
    return make_model(nodes, shape, stored, outputs=(tensors[-1],), opset=int(rng.choice([9, 11, 13, 17])))


def _random_node(operator, rng, tensors, stored, index, rank):
    """Inputs and attributes of a random node; constants are added to `stored`."""

    def variable():
        return tensors[max(0, len(tensors) - 1 - int(rng.geometric(0.5)) + 1)]

    def constant(array):
        name = f"c{index}_{len(stored)}"
        stored[name] = np.asarray(array)
        return name

    size = int(rng.integers(1, 6))
    if operator in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Concat"):
        other = variable() if rng.random() < 0.4 else constant(weights(index, *(1,) * int(rng.integers(0, 3))))
        inputs = [variable(), other] if rng.random() < 0.7 else [other, variable()]
        return inputs, {"axis": int(rng.integers(-1, rank))} if operator == "Concat" else {}
    if operator in ("MatMul", "Gemm"):
        matrix = constant(weights(index, int(rng.integers(1, 6)), size))
        attributes = {"transB": int(rng.integers(2))} if operator == "Gemm" else {}
        return ([variable(), matrix] if rng.random() < 0.8 else [matrix, variable()]), attributes
    if operator == "Conv":
        kernel = weights(index, size, int(rng.integers(1, 5)), *rng.integers(1, 3, size=max(rank - 2, 1)))
        return [variable(), constant(kernel)], {}
    if operator in ("MaxPool", "AveragePool"):
        spatial = max(rank - 2, 1)
        return [variable()], {"kernel_shape": [2] * spatial, "strides": [int(rng.integers(1, 3))] * spatial}
    if operator in ("Slice", "Pad", "Reshape"):
        return [variable(), constant(rng.integers(-1, 4, size=rank))], {}
    if operator == "Gather":
        return [variable(), constant(ints(0, -1))], {"axis": int(rng.integers(-1, rank))}
    return [variable()], {}


def outcome(content, rng):
    """How reading went: the error's name, "agrees", or why there is nothing to compare; anything else is raised."""
    try:
        network = load_onnx(content)
    except RelugradError as error:
        return type(error).__name__
    largest = max(abs(layer.bias).max(initial=0) for layer in network.layers)
    largest = max(largest, *(abs(weight).max() for layer in network.layers for weight in layer.weights), 0)
    if network.n_inputs > 10_000 or largest > 1e6:
        return "beyond a comparison in float32"
    points = points_for(network, seed=int(rng.integers(1000)), count=2)
    try:
        gaps = relative_gap(content, network, points)
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        return "onnxruntime refuses"
    if not (gaps <= 1.0).all():
        raise AssertionError(f"the network differs from onnxruntime by {gaps.max()} times what float32 allows")
    return "agrees"


def mutations(count, seed):
    """Mutated models, each with the generator to go on with."""
    rng, models = np.random.default_rng(seed), list(seed_models())
    for _ in range(count):
        model = models[rng.integers(len(models))]
        mutate = mutated_bytes if rng.random() < 0.5 else mutated_fields
        yield mutate(model, rng), rng


def graphs(count, seed):
    """Random graphs, each with the generator to go on with."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield random_graph(rng).SerializeToString(), rng


def main(n_mutations=10_000, n_graphs=1_000, seed=0):
    """Run both and print the tables of outcomes."""
    for name, contents in (("mutations", mutations(n_mutations, seed)), ("graphs", graphs(n_graphs, seed))):
        table, slowest = Counter(), 0.0
        for content, rng in contents:
            start = time.perf_counter()
            try:
                table[outcome(content, rng)] += 1
            except Exception as error:
                table[f"FAILED {type(error).__name__}"] += 1
                with open(f"failed-{seed}-{sum(table.values())}.onnx", "wb") as file:
                    file.write(content)
                print(f"{name} {sum(table.values())}: {type(error).__name__}: {str(error)[:200]}")
            slowest = max(slowest, time.perf_counter() - start)
        print(f"{name}: {dict(table)}, slowest {slowest:.2f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
