"""Resize and Upsample against onnxruntime, whose places between elements are those of float32."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx_models import assert_agrees, evaluate, make_model, weights

from pyomo_relugrad.errors import NetworkFileError, UnsupportedOperatorError
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node

COORDINATES = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
NEAREST = ["ceil", "floor", "round_prefer_floor", "round_prefer_ceil"]
SCALES = st.integers(2, 34).map(lambda tenths: tenths / 10)
SIZES = st.integers(1, 8)


def is_empty(size, scales):
    return not all(int(np.float32(n) * np.float32(scale)) for n, scale in zip(size, scales, strict=True))


def resize(size, scales, opset=13, **attributes):
    inputs = ["x", "s"] if opset == 10 else ["x", "", "s"]
    stored = {"s": np.float32([1, 1, *scales])}
    return make_model([node("Resize", inputs, ["y"], **attributes)], (1, 1, *size), stored, opset=opset)


@settings(max_examples=60, deadline=None)
@given(size=SIZES, scale=SCALES, coordinates=st.sampled_from(COORDINATES), nearest=st.sampled_from(NEAREST))
def test_nearest(size, scale, coordinates, nearest):
    assume(not is_empty([size], [scale]))
    assert_agrees(resize([size], [scale], coordinate_transformation_mode=coordinates, nearest_mode=nearest))


@settings(max_examples=40, deadline=None)
@given(size=st.tuples(SIZES, SIZES), scales=st.tuples(SCALES, SCALES), mode=st.sampled_from(["nearest", "linear"]))
def test_set_10(size, scales, mode):
    assume(not is_empty(size, scales))
    assert_agrees(resize(size, scales, opset=10, mode=mode))


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(SIZES, SIZES),
    scales=st.tuples(SCALES, SCALES),
    coordinates=st.sampled_from(COORDINATES),
    mode=st.sampled_from(["linear", "cubic"]),
)
def test_weights_of_several(size, scales, coordinates, mode):
    assume(not is_empty(size, scales))
    assert_agrees(resize(size, scales, mode=mode, coordinate_transformation_mode=coordinates))


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("wanted", [(1, 1), (1, 5), (7, 3), (4, 3)])
def test_sizes(mode, wanted):
    resized = node("Resize", ["x", "", "", "z"], ["y"], mode=mode, coordinate_transformation_mode="pytorch_half_pixel")
    assert_agrees(make_model([resized], (1, 2, 4, 3), {"z": np.array([1, 2, *wanted])}))


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("scales", [(1, 1.7), (1.3, 1), (2.5, 0.5)])
def test_crop(mode, scales):
    attributes = {"mode": mode, "coordinate_transformation_mode": "tf_crop_and_resize"}
    stored = {"s": np.float32([1, 1, *scales]), "r": np.float32([0, 0, -0.2, 0.1, 1, 1, 0.5, 1.3])}
    assert_agrees(make_model([node("Resize", ["x", "r", "s"], ["y"], **attributes)], (1, 1, 5, 6), stored))


@pytest.mark.parametrize("scale", [0.26, 1.3, 4])
@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "nearest"},
        {"mode": "linear", "antialias": 1},
        {"mode": "cubic", "antialias": 1},
        {"mode": "cubic", "cubic_coeff_a": -3.0, "exclude_outside": 1},
        {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"},
    ],
    ids=str,
)
def test_a_long_dimension_is_read_from_few_vectors(attributes, scale):
    stored = {"s": np.float32([1, 1, 1, scale]), "r": np.float32([0, 0, 0, -0.1, 1, 1, 1, 1.2])}
    assert_agrees(make_model([node("Resize", ["x", "r", "s"], ["y"], **attributes)], (1, 1, 1, 150), stored, opset=19))


def test_constants_are_resized_in_the_same_way():
    nodes = [node("Resize", ["c", "s"], ["r"], mode="nearest"), node("Add", ["x", "r"], ["y"])]
    stored = {"c": weights(0, 1, 1, 7), "s": np.float32([1, 1, 0.7])}
    assert_agrees(make_model(nodes, (1, 1, 4), stored, opset=10))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"mode": "square"}, "there is no mode 'square'"),
        ({"nearest_mode": "any"}, "there is no nearest_mode 'any'"),
        ({"coordinate_transformation_mode": "any"}, "there is no coordinate_transformation_mode 'any'"),
    ],
)
def test_unknown_modes(attributes, reason):
    with pytest.raises(NetworkFileError, match=reason):
        load_onnx(resize([4], [2.0], **attributes))


def test_empty_result():
    model = make_model([node("Resize", ["x", "", "s"], ["y"])], (1, 1, 4), {"s": np.float32([1, 1, 0.2])})
    with pytest.raises(NetworkFileError, match=r"output of shape \(1, 1, 0\) is empty or too large"):
        load_onnx(model)


def test_what_takes_too_long():
    model = make_model([node("Resize", ["x", "", "s"], ["y"], mode="linear", antialias=1)], (1, 1, 1, 200_000),
                       {"s": np.float32([1, 1, 1, 0.001])}, opset=18)  # fmt: skip
    with pytest.raises(NetworkFileError, match="resizing 200000 elements to 200 along one dimension is too much"):
        load_onnx(model)


def test_region_with_antialias():
    attributes = {"mode": "linear", "antialias": 1, "coordinate_transformation_mode": "tf_crop_and_resize"}
    stored = {"s": np.float32([1, 1, 1, 0.5]), "r": np.float32([0, 0, 0, 0, 1, 1, 1, 0.5])}
    model = make_model([node("Resize", ["x", "r", "s"], ["y"], **attributes)], (1, 1, 2, 6), stored, opset=18)
    with pytest.raises(UnsupportedOperatorError, match="region with antialias is not supported"):
        load_onnx(model)


def test_size_that_stays():
    model = resize([2], [1.4], nearest_mode="ceil")
    assert np.array_equal(evaluate(model, np.float32([[1, 2]])), [[1, 2]])  # not [2, 2], as the formula has it
    assert_agrees(model)


@pytest.mark.parametrize("given", ["scales", "sizes"])
def test_scales_and_sizes_of_another_shape_are_one_number_per_dimension(given):
    numbers = {"scales": np.float32([[1, 1, 1.5]]), "sizes": np.int64([[1, 1, 6]])}[given]
    inputs = ["x", "", "s"] if given == "scales" else ["x", "", "", "s"]
    model = make_model([node("Resize", inputs, ["y"], mode="linear")], (1, 1, 4), {"s": numbers})
    flat = make_model([node("Resize", inputs, ["y"], mode="linear")], (1, 1, 4), {"s": numbers.ravel()})
    points = weights(1, 5, 4)
    np.testing.assert_allclose(load_onnx(model).value(points), evaluate(flat, points), rtol=1e-5, atol=1e-6)
