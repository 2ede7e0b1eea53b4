"""Each operator that the reader knows, in the forms of old and new operator sets, against onnxruntime."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import assert_agrees, evaluate, make_model, weights

from pyomo_relugrad.readers.onnx import load_onnx

IMAGE = (1, 4, 7, 6)
ABSENT = ""


def ints(*values):
    return np.array(values, np.int64)


def floats(*values):
    return np.array(values, np.float32)


def scalar(value):
    return np.array(value, np.float32)


def case(operator, inputs=(), shape=IMAGE, opset=17, n_outputs=1, **attributes):
    """Parameters of one test: the operator on `x` and on further inputs that are stored in the file."""
    return pytest.param(operator, inputs, shape, opset, n_outputs, attributes, id=f"{operator}-{opset}")


KERNEL = weights(0, 6, 4, 3, 3)
BIAS = weights(1, 6)
BACKWARD = weights(0, 4, 5, 3, 3)
STATISTICS = (weights(0, 4), weights(1, 4), weights(2, 4), abs(weights(3, 4)))

CONVOLUTIONS = [
    *(case("Conv", (KERNEL, BIAS), opset=v, pads=[1, 1, 1, 1], strides=[2, 1]) for v in (7, 11, 17, 22)),
    case("Conv", (KERNEL,), shape=("N", 4, 7, 6)),
    case("Conv", (weights(0, 6, 2, 3, 3), BIAS), group=2, dilations=[2, 1]),
    case("Conv", (weights(0, 8, 1, 3, 3),), group=4, auto_pad="SAME_UPPER", strides=[2, 2]),
    case("Conv", (weights(0, 6, 4, 2, 2),), auto_pad="SAME_LOWER"),
    case("Conv", (weights(0, 6, 4, 2, 2),), auto_pad="VALID"),
    case("Conv", (weights(0, 5, 3, 3), weights(1, 5)), shape=(1, 3, 9), pads=[2, 0]),
    case("Conv", (weights(0, 2, 2, 2, 2, 2),), shape=(1, 2, 4, 4, 4)),
    case("Conv", (weights(0, 5, 3, 3), weights(1, 5)), shape=(2, 3, 9), pads=[2, 0]),
    case("ConvTranspose", (BACKWARD, weights(1, 5)), strides=[2, 2], pads=[1, 1, 0, 1], output_padding=[1, 0]),
    case("ConvTranspose", (BACKWARD,), group=2, dilations=[2, 1], strides=[2, 3]),
    case("ConvTranspose", (BACKWARD,), strides=[2, 2], output_shape=[14, 12]),
    case("ConvTranspose", (BACKWARD,), strides=[2, 2], auto_pad="SAME_UPPER"),
    case("ConvTranspose", (BACKWARD,), strides=[2, 2], auto_pad="SAME_LOWER"),
    case("ConvTranspose", (weights(0, 4, 5, 3),), shape=(1, 4, 5), strides=[2]),
]

POOLING = [
    *(case("AveragePool", opset=v, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0]) for v in (7, 10, 11, 19)),
    *(
        case("AveragePool", opset=v, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], count_include_pad=1)
        for v in (7, 11, 19)
    ),
    *(
        case("AveragePool", opset=v, kernel_shape=[3, 3], strides=[2, 2], pads=pads, ceil_mode=1, count_include_pad=c)
        for v in (10, 19, 22)
        for pads in ([0, 0, 0, 0], [1, 1, 1, 1])
        for c in (0, 1)
    ),
    case("AveragePool", shape=(1, 2, 6, 8), kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1, pads=[1, 1, 1, 1]),
    case("AveragePool", opset=19, kernel_shape=[3, 2], dilations=[2, 2]),
    case("AveragePool", kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
    *(case("MaxPool", opset=v, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]) for v in (7, 8, 11, 12, 22)),
    case("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("MaxPool", kernel_shape=[2, 3], dilations=[2, 1]),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    case("MaxPool", shape=(1, 2, 6, 8), kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1, pads=[1, 1, 1, 1]),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
    case("MaxPool", shape=(1, 2, 9), kernel_shape=[4], strides=[3]),
    case("GlobalMaxPool"),
    case("GlobalAveragePool"),
]

REDUCTIONS = [
    *(
        case(operator, opset=v, axes=[1, 3], keepdims=v % 2)
        for operator in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1")
        for v in (7, 12, 17)
    ),
    *(
        case(operator, (ints(1, -1),), opset=v, keepdims=v % 2)
        for operator in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceSum")
        for v in (18, 23)
    ),
    case("ReduceSum", opset=7, axes=[2]),
    case("ReduceMean", opset=13, keepdims=0),
    case("ReduceSum", opset=13, noop_with_empty_axes=1),
    case("ReduceSum", (ints(),), opset=13),
]

PLAIN = [
    case(operator, opset=v)
    for operator in (
        *("Relu", "Abs", "Neg", "Identity", "Flatten", "Transpose", "Dropout", "Sum", "Mean", "Max", "Min"),
        *("HardSigmoid", "LeakyRelu", "Squeeze"),
    )
    for v in (7, 13, 23)
]

ACTIVATIONS = [
    case("LeakyRelu", alpha=0.3),
    case("LeakyRelu", alpha=-2.0),
    case("LeakyRelu", alpha=0.0),
    case("HardSigmoid", alpha=0.3, beta=0.1),
    case("Clip", opset=7, min=-0.5, max=0.7),
    case("Clip", opset=7, min=-0.5),
    case("Clip", opset=7, max=0.7),
    case("Clip", opset=7),
    case("Clip", opset=7, min=-3.4028234663852886e38, max=3.4028234663852886e38),
    case("Clip", (scalar(-0.5), scalar(0.5)), opset=13),
    case("Clip", (ABSENT, scalar(0.5)), opset=13),
    case("Clip", (scalar(-np.inf), scalar(np.inf)), opset=13),
    case("Clip", (scalar(1.0), scalar(0.5)), opset=13),
    case("PRelu", (weights(0, 4, 1, 1),)),
    case("PRelu", (weights(0, 1, 1, 1),), opset=7),
    case("PRelu", (weights(0, 6),)),
    case("ThresholdedRelu", alpha=0.0),
    case("Shrink", lambd=0.5, bias=0.5),
]

SMOOTH = [
    *(case(operator, shape=(1, 5), opset=17) for operator in ("Erf", "Sigmoid", "Softplus", "Softsign", "Tanh")),
    *(case(operator, shape=("N", 5), opset=13) for operator in ("Celu", "Elu", "Selu")),
    case("Celu", shape=(1, 5), alpha=2.0),
    case("Elu", shape=(1, 5), alpha=0.5),
    case("Elu", shape=(1, 5), alpha=0.0),
    case("Selu", shape=(1, 5), alpha=0.5, gamma=2.0),
    case("HardSwish", shape=(1, 5)),
    case("Mish", shape=(1, 5), opset=18),
    case("Gelu", shape=(1, 5), opset=20),
    case("Gelu", shape=(1, 5), opset=20, approximate="tanh"),
    *(case(operator, shape=(1, 3, 4), opset=v) for operator in ("Softmax", "LogSoftmax") for v in (11, 13)),
    case("Softmax", shape=(1, 2, 3), axis=1),
    case("Softmax", shape=(1, 3, 4), opset=11, axis=2),
    case("Softmax", shape=(2, 1)),
    case("ReduceLogSumExp", shape=(1, 3, 4), opset=13, axes=[1]),
    case("ReduceLogSumExp", (ints(2),), shape=(1, 3, 4), opset=18, keepdims=0),
    case("Pow", (scalar(2),), shape=(1, 5)),
    case("Pow", (scalar(3),), shape=(1, 5)),
]

MOVEMENT = [
    case("Pad", opset=7, pads=[0, 0, 1, 2, 0, 0, 1, 0], value=1.5),
    case("Pad", opset=7, pads=[0, 0, 1, 2, 0, 0, 1, 0], mode="reflect"),
    case("Pad", opset=9, pads=[0, 0, 1, -2, 0, 0, 1, 0], mode="edge"),
    case("Pad", (ints(0, 0, 1, 2, 0, 0, 1, 0), scalar(2)), opset=13),
    case("Pad", (ints(0, 0, -1, 2, 0, 0, -1, 0),), opset=13),
    case("Pad", (ints(1, 1), scalar(2), ints(3)), opset=18),
    case("Pad", (ints(0, 0, 1, 2, 0, 0, 1, 0),), opset=19, mode="wrap"),
    case("Slice", opset=7, axes=[2, 3], starts=[1, -3], ends=[5, 100]),
    case("Slice", (ints(-1), ints(-100), ints(3), ints(-2)), opset=10),
    case("Gather", (ints(2, 0, -1),), opset=13, axis=1),
    case("Gather", (np.array(2),), opset=7, axis=1),
    case("GatherND", (np.array([[0, 1], [0, 3]]),), opset=13),
    case("GatherElements", (np.zeros((1, 4, 7, 2), np.int64),), opset=13, axis=3),
    case("Split", opset=7, n_outputs=2, axis=1),
    case("Split", opset=7, n_outputs=2, axis=1, split=[1, 3]),
    case("Split", (ints(1, 3),), opset=13, n_outputs=2, axis=1),
    case("Split", opset=18, n_outputs=2, axis=2, num_outputs=2),
    case("Tile", (ints(1, 2, 1, 1),), opset=7),
    case("Expand", (ints(3, 1, 5),), shape=(1, 4, 1), opset=13),
    case("DepthToSpace", opset=7, blocksize=2),
    case("DepthToSpace", opset=11, blocksize=2, mode="CRD"),
    case("SpaceToDepth", shape=(1, 2, 4, 6), opset=7, blocksize=2),
    case("Squeeze", opset=7, axes=[0]),
    case("Squeeze", (ints(0),), opset=13),
    case("Unsqueeze", opset=7, axes=[0, 5]),
    case("Unsqueeze", (ints(0, -1),), opset=13),
    case("Reshape", (ints(0, -1),), opset=7),
    case("Reshape", (ints(1, -1),), opset=14, allowzero=1),
    case("Transpose", perm=[0, 3, 1, 2]),
    case("Flatten", axis=2),
    case("ScatterND", (np.array([[0, 1]]), weights(0, 1, 7, 6)), opset=13),
    case("ScatterElements", (np.zeros((1, 1, 1, 1), np.int64), weights(0, 1, 1, 1, 1)), opset=13, axis=1),
    case("Scatter", (np.zeros((1, 1, 1, 1), np.int64), weights(0, 1, 1, 1, 1)), opset=9, axis=1),
    case("Trilu", opset=14),
    case("Compress", (np.array([True, False, True]),), opset=9, axis=2),
    case("ReverseSequence", (ints(1, 2, 3),), shape=(4, 3), opset=10),
    case("CenterCropPad", (ints(5, 8),), opset=18, axes=[2, 3]),
]

BY_EVALUATION = [
    case("CumSum", (np.array(2),), opset=14),
    case("Einsum", (weights(0, 4, 5),), shape=(1, 3, 4), opset=12, equation="bij,jk->bki"),
    case("ScatterElements", (np.zeros((1, 1, 1, 1), np.int64), weights(0, 1, 1, 1, 1)), opset=16, reduction="add"),
]

RESIZING = [
    case("Upsample", opset=7, scales=[1.0, 1.0, 2.0, 3.0]),
    case("Upsample", opset=7, mode="linear", scales=[1.0, 1.0, 2.0, 2.0]),
    case("Upsample", (floats(1, 1, 2, 1.5),), opset=9),
    case("Resize", (floats(1, 1, 2, 1.5),), opset=10),
    case("Resize", (floats(1, 1, 2, 0.5),), opset=10, mode="linear"),
    *(
        case("Resize", inputs, opset=v, mode=mode, coordinate_transformation_mode=coordinates)
        for v, none in ((11, floats()), (13, ABSENT), (19, ABSENT))
        for coordinates in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
        for mode in ("nearest", "linear", "cubic")
        for inputs in ((none, floats(1, 1, 2, 0.6)), (none, none, ints(1, 4, 14, 5)))
    ),
    case("Resize", (ABSENT, floats(2, 2)), opset=18, mode="linear", axes=[2, 3]),
    case("Resize", (ABSENT, floats(1, 1, 0.5, 0.5)), opset=18, mode="linear", antialias=1),
    case("Resize", (ABSENT, floats(1, 1, 2, 2)), opset=13, mode="nearest", nearest_mode="ceil"),
    case(
        "Resize",
        (floats(0, 0, 0.1, 0.2, 1, 1, 0.8, 0.9), ABSENT, ints(1, 4, 5, 5)),
        opset=13,
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
    ),
]

ARITHMETIC = [
    *(
        case(operator, (constant,), shape=shape, opset=v)
        for operator in ("Add", "Sub", "Mul", "Div")
        for constant, shape in ((weights(0, 4, 1, 1), IMAGE), (weights(0, 3, 1), (4,)))
        for v in (7, 13)
    ),
    *(case("BatchNormalization", STATISTICS, opset=v, epsilon=1e-3) for v in (7, 9, 14, 15)),
    case("BatchNormalization", STATISTICS, shape=("N", 4)),
    case("Max", (scalar(0.3), weights(0, 6))),
    case("Min", (weights(0, 6),)),
    case("Sum", (weights(0, 6), scalar(2))),
    case("Mean", (weights(0, 6), scalar(2))),
    case("MatMul", (weights(0, 5, 3),), shape=(1, 5)),
    case("MatMul", (weights(0, 5, 3),), shape=(5,)),
    case("MatMul", (weights(0, 5, 3),), shape=(1, 4, 5)),
    case("MatMul", (weights(0, 5),), shape=(1, 4, 5)),
    case("MatMul", (weights(0, 2, 5, 3),), shape=(2, 4, 5)),
    case("MatMul", (weights(0, 2, 5, 3),), shape=(4, 5)),
]

ALL = [
    *(
        *CONVOLUTIONS,
        *POOLING,
        *REDUCTIONS,
        *PLAIN,
        *ACTIVATIONS,
        *SMOOTH,
        *MOVEMENT,
        *BY_EVALUATION,
        *RESIZING,
        *ARITHMETIC,
    )
]


@pytest.mark.parametrize(("operator", "inputs", "shape", "opset", "n_outputs", "attributes"), ALL)
def test_operator_agrees_with_onnxruntime(operator, inputs, shape, opset, n_outputs, attributes):
    stored = {f"c{i}": array for i, array in enumerate(inputs) if not isinstance(array, str)}
    names = [f"c{i}" if not isinstance(array, str) else "" for i, array in enumerate(inputs)]
    outputs = [f"y{i}" for i in range(n_outputs)]
    node = helper.make_node(operator, ["x", *names], outputs, **attributes)
    assert_agrees(make_model([node], shape, stored, outputs=outputs, opset=opset))


@pytest.mark.parametrize(("operator", "inputs", "shape", "opset", "n_outputs", "attributes"), CONVOLUTIONS + POOLING)
def test_operator_agrees_inside_a_network(operator, inputs, shape, opset, n_outputs, attributes):
    """Between affine and ReLU nodes: expressions of several sources, and positions that are not the identity."""
    stored = {f"c{i}": array for i, array in enumerate(inputs)}
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Sub", ["x", "r"], ["d"]),
        helper.make_node("Sum", ["d", "r", "x"], ["s"]),
        helper.make_node(operator, ["s", *stored], ["o"], **attributes),
        helper.make_node("LeakyRelu", ["o"], ["y"]),
    ]
    assert_agrees(make_model(nodes, shape, stored, opset=opset))


def test_weight_on_either_side_of_a_matrix_product():
    nodes = [helper.make_node("MatMul", ["w", "x"], ["h"]), helper.make_node("Gemm", ["u", "h"], ["y"])]
    assert_agrees(make_model(nodes, (5, 1), {"w": weights(0, 4, 5), "u": weights(1, 3, 4)}))
    stacked = [helper.make_node("MatMul", ["w", "x"], ["y"])]
    assert_agrees(make_model(stacked, (5, 2), {"w": weights(0, 3, 4, 5)}))
    assert_agrees(make_model(stacked, (2, 5, 2), {"w": weights(0, 5)}))


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("side", [0, 1])
def test_gemm_in_all_orientations(trans_a, trans_b, side):
    """The variable matrix is (3, 4) or its transpose, on the left or on the right."""
    transposed = trans_b if side else trans_a
    shape = (4, 3) if transposed else (3, 4)
    rows = (5, 3) if side else (4, 5)
    stored = {"w": weights(0, *(rows[::-1] if (trans_a if side else trans_b) else rows)), "c": weights(1, 1, 1)}
    operands = ["w", "x", "c"] if side else ["x", "w", "c"]
    attributes = {"transA": trans_a, "transB": trans_b, "alpha": 0.5, "beta": -2.0}
    assert_agrees(make_model([helper.make_node("Gemm", operands, ["y"], **attributes)], shape, stored))


def test_gemm_adds_a_variable():
    nodes = [
        helper.make_node("Gemm", ["a", "b", "x"], ["g"], beta=0.5),
        helper.make_node("Relu", ["g"], ["y"]),
    ]
    assert_agrees(make_model(nodes, (3, 4), {"a": weights(0, 3, 2), "b": weights(1, 2, 4)}))


@pytest.mark.parametrize("comparison", ["Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
@pytest.mark.parametrize("negated", [False, True])
def test_where_on_a_comparison(comparison, negated):
    """``x if x > 1 else 3 x - 2`` and its relatives."""
    nodes = [
        helper.make_node(comparison, ["x", "one"], ["c"]),
        helper.make_node("Not" if negated else "Identity", ["c"], ["n"]) if negated else None,
        helper.make_node("Mul", ["x", "three"], ["m"]),
        helper.make_node("Sub", ["m", "two"], ["s"]),
        helper.make_node("Where", ["n" if negated else "c", "x", "s"], ["y"]),
    ]
    stored = {"one": scalar(1.0), "two": scalar(2.0), "three": scalar(3.0)}
    network = assert_agrees(make_model([node for node in nodes if node], ("N", 5), stored))
    assert network.n_relus == 5


@pytest.mark.parametrize(
    "cast", [helper.make_node("Cast", ["c"], ["mask"], to=1), helper.make_node("CastLike", ["c", "x"], ["mask"])]
)
def test_mask_times_tensor_is_a_relu(cast):
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["c"]),
        cast,
        helper.make_node("Mul", ["mask", "x"], ["y"]),
    ]
    assert assert_agrees(make_model(nodes, ("N", 5), {"zero": scalar(0.0)})).n_relus == 5


def test_where_with_a_constant_condition():
    nodes = [helper.make_node("Neg", ["x"], ["n"]), helper.make_node("Where", ["c", "x", "n"], ["y"])]
    assert_agrees(make_model(nodes, ("N", 3), {"c": np.array([True, False, True])}))


def test_positions_of_maxima_that_nobody_reads():
    nodes = [helper.make_node("MaxPool", ["x"], ["p", "i"], kernel_shape=[2]), helper.make_node("Relu", ["p"], ["y"])]
    assert_agrees(make_model(nodes, (1, 2, 6)))


class TestNumberOfRelus:
    """The rewriting takes as few ReLUs as it can."""

    @staticmethod
    def count(nodes, shape=(1, 6), stored=None):
        return assert_agrees(make_model(nodes, shape, stored)).widths

    def test_leaky_relu_takes_one(self):
        assert self.count([helper.make_node("LeakyRelu", ["x"], ["y"])]) == (6,)

    def test_relu6_after_a_relu_takes_one(self):
        nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Clip", ["r", "lo", "hi"], ["y"])]
        assert self.count(nodes, stored={"lo": scalar(0), "hi": scalar(6)}) == (6, 6)

    def test_relu_of_what_is_not_negative_takes_none(self):
        nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Relu", ["r"], ["y"])]
        assert self.count(nodes) == (6,)

    def test_clip_takes_two_in_one_layer(self):
        nodes = [helper.make_node("Clip", ["x", "lo", "hi"], ["y"])]
        assert self.count(nodes, stored={"lo": scalar(0), "hi": scalar(6)}) == (12,)

    def test_max_pool_takes_one_less_than_its_window(self):
        assert self.count([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3])], (1, 1, 3)) == (1, 1)

    def test_overlapping_windows_share_pairs(self):
        node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2])
        assert sum(self.count([node], (1, 1, 5, 5))) == 5 * 4 + 4 * 4

    def test_relus_move_behind_the_maximum(self):
        nodes = [
            helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1]),
            helper.make_node("ReduceMax", ["p"], ["y"], axes=[2, 3], keepdims=0),
        ]
        stored = {"k": weights(0, 2, 1, 3, 3)}
        assert sum(self.count(nodes, (1, 1, 4, 4), stored)) == 2 * (7 + 8 + 1)

    def test_relus_that_others_read_stay(self):
        nodes = [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2]),
            helper.make_node("ReduceSum", ["r"], ["s"]),
            helper.make_node("Add", ["p", "s"], ["y"]),
        ]
        assert self.count(nodes, (1, 1, 2)) == (2, 1)

    def test_maximum_with_a_constant_carries_nothing_along(self):
        network = assert_agrees(make_model([helper.make_node("Max", ["x", "c"], ["y"])], (1, 6), {"c": weights(0, 6)}))
        assert network.layers[-1].sources == (1,)


def test_residual_connection_is_a_source_not_an_identity():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Add", ["r", "x"], ["s"]),
        helper.make_node("Relu", ["s"], ["t"]),
        helper.make_node("Add", ["t", "r"], ["y"]),
    ]
    network = assert_agrees(make_model(nodes, ("N", 5), {"w": weights(0, 5, 5)}))
    assert network.widths == (5, 5)
    assert [layer.sources for layer in network.layers] == [(0,), (0, 1), (1, 2)]


def test_default_slope_is_a_number_of_float32():
    model = make_model([helper.make_node("LeakyRelu", ["x"], ["y"])], (1, 2), kind=TensorProto.DOUBLE)
    points = np.array([[-1e5, 0.25], [-0.5, 1e-3]])
    assert np.allclose(load_onnx(model).value(points), evaluate(model, points), rtol=1e-12, atol=0.0)
