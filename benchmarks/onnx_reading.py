"""Time and memory of reading ONNX files.

``python benchmarks/onnx_reading.py [FILE ...]`` reads the given files, or else a ResNet-20 for 3x32x32 images and a
perceptron 10000-4x2000-1 with random weights. Each is read in a process of its own, three times.
"""

import subprocess
import sys
import tempfile
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

MEASURE = """
import resource, statistics, sys, time
from pyomo_relugrad.readers.onnx import load_onnx
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
times = []
for _ in range(3):
    start = time.perf_counter()
    network = load_onnx(sys.argv[1])
    times.append(time.perf_counter() - start)
    if len(times) == 1:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    relus, name = network.n_relus, network.name
    del network
print(f"{name:32} {relus:8} ReLUs {statistics.median(times):8.3f} s {(peak - before) / 1024:8.0f} MB")
"""


class Builder:
    """Nodes and random weights of a graph."""

    def __init__(self):
        self.nodes, self.stored, self.rng = [], [], np.random.default_rng(0)

    def weight(self, *shape):
        """A new random weight's name."""
        name = f"w{len(self.stored)}"
        scale = np.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 1.0
        self.stored.append(numpy_helper.from_array((scale * self.rng.normal(size=shape)).astype(np.float32), name))
        return name

    def add(self, operator, *inputs, **attributes):
        """Add a node; the name of its output."""
        self.nodes.append(helper.make_node(operator, inputs, [f"t{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def save(self, path, shape):
        """Write the graph from `x` of that shape to its last node."""
        values = [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info(self.nodes[-1].output[0], TensorProto.FLOAT, None),
        ]
        graph = helper.make_graph(self.nodes, "benchmark", values[:1], values[1:], self.stored)
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path


def resnet20(path):
    graph = Builder()

    def convolution(tensor, inputs, outputs, stride, size=3):
        kernel = graph.weight(outputs, inputs, size, size)
        pads = [size // 2] * 4
        return graph.add("Conv", tensor, kernel, graph.weight(outputs), strides=[stride] * 2, pads=pads)

    tensor, channels = graph.add("Relu", convolution("x", 3, 16, 1)), 16
    for stage, outputs in enumerate((16, 32, 64)):
        for block in range(3):
            stride = 2 if stage and not block else 1
            inner = graph.add("Relu", convolution(tensor, channels, outputs, stride))
            skip = tensor if stride == 1 else convolution(tensor, channels, outputs, stride, 1)
            tensor = graph.add("Relu", graph.add("Add", convolution(inner, outputs, outputs, 1), skip))
            channels = outputs
    flat = graph.add("Flatten", graph.add("GlobalAveragePool", tensor))
    graph.add("Gemm", flat, graph.weight(10, 64), graph.weight(10), transB=1)
    return graph.save(path, ["N", 3, 32, 32])


def perceptron(path):
    graph, tensor, widths = Builder(), "x", (10000, 2000, 2000, 2000, 2000, 1)
    for inputs, outputs in pairwise(widths):
        tensor = graph.add("Gemm", tensor, graph.weight(outputs, inputs), graph.weight(outputs), transB=1)
        tensor = graph.add("Relu", tensor) if outputs > 1 else tensor
    return graph.save(path, ["N", widths[0]])


def _made(make, path):
    """The file, made in another process: what this one has used would count as used by those that it starts."""
    process = get_context("spawn").Process(target=make, args=(path,))
    process.start()
    process.join()
    return path


def main(files):
    with tempfile.TemporaryDirectory() as folder:
        chosen = files or [_made(make, Path(folder) / f"{make.__name__}.onnx") for make in (resnet20, perceptron)]
        for file in chosen:
            subprocess.run([sys.executable, "-c", MEASURE, str(file)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
