"""Where kernels of convolutions and pools lie, against onnxruntime."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx_models import assert_agrees, evaluate, make_model, weights

from pyomo_relugrad.errors import UnsupportedOperatorError
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node

POOLS = {"MaxPool": {}, "AveragePool": {}, "LpPool": {"p": 1}}
SAME = st.sampled_from(["SAME_UPPER", "SAME_LOWER"])


def outputs_of(model, size):
    return evaluate(model, np.zeros((1, size), np.float32)).shape[1]


@pytest.mark.parametrize("operator", POOLS)
@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize(("size", "stride", "dilation"), [(6, 1, 2), (9, 2, 2), (9, 1, 3), (7, 3, 2)])
def test_dilated_pools_that_pad_themselves(operator, auto_pad, size, stride, dilation):
    attributes = {"kernel_shape": [3], "strides": [stride], "dilations": [dilation], "auto_pad": auto_pad}
    pool = node(operator, ["x"], ["y"], **attributes, **POOLS[operator])
    assert_agrees(make_model([pool], (1, 1, size), opset=22))


@pytest.mark.parametrize("operator", POOLS)
@pytest.mark.parametrize(("stride", "dilation"), [((1, 2), (2, 1)), ((2, 1), (1, 3))])
def test_pools_with_strides_pads_and_dilations_in_the_plane(operator, stride, dilation):
    attributes = {"kernel_shape": [3, 2], "strides": stride, "dilations": dilation, "pads": [1, 0, 0, 1]}
    pool = node(operator, ["x"], ["y"], **attributes, **POOLS[operator])
    assert_agrees(make_model([pool], (1, 2, 7, 6), opset=22))


@settings(max_examples=60, deadline=None)
@given(
    operator=st.sampled_from([*POOLS, "Conv"]),
    size=st.integers(1, 12),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 6),
    auto_pad=SAME,
)
def test_automatic_padding(operator, size, kernel, stride, auto_pad):
    attributes = {"kernel_shape": [kernel], "strides": [stride], "auto_pad": auto_pad} | POOLS.get(operator, {})
    inputs = ["x", "w"] if operator == "Conv" else ["x"]
    stored = {"w": weights(0, 1, 1, kernel)} if operator == "Conv" else {}
    model = make_model([node(operator, inputs, ["y"], **attributes)], (1, 1, size), stored, opset=22)
    if (-(-size // stride) - 1) * stride + kernel - size < (-1 if operator == "Conv" else 0):
        with pytest.raises(UnsupportedOperatorError, match=r"strides larger than its kernel.*explicit pads"):
            load_onnx(model)
    else:
        assert_agrees(model)


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 6),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    extra=st.integers(0, 2),
    auto_pad=SAME,
)
def test_transposed_convolution(size, kernel, stride, extra, auto_pad):
    assume(extra < stride)
    attributes = {"kernel_shape": [kernel], "strides": [stride], "output_padding": [extra], "auto_pad": auto_pad}
    model = make_model(
        [node("ConvTranspose", ["x", "w"], ["y"], **attributes)], (1, 1, size), {"w": weights(0, 1, 1, kernel)}
    )
    assert assert_agrees(model).n_outputs == outputs_of(model, size)


def test_constants_are_pooled_in_the_same_way():
    attributes = {"kernel_shape": [3], "dilations": [2], "auto_pad": "SAME_UPPER", "p": 1}
    nodes = [node("LpPool", ["c"], ["p"], **attributes), node("Add", ["x", "p"], ["y"])]
    assert_agrees(make_model(nodes, (1, 1, 1), {"c": weights(0, 1, 1, 6)}, opset=18))


@pytest.mark.parametrize("operator", ["ReduceMax", "ReduceMean", "ReduceL1"])
def test_reductions_of_no_elements_are_refused(operator):
    nodes = [
        helper.make_node("Slice", ["x", "two", "two"], ["none"]),
        helper.make_node(operator, ["none"], ["y"], axes=[0], keepdims=0),
    ]
    model = make_model(nodes, (3, 2), {"two": np.array([2])}, opset=13)
    with pytest.raises(
        UnsupportedOperatorError, match=rf"{operator}.*a reduction of no elements is not read|'y': a red"
    ):
        load_onnx(model)
