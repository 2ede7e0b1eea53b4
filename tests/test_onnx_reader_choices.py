"""Functions of several pieces, written by comparisons, Where, Sign and masks, against onnxruntime.

What is continuous is read; what is refused does jump.
"""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx_models import assert_agrees, evaluate, make_model, weights

from pyomo_relugrad.errors import UnsupportedOperatorError
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node
FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64
STORED = {
    name: np.float32(value)
    for name, value in {"zero": 0, "half": 0.5, "minus": -0.5, "tenth": 0.1, "one": 1, "m_one": -1, "three": 3}.items()
}
CORNERS = np.float32([[0.5, -0.5, 0.0, 1.0], [-1.0, -3.0, 3.0, 0.1], [0.50001, -0.49999, 1e-6, -1e-6]])

CONTINUOUS = {
    "soft shrinkage": [
        node("Greater", ["x", "half"], ["g"]), node("Less", ["x", "minus"], ["l"]),
        node("Sub", ["x", "half"], ["p"]), node("Add", ["x", "half"], ["q"]),
        node("Where", ["l", "q", "zero"], ["inner"]), node("Where", ["g", "p", "inner"], ["y"])],
    "soft shrinkage by Sign": [
        node("Abs", ["x"], ["a"]), node("Greater", ["a", "half"], ["g"]), node("Sign", ["x"], ["s"]),
        node("Mul", ["s", "half"], ["h"]), node("Sub", ["x", "h"], ["d"]), node("Where", ["g", "d", "zero"], ["y"])],
    "soft shrinkage as sign times relu": [
        node("Abs", ["x"], ["a"]), node("Sub", ["a", "half"], ["d"]), node("Relu", ["d"], ["r"]),
        node("Sign", ["x"], ["s"]), node("Mul", ["s", "r"], ["y"])],
    "hard tanh": [
        node("Greater", ["x", "one"], ["g"]), node("Less", ["x", "m_one"], ["l"]),
        node("Where", ["l", "m_one", "x"], ["i"]), node("Where", ["g", "one", "i"], ["y"])],
    "hard tanh by And": [
        node("LessOrEqual", ["x", "one"], ["a"]), node("GreaterOrEqual", ["x", "m_one"], ["b"]),
        node("And", ["a", "b"], ["in"]), node("Sign", ["x"], ["s"]), node("Where", ["in", "x", "s"], ["y"])],
    "a ReLU in a branch": [
        node("Greater", ["x", "zero"], ["g"]), node("Relu", ["x"], ["r"]), node("Mul", ["x", "tenth"], ["t"]),
        node("Where", ["g", "r", "t"], ["y"])],
    "hat": [
        node("Less", ["x", "zero"], ["g"]), node("Add", ["x", "one"], ["a"]), node("Relu", ["a"], ["ra"]),
        node("Sub", ["one", "x"], ["b"]), node("Relu", ["b"], ["rb"]), node("Where", ["g", "ra", "rb"], ["y"])],
    "x sign(x)": [node("Sign", ["x"], ["s"]), node("Mul", ["x", "s"], ["y"])],
    "x (2 (x > 0) - 1)": [
        node("Greater", ["x", "zero"], ["g"]), node("Cast", ["g"], ["m"], to=FLOAT), node("Add", ["m", "m"], ["t"]),
        node("Sub", ["t", "one"], ["s"]), node("Mul", ["x", "s"], ["y"])],
    "Where with Sign as its branch": [
        node("Greater", ["x", "zero"], ["g"]), node("Sign", ["x"], ["s"]), node("Mul", ["s", "x"], ["a"]),
        node("Neg", ["x"], ["n"]), node("Where", ["g", "a", "n"], ["y"])],
    "leaky by two masks": [
        node("Greater", ["x", "zero"], ["g"]), node("Not", ["g"], ["l"]), node("Cast", ["g"], ["p"], to=FLOAT),
        node("Cast", ["l"], ["q"], to=FLOAT), node("Mul", ["q", "tenth"], ["qt"]), node("Add", ["p", "qt"], ["s"]),
        node("Mul", ["x", "s"], ["y"])],
    "mask by way of integers": [
        node("Less", ["x", "zero"], ["l"]), node("Cast", ["l"], ["i"], to=INT64), node("Cast", ["i"], ["b"], to=BOOL),
        node("Cast", ["b"], ["f"], to=FLOAT), node("Mul", ["f", "x"], ["y"])],
    "mask that is moved": [
        node("Greater", ["x", "zero"], ["g"]), node("Transpose", ["g"], ["t"]), node("Unsqueeze", ["t", "k"], ["u"]),
        node("Reshape", ["u", "shape"], ["r"]), node("Where", ["r", "x", "zero"], ["y"])],
    "masks that are put together": [
        node("Greater", ["x", "zero"], ["g"]), node("Split", ["g"], ["a", "b"], axis=1),
        node("Concat", ["a", "b"], ["c"], axis=1), node("Where", ["c", "x", "zero"], ["y"])],
    "exclusive or": [
        node("Greater", ["x", "zero"], ["a"]), node("Greater", ["x", "three"], ["b"]), node("Xor", ["a", "b"], ["e"]),
        node("Sub", ["three", "x"], ["d"]), node("Where", ["b", "d", "zero"], ["w"]),
        node("Where", ["e", "zero", "w"], ["y"])],
    "not equal": [
        node("Equal", ["x", "zero"], ["e"]), node("Not", ["e"], ["n"]), node("Where", ["n", "x", "zero"], ["y"])],
    "dense layer before": [
        node("MatMul", ["x", "weight"], ["h"]), node("Relu", ["h"], ["r"]), node("MatMul", ["r", "weight"], ["z"]),
        node("Less", ["z", "zero"], ["g"]), node("Mul", ["z", "tenth"], ["t"]), node("Relu", ["z"], ["rz"]),
        node("Where", ["g", "t", "rz"], ["c"]), node("MatMul", ["c", "weight"], ["y"])],
    "largest of two": [
        node("MatMul", ["x", "weight"], ["h"]), node("Greater", ["x", "h"], ["g"]),
        node("Where", ["g", "x", "h"], ["y"])],
    "choices of different variables in one tensor": [
        node("Greater", ["x", "zero"], ["g"]), node("Where", ["fixed", "x", "one"], ["a"]),
        node("Where", ["fixed", "zero", "one"], ["b"]), node("Where", ["g", "a", "b"], ["y"])],
    "what is not a number": [
        node("Relu", ["x"], ["r"]), node("IsNaN", ["r"], ["n"]), node("Where", ["n", "three", "r"], ["w"]),
        node("IsNaN", ["x"], ["a"]), node("Not", ["a"], ["b"]), node("Cast", ["b"], ["f"], to=FLOAT),
        node("Mul", ["w", "f"], ["y"])],
    "numbers beyond all limits": [
        node("Greater", ["x", "zero"], ["g"]), node("Where", ["g", "x", "zero"], ["r"]), node("IsInf", ["r"], ["i"]),
        node("And", ["i", "g"], ["p"]), node("Where", ["p", "three", "r"], ["y"])],
    "divided": [
        node("Sign", ["x"], ["s"]), node("Div", ["s", "three"], ["d"]), node("Neg", ["d"], ["n"]),
        node("Mul", ["x", "n"], ["y"])],
}  # fmt: skip
MORE = {
    "weight": weights(0, 4, 4),
    "k": np.array([0]),
    "shape": np.array([1, 4]),
    "fixed": np.array([True, True, False, True]),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_choices_are_read(name):
    model = make_model(CONTINUOUS[name], (1, 4), STORED | MORE)
    network = load_onnx(model)
    assert_agrees(model, network, np.concatenate([3 * weights(1, 30, 4), CORNERS]))


@pytest.mark.parametrize("signs", [{}, {"detect_positive": 0}, {"detect_negative": 0}])
def test_infinite_constants_are_told_from_numbers(signs):
    limits = {"limits": np.float32([[np.inf, -np.inf]]), "is_limit": np.arange(6)[None] > 3, **STORED}
    nodes = [
        node("Concat", ["x", "limits"], ["c"], axis=1), node("IsInf", ["c"], ["i"], **signs),
        node("Cast", ["i"], ["f"], to=FLOAT), node("Where", ["is_limit", "f", "c"], ["y"]),
    ]  # fmt: skip
    assert_agrees(make_model(nodes, (1, 4), limits))


@pytest.mark.parametrize(
    ("name", "relus"), [("soft shrinkage", 8), ("hard tanh", 8), ("a ReLU in a branch", 4), ("hat", 12)]
)
def test_choices_take_few_relus(name, relus):
    assert load_onnx(make_model(CONTINUOUS[name], (1, 4), STORED | MORE)).n_relus == relus


JUMPING = {
    "step": ([node("Sign", ["x"], ["y"], name="last")], "Sign"),
    "mask": ([node("Greater", ["x", "half"], ["g"]), node("Where", ["g", "x", "zero"], ["y"], name="last")], "Where"),
    "value at one point": (
        [node("Equal", ["x", "half"], ["g"]), node("Where", ["g", "zero", "x"], ["y"], name="last")],
        "Where",
    ),
    "zero at one point alone": (
        [node("Sign", ["x"], ["s"]), node("Mul", ["s", "s"], ["y"], name="last")],
        "Mul",
    ),
    "before a layer": (
        [
            node("Greater", ["x", "half"], ["g"]),
            node("Where", ["g", "x", "zero"], ["w"], name="last"),
            node("MatMul", ["w", "w0"], ["y"]),
        ],
        "Where",
    ),
}


@pytest.mark.parametrize("name", JUMPING)
def test_choices_that_jump_are_refused_by_name(name):
    nodes, operator = JUMPING[name]
    with pytest.raises(UnsupportedOperatorError, match=f"node 'last': {operator} jumps .* not continuous") as error:
        load_onnx(make_model(nodes, (1, 4), STORED | {"w0": weights(0, 4, 4)}))
    assert (error.value.node, error.value.operator) == ("last", operator)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (
            [
                node("MatMul", ["x", "weight"], ["h"]),
                node("Greater", ["h", "zero"], ["g"]),
                node("Where", ["g", "x", "zero"], ["y"]),
            ],
            "Where chooses by a comparison .* cannot be seen to be continuous: write",
        ),
        (
            [
                node("MatMul", ["x", "weight"], ["h"]),
                node("Greater", ["h", "zero"], ["g"]),
                node("Greater", ["x", "zero"], ["l"]),
                node("And", ["g", "l"], ["a"]),
                node("Where", ["a", "x", "zero"], ["y"]),
            ],
            "And combines comparisons of several variables",
        ),
        ([node("Where", ["x", "x", "x"], ["y"])], "numbers that depend on the network's input for truth values"),
        ([node("Greater", ["x", "zero"], ["y"])], "an output is the outcome of a comparison"),
        ([node("Greater", ["x", "zero"], ["g"]), node("ReduceSum", ["g"], ["y"])], "the outcome of a comparison"),
    ],
)  # fmt: skip
def test_other_refusals(nodes, reason):
    with pytest.raises(ValueError, match=reason):
        load_onnx(make_model(nodes, (1, 4), STORED | MORE))


class RandomChoices:
    """The nodes of a random function of one variable, whose constants are few powers of two."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.stored = [], {}
        self.nodes.append(node("Identity", [self.number(3)], ["y"]))

    def model(self):
        inputs = helper.make_tensor_value_info("x", TensorProto.DOUBLE, ("N", 1))
        return make_model(self.nodes, ("N", 1), self.stored, kind=inputs.type.tensor_type.elem_type)

    def add(self, operator, *inputs, **attributes):
        self.nodes.append(node(str(operator), list(inputs), [f"t{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def constant(self, values=(-2.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0)):
        name = f"c{len(self.stored)}"
        self.stored[name] = np.array(self.rng.choice(values))
        return name

    def number(self, depth):
        rng = self.rng
        if depth <= 0:
            return "x" if rng.random() < 0.75 else self.constant()
        kind = rng.integers(9)
        if kind < 2:
            return self.add(rng.choice(["Add", "Sub"]), self.number(depth - 1), self.number(depth - 2))
        if kind == 2:
            return self.add(rng.choice(["Relu", "Abs", "Neg"]), self.number(depth - 1))
        if kind == 3:
            return self.add(rng.choice(["Max", "Min"]), self.number(depth - 1), self.constant())
        if kind == 4:
            inner = self.number(depth - 1)
            return self.add("Mul", inner, self.add("Sign", inner))
        if kind == 5:
            mask = self.add("Cast", self.truth(depth - 1), to=TensorProto.DOUBLE)
            return self.add("Mul", mask, self.number(depth - 1))
        if kind == 6:
            return self.add("Where", self.truth(depth), self.number(depth - 1), self.number(depth - 1))
        return self.meeting(depth)

    def meeting(self, depth):
        """Two slopes that meet where the comparison changes."""
        inner, place, value = self.number(depth - 1), self.constant(), self.number(depth - 2)
        distance = self.add("Sub", inner, place)
        sides = []
        for _ in range(2):
            side = self.add("Relu", distance) if self.rng.random() < 0.3 else distance
            sides.append(self.add("Add", self.add("Mul", side, self.constant((-1.0, 0.0, 0.5, 2.0))), value))
        return self.add("Where", self.compared(inner, place), *sides)

    def compared(self, left, right):
        return self.add(self.rng.choice(["Greater", "Less", "GreaterOrEqual", "LessOrEqual"]), left, right)

    def truth(self, depth):
        if self.rng.random() < 0.7 or depth <= 0:
            return self.compared(self.number(depth - 1), self.number(depth - 2))
        return self.add(self.rng.choice(["And", "Or", "Xor"]), self.truth(depth - 1), self.truth(depth - 1))


def check_random_choice(seed):
    """Outcome of one random function: its values are right, or its refusal is."""
    model = RandomChoices(seed).model()
    step = 2.0**-6
    grid = np.arange(-6.0, 6.0, step)
    points = np.sort(np.concatenate([grid - 1e-7, grid, grid + 1e-7]))[:, None]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = np.broadcast_to(session.run(None, {"x": points})[0], points.shape)
    try:
        network = load_onnx(model)
    except UnsupportedOperatorError as error:
        refused = next((n for n in model.graph.node if error.node in (n.name, n.output[0])), None)
        assert refused is not None
        return "refused"
    assert np.allclose(network.value(points), expected, rtol=1e-9, atol=1e-9), seed
    return "read"


def test_random_choices():
    outcomes = [check_random_choice(seed) for seed in range(25)]
    assert outcomes.count("read") > 12


@pytest.mark.slow
def test_many_random_choices():
    for seed in range(1000, 1060):
        check_random_choice(seed)


@pytest.mark.parametrize("name", ["leaky", "three pieces"])
def test_convolutions_are_not_carried_past_choices(name):
    """Later layers read the ReLUs alone, as after a LeakyRelu: what they stand for would fill up sparse maps."""
    last = {
        "leaky": [node("Mul", ["h", "tenth"], ["t"]), node("Where", ["g", "h", "t"], ["y"])],
        "three pieces": [
            node("Mul", ["h", "three"], ["t"]), node("Where", ["g", "h", "t"], ["w"]),
            node("Less", ["h", "one"], ["l"]), node("Mul", ["h", "minus"], ["n"]),
            node("Add", ["n", "tenth"], ["p"]), node("Add", ["p", "half"], ["q"]), node("Add", ["q", "half"], ["r"]),
            node("Sub", ["r", "tenth"], ["s"]), node("Add", ["s", "half"], ["v"]),
            node("Where", ["l", "w", "v"], ["y"]),
        ],
    }  # fmt: skip
    nodes = [node("Conv", ["x", "k"], ["h"], pads=[1] * 4), node("Greater", ["h", "zero"], ["g"]), *last[name]]
    network = assert_agrees(make_model(nodes, (1, 2, 5, 6), STORED | {"k": weights(0, 3, 2, 3, 3)}))
    assert [layer.sources for layer in network.layers] == [(0,), (1,)]


def test_layers_that_nobody_reads_are_left_out():
    network = load_onnx(make_model(CONTINUOUS["a ReLU in a branch"], (1, 4), STORED))
    assert isinstance(network, Network)
    assert network.widths == (4,)
    model = make_model(CONTINUOUS["hard tanh"], (1, 4), STORED)
    assert np.allclose(evaluate(model, CORNERS), load_onnx(model).value(CORNERS))


@pytest.mark.parametrize("limit", [1e25, 3e38])
@pytest.mark.parametrize("comparison", ["Less", "GreaterOrEqual"])
def test_comparison_with_a_number_that_stands_for_no_limit(comparison, limit):
    nodes = [node(comparison, ["x", "limit"], ["t"]), node("Where", ["t", "half", "x"], ["y"])]
    assert_agrees(make_model(nodes, ("N", 3), STORED | {"limit": np.float32(limit)}))
    jump = [nodes[0], node("Where", ["t", "minus", "x"], ["w"]), node("Greater", ["x", "half"], ["g"])]
    if comparison == "Less":
        jump.append(node("Where", ["g", "half", "w"], ["y"]))
        with pytest.raises(UnsupportedOperatorError, match="jumps where its condition changes"):
            load_onnx(make_model(jump, ("N", 3), STORED | {"limit": np.float32(limit)}))


def test_comparison_with_no_limit_for_some():
    model = make_model(
        [node("Less", ["x", "limit"], ["t"]), node("Where", ["t", "x", "limit"], ["y"])],
        ("N", 2),
        {"limit": np.float32([1e30, 1])},
    )
    with pytest.raises(UnsupportedOperatorError, match="some elements with a number that none reaches"):
        load_onnx(model)


@pytest.mark.parametrize("before", [[], [node("AveragePool", ["v"], ["x"], kernel_shape=[3])]])
@pytest.mark.parametrize("limit", [-1e9, 1e9])
def test_a_limit_far_away_takes_no_digits(before, limit):
    """The sum of ReLUs begins beside zero, whether it carries its variable along or not."""
    bounded = node("Max" if limit < 0 else "Min", ["x", "limit"], ["b"])
    nodes = [*before, bounded, node("Sign", ["b"], ["s"]), node("Mul", ["b", "s"], ["y"])]
    name = "v" if before else "x"
    model = make_model(nodes, None, {"limit": np.float32(limit)}, inputs={name: (1, 1, 4)})
    points = np.float32([[-2e-6, 3e-7, -1e-7, 5e-7], [3.0, -2.0, 1e-3, 4.0], [-1e6, -1e6, -1e6, 2e6]])
    np.testing.assert_allclose(load_onnx(model).value(points), evaluate(model, points), rtol=1e-5, atol=1e-10)
