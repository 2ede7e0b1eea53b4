"""Whole numbers as inputs, moved about before they are cast, against onnxruntime."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx_models import make_model, weights

from pyomo_relugrad.errors import NetworkFileError, UnsupportedOperatorError
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node
ML = {"domain": "ai.onnx.ml"}
TYPES = {
    TensorProto.INT64: np.int64,
    TensorProto.INT32: np.int32,
    TensorProto.UINT8: np.uint8,
    TensorProto.INT8: np.int8,
    TensorProto.UINT16: np.uint16,
}
STORED = {
    "w": weights(0, 4, 3), "i": np.array([1, 0, 3, 2]), "ends": np.array([3]), "start": np.array([1]),
    "one": np.array([1]), "shape": np.array([-1, 2, 2]), "flat": np.array([-1, 4]), "sizes": np.array([1, 3]),
}  # fmt: skip


def cast(source="m"):
    return [node("Cast", [source], ["c"], to=TensorProto.FLOAT), node("MatMul", ["c", "w"], ["y"])]


MOVED = {
    "Cast": [node("Cast", ["x"], ["c"], to=TensorProto.FLOAT), node("MatMul", ["c", "w"], ["y"])],
    "Cast twice": [node("Cast", ["x"], ["m"], to=TensorProto.INT64), *cast()],
    "CastLike": [node("CastLike", ["x", "w"], ["c"]), node("MatMul", ["c", "w"], ["y"])],
    "Flatten": [node("Flatten", ["x"], ["m"]), *cast()],
    "Identity": [node("Identity", ["x"], ["m"]), *cast()],
    "Gather": [node("Gather", ["x", "i"], ["m"], axis=1), *cast()],
    "Transpose": [node("Transpose", ["x"], ["t"], perm=[1, 0]), node("Transpose", ["t"], ["m"]), *cast()],
    "Reshape": [node("Reshape", ["x", "shape"], ["r"]), node("Reshape", ["r", "flat"], ["m"]), *cast()],
    "Squeeze": [node("Unsqueeze", ["x", "one"], ["u"]), node("Squeeze", ["u", "one"], ["m"]), *cast()],
    "Split": [
        node("Split", ["x", "sizes"], ["p", "q"], axis=1), node("Concat", ["q", "p"], ["m"], axis=1), *cast()],
    "Slice": [
        node("Slice", ["x", "start", "ends", "one"], ["p"]), node("Concat", ["p", "p"], ["m"], axis=1), *cast()],
}  # fmt: skip


def agrees(model, kind):
    low = 0 if np.issubdtype(kind, np.unsignedinteger) else -7
    points = np.random.default_rng(0).integers(low, 100, size=(10, 4)).astype(kind)
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": points})
    return np.allclose(load_onnx(model).value(points), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", ["Cast", "Gather", "Flatten", "Reshape"])
def test_types(kind, name):
    assert agrees(make_integer_model(MOVED[name], kind), TYPES[kind])


@pytest.mark.parametrize("name", MOVED)
def test_moved_before_the_cast(name):
    assert agrees(make_integer_model(MOVED[name]), np.int64)


def make_integer_model(nodes, kind=TensorProto.INT64):
    model = make_model(nodes, ("N", 4), STORED, kind=kind)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return model


@pytest.mark.parametrize(
    "first",
    [
        node("Scaler", ["x"], ["c"], offset=[1.0, 2.0, 3.0, 4.0], scale=[0.5, 0.1, 1.0, 2.0], **ML),
        node("FeatureVectorizer", ["x"], ["c"], inputdimensions=[4], **ML),
    ],
)
def test_operators_of_machine_learning(first):
    assert agrees(make_integer_model([first, node("MatMul", ["c", "w"], ["y"])]), np.int64)


def test_columns_picked_by_scikit_learn():
    pick = node("ArrayFeatureExtractor", ["x", "i"], ["m"], **ML)
    assert agrees(make_integer_model([pick, *cast()]), np.int64)


def test_whole_numbers_that_come_out_again():
    model = make_model([node("Gather", ["x", "i"], ["y"], axis=1)], (1, 4), STORED, kind=TensorProto.INT64)
    assert load_onnx(model).value([[4, 5, 6, 7]]).tolist() == [[5, 4, 7, 6]]


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([node("Neg", ["x"], ["m"], name="it"), *cast()], "node 'it': Neg computes with whole numbers.*Cast to float"),
        ([node("Div", ["x", "one"], ["m"], name="it"), *cast()], "node 'it': Div computes with whole numbers"),
        ([node("Cast", ["x"], ["m"], to=TensorProto.INT8, name="it"), *cast()], "node 'it': Cast computes with whole"),
        ([node("Gather", ["w", "x"], ["y"], name="it")], "node 'it': Gather takes its indices .* network's input"),
    ],
)
def test_arithmetic_is_refused(nodes, reason):
    with pytest.raises(UnsupportedOperatorError, match=reason):
        load_onnx(make_integer_model(nodes))


@pytest.mark.parametrize("kind", [TensorProto.STRING, TensorProto.BOOL, TensorProto.COMPLEX64])
def test_other_types(kind):
    name = TensorProto.DataType.Name(kind)
    with pytest.raises(
        NetworkFileError, match=f"input 'x' is of type {name}, not a tensor of numbers: export .* float inputs"
    ):
        load_onnx(make_model([node("Identity", ["x"], ["y"])], (1, 3), kind=kind))
