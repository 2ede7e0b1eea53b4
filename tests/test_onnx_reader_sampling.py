"""GridSample with a constant grid, Col2Im, LpPool and products of sparse maps, against onnxruntime."""

import numpy as np
import pytest
from onnx import helper
from onnx_models import assert_agrees, make_model, weights
from scipy import sparse

from pyomo_relugrad.errors import NetworkFileError, UnsupportedOperatorError
from pyomo_relugrad.network import linear_maps
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node


def grid(*shape, seed=0):
    """Places inside and outside the image, some on its pixels and corners."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-1.7, 1.7, size=shape)
    return np.where(rng.random(size=shape) < 0.2, rng.choice([-1.0, 0.0, 1.0], size=shape), places).astype(np.float32)


@pytest.mark.parametrize("aligned", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize(
    ("mode", "opset"), [("bilinear", 16), ("nearest", 16), ("bicubic", 16), ("linear", 20), ("cubic", 20)]
)
def test_grid_sample(mode, opset, padding, aligned):
    options = {"mode": mode, "padding_mode": padding, "align_corners": aligned}
    model = make_model(
        [node("GridSample", ["x", "g"], ["y"], **options)], (1, 2, 5, 6), {"g": grid(1, 4, 7, 2)}, opset=opset
    )
    points = 3.0 * weights(1, 20, 60)
    assert_agrees(model, points=points)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample_of_constants(mode):
    nodes = [node("GridSample", ["c", "g"], ["s"], mode=mode), node("Mul", ["x", "s"], ["y"])]
    stored = {"c": weights(0, 1, 2, 5, 6), "g": grid(1, 4, 7, 2)}
    assert_agrees(make_model(nodes, (1, 2, 4, 7), stored, opset=16))


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_grid_sample_of_volumes(mode, padding):
    options = {"mode": mode, "padding_mode": padding}
    stored = {"g": grid(2, 3, 2, 4, 3)}
    model = make_model([node("GridSample", ["x", "g"], ["y"], **options)], (2, 2, 3, 4, 2), stored, opset=20)
    assert_agrees(model, points=weights(1, 10, 96))


@pytest.mark.parametrize(
    ("nodes", "stored", "reason"),
    [
        ([node("GridSample", ["x", "g"], ["y"])], {"g": grid(1, 4, 7, 3)}, "a grid of shape"),
        ([node("GridSample", ["x", "x"], ["y"])], {}, "takes its grid from the network's input"),
        ([node("LpPool", ["x"], ["y"], kernel_shape=[2, 2], p=2)], {}, "LpPool with p=2 .* only p=1"),
        ([node("LpPool", ["x"], ["y"], kernel_shape=[2, 2])], {}, "LpPool with p=2"),
        ([node("GlobalLpPool", ["x"], ["y"], p=3)], {}, "GlobalLpPool with p=3"),
        (
            [node("Flatten", ["x"], ["f"], axis=2), node("Col2Im", ["f", "s", "b"], ["y"])],
            {"s": np.array([4, 4]), "b": np.array([2, 2])},
            "blocks of shape",
        ),
    ],
)
def test_refusals(nodes, stored, reason):
    with pytest.raises(ValueError, match=reason):
        load_onnx(make_model(nodes, (1, 2, 5, 6), stored, opset=20))


@pytest.mark.parametrize(
    ("image", "block", "options"),
    [
        ((5, 5), (1, 5), {}),
        ((6, 5), (2, 3), {"strides": [2, 1]}),
        ((5, 5), (3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ((6, 6), (2, 2), {"dilations": [1, 3]}),
        ((3, 4, 5), (2, 1, 3), {"pads": [0, 1, 0, 1, 0, 1]}),
    ],
)
@pytest.mark.parametrize("batch", [1, 2])
def test_col2im(image, block, options, batch):
    rank = len(image)
    pads, strides = options.get("pads", [0] * 2 * rank), options.get("strides", [1] * rank)
    dilations = options.get("dilations", [1] * rank)
    counts = [
        (image[i] + pads[i] + pads[rank + i] - dilations[i] * (block[i] - 1) - 1) // strides[i] + 1 for i in range(rank)
    ]
    shape = (batch, 2 * int(np.prod(block)), int(np.prod(counts)))
    stored = {"s": np.array(image), "b": np.array(block)}
    assert_agrees(make_model([node("Col2Im", ["x", "s", "b"], ["y"], **options)], shape, stored, opset=18))


@pytest.mark.parametrize(
    "pool",
    [
        node("LpPool", ["x"], ["y"], kernel_shape=[2, 3], p=1, strides=[2, 1], pads=[1, 0, 0, 1]),
        node("LpPool", ["x"], ["y"], kernel_shape=[3, 3], p=1, auto_pad="SAME_UPPER"),
        node("GlobalLpPool", ["x"], ["y"], p=1),
    ],
)
def test_pooling_of_absolute_values(pool):
    assert_agrees(make_model([pool], (1, 2, 5, 6), opset=17))


class TestProductsOfSparseMaps:
    def test_two_convolutions_without_a_relu(self):
        nodes = [
            node("Conv", ["x", "a"], ["h"], pads=[1] * 4),
            node("AveragePool", ["h"], ["p"], kernel_shape=[2, 2]),
            node("Conv", ["p", "b"], ["y"]),
        ]
        assert_agrees(make_model(nodes, (1, 2, 6, 6), {"a": weights(0, 4, 2, 3, 3), "b": weights(1, 5, 4, 3, 3)}))

    def test_in_blocks(self):
        """Many products of numbers, few sums: the limits are on what each is."""
        rng = np.random.default_rng(0)
        left = sparse.random_array((40, 60), density=0.5, format="csr", random_state=rng)
        right = sparse.random_array((60, 6), density=0.9, format="csr", random_state=rng)
        expected = (left @ right).toarray()
        assert np.allclose(linear_maps.product(left, right, max_entries=300).toarray(), expected)
        with pytest.raises(NetworkFileError, match="two linear maps without a ReLU between them"):
            linear_maps.product(left, right, max_entries=300, max_terms=1_000)

    def test_result_that_is_too_large(self):
        rng = np.random.default_rng(0)
        left, right = (sparse.random_array((40, 40), density=0.5, format="csr", random_state=rng) for _ in range(2))
        with pytest.raises(NetworkFileError, match="the reader stops at"):
            linear_maps.product(left, right, max_entries=1_000)


def test_what_would_take_long_is_refused():
    nodes = [node("RoiAlign", ["x", "r", "i"], ["y"], output_height=5, output_width=5)]
    stored = {"r": np.float32([[0, 0, 10, 10]]), "i": np.array([0])}
    with pytest.raises(UnsupportedOperatorError, match="RoiAlign from 768 numbers is read one element at a time"):
        load_onnx(make_model(nodes, (1, 3, 16, 16), stored))
