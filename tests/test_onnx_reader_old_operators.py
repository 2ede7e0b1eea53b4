"""Operator sets 1 to 6: their own broadcasting, attributes in place of inputs, training modes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx_models import assert_agrees, make_model, weights

from pyomo_relugrad.errors import NetworkFileError, RelugradError, UnsupportedOperatorError
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node


def old_model(nodes, shape, stored=None, opset=6, **changes):
    return make_model(nodes, shape, stored, opset=opset, ir=3, **changes)


def assert_means(old, modern):
    """The network of an old file has onnxruntime's values on a modern file of the same meaning."""
    assert_agrees(modern, load_onnx(old))


@settings(max_examples=40, deadline=None)
@given(
    operator=st.sampled_from(["Add", "Sub", "Mul", "Div"]),
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    data=st.data(),
)
def test_limited_broadcast(operator, shape, data):
    """The second input fits a contiguous part of the first one's shape that begins at `axis`."""
    begin = data.draw(st.integers(0, len(shape)))
    end = data.draw(st.integers(begin, len(shape)))
    constant = weights(0, *shape[begin:end]) + np.float32(3)
    attributes = {"broadcast": 1}
    if end < len(shape) or data.draw(st.booleans()):
        attributes["axis"] = begin + 1  # the batch comes first
    expanded = constant.reshape(constant.shape + (1,) * (len(shape) - end))
    old = old_model([node(operator, ["x", "c"], ["y"], **attributes)], (1, *shape), {"c": constant})
    assert_means(old, make_model([node(operator, ["x", "c"], ["y"])], (1, *shape), {"c": expanded}))


@pytest.mark.parametrize(("attributes", "shape"), [({}, (3, 1, 2)), ({"broadcast": 1, "axis": 1}, (3, 1))])
def test_dimensions_of_one(attributes, shape):
    """PyTorch wrote them, though the definition leaves them out."""
    constant = weights(0, *shape)
    expanded = constant.reshape(3, 1, -1)
    old = old_model([node("Add", ["x", "c"], ["y"], **attributes)], (1, 3, 2, 2), {"c": constant})
    assert_means(old, make_model([node("Add", ["x", "c"], ["y"])], (1, 3, 2, 2), {"c": expanded}))


@pytest.mark.parametrize("width", [2, 3])
@pytest.mark.parametrize("constant", [weights(0, 3), weights(0, 1), weights(0)])
def test_prelu_has_a_slope_per_channel(width, constant):
    slope = constant.reshape(-1, 1, 1) if constant.size > 1 else constant.reshape(())
    old = old_model([node("PRelu", ["x", "c"], ["y"])], (1, 3, 2, width), {"c": constant})
    assert_means(old, make_model([node("PRelu", ["x", "c"], ["y"])], (1, 3, 2, width), {"c": slope}))


def test_prelu_on_dimensions_of_one_keeps_its_shape():
    """Slopes that broadcast along the last dimension, as later sets would have it, would make it larger."""
    network = load_onnx(old_model([node("PRelu", ["x", "c"], ["y"])], (1, 2, 1), {"c": np.float32([0.5, 0.25])}))
    assert network.value([[-1.0, -2.0], [3.0, -4.0]]).tolist() == [[-0.5, -0.5], [3.0, -1.0]]


def test_prelu_with_slopes_that_do_not_fit_the_channels_is_refused():
    model = old_model([node("PRelu", ["x", "c"], ["y"])], (1, 1, 3), {"c": weights(0, 3)})
    message = (
        r"PRelu has one slope per channel, and 3 slopes do not fit a tensor of shape \(1, 1, 3\): convert the file"
    )
    with pytest.raises(NetworkFileError, match=message):
        load_onnx(model)


def test_comparisons_broadcast_as_well():
    constant = weights(0, 3)
    nodes = [
        node("Greater", ["x", "c"], ["g"], broadcast=1, axis=1),
        node("Cast", ["g"], ["m"], to=TensorProto.FLOAT),
        node("Sub", ["x", "c"], ["d"], broadcast=1, axis=1),
        node("Mul", ["m", "d"], ["y"]),
    ]
    modern = [node("Sub", ["x", "c"], ["d"]), node("Relu", ["d"], ["y"])]
    assert_means(
        old_model(nodes, (1, 3, 2, 3), {"c": constant}),
        make_model(modern, (1, 3, 2, 3), {"c": constant.reshape(3, 1, 1)}),
    )


def test_constants_broadcast_as_well():
    nodes = [node("Add", ["a", "c"], ["s"], broadcast=1, axis=0), node("Add", ["x", "s"], ["y"])]
    stored = {"a": weights(0, 3, 3), "c": weights(1, 3)}
    modern = [node("Add", ["x", "s"], ["y"])]
    total = stored["a"] + stored["c"][:, None]
    assert_means(old_model(nodes, (3, 3), stored), make_model(modern, (3, 3), {"s": total}))


@pytest.mark.parametrize(
    ("attributes", "shape"), [({}, (3,)), ({"broadcast": 1, "axis": 2}, (3,)), ({"broadcast": 1, "axis": 3}, (2, 2))]
)
def test_what_does_not_fit_is_refused(attributes, shape):
    model = old_model([node("Add", ["x", "c"], ["y"], **attributes)], (1, 3, 2, 2), {"c": weights(0, *shape)})
    with pytest.raises(NetworkFileError, match=r"in operator set 6, Add broadcasts by its attributes .*convert"):
        load_onnx(model)


C = weights(0, 4)
IMAGE = (1, 4, 2, 3)
STATISTICS = {"c": C, "v": abs(C)}
NORMALISED = node("BatchNormalization", ["x", "c", "c", "c", "v"], ["y"])
CHANGED = {
    "batch normalization": (
        [node("BatchNormalization", ["x", "c", "c", "c", "v"], ["y"], is_test=1)],
        [NORMALISED],
        STATISTICS,
        6,
    ),
    "batch normalization of set 1": (
        [node("BatchNormalization", ["x", "c", "c", "c", "v"], ["y"], is_test=1, consumed_inputs=[0, 0, 0, 1, 1])],
        [NORMALISED],
        STATISTICS,
        1,
    ),
    "batch normalization with one output": (
        [node("BatchNormalization", ["x", "c", "c", "c", "v"], ["y"])],
        [NORMALISED],
        STATISTICS,
        6,
    ),
    "dropout": ([node("Dropout", ["x"], ["y"], is_test=1, ratio=0.3)], [node("Identity", ["x"], ["y"])], {}, 6),
    "paddings": (
        [node("Pad", ["x"], ["y"], paddings=[0, 0, 1, 2, 0, 0, 0, 1], value=0.5)],
        [node("Pad", ["x", "p", "v"], ["y"])],
        {"p": np.array([0, 0, 1, 2, 0, 0, 0, 1]), "v": np.float32(0.5)},
        1,
    ),
    "upsample": (
        [node("Upsample", ["x"], ["y"], height_scale=2.0, width_scale=3.0)],
        [node("Resize", ["x", "", "s"], ["y"], coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        {"s": np.float32([1, 1, 2, 3])},
        1,
    ),
    "concat": ([node("Concat", ["x", "x"], ["y"])], [node("Concat", ["x", "x"], ["y"], axis=1)], {}, 1),
    "reshape": (
        [node("Reshape", ["x"], ["y"], shape=[0, -1])],
        [node("Reshape", ["x", "s"], ["y"])],
        {"s": np.array([0, -1])},
        1,
    ),
    "cast": ([node("Cast", ["x"], ["y"], to="FLOAT")], [node("Identity", ["x"], ["y"])], {}, 1),
    "relu": ([node("Relu", ["x"], ["y"], consumed_inputs=[0])], [node("Relu", ["x"], ["y"])], {}, 1),
    "gemm": (
        [node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "w", "b"], ["y"], broadcast=1)],
        [node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "w", "b"], ["y"])],
        {"w": weights(0, 24, 5), "b": weights(1, 5)},
        6,
    ),
    "tile": (
        [node("Tile", ["x", "n", "a"], ["y"])],
        [node("Concat", ["x", "x"], ["y"], axis=2)],
        {"n": np.float32(2), "a": np.float32(2)},
        1,
    ),
    "split": (
        [node("Split", ["x", "s"], ["a", "b"], axis=1), node("Concat", ["b", "a"], ["y"], axis=1)],
        [node("Gather", ["x", "i"], ["y"], axis=1)],
        {"s": np.float32([1, 3]), "i": np.array([1, 2, 3, 0])},
        1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_operators_that_changed(name):
    old, modern, stored, opset = CHANGED[name]
    assert_means(old_model(old, IMAGE, stored, opset), make_model(modern, IMAGE, stored))


@pytest.mark.parametrize(
    "last",
    [
        node("BatchNormalization", ["x", "c", "c", "c", "v"], ["y"], is_test=0),
        node("BatchNormalization", ["x", "c", "c", "c", "v"], ["y", "m", "s", "t", "u"]),
        node("Dropout", ["x"], ["y"], is_test=0),
    ],
)
def test_training_mode_is_refused(last):
    with pytest.raises(UnsupportedOperatorError, match=r"training mode \(its attribute is_test is not 1\)"):
        load_onnx(old_model([last], IMAGE, STATISTICS))


def test_missing_input():
    with pytest.raises(RelugradError, match=r"Add"):
        load_onnx(old_model([node("Add", ["x", ""], ["y"], broadcast=1)], IMAGE))
