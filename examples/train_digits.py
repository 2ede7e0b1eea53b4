"""Train the network of the other examples: scikit-learn's handwritten digits, 64 pixels in, 10 scores out.

Writes ``digits.onnx`` next to this file. The file is part of the repository, so there is no need to run this.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

FILE = Path(__file__).with_name("digits.onnx")


def train() -> MLPClassifier:
    """A network with 16 and 8 ReLUs, trained on 80 % of the 1797 digits. Pixels are scaled to [0, 1]."""
    images, labels = load_digits(return_X_y=True)
    seen, unseen, seen_labels, unseen_labels = train_test_split(
        images / 16, labels, test_size=0.2, random_state=0, stratify=labels
    )
    classifier = MLPClassifier(hidden_layer_sizes=(16, 8), alpha=0.5, max_iter=2000, random_state=0)
    classifier.fit(seen, seen_labels)
    for weight in classifier.coefs_:
        weight[np.abs(weight) < 1e-6] = 0  # decayed to nothing, such as those of pixels that are never inked
    print(f"reads {classifier.score(unseen, unseen_labels):.1%} of the unseen digits correctly")
    return classifier


def to_onnx(classifier: MLPClassifier) -> onnx.ModelProto:
    """The scores before the softmax, as the graph that PyTorch would write: Gemm, Relu, Gemm, Relu, Gemm.

    A softmax changes no ranking and is not piecewise linear, so a network that is to be optimized over ends before it.
    """
    nodes, initializers, source = [], [], "pixels"
    last = len(classifier.coefs_)
    for number, (weight, bias) in enumerate(zip(classifier.coefs_, classifier.intercepts_, strict=True), start=1):
        for name, array in ((f"weight{number}", weight.T), (f"bias{number}", bias)):
            initializers.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), name))
        target = "scores" if number == last else f"preactivation{number}"
        arguments = [source, f"weight{number}", f"bias{number}"]
        nodes.append(helper.make_node("Gemm", arguments, [target], f"gemm{number}", alpha=1.0, beta=1.0, transB=1))
        if number < last:
            source = f"activation{number}"
            nodes.append(helper.make_node("Relu", [target], [source], f"relu{number}"))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", classifier.coefs_[0].shape[0]])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", classifier.n_outputs_])],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    onnx.save(to_onnx(train()), FILE)
    print(f"wrote {FILE.name}, {FILE.stat().st_size / 1024:.0f} kB")
