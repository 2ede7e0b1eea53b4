"""Flags, indices and pads that ONNX's own checker lets pass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx_models import assert_agrees, make_model, weights

from pyomo_relugrad.errors import NetworkFileError, UnsupportedOperatorError
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node

FLAGS = [
    node("ReduceSum", ["x"], ["y"], noop_with_empty_axes=2),
    node("ReduceMax", ["x"], ["y"], keepdims=-1),
    node("MaxPool", ["x"], ["y"], kernel_shape=[2], ceil_mode=2),
    node("AveragePool", ["x"], ["y"], kernel_shape=[2], count_include_pad=3),
    node("CumSum", ["x", "zero"], ["y"], reverse=2),
    node("CumSum", ["zeros", "zero"], ["y"], exclusive=2),
]


@pytest.mark.parametrize("flagged", FLAGS, ids=lambda own: own.op_type)
def test_flags(flagged):
    stored = {"zero": np.array(0), "zeros": np.zeros(3, np.float32)}
    with pytest.raises(NetworkFileError, match=rf"{flagged.op_type}\).* = -?\d is neither 0 nor 1"):
        load_onnx(make_model([flagged], (1, 1, 3), stored, opset=18))


INDEXED = {
    "Gather": ([[0, 1]], "Gather", ["i"], {"axis": 1}),
    "GatherElements": ([[0, 1, 2], [2, 1, 0]], "GatherElements", ["i"], {"axis": 1}),
    "GatherND": ([[0, 1], [1, 0]], "GatherND", ["i"], {}),
    "GatherND of rows": ([[1], [0]], "GatherND", ["i"], {"batch_dims": 1}),
    "ScatterElements": ([[0, 1, 2]], "ScatterElements", ["i", "u"], {"axis": 1}),
    "ScatterND": ([[[0, 1], [1, 0], [1, 1]]], "ScatterND", ["i", "u"], {}),
}


def picking(name, data, bad=None):
    indices, operator, inputs, attributes = INDEXED[name]
    indices = np.array(indices)
    if bad is not None:
        indices[(0,) * (indices.ndim - 1) + (-1,)] = bad
    stored = {"i": indices, "u": weights(1, 1, 3), "c": weights(0, 2, 3), "zero": np.float32(0)}
    nodes = [node(operator, [data, *inputs], ["p"], **attributes), node("ReduceSum", ["x"], ["t"], keepdims=0)]
    return make_model([*nodes, node("Mul", ["t", "zero"], ["z"]), node("Add", ["p", "z"], ["y"])], (2, 3), stored)


@pytest.mark.parametrize("data", ["x", "c"])
@pytest.mark.parametrize("name", INDEXED)
def test_indices_in_range(name, data):
    assert_agrees(picking(name, data))
    assert_agrees(picking(name, data, bad=-1))


@pytest.mark.parametrize("data", ["x", "c"])
@pytest.mark.parametrize("name", INDEXED)
@pytest.mark.parametrize("bad", [3, 7, -4, -270479860432898, 2**62])
def test_indices_out_of_range(name, data, bad):
    with pytest.raises(NetworkFileError, match=rf"index {bad} lies outside a dimension of size 3"):
        load_onnx(picking(name, data, bad))


def test_indices_of_another_shape():
    model = make_model([node("GatherElements", ["x", "i"], ["y"], axis=1)], (2, 3), {"i": np.zeros((3, 1), np.int64)})
    with pytest.raises(NetworkFileError, match=r"indices of shape \(3, 1\) do not fit a tensor of shape \(2, 3\)"):
        load_onnx(model)


def padded(pads, data="x", mode="wrap"):
    nodes = [node("Pad", [data, "p"], ["q"], mode=mode), node("Add", ["q", "t"], ["y"])]
    nodes.insert(0, node("ReduceSum", ["x"], ["t"]))
    stored = {"p": np.array([0, pads[0], 0, pads[1]]), "c": weights(0, 1, 4)}
    return make_model(nodes, (1, 4), stored, opset=19)


@settings(max_examples=60, deadline=None)
@given(
    pads=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    data=st.sampled_from(["x", "c"]),
    mode=st.sampled_from(["constant", "edge", "reflect", "wrap"]),
)
def test_pads_of_both_signs(pads, data, mode):
    left = 4 + sum(min(pad, 0) for pad in pads)
    if left < 0:
        with pytest.raises(NetworkFileError, match=r"pads cut off more than a tensor of shape \(1, 4\) has"):
            load_onnx(padded(pads, data, mode))
    elif left and max(pads) < left and left + sum(max(pad, 0) for pad in pads):
        assert_agrees(padded(pads, data, mode))


@pytest.mark.parametrize("data", ["x", "c"])
def test_wrapped_more_than_once(data):
    with pytest.raises(
        UnsupportedOperatorError, match=r"mode wrap and pads larger than a dimension.*\[\[0, 0\], \[0, 5"
    ):
        load_onnx(padded((0, 5), data))


def test_padded_shapes_stay_whole_numbers():
    nodes = [node("Pad", ["s", "p", "one"], ["t"]), node("Reshape", ["x", "t"], ["y"])]
    stored = {"s": np.array([4]), "p": np.array([1, 0]), "one": np.array(1)}
    assert_agrees(make_model(nodes, (1, 4), stored))


def test_elements_of_a_single_row():
    nodes = [node("GatherElements", [data, "i"], [data + "_picked"], axis=1) for data in ("x", "c")]
    stored = {"i": np.array([[3, -1, 0, 0, 2]]), "c": weights(0, 1, 4)}
    assert_agrees(make_model([*nodes, node("Add", ["x_picked", "c_picked"], ["y"])], (1, 4), stored))


def test_scatter_of_constants():
    nodes = [node("Scatter", ["c", "i", "u"], ["s"], axis=1), node("Add", ["x", "s"], ["y"])]
    stored = {"c": weights(0, 1, 4), "i": np.array([[3, -4]]), "u": weights(1, 1, 2)}
    assert_agrees(make_model(nodes, (1, 4), stored, opset=10))


@pytest.mark.parametrize("data", ["x", "c"])
def test_axis_of_running_sums_as_a_tensor_of_one_element(data):
    nodes = [node("CumSum", [data, "axis"], ["s"]), node("Add", ["x", "s"], ["y"])]
    assert_agrees(make_model(nodes, (1, 4), {"c": weights(0, 1, 4), "axis": np.array([1])}))


@pytest.mark.parametrize("name", ["scale", "bias", "mean", "variance"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 1)])
def test_statistics_of_another_shape(name, shape):
    names = ["scale", "bias", "mean", "variance"]
    stored = dict.fromkeys(names, np.ones(2, np.float32)) | {name: np.ones(shape, np.float32)}
    model = make_model([node("BatchNormalization", ["x", *names], ["y"])], (1, 2, 3), stored)
    with pytest.raises(NetworkFileError, match=r"statistics of shapes .* do not fit a tensor of shape \(1, 2, 3\)"):
        load_onnx(model)


def test_mean_of_constants_that_broadcast():
    nodes = [node("Mean", ["row", "column"], ["m"]), node("Add", ["x", "m"], ["y"])]
    assert_agrees(make_model(nodes, (1, 2, 3), {"row": weights(0, 1, 3), "column": weights(1, 2, 1)}))


@pytest.mark.parametrize("lacking", [node("Max", ["x", ""], ["z"]), node("Concat", ["", "x"], ["z"], axis=0)])
def test_inputs_that_are_missing(lacking):
    """Also of nodes that no output needs: onnxruntime runs, or crashes on, all of them."""
    model = make_model([lacking, node("Relu", ["x"], ["y"])], (3,), {})
    with pytest.raises(NetworkFileError, match=rf"'z' \({lacking.op_type}\) is not valid: its input \d is missing"):
        load_onnx(model)


def test_optional_inputs_may_be_missing():
    model = make_model([node("Clip", ["x", "", "high"], ["y"])], (3,), {"high": np.float32(1)})
    assert_agrees(model)
