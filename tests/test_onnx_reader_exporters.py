"""Graphs in the shapes in which exporters write them, and the shapes that other readers trip over."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import assert_agrees, initializer, make_model, points_for, weights

from pyomo_relugrad.network import TensorSpec
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node


def ints(*values):
    return np.array(values, np.int64)


def scalar(value):
    return np.array(value, np.float32)


def perceptron(n_in=4, n_hidden=6, n_out=2):
    """Weights as PyTorch stores them, rows are outputs."""
    return {
        "w0": weights(0, n_hidden, n_in),
        "b0": weights(1, n_hidden),
        "w1": weights(2, n_out, n_hidden),
        "b1": weights(3, n_out),
    }


def specs(model):
    network = load_onnx(model)
    return network.inputs, network.outputs


class TestTorchScript:
    """Gemm with all attributes, slash names, Constant nodes, shape arithmetic; batch fixed or dynamic."""

    @pytest.mark.parametrize("batch", ["batch", 1, 4])
    def test_linear_and_relu(self, batch):
        gemm = {"alpha": 1.0, "beta": 1.0, "transB": 1}
        nodes = [
            node("Gemm", ["x", "w0", "b0"], ["/0/Gemm_output_0"], name="/0/Gemm", **gemm),
            node("Relu", ["/0/Gemm_output_0"], ["/1/Relu_output_0"], name="/1/Relu"),
            node("Gemm", ["/1/Relu_output_0", "w1", "b1"], ["y"], name="/2/Gemm", **gemm),
        ]
        network = assert_agrees(make_model(nodes, (batch, 4), perceptron(), opset=20, ir=9))
        assert (network.n_inputs, network.widths, network.n_outputs) == (4, (6,), 2)
        assert network.inputs == (TensorSpec("x", (4,)),)
        assert network.outputs == (TensorSpec("y", (2,)),)

    def test_linear_without_bias_is_a_matmul(self):
        nodes = [node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["y"])]
        assert_agrees(make_model(nodes, ("batch", 4), {"w": weights(0, 4, 3)}))

    def test_view_with_the_batch_from_the_shape(self):
        """``x.view(x.size(0), -1)`` with a dynamic batch."""
        nodes = [
            node("Shape", ["x"], ["shape"]),
            node("Constant", [], ["zero"], value=initializer("", np.array(0))),
            node("Gather", ["shape", "zero"], ["rows"], axis=0),
            node("Constant", [], ["zeros"], value=initializer("", ints(0))),
            node("Unsqueeze", ["rows", "zeros"], ["rows1"]),
            node("Constant", [], ["minus"], value=initializer("", ints(-1))),
            node("Concat", ["rows1", "minus"], ["target"], axis=0),
            node("Reshape", ["x", "target"], ["f"], allowzero=0),
            node("Gemm", ["f", "w0", "b0"], ["y"], transB=1),
        ]
        assert_agrees(make_model(nodes, ("batch", 2, 2), perceptron()))

    @pytest.mark.parametrize("target", [(4, 2, 3), (4, -1, 3), (-1, 2, 3), (0, 2, 3)])
    def test_view_with_a_fixed_batch(self, target):
        nodes = [
            node("Gemm", ["x", "w0", "b0"], ["g"], transB=1),
            node("Reshape", ["g", "target"], ["v"]),
            node("Transpose", ["v"], ["t"], perm=[0, 2, 1]),
            node("Relu", ["t"], ["r"]),
            node("Flatten", ["r"], ["f"]),
            node("Gemm", ["f", "w1", "b1"], ["y"], transB=1),
        ]
        network = assert_agrees(make_model(nodes, (4, 4), perceptron() | {"target": ints(*target)}))
        assert network.n_inputs == 4

    def test_where_is_a_leaky_relu_on_the_gemm(self):
        nodes = [
            node("Constant", [], ["half"], value=initializer("", scalar(0.5))),
            node("Sub", ["x", "half"], ["s"]),
            node("Constant", [], ["two"], value=initializer("", scalar(2.0))),
            node("Div", ["s", "two"], ["d"]),
            node("Gemm", ["d", "w0", "b0"], ["g"], transB=1),
            node("Greater", ["g", "zero"], ["c"]),
            node("Mul", ["g", "slope"], ["m"]),
            node("Where", ["c", "g", "m"], ["l"]),
            node("Gemm", ["l", "w1", "b1"], ["y"], transB=1),
        ]
        assert_agrees(make_model(nodes, ("batch", 4), perceptron() | {"zero": scalar(0), "slope": scalar(0.1)}))

    def test_squeeze_of_all(self):
        nodes = [node("Gemm", ["x", "w", "b"], ["g"], transB=1), node("Squeeze", ["g"], ["y"])]
        model = make_model(nodes, (4, 4), {"w": weights(0, 1, 4), "b": weights(1, 1)})
        assert_agrees(model)
        assert specs(model)[1] == (TensorSpec("y", ()),)

    def test_dynamic_squeeze_is_an_if_on_the_shape(self):
        taken = helper.make_graph(
            [node("Squeeze", ["g", "one"], ["s"])], "then", [], [helper.make_tensor_value_info("s", 1, None)]
        )
        other = helper.make_graph(
            [node("Identity", ["g"], ["i"])], "else", [], [helper.make_tensor_value_info("i", 1, None)]
        )
        nodes = [
            node("Gemm", ["x", "w", "b"], ["g"], transB=1),
            node("Shape", ["g"], ["shape"]),
            node("Gather", ["shape", "one0"], ["size"]),
            node("Equal", ["size", "one0"], ["c"]),
            node("If", ["c"], ["y"], then_branch=taken, else_branch=other),
        ]
        stored = {"w": weights(0, 1, 4), "b": weights(1, 1), "one": ints(1), "one0": np.array(1)}
        assert_agrees(make_model(nodes, ("batch", 4), stored))

    def test_batch_normalization_with_identities_of_shared_statistics(self):
        nodes = [
            node("Identity", ["ones"], ["variance"]),
            node("Identity", ["zeros"], ["mean"]),
            node("Gemm", ["x", "w0", "b0"], ["g"], transB=1),
            node("BatchNormalization", ["g", "ones", "zeros", "mean", "variance"], ["n"], momentum=0.9),
            node("Relu", ["n"], ["y"]),
        ]
        stored = perceptron() | {"ones": np.ones(6, np.float32), "zeros": np.zeros(6, np.float32)}
        assert_agrees(make_model(nodes, (2, 4), stored))

    def test_residual_convolutions(self):
        convolution = {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3], "group": 1}
        nodes = [
            node("Conv", ["x", "k0", "b0"], ["c0"], **convolution),
            node("Relu", ["c0"], ["r0"]),
            node("Conv", ["r0", "k1", "b1"], ["c1"], **convolution),
            node("Add", ["c1", "r0"], ["a"]),
            node("Relu", ["a"], ["r1"]),
            node("MaxPool", ["r1"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
            node("GlobalAveragePool", ["p"], ["m"]),
            node("Flatten", ["m"], ["f"]),
            node("Gemm", ["f", "w", "b"], ["y"], transB=1),
        ]
        stored = {"k0": weights(0, 4, 3, 3, 3), "b0": weights(1, 4), "k1": weights(2, 4, 4, 3, 3), "b1": weights(3, 4)}
        assert_agrees(make_model(nodes, (1, 3, 6, 6), stored | {"w": weights(4, 2, 4), "b": weights(5, 2)}))


class TestTorchDynamo:
    """All attributes spelled out, scalars as initializers, weights in a file beside; functions in older versions."""

    @pytest.mark.parametrize("batch", ["batch", 1, 4])
    def test_activations(self, batch):
        gemm = {"beta": 1.0, "transB": 1, "alpha": 1.0, "transA": 0}
        nodes = [
            node("Gemm", ["x", "w0", "b0"], ["linear"], name="node_linear", **gemm),
            node("PRelu", ["linear", "val_1"], ["prelu"]),
            node("Clip", ["prelu", "min_val_cast", "max_val_cast"], ["hardtanh"]),
            node("HardSigmoid", ["hardtanh"], ["hardsigmoid"], alpha=1 / 6, beta=0.5),
            node("Gemm", ["hardsigmoid", "w1", "b1"], ["linear_1"], **gemm),
            node("LessOrEqual", ["linear_1", "zero"], ["le"]),
            node("Where", ["le", "zero", "linear_1"], ["y"]),
        ]
        stored = perceptron() | {"val_1": np.float32([[0.25]]), "min_val_cast": scalar(0), "max_val_cast": scalar(6)}
        network = assert_agrees(make_model(nodes, (batch, 4), stored | {"zero": scalar(0)}, opset=20, ir=10))
        assert network.n_inputs == 4

    @pytest.mark.parametrize("limit", [np.array(2, np.int64), np.array(0.5), np.array(-np.inf)])
    def test_constants_cast_like_the_tensor(self, limit):
        nodes = [node("CastLike", ["limit", "x"], ["low"]), node("Clip", ["x", "low"], ["y"])]
        assert_agrees(make_model(nodes, (1, 4), {"limit": limit}))

    @pytest.mark.parametrize("opset", [13, 19])
    def test_quantized_weights(self, opset):
        nodes = [node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=1), node("Mul", ["x", "w"], ["y"])]
        scales, zeros = np.array([0.1, 0.3, 0.2], np.float32), np.array([3, -1, 0], np.int8)
        stored = {"q": np.array([[-100, 5, 127]], np.int8), "s": scales, "z": zeros}
        assert_agrees(make_model(nodes, ("batch", 3), stored, opset=opset))

    def test_reshape_with_allowzero(self):
        nodes = [
            node("Gemm", ["x", "w0", "b0"], ["linear"], transB=1),
            node("Reshape", ["linear", "val_22"], ["view"], allowzero=1),
            node("ReduceMean", ["view", "val_17"], ["mean"], noop_with_empty_axes=0, keepdims=1),
            node("Squeeze", ["mean", "val_14"], ["y"]),
        ]
        stored = perceptron() | {"val_22": ints(-1, 2, 3), "val_17": ints(-1), "val_14": ints(-1)}
        assert_agrees(make_model(nodes, ("batch", 4), stored, opset=20))

    def test_local_functions(self):
        """``pkg.torch`` functions with attributes that refer to their caller's."""
        inner = helper.make_function(
            "pkg.onnxscript", "leaky", ["z"], ["r"], [node("LeakyRelu", ["z"], ["r"])],
            [helper.make_opsetid("", 17)], ["alpha"],
        )  # fmt: skip
        inner.node[0].attribute.add(name="alpha", ref_attr_name="alpha", type=1)
        linear = helper.make_function(
            "pkg.onnxscript", "linear", ["a", "w", "b"], ["l"],
            [node("Gemm", ["a", "w", "b"], ["g"], transB=1),
             node("leaky", ["g"], ["l"], domain="pkg.onnxscript", alpha=0.25)],
            [helper.make_opsetid("", 17), helper.make_opsetid("pkg.onnxscript", 1)],
        )  # fmt: skip
        nodes = [
            node("linear", ["x", "w0", "b0"], ["h"], domain="pkg.onnxscript", name="first"),
            node("linear", ["h", "w1", "b1"], ["y"], domain="pkg.onnxscript", name="second"),
        ]
        model = make_model(nodes, ("batch", 4), perceptron(), functions=(inner, linear))
        assert assert_agrees(model).widths == (6, 2)


class TestTf2onnx:
    """Names with colons, weights as (inputs, outputs), NHWC with transposes."""

    def test_dense(self):
        nodes = [
            node("MatMul", ["x", "w0"], ["model/dense/MatMul:0"], name="model/dense/MatMul"),
            node("Add", ["model/dense/MatMul:0", "b0"], ["model/dense/BiasAdd:0"]),
            node("Relu", ["model/dense/BiasAdd:0"], ["model/dense/Relu:0"]),
            node("MatMul", ["model/dense/Relu:0", "w1"], ["m"]),
            node("Add", ["m", "b1"], ["y"]),
        ]
        stored = {"w0": weights(0, 4, 6), "b0": weights(1, 6), "w1": weights(2, 6, 2), "b1": weights(3, 2)}
        model = make_model(nodes, ("unk__7", 4), stored, opset=9, ir=4)
        assert_agrees(model)

    def test_channels_last(self):
        nodes = [
            node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
            node("Conv", ["t", "k", "b"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
            node("Relu", ["c"], ["r"]),
            node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[1, 1]),
            node("Transpose", ["p"], ["u"], perm=[0, 2, 3, 1]),
            node("Reshape", ["u", "flat"], ["f"]),
            node("MatMul", ["f", "w"], ["y"]),
        ]
        stored = {"k": weights(0, 4, 3, 3, 3), "b": weights(1, 4), "flat": ints(-1, 16), "w": weights(2, 16, 3)}
        network = assert_agrees(make_model(nodes, ("N", 6, 6, 3), stored, opset=12))
        assert network.inputs[0].shape == (6, 6, 3)

    def test_relu6_and_leaky_relu_of_keras(self):
        nodes = [
            node("Gemm", ["x", "w0", "b0"], ["g"], transB=1),
            node("Relu", ["g"], ["r"]),
            node("Min", ["r", "six"], ["m"]),
            node("LeakyRelu", ["m"], ["y"], alpha=0.3),
        ]
        assert assert_agrees(make_model(nodes, ("N", 4), perceptron() | {"six": scalar(6)})).widths == (6, 6, 6)


class TestSkl2onnx:
    """Cast first, intercepts as (1, n), a Reshape at the end, scalers of the ONNX-ML operator set."""

    @pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64])
    def test_regressor(self, kind):
        inner = TensorProto.DOUBLE if kind == TensorProto.DOUBLE else TensorProto.FLOAT
        dtype = np.float64 if kind == TensorProto.DOUBLE else np.float32
        nodes = [
            node("Cast", ["x"], ["cast_input"], to=inner),
            node("MatMul", ["cast_input", "coefficient"], ["mul_result"]),
            node("Add", ["mul_result", "intercepts"], ["add_result"]),
            node("Relu", ["add_result"], ["next_activations"]),
            node("MatMul", ["next_activations", "coefficient1"], ["mul_result1"]),
            node("Add", ["mul_result1", "intercepts1"], ["add_result1"]),
            node("Reshape", ["add_result1", "shape_tensor"], ["y"]),
        ]
        arrays = {"coefficient": weights(0, 4, 6), "intercepts": weights(1, 1, 6)}
        arrays |= {"coefficient1": weights(2, 6, 1), "intercepts1": weights(3, 1, 1)}
        stored = {name: array.astype(dtype) for name, array in arrays.items()} | {"shape_tensor": ints(-1, 1)}
        model = make_model(nodes, (None, 4), stored, kind=kind, opset=21, ir=10)
        model.graph.output[0].type.tensor_type.elem_type = inner
        network = load_onnx(model)
        assert_agrees(model, network, points_for(network).round())
        assert network.outputs == (TensorSpec("y", (1,)),)

    def test_scaler_and_selected_columns(self):
        ml = {"domain": "ai.onnx.ml"}
        nodes = [
            node("ArrayFeatureExtractor", ["x", "first"], ["a"], **ml),
            node("ArrayFeatureExtractor", ["x", "second"], ["b"], **ml),
            node("Scaler", ["a"], ["s"], offset=[0.5, -0.25], scale=[2.0, 0.5], **ml),
            node("Concat", ["s", "b"], ["c"], axis=1),
            node("Cast", ["c"], ["d"], to=1),
            node("MatMul", ["d", "w"], ["m"]),
            node("Relu", ["m"], ["y"]),
        ]
        model = make_model(nodes, (None, 4), {"first": ints(0, 1), "second": ints(3), "w": weights(0, 3, 2)})
        model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
        assert_agrees(model)


class TestTraps:
    """What other readers of ONNX networks are known to fail on."""

    def test_gemm_without_attributes(self):
        assert_agrees(
            make_model([node("Gemm", ["x", "w", "b"], ["y"])], (1, 4), {"w": weights(0, 4, 3), "b": weights(1, 3)})
        )

    def test_gemm_without_bias(self):
        assert_agrees(make_model([node("Gemm", ["x", "w"], ["y"])], (1, 4), {"w": weights(0, 4, 3)}))

    def test_initializers_among_the_inputs(self):
        model = make_model([node("MatMul", ["x", "w"], ["y"])], (1, 4), {"w": weights(0, 4, 3)}, opset=8, ir=3)
        model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (4, 3)))
        assert_agrees(model)

    def test_matmul_without_add_and_bias_on_the_left(self):
        nodes = [node("MatMul", ["x", "w"], ["m"]), node("Add", ["b", "m"], ["a"]), node("MatMul", ["a", "v"], ["y"])]
        assert_agrees(make_model(nodes, (1, 4), {"w": weights(0, 4, 3), "b": weights(1, 3), "v": weights(2, 3, 3)}))

    def test_subtraction_and_division_first(self):
        nodes = [
            node("Sub", ["x", "mean"], ["s"]),
            node("Div", ["s", "deviation"], ["d"]),
            node("Flatten", ["d"], ["f"]),
            node("MatMul", ["f", "w"], ["y"]),
        ]
        stored = {"mean": weights(0, 1, 1, 1, 5), "deviation": scalar(3.0), "w": weights(1, 5, 2)}
        assert_agrees(make_model(nodes, (1, 1, 1, 5), stored, opset=8))

    def test_constant_minus_variable(self):
        assert_agrees(make_model([node("Sub", ["c", "x"], ["y"])], (1, 4), {"c": weights(0, 4)}))

    def test_two_heads(self):
        nodes = [node("Relu", ["x"], ["h"]), node("MatMul", ["h", "w"], ["y"]), node("Neg", ["h"], ["z"])]
        model = make_model(nodes, ("N", 4), {"w": weights(0, 4, 3)}, outputs=("y", "z"))
        assert assert_agrees(model).outputs == (TensorSpec("y", (3,)), TensorSpec("z", (4,)))

    def test_several_inputs_are_concatenated_in_order(self):
        nodes = [
            node("MatMul", ["a", "w"], ["m"]),
            node("Flatten", ["b"], ["f"]),
            node("Sub", ["m", "f"], ["s"]),
            node("Relu", ["s"], ["y"]),
        ]
        inputs = {"b": ("N", 2, 2), "a": ("N", 3), "unused": ("N", 2)}
        model = make_model(nodes, None, {"w": weights(0, 3, 4)}, inputs=inputs)
        network = assert_agrees(model)
        assert network.n_inputs == 9
        assert [spec.name for spec in network.inputs] == ["b", "a", "unused"]

    def test_input_without_batch(self):
        model = make_model([node("MatMul", ["x", "w"], ["y"])], (4,), {"w": weights(0, 4, 3)})
        assert_agrees(model)
        assert specs(model) == ((TensorSpec("x", (4,)),), (TensorSpec("y", (3,)),))

    def test_nodes_in_the_wrong_order_and_nodes_that_nothing_needs(self):
        nodes = [
            node("Relu", ["h"], ["y"]),
            node("Sigmoid", ["x"], ["unused"]),
            node("Neg", ["x"], ["h"]),
        ]
        network = load_onnx(make_model(nodes, (1, 3)))
        assert network.value([[1.0, -2.0, 0.0]]).tolist() == [[0.0, 2.0, 0.0]]

    def test_output_is_an_input_or_a_constant(self):
        nodes = [node("Constant", [], ["c"], value_floats=[1.0, 2.0])]
        network = load_onnx(make_model(nodes, (1, 2), outputs=("x", "c")))
        assert network.value([[3.0, 4.0]]).tolist() == [[3.0, 4.0, 1.0, 2.0]]

    def test_constant_nodes_of_all_kinds(self):
        nodes = [
            node("Constant", [], ["w"], value=initializer("", weights(0, 4, 3))),
            node("Constant", [], ["f"], value_float=0.5),
            node("Constant", [], ["v"], value_floats=[1.0, 2.0, 3.0]),
            node("Constant", [], ["i"], value_ints=[1, 3]),
            node("MatMul", ["x", "w"], ["m"]),
            node("Mul", ["m", "f"], ["s"]),
            node("Add", ["s", "v"], ["a"]),
            node("Reshape", ["a", "i"], ["y"]),
        ]
        assert_agrees(make_model(nodes, (1, 4)))

    def test_half_precision_weights(self):
        nodes = [node("Cast", ["w"], ["c"], to=1), node("MatMul", ["x", "c"], ["y"])]
        assert_agrees(make_model(nodes, (1, 4), {"w": weights(0, 4, 3).astype(np.float16)}))

    def test_weights_that_are_computed_from_constants(self):
        nodes = [
            node("Transpose", ["w"], ["t"]),
            node("Mul", ["t", "two"], ["d"]),
            node("DequantizeLinear", ["q", "scale", "zero"], ["b"]),
            node("Gemm", ["x", "d", "b"], ["y"]),
        ]
        stored = {"w": weights(0, 3, 4), "two": scalar(2), "q": np.array([1, -2, 3], np.int8)}
        stored |= {"scale": scalar(0.5), "zero": np.array(1, np.int8)}
        assert_agrees(make_model(nodes, (1, 4), stored, opset=19))


class TestBatch:
    """Which dimension is the batch."""

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            (("N", 4), (4,)),
            ((1, 4), (4,)),
            ((None, 4), (4,)),
            ((0, 4), (4,)),
            ((3, 4), (4,)),
            ((4,), (4,)),
            ((1,), (1,)),
            (("N",), ()),
        ],
    )
    def test_batch_is_left_out(self, shape, expected):
        inputs, outputs = specs(make_model([node("Relu", ["x"], ["y"])], shape))
        assert inputs == (TensorSpec("x", expected),)
        assert outputs == (TensorSpec("y", expected),)

    def test_rows_that_are_mixed_are_no_batch(self):
        model = make_model([node("MatMul", ["w", "x"], ["y"])], (3, 4), {"w": weights(0, 3, 3)})
        network = assert_agrees(model)
        assert network.inputs == (TensorSpec("x", (3, 4)),)

    def test_rows_that_are_treated_differently_are_no_batch(self):
        model = make_model([node("Add", ["x", "c"], ["y"])], (3, 4), {"c": weights(0, 3, 1)})
        assert assert_agrees(model).inputs == (TensorSpec("x", (3, 4)),)

    @pytest.mark.parametrize("rows", [2, 3])
    def test_images_in_a_fixed_batch(self, rows):
        nodes = [
            node("Conv", ["x", "k", "b"], ["c"], pads=[1, 1, 1, 1]),
            node("MaxPool", ["c"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
            node("Relu", ["m"], ["r"]),
            node("ConvTranspose", ["r", "t"], ["u"], strides=[2, 2]),
            node("AveragePool", ["u"], ["a"], kernel_shape=[2, 2], pads=[1, 0, 0, 1]),
            node("Resize", ["a", "", "s"], ["z"], mode="linear"),
            node("Reshape", ["z", "flat"], ["y"]),
        ]
        stored = {"k": weights(0, 3, 2, 3, 3), "b": weights(1, 3), "t": weights(2, 3, 2, 2, 2)}
        stored |= {"s": np.float32([1, 1, 0.5, 2]), "flat": ints(rows, -1)}
        network = assert_agrees(make_model(nodes, (rows, 2, 4, 4), stored))
        assert network.inputs == (TensorSpec("x", (2, 4, 4)),)

    def test_equal_rows_of_a_constant_do_not_hide_the_batch(self):
        stored = {"c": np.tile(weights(0, 1, 4), (3, 1)), "shape": ints(3, 4)}
        nodes = [
            node("Add", ["x", "c"], ["a"]),
            node("Expand", ["one", "shape"], ["e"]),
            node("Sub", ["a", "e"], ["y"]),
        ]
        model = make_model(nodes, (3, 4), stored | {"one": np.float32([[1.0]])})
        assert assert_agrees(model).inputs == (TensorSpec("x", (4,)),)
