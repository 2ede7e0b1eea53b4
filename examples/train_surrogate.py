"""Write ``surrogate.onnx``, which the documentation reads where any network would do, and ``property.vnnlib`` about it.

The network is not trained: its weights are random, so that its output means nothing.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).parent
N_INPUTS, WIDTH = 4, 10


def main() -> None:
    """Write the files."""
    random = np.random.default_rng(0)
    arrays = {
        "W1": random.normal(size=(WIDTH, N_INPUTS)) / np.sqrt(N_INPUTS),
        "b1": random.normal(size=WIDTH),
        "W2": random.normal(size=(1, WIDTH)) / np.sqrt(WIDTH),
        "b2": np.ones(1),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "W1", "b1"], ["z"], "gemm1", transB=1, alpha=1.0, beta=1.0),
        helper.make_node("Relu", ["z"], ["h"], "relu1"),
        helper.make_node("Gemm", ["h", "W2", "b2"], ["y"], "gemm2", transB=1, alpha=1.0, beta=1.0),
    ]
    sizes = (("x", N_INPUTS), ("y", 1))
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size]) for name, size in sizes]
    weights = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "surrogate", infos[:1], infos[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, FOLDER / "surrogate.onnx")

    inputs = [f"X_{place}" for place in range(N_INPUTS)]
    lines = [f"(declare-const {name} Real)" for name in (*inputs, "Y_0")]
    lines += [f"(assert (>= {name} 0))\n(assert (<= {name} 1))" for name in inputs]
    lines += ["; a counterexample has an output of at least 0.3", "(assert (>= Y_0 0.3))"]
    (FOLDER / "property.vnnlib").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
