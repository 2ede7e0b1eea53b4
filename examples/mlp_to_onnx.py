"""Write a network that scikit-learn has trained to an ONNX file; shared by the training scripts of the examples."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler


def layers(regressor: MLPRegressor, inputs: StandardScaler, outputs: StandardScaler) -> list[tuple]:
    """Weights and biases of the layers, with both scalings folded into the first and the last layer."""
    weights = [weight.T.copy() for weight in regressor.coefs_]
    biases = [bias.copy() for bias in regressor.intercepts_]
    biases[0] -= weights[0] @ (inputs.mean_ / inputs.scale_)
    weights[0] /= inputs.scale_
    weights[-1] *= outputs.scale_[:, None]
    biases[-1] = biases[-1] * outputs.scale_ + outputs.mean_
    return list(zip(weights, biases, strict=True))


def mlp_to_onnx(pipeline: Pipeline, outputs: StandardScaler, path: Path, names: tuple[str, str]) -> None:
    """Write ``StandardScaler -> MLPRegressor -> outputs.inverse_transform`` as Gemm, Relu, Gemm, Relu, ..., Gemm.

    If the regressor has ``activation="tanh"``, there is a Tanh in place of each Relu.

    The file maps plain units to plain units: whoever optimizes over it has to know nothing of the scaling.

    Parameters
    ----------
    pipeline : Pipeline
        Of a fitted StandardScaler and a fitted MLPRegressor.
    outputs : StandardScaler
        Fitted on the targets.
    path : Path
    names : (str, str)
        Names of the input and the output tensor.
    """
    scaler, regressor = (step for _, step in pipeline.steps)
    nodes, initializers, source = [], [], names[0]
    pairs = layers(regressor, scaler, outputs)
    for number, (weight, bias) in enumerate(pairs, start=1):
        for name, array in ((f"weight{number}", weight), (f"bias{number}", bias)):
            initializers.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), name))
        target = names[1] if number == len(pairs) else f"preactivation{number}"
        arguments = [source, f"weight{number}", f"bias{number}"]
        nodes.append(helper.make_node("Gemm", arguments, [target], f"gemm{number}", alpha=1.0, beta=1.0, transB=1))
        if number < len(pairs):
            source = f"activation{number}"
            operator = regressor.activation.capitalize()  # Relu or Tanh
            nodes.append(helper.make_node(operator, [target], [source], f"{regressor.activation}{number}"))
    sizes = (pairs[0][0].shape[1], pairs[-1][0].shape[0])
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in zip(names, sizes, strict=True)
    ]
    graph = helper.make_graph(nodes, path.stem, infos[:1], infos[1:], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    print(f"wrote {path.name}, {path.stat().st_size / 1024:.0f} kB")


def train(
    X: np.ndarray, Y: np.ndarray, hidden: tuple[int, ...], path: Path, names: tuple[str, str], **options: object
) -> None:
    """Fit a network to four fifths of the rows, print how it does on the others, and write it.

    Parameters
    ----------
    X, Y : (n, n_inputs) and (n, n_outputs) arrays
    hidden : tuple of int
        Neurons per hidden layer.
    path : Path
    names : (str, str)
        Names of the input and the output tensor.
    **options
        For `MLPRegressor`.
    """
    n_seen = 4 * len(X) // 5  # the rows come in random order
    outputs = StandardScaler().fit(Y[:n_seen])
    options = {"max_iter": 2000, "random_state": 0, "early_stopping": True, "n_iter_no_change": 30, **options}
    pipeline = Pipeline([("scaler", StandardScaler()), ("network", MLPRegressor(hidden_layer_sizes=hidden, **options))])
    targets = outputs.transform(Y[:n_seen])
    pipeline.fit(X[:n_seen], targets[:, 0] if Y.shape[1] == 1 else targets)
    predicted = outputs.inverse_transform(pipeline.predict(X[n_seen:]).reshape(-1, Y.shape[1]))
    errors = np.sqrt(np.mean((predicted - Y[n_seen:]) ** 2, axis=0))
    spreads = Y[n_seen:].std(axis=0)
    shares = ", ".join(f"{1 - (error / spread) ** 2:.1%}" for error, spread in zip(errors, spreads, strict=True))
    print(f"{path.stem}: explains {shares} of the variance of unseen rows")
    mlp_to_onnx(pipeline, outputs, path, names)
