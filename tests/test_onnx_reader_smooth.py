"""Smooth activations as exporters write them, by the functions that they are made of, against onnxruntime."""

import numpy as np
import pytest
from onnx.helper import make_node as node
from onnx_models import assert_agrees, make_model, weights

from pyomo_relugrad.errors import NetworkValueError, UnsupportedOperatorError
from pyomo_relugrad.readers.onnx import load_onnx

ROOT = np.float32(np.sqrt(2.0))
CONSTANTS = {
    **{name: np.float32(value) for name, value in {"one": 1, "half": 0.5, "two": 2, "three": 3, "twenty": 20}.items()},
    "root": ROOT,
    "cubic": np.float32(0.044715),
    "scale": np.float32(np.sqrt(2.0 / np.pi)),
    "fast": np.float32(1.702),
    "w": weights(0, 4, 6),
    "v": weights(1, 6, 2),
    "one_third": np.float32(1 / 3),
}


def chain(*steps):
    """Nodes from `z` to `a`: each step is an operator and its inputs; `_` is what the step before computes."""
    nodes = []
    for index, (operator, *inputs) in enumerate(steps):
        before, own = f"t{index - 1}", "a" if index == len(steps) - 1 else f"t{index}"
        nodes.append(node(operator, [before if name == "_" else name for name in inputs], [own]))
    return nodes


GELU = chain(("Div", "z", "root"), ("Erf", "_"), ("Add", "_", "one"), ("Mul", "z", "_"), ("Mul", "_", "half"))
HALVED_GELU = chain(("Div", "z", "root"), ("Erf", "_"), ("Add", "one", "_"), ("Mul", "_", "half"), ("Mul", "_", "z"))
INNER = [("Mul", "_", "cubic"), ("Add", "z", "_"), ("Mul", "_", "scale"), ("Tanh", "_"), ("Add", "_", "one")]
CASES = {
    "silu": (chain(("Sigmoid", "z"), ("Mul", "z", "_")), ("silu",)),
    "fast gelu": (chain(("Mul", "z", "fast"), ("Sigmoid", "_"), ("Mul", "_", "z")), ("silu",)),
    "gelu": (GELU, ("gelu",)),
    "gelu, halved before": (HALVED_GELU, ("gelu",)),
    "gelu by cubes": (
        chain(("Pow", "z", "three"), *INNER, ("Mul", "z", "_"), ("Mul", "_", "half")),
        ("gelutanh",),
    ),
    "gelu by products": (
        [
            node("Mul", ["z", "z"], ["s"]),
            node("Mul", ["s", "z"], ["c"]),
            node("Mul", ["z", "half"], ["h"]),
            *chain(("Identity", "c"), *INNER, ("Mul", "h", "_")),
        ],
        ("gelutanh",),
    ),
    "mish": (chain(("Softplus", "z"), ("Tanh", "_"), ("Mul", "z", "_")), ("mish",)),
    "silu by tanh": (chain(("Tanh", "z"), ("Add", "_", "one"), ("Mul", "z", "_")), ("silu",)),
    "gate with a shift": (chain(("Sigmoid", "z"), ("Add", "_", "two"), ("Mul", "z", "_")), ("silu",)),
    "square": (chain(("Mul", "z", "z")), ("square",)),
    "softplus, cut off": (
        [
            node("Greater", ["z", "twenty"], ["c"]),
            node("Softplus", ["z"], ["s"]),
            node("Where", ["c", "z", "s"], ["a"]),
        ],
        ("softplus",),
    ),
    "softplus of a multiple, cut off": (
        [
            node("Mul", ["z", "three"], ["m"]),
            node("Greater", ["m", "twenty"], ["c"]),
            node("Softplus", ["m"], ["s"]),
            node("Mul", ["s", "one_third"], ["d"]),
            node("Where", ["c", "z", "d"], ["a"]),
        ],
        ("softplus",),
    ),
}


def model_of(nodes):
    """A dense layer, the activation, a ReLU and another dense layer."""
    used = {name for own in nodes for name in own.input}
    stored = {name: value for name, value in CONSTANTS.items() if name in used | {"w", "v", "half"}}
    ends = [node("Sub", ["a", "half"], ["n"]), node("Relu", ["n"], ["r"]), node("MatMul", ["r", "v"], ["y"])]
    return make_model([node("MatMul", ["x", "w"], ["z"]), *nodes, *ends], ("N", 4), stored)


@pytest.mark.parametrize("name", CASES)
def test_activations_by_their_parts(name):
    nodes, expected = CASES[name]
    network = assert_agrees(model_of(nodes))
    assert network.smooth_activations == expected
    assert network.widths == (6, 6)


@pytest.mark.parametrize(
    "nodes",
    [
        chain(("Sigmoid", "z"), ("Add", "_", "z"), ("Mul", "_", "z")),
        chain(("Relu", "z"), ("Sigmoid", "_"), ("Mul", "_", "z")),
        chain(("Tanh", "z"), ("Tanh", "_"), ("Mul", "_", "z")),
    ],
)
def test_other_products_are_not_taken_for_activations(nodes):
    network = assert_agrees(model_of(nodes))
    assert "square" in network.smooth_activations
    assert not {"silu", "gelu", "mish"} & set(network.smooth_activations)


def test_choice_that_is_no_activation_is_refused():
    nodes = [
        node("Greater", ["z", "three"], ["c"]),
        node("Softplus", ["z"], ["s"]),
        node("Where", ["c", "z", "s"], ["a"]),
    ]
    with pytest.raises(UnsupportedOperatorError, match="Where chooses by a comparison"):
        load_onnx(model_of(nodes))


def test_relu_after_what_may_be_negative():
    """A tanh is not taken for something that is never negative, a sigmoid is."""
    nodes = [node("Tanh", ["z"], ["t"]), node("Relu", ["t"], ["a"])]
    assert assert_agrees(model_of(nodes)).widths == (6, 6, 6)
    nodes = [node("Sigmoid", ["z"], ["t"]), node("Relu", ["t"], ["a"])]
    assert assert_agrees(model_of(nodes)).widths == (6, 6)


def test_softmax_over_batches_of_fixed_size():
    nodes = [node("MatMul", ["x", "v"], ["s"]), node("Softmax", ["s"], ["y"], axis=1)]
    network = assert_agrees(make_model(nodes, (3, 6), {"v": weights(1, 6, 4)}))
    assert (network.n_inputs, network.n_outputs) == (6, 4)
    assert network.value(np.ones((1, 6))).sum() == pytest.approx(1.0)


def test_softmax_of_two_is_a_logistic_function():
    nodes = [node("MatMul", ["x", "v"], ["s"]), node("Softmax", ["s"], ["y"])]
    assert assert_agrees(make_model(nodes, ("N", 6), {"v": weights(1, 6, 2)})).smooth_activations == ("sigmoid",)


def test_masked_softmax_is_refused():
    nodes = [node("Add", ["x", "mask"], ["m"]), node("Softmax", ["m"], ["y"])]
    with pytest.raises(NetworkValueError, match=r"Softmax\): a constant .* infinite"):
        load_onnx(make_model(nodes, ("N", 3), {"mask": np.array([0, 0, -np.inf], np.float32)}))
